use std::collections::HashMap;

use pada_data::InMemoryDataset;
use pada_graph::{CorrectCounts, DeviceDataset, Executor, Lower};
use pada_space::{Arch, Equivalence, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::fixed_images::FixedImages;
use crate::{Calibration, TrainError};

/// Images to score architectures on, normalised once. Where norms use batch statistics the batch size is part of the score; the last
/// batch may be smaller.
#[derive(Clone, Debug)]
pub struct EvalSet {
    images: FixedImages,
}

/// What one architecture scored with the shared weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchScore {
    /// The architecture.
    pub arch: Arch,
    /// Images classified correctly.
    pub correct: usize,
    /// Images seen.
    pub total: usize,
}

impl ArchScore {
    /// Percent of the images.
    pub fn accuracy(&self) -> f64 {
        100.0 * self.correct as f64 / self.total as f64
    }
}

impl EvalSet {
    /// The first `limit` images of a set, in their order, in batches of `batch`.
    ///
    /// # Panics
    /// If `batch` is 0.
    pub fn new(set: &InMemoryDataset, limit: usize, batch: usize) -> Self {
        Self { images: FixedImages::new(set.first(limit), batch) }
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Puts the weights that compute an architecture into an executor, and returns a name for this choice of weights, the same for all
/// architectures where they share theirs.
pub type PlaceWeights<'a> = dyn FnMut(&Arch, &mut dyn Executor) -> Result<Vec<u8>, TrainError> + 'a;

/// Scores architectures one after the other. Those that compute the same function of the same weights are computed once.
pub struct Scorer<'a, 'p> {
    /// Computes.
    pub executor: &'a mut dyn Executor,
    /// Puts the weights of each architecture in place and names them.
    pub place: &'a mut PlaceWeights<'p>,
    /// Lowers architectures.
    pub net: &'a dyn Lower,
    /// Says which of them are the same.
    pub space: &'a dyn SearchSpace,
    /// What they are scored on.
    pub images: &'a EvalSet,
    /// What running statistics are taken from before; none where norms have none.
    pub calibration: Option<&'a Calibration>,
    /// What is known; nothing at the start.
    pub known: Known,
}

/// Name of the weights and canonical form.
type Key = (Vec<u8>, Arch);

/// What a scorer has found so far, and what is under way.
#[derive(Debug, Default)]
pub struct Known {
    /// Correct images.
    counts: HashMap<Key, usize>,
    under_way: HashMap<Key, CorrectCounts>,
    /// What the executor holds of the images, and of those that running statistics are taken from.
    held: Option<[Option<DeviceDataset>; 2]>,
}

/// An architecture whose score was asked for.
#[derive(Debug)]
pub struct Asked {
    arch: Arch,
    key: Key,
}

impl Known {
    /// How many different architectures.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl Scorer<'_, '_> {
    /// Scores one architecture.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn score(&mut self, arch: &Arch) -> Result<ArchScore, TrainError> {
        let asked = self.ask(arch)?;
        Ok(self.scores(vec![asked])?.swap_remove(0))
    }

    /// Starts to score an architecture. An executor that keeps counts to itself may go on while others are asked for.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn ask(&mut self, arch: &Arch) -> Result<Asked, TrainError> {
        let key = self.key(arch)?;
        if !self.known.counts.contains_key(&key) && !self.known.under_way.contains_key(&key) {
            let tally = self.count(&key.1)?;
            if tally.kept.is_some() {
                self.known.under_way.insert(key.clone(), tally);
            } else {
                self.known.counts.insert(key.clone(), tally.known);
            }
        }
        Ok(Asked { arch: arch.clone(), key })
    }

    /// Whether some of what was asked for may still be computed.
    pub fn is_under_way(&self) -> bool {
        !self.known.under_way.is_empty()
    }

    /// Waits for all that is under way, and scores what was asked for.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn scores(&mut self, asked: Vec<Asked>) -> Result<Vec<ArchScore>, TrainError> {
        self.wait()?;
        let total = self.images.len();
        let score = |Asked { arch, key }: Asked| ArchScore { arch, correct: self.known.counts[&key], total };
        Ok(asked.into_iter().map(score).collect())
    }

    fn wait(&mut self) -> Result<(), TrainError> {
        let (keys, tallies): (Vec<Key>, Vec<CorrectCounts>) = self.known.under_way.drain().unzip();
        if !keys.is_empty() {
            self.known.counts.extend(keys.into_iter().zip(self.executor.counts(&tallies)?));
        }
        Ok(())
    }

    fn count(&mut self, arch: &Arch) -> Result<CorrectCounts, TrainError> {
        let graph = self.net.lower(arch)?.simplified();
        let [images, calibration] = self.held()?;
        if let Some(of) = self.calibration {
            of.run_held(&graph, self.executor, calibration)?;
        }
        let mut tally = CorrectCounts::default();
        for batch in self.images.images.batches(images) {
            self.executor.count(&graph, &batch, &mut tally)?;
        }
        Ok(tally)
    }

    fn held(&mut self) -> Result<[Option<DeviceDataset>; 2], TrainError> {
        if let Some(held) = self.known.held {
            return Ok(held);
        }
        let images = self.images.images.upload(self.executor)?;
        let calibration = match self.calibration {
            Some(calibration) => calibration.images.upload(self.executor)?,
            None => None,
        };
        Ok(*self.known.held.insert([images, calibration]))
    }

    /// Takes in a score that was found earlier with the same weights and images.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn remember(&mut self, score: &ArchScore) -> Result<(), TrainError> {
        let key = self.key(&score.arch)?;
        self.known.counts.insert(key, score.correct);
        Ok(())
    }

    fn key(&mut self, arch: &Arch) -> Result<Key, TrainError> {
        let weights = (self.place)(arch, self.executor)?;
        let canonical = self.space.canonical(arch, Equivalence::SharedWeights);
        Ok((weights, canonical.map_err(pada_graph::GraphError::from)?))
    }
}
