use std::collections::HashMap;

use pada_data::ImageSet;
use pada_graph::{Executor, Graph, Images, Lower, Shape};
use pada_space::{Arch, Equivalence, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::{Calibration, TrainError};

/// Images to score architectures on, normalised once. Where norms use batch statistics the batch size is part of the score; the last
/// batch may be smaller.
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

    /// How many images a graph classifies correctly.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn correct(&self, executor: &mut dyn Executor, graph: &Graph) -> Result<usize, TrainError> {
        let mut correct = 0;
        for (images, labels) in self.batches() {
            correct += executor.logits(graph, &images)?.correct(labels);
        }
        Ok(correct)
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
    /// What is known: correct images by name of the weights and canonical form; empty at the start.
    pub known: HashMap<(Vec<u8>, Arch), usize>,
}

impl Scorer<'_, '_> {
    /// Scores one architecture.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn score(&mut self, arch: &Arch) -> Result<ArchScore, TrainError> {
        let key = self.key(arch)?;
        let correct = match self.known.get(&key) {
            Some(&correct) => correct,
            None => {
                let graph = self.net.lower(&key.1)?.simplified();
                if let Some(calibration) = self.calibration {
                    calibration.run(&graph, self.executor)?;
                }
                self.images.correct(self.executor, &graph)?
            }
        };
        self.known.insert(key, correct);
        Ok(ArchScore { arch: arch.clone(), correct, total: self.images.len() })
    }

    /// Takes in a score that was found earlier with the same weights and images.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn remember(&mut self, score: &ArchScore) -> Result<(), TrainError> {
        let key = self.key(&score.arch)?;
        self.known.insert(key, score.correct);
        Ok(())
    }

    fn key(&mut self, arch: &Arch) -> Result<(Vec<u8>, Arch), TrainError> {
        let weights = (self.place)(arch, self.executor)?;
        Ok((weights, self.space.canonical(arch, Equivalence::SharedWeights)))
    }
}
