use pada_data::InMemoryDataset;
use pada_exec::Executor;
use pada_graph::Lower;
use pada_trainer::{Calibration, EvalSet, PlaceWeights, Scorer};

use crate::run::network::Network;

/// Images and network that architectures are scored with.
pub(crate) struct Scoring {
    pub(crate) images: InMemoryDataset,
    pub(crate) batch: usize,
    /// Images from which running statistics are recomputed, or `None` if the batch norms use batch statistics.
    pub(crate) calibration: Option<Calibration>,
    pub(crate) network: Network,
}

/// The executor with the weights that architectures are scored with.
pub(crate) struct Weights<'a, 'p> {
    pub(crate) executor: &'a mut dyn Executor,
    pub(crate) net: &'a dyn Lower,
    pub(crate) place: &'a mut PlaceWeights<'p>,
}

impl Scoring {
    /// Returns the images in batches, for a [`Scorer`].
    pub(crate) fn eval_set(&self) -> EvalSet {
        EvalSet::new(&self.images, usize::MAX, self.batch)
    }

    /// Creates a scorer without scores.
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
