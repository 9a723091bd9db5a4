use std::collections::HashMap;

use pada_data::ImageSet;
use pada_graph::{Executor, Images, Lower, Shape};
use pada_space::{Arch, Equivalence, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::{Observer, TrainError};

/// Images to score architectures on, normalised once. Norms use batch statistics, so the batch size is part of the score; the
/// last batch may be smaller.
#[derive(Clone, Debug)]
pub struct EvalSet {
    pixels: Vec<f32>,
    labels: Vec<u32>,
    shape: Shape,
    batch: usize,
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
    pub fn new(set: &ImageSet, limit: usize, batch: usize) -> Self {
        assert!(batch > 0, "a batch has images");
        let n = limit.min(set.len());
        let indices: Vec<u32> = (0..n as u32).collect();
        let pixels = pada_data::normalised(set, &indices);
        let labels = set.labels[..n].iter().map(|&l| u32::from(l)).collect();
        Self { pixels, labels, shape: Shape::new(set.channels, set.height, set.width), batch }
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn batches(&self) -> impl Iterator<Item = (Images<'_>, &[u32])> {
        let pixels = self.pixels.chunks(self.batch * self.shape.numel());
        pixels.map(|pixels| Images { pixels, shape: self.shape }).zip(self.labels.chunks(self.batch))
    }

    /// How many images an architecture classifies correctly.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn correct(
        &self,
        executor: &mut dyn Executor,
        net: &dyn Lower,
        arch: &Arch,
    ) -> Result<usize, TrainError> {
        let graph = net.lower(arch)?.simplified();
        let mut correct = 0;
        for (images, labels) in self.batches() {
            correct += executor.logits(&graph, &images)?.correct(labels);
        }
        Ok(correct)
    }
}

/// Puts the weights that compute an architecture into an executor, and returns a name for this choice of weights, the same for all
/// architectures where they share theirs.
pub type PlaceWeights<'a> = dyn FnMut(&Arch, &mut dyn Executor) -> Result<Vec<u8>, TrainError> + 'a;

/// Scores architectures in the order given. Those that compute the same function of the same weights are scored once; `place`
/// puts the weights of each in place and names them.
///
/// # Errors
/// [`TrainError`] from the executor.
pub fn score_archs(
    executor: &mut dyn Executor,
    place: &mut PlaceWeights<'_>,
    net: &dyn Lower,
    space: &dyn SearchSpace,
    archs: &[Arch],
    images: &EvalSet,
    observer: &mut dyn Observer,
) -> Result<Vec<ArchScore>, TrainError> {
    let mut known: HashMap<(Vec<u8>, Arch), usize> = HashMap::new();
    let mut scores = Vec::with_capacity(archs.len());
    for (done, arch) in archs.iter().enumerate() {
        if observer.stop_requested() {
            return Err(TrainError::Stopped);
        }
        let weights = place(arch, executor)?;
        let key = (weights, space.canonical(arch, Equivalence::SharedWeights));
        let correct = match known.get(&key) {
            Some(&correct) => correct,
            None => images.correct(executor, net, &key.1)?,
        };
        known.insert(key, correct);
        scores.push(ArchScore { arch: arch.clone(), correct, total: images.len() });
        observer.on_scored(done + 1, archs.len());
    }
    Ok(scores)
}
