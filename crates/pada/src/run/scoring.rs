use pada_data::InMemoryDataset;
use pada_exec::Executor;
use pada_graph::Lower;
use pada_trainer::{Calibration, EvalSet, PlaceWeights, Scorer};

use crate::run::network::Network;

/// What architectures are scored on.
pub(crate) struct Scoring {
    pub(crate) images: InMemoryDataset,
    pub(crate) batch: usize,
    /// Where norms have running statistics: what those are taken from.
    pub(crate) calibration: Option<Calibration>,
    pub(crate) network: Network,
}

/// What computes the architectures.
pub(crate) struct Weights<'a, 'p> {
    pub(crate) executor: &'a mut dyn Executor,
    pub(crate) net: &'a dyn Lower,
    pub(crate) place: &'a mut PlaceWeights<'p>,
}

impl Scoring {
    /// The images, ready to be scored on.
    pub(crate) fn eval_set(&self) -> EvalSet {
        EvalSet::new(&self.images, usize::MAX, self.batch)
    }

    /// A scorer that knows nothing yet.
    pub(crate) fn scorer<'a, 'p>(
        &'a self,
        weights: &'a mut Weights<'_, 'p>,
        images: &'a EvalSet,
    ) -> Scorer<'a, 'p> {
        let space = self.network.space.as_ref();
        let calibration = self.calibration.as_ref();
        Scorer {
            executor: &mut *weights.executor,
            place: &mut *weights.place,
            net: weights.net,
            space,
            images,
            calibration,
            known: Default::default(),
        }
    }
}
