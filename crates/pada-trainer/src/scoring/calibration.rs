use pada_data::{DataError, Dataset};
use pada_exec::{DeviceDataset, Executor};
use pada_graph::Graph;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::TrainError;
use crate::scoring::fixed_images::FixedImages;

/// The mean of batch statistics that recalibration computes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RecalibratedMean {
    /// The mean over all batches, weighted by their numbers of images. Batches of equal size give the mean of a batch norm with
    /// `momentum=None` in PyTorch.
    ///
    /// DIFFERS: PyTorch gives a last batch of one image as much weight as a batch of 128.
    #[default]
    Plain,
    /// An exponential mean with this momentum, in `0.0..1.0`: `r = (1 − momentum) · r + momentum · batch`.
    ///
    /// DIFFERS: SPOS starts at mean 0 and variance 1, this mean starts as the statistics of the first batch. The share of the start is
    /// `(1 − momentum)^n` after n batches, which is below the precision of f32 for the 200 batches of SPOS.
    Exponential(f64),
}

/// Training images from which the running statistics of batch norm are recomputed for each architecture before it is scored. The running
/// statistics of the supernet cannot be used, because they are averages over all paths.
///
/// # Source
/// Guo et al., *Single Path One-Shot NAS with Uniform Sampling*, ECCV 2020. DIFFERS: the released code draws 200 × 128 random images for
/// each architecture and augments them. This code uses the same images without augmentation for all architectures, so that scores do not
/// depend on the order of scoring.
#[derive(Clone, Debug)]
pub struct Calibration {
    pub(crate) images: FixedImages,
    mean: RecalibratedMean,
}

/// Seed of the choice of images. Another seed changes the scores.
const SEED: u64 = 128;

impl Calibration {
    /// Chooses `n` random images of a data set (all images if it has fewer) in batches of `batch`. The choice is always the same.
    ///
    /// # Errors
    /// Returns an error if a photograph cannot be read.
    ///
    /// # Panics
    /// Panics if `batch` is 0.
    pub fn new(source: &Dataset, n: usize, batch: usize) -> Result<Self, DataError> {
        let mut order: Vec<u32> = (0..source.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        order.truncate(n);
        Ok(Self {
            images: FixedImages::new(source.subset(&order)?.to_memory(n)?, batch),
            mean: RecalibratedMean::Plain,
        })
    }

    /// Sets the mean that is computed.
    #[must_use]
    pub fn with_mean(self, mean: RecalibratedMean) -> Self {
        Self { mean, ..self }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Returns true if there are no images.
    pub fn is_empty(&self) -> bool {
        self.images.len() == 0
    }

    /// Sets the running statistics of the batch norms of a graph to the [mean](RecalibratedMean) of the batch statistics over all batches.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    pub fn run(&self, graph: &Graph, executor: &mut dyn Executor) -> Result<(), TrainError> {
        self.run_uploaded(graph, executor, None)
    }

    /// Recomputes the running statistics as [`Calibration::run`], from the images on the device if they were uploaded.
    pub(crate) fn run_uploaded(
        &self,
        graph: &Graph,
        executor: &mut dyn Executor,
        uploaded: Option<DeviceDataset>,
    ) -> Result<(), TrainError> {
        let mut seen = 0;
        for batch in self.images.batches(uploaded) {
            let images = batch.labels.len();
            seen += images;
            let share = match self.mean {
                _ if seen == images => 1.0,
                // A last batch with fewer images has less weight.
                RecalibratedMean::Plain => images as f64 / seen as f64,
                RecalibratedMean::Exponential(momentum) => momentum,
            };
            executor.recalibrate(graph, &batch.images, share)?;
        }
        Ok(())
    }
}
