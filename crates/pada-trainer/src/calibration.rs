use pada_data::{DataError, Dataset};
use pada_graph::{DeviceDataset, Executor, Graph};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::TrainError;
use crate::fixed_images::FixedImages;

/// Training images that the running statistics of an architecture's norms are taken from before it is scored. Those that training left
/// are a mixture over all paths and suit none.
///
/// # Source
/// Guo et al., *Single Path One-Shot NAS with Uniform Sampling*, ECCV 2020. DIFFERS: the released code draws 200 × 128 random images for
/// each architecture and changes them as in training. Here it is one choice for all architectures, as they are, so that scores do not
/// depend on the order of scoring.
#[derive(Clone, Debug)]
pub struct Calibration {
    pub(crate) images: FixedImages,
}

/// Seed of the choice of images; a part of its definition.
const SEED: u64 = 128;

impl Calibration {
    /// A fixed random choice of `n` images of a set, or all if there are fewer, in batches of `batch`.
    ///
    /// # Errors
    /// [`DataError`] where a photograph cannot be read.
    ///
    /// # Panics
    /// If `batch` is 0.
    pub fn new(source: &Dataset, n: usize, batch: usize) -> Result<Self, DataError> {
        let mut order: Vec<u32> = (0..source.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        order.truncate(n);
        Ok(Self { images: FixedImages::new(source.subset(&order)?.to_memory(n)?, batch) })
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.len() == 0
    }

    /// Makes the statistics of a graph's norms the mean over the batches.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn run(&self, graph: &Graph, executor: &mut dyn Executor) -> Result<(), TrainError> {
        self.run_held(graph, executor, None)
    }

    /// The same where the executor may hold the images.
    pub(crate) fn run_held(
        &self,
        graph: &Graph,
        executor: &mut dyn Executor,
        held: Option<DeviceDataset>,
    ) -> Result<(), TrainError> {
        for (place, batch) in self.images.batches(held).enumerate() {
            executor.recalibrate(graph, &batch.images, place)?;
        }
        Ok(())
    }
}
