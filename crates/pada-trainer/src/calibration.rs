use pada_data::{DataError, ImageSource};
use pada_graph::{Executor, Graph, Images, Shape};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{TrainError, image_shape};

/// Training images that the running statistics of an architecture's norms are taken from before it is scored. Those that training left
/// are a mixture over all paths and suit none.
///
/// # Source
/// Guo et al., *Single Path One-Shot NAS with Uniform Sampling*, ECCV 2020. DIFFERS: the released code draws 200 × 128 random images for
/// each architecture and changes them as in training. Here it is one choice for all architectures, as they are, so that scores do not
/// depend on the order of scoring.
#[derive(Clone, Debug)]
pub struct Calibration {
    pixels: Vec<f32>,
    shape: Shape,
    batch: usize,
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
    pub fn new(source: &ImageSource, n: usize, batch: usize) -> Result<Self, DataError> {
        assert!(batch > 0, "a batch has images");
        let mut order: Vec<u32> = (0..source.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        order.truncate(n);
        let set = source.subset(&order).held(n)?;
        let pixels = pada_data::normalised(&set, &(0..set.len() as u32).collect::<Vec<_>>());
        Ok(Self { pixels, shape: image_shape(source), batch })
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.shape.numel()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Makes the statistics of a graph's norms the mean over the batches.
    ///
    /// # Errors
    /// [`TrainError`] from the executor.
    pub fn run(&self, graph: &Graph, executor: &mut dyn Executor) -> Result<(), TrainError> {
        for (batch, pixels) in self.pixels.chunks(self.batch * self.shape.numel()).enumerate() {
            executor.recalibrate(graph, &Images { pixels, shape: self.shape }, batch)?;
        }
        Ok(())
    }
}
