use pada_data::{DataError, Dataset};
use pada_exec::{DeviceDataset, Executor};
use pada_graph::Graph;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::TrainError;
use crate::scoring::fixed_images::FixedImages;

/// Training images from which the running statistics of batch norm are recomputed for an architecture before it is scored. The
/// statistics that training leaves are a mixture over all paths and fit none of them.
///
/// # Source
/// Guo et al., *Single Path One-Shot NAS with Uniform Sampling*, ECCV 2020. DIFFERS: the released code draws 200 × 128 random images for
/// each architecture and augments them. Here all architectures use the same images without augmentation, so that scores do not depend
/// on the order of scoring.
#[derive(Clone, Debug)]
pub struct Calibration {
    pub(crate) images: FixedImages,
}

/// Seed of the choice of images. It is part of the definition.
const SEED: u64 = 128;

impl Calibration {
    /// A fixed random choice of `n` images of a data set, or all of them if there are fewer, in batches of `batch`.
    ///
    /// # Errors
    /// Returns [`DataError`] if a photograph cannot be read.
    ///
    /// # Panics
    /// Panics if `batch` is 0.
    pub fn new(source: &Dataset, n: usize, batch: usize) -> Result<Self, DataError> {
        let mut order: Vec<u32> = (0..source.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        order.truncate(n);
        Ok(Self { images: FixedImages::new(source.subset(&order)?.to_memory(n)?, batch) })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.len() == 0
    }

    /// Sets the running statistics of the batch norms of a graph to their mean over the batches.
    ///
    /// # Errors
    /// Returns [`TrainError`] from the executor.
    pub fn run(&self, graph: &Graph, executor: &mut dyn Executor) -> Result<(), TrainError> {
        self.run_uploaded(graph, executor, None)
    }

    /// The same if the executor may have uploaded the images.
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
