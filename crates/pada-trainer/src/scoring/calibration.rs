use pada_data::{DataError, Dataset};
use pada_exec::{DeviceDataset, Executor};
use pada_graph::Graph;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::TrainError;
use crate::scoring::fixed_images::FixedImages;

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
        Ok(Self { images: FixedImages::new(source.subset(&order)?.to_memory(n)?, batch) })
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Returns true if there are no images.
    pub fn is_empty(&self) -> bool {
        self.images.len() == 0
    }

    /// Sets the running statistics of the batch norms of a graph to the mean of the batch statistics over all batches.
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
        for (index, batch) in self.images.batches(uploaded).enumerate() {
            executor.recalibrate(graph, &batch.images, index)?;
        }
        Ok(())
    }
}
