use std::collections::HashMap;
use std::ops::Range;

use pada_data::InMemoryDataset;
use pada_exec::{CorrectCounts, DeviceDataset, Executor, correct_counts, count_correct};
use pada_graph::Lower;
use pada_space::{Arch, Equivalence, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::scoring::calibration::Calibration;
use crate::scoring::fixed_images::FixedImages;

/// The number of classes of top-5 accuracy.
const TOP: usize = 5;

/// The images that architectures are scored on. The last batch may be smaller than the others. If the batch norms of a network use batch
/// statistics, the scores depend on the batch size.
#[derive(Clone, Debug)]
pub struct EvalSet {
    images: FixedImages,
}

/// The score of one architecture with the shared weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchScore {
    /// The architecture.
    pub arch: Arch,
    /// Number of images that were classified correctly.
    pub correct: usize,
    /// Number of images.
    pub total: usize,
}

impl ArchScore {
    /// Returns the accuracy in percent.
    pub fn accuracy(&self) -> f64 {
        100.0 * self.correct as f64 / self.total as f64
    }
}

impl EvalSet {
    /// Takes the first `limit` images of a data set, in batches of `batch`.
    ///
    /// # Panics
    /// Panics if `batch` is 0.
    pub fn new(set: &InMemoryDataset, limit: usize, batch: usize) -> Self {
        Self { images: FixedImages::new(set.first(limit), batch) }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Returns true if there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Writes the weights of an architecture into an executor and returns a key of them. Architectures with equal keys share their weights.
pub type PlaceWeights<'a> = dyn FnMut(&Arch, &mut dyn Executor) -> Result<Vec<u8>, TrainError> + 'a;

/// Scores architectures with shared weights. Equivalent architectures with the same weights are computed only once.
pub struct Scorer<'a, 'p> {
    /// The executor, which computes the passes.
    pub executor: &'a mut dyn Executor,
    /// Writes the weights of each architecture into the executor.
    pub place: &'a mut PlaceWeights<'p>,
    /// The network, which lowers an architecture to its graph.
    pub net: &'a dyn Lower,
    /// The search space, which defines which architectures are equivalent.
    pub space: &'a dyn SearchSpace,
    /// The images to score on.
    pub images: &'a EvalSet,
    /// The images for running statistics, or `None` if the batch norms use batch statistics.
    pub calibration: Option<&'a Calibration>,
    /// The scores so far. Start with [`Known::default`].
    pub known: Known,
}

/// The key of the weights and the canonical form of the architecture.
type Key = (Vec<u8>, Arch);

/// The scores that a scorer has computed so far, and those in progress.
#[derive(Debug, Default)]
pub struct Known {
    /// Number of correctly classified images.
    counts: HashMap<Key, usize>,
    /// The images that are scored on. `None` means all.
    range: Option<Range<usize>>,
    in_progress: HashMap<Key, CorrectCounts>,
    /// The images on the device: those to score on, then those for running statistics. The outer option is `None` before the upload.
    uploaded: Option<[Option<DeviceDataset>; 2]>,
}

/// An architecture whose score was requested.
#[derive(Debug)]
pub struct Asked {
    arch: Arch,
    key: Key,
}

impl Known {
    /// Returns the number of different architectures with a score.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Returns true if there is no score yet.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl Scorer<'_, '_> {
    /// Scores one architecture.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    pub fn score(&mut self, arch: &Arch) -> Result<ArchScore, TrainError> {
        let asked = self.ask(arch)?;
        Ok(self.scores(vec![asked])?.swap_remove(0))
    }

    /// Starts to score an architecture. An executor on a device may compute the score while further architectures are requested.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    pub fn ask(&mut self, arch: &Arch) -> Result<Asked, TrainError> {
        let key = self.key(arch)?;
        if !self.known.counts.contains_key(&key) && !self.known.in_progress.contains_key(&key) {
            let counts = self.count(&key.1)?;
            if counts.kept.is_some() {
                self.known.in_progress.insert(key.clone(), counts);
            } else {
                self.known.counts.insert(key.clone(), counts.known);
            }
        }
        Ok(Asked { arch: arch.clone(), key })
    }

    /// Returns true if some of the requested scores may still be in progress.
    pub fn is_under_way(&self) -> bool {
        !self.known.in_progress.is_empty()
    }

    /// Waits for all scores in progress and returns the scores of the given requests.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    pub fn scores(&mut self, asked: Vec<Asked>) -> Result<Vec<ArchScore>, TrainError> {
        self.wait()?;
        let total = self.range().len();
        let score = |Asked { arch, key }: Asked| ArchScore { arch, correct: self.known.counts[&key], total };
        Ok(asked.into_iter().map(score).collect())
    }

    fn wait(&mut self) -> Result<(), TrainError> {
        let (keys, counts): (Vec<Key>, Vec<CorrectCounts>) = self.known.in_progress.drain().unzip();
        if !keys.is_empty() {
            self.known.counts.extend(keys.into_iter().zip(correct_counts(self.executor, &counts)?));
        }
        Ok(())
    }

    fn count(&mut self, arch: &Arch) -> Result<CorrectCounts, TrainError> {
        let graph = self.net.lower(arch)?.simplified();
        let [images, calibration] = self.upload()?;
        if let Some(of) = self.calibration {
            of.run_uploaded(&graph, self.executor, calibration)?;
        }
        let mut counts = CorrectCounts::default();
        for batch in self.images.images.batches_of(self.range(), images) {
            count_correct(self.executor, &graph, &batch, &mut counts)?;
        }
        Ok(counts)
    }

    fn upload(&mut self) -> Result<[Option<DeviceDataset>; 2], TrainError> {
        if let Some(uploaded) = self.known.uploaded {
            return Ok(uploaded);
        }
        let images = self.images.images.upload(self.executor)?;
        let calibration = match self.calibration {
            Some(calibration) => calibration.images.upload(self.executor)?,
            None => None,
        };
        Ok(*self.known.uploaded.insert([images, calibration]))
    }

    /// Scores on a range of the images from now on, and forgets all scores. The batches are those of all images if the range starts at a
    /// multiple of the batch size.
    ///
    /// # Panics
    /// Panics if the range is not within the images.
    pub fn restrict(&mut self, range: Range<usize>) {
        assert!(range.end <= self.images.len(), "there are {} images", self.images.len());
        self.known.counts.clear();
        self.known.range = Some(range);
    }

    fn range(&self) -> Range<usize> {
        self.known.range.clone().unwrap_or(0..self.images.len())
    }

    /// Adds a score that was computed earlier with the same weights and images.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    pub fn remember(&mut self, score: &ArchScore) -> Result<(), TrainError> {
        let key = self.key(&score.arch)?;
        self.known.counts.insert(key, score.correct);
        Ok(())
    }

    /// Computes the top-5 accuracy of an architecture on all images, in percent. Returns `None` if there are no more than five classes, of which the
    /// label would always be one of five.
    ///
    /// It needs passes of its own, because the scores of a device are only counts of top-1.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    pub fn top5(&mut self, arch: &Arch) -> Result<Option<f64>, TrainError> {
        let (_, canonical) = self.key(arch)?;
        let graph = self.net.lower(&canonical)?.simplified();
        if graph.output().shape.channels <= TOP {
            return Ok(None);
        }
        let [images, calibration] = self.upload()?;
        if let Some(of) = self.calibration {
            of.run_uploaded(&graph, self.executor, calibration)?;
        }
        let mut correct = 0;
        for batch in self.images.images.batches(images) {
            correct += self.executor.logits(&graph, &batch.images)?.correct_among(TOP, batch.labels);
        }
        Ok(Some(100.0 * correct as f64 / self.images.len() as f64))
    }

    fn key(&mut self, arch: &Arch) -> Result<Key, TrainError> {
        // This fails for an architecture of another space, for which no weights can be placed.
        let canonical = self.space.canonical(arch, Equivalence::SharedWeights);
        let canonical = canonical.map_err(pada_graph::GraphError::from)?;
        Ok(((self.place)(arch, self.executor)?, canonical))
    }
}
