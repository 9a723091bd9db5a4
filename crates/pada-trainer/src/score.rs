use std::collections::HashMap;

use pada_data::ImageSet;
use pada_graph::{Executor, Images, Logits, Lower, Shape};
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

/// Scores architectures in the order given. Those that compute the same function of the shared weights are scored once.
///
/// # Errors
/// [`TrainError`] from the executor.
pub fn score_archs(
    executor: &mut dyn Executor,
    net: &dyn Lower,
    space: &dyn SearchSpace,
    archs: &[Arch],
    images: &EvalSet,
    observer: &mut dyn Observer,
) -> Result<Vec<ArchScore>, TrainError> {
    let mut known: HashMap<Arch, usize> = HashMap::new();
    let mut scores = Vec::with_capacity(archs.len());
    for (done, arch) in archs.iter().enumerate() {
        if observer.stop_requested() {
            return Err(TrainError::Stopped);
        }
        let canonical = space.canonical(arch, Equivalence::SharedWeights);
        let correct = match known.get(&canonical) {
            Some(&correct) => correct,
            None => images.correct(executor, net, &canonical)?,
        };
        known.insert(canonical, correct);
        scores.push(ArchScore { arch: arch.clone(), correct, total: images.len() });
        observer.on_scored(done + 1, archs.len());
    }
    Ok(scores)
}

/// The data side's score of each image: ‖softmax(z) − onehot(y)‖₂, the norm of the loss's gradient with respect to the logits.
///
/// # Shapes
/// `logits`: `[B, K]`, `labels`: `[B]`; returns `[B]`, in `[0, √2]`
///
/// # Source
/// PA&DA, Eq. 13.
pub fn image_gradient_norms(logits: &Logits, labels: &[u32]) -> Vec<f32> {
    let norm = |(row, &label): (&[f32], &u32)| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = row.iter().map(|&z| f64::from(z - largest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        let target = |k| if k == label as usize { 1.0 } else { 0.0 };
        let square: f64 = exp.iter().enumerate().map(|(k, e)| (e / sum - target(k)).powi(2)).sum();
        square.sqrt() as f32
    };
    logits.rows().zip(labels).map(norm).collect()
}
