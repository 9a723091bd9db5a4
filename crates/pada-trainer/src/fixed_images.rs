use std::sync::OnceLock;

use pada_data::InMemoryDataset;
use pada_graph::{Batch, ByteImages, DeviceDataset, ExecError, Executor, Images, Pixels, Shape};

/// Images that are never changed, in batches; the last may be smaller. An executor that can hold them is given them once.
#[derive(Clone, Debug)]
pub(crate) struct FixedImages {
    set: InMemoryDataset,
    labels: Vec<u32>,
    batch: usize,
    /// Normalised, where an executor must be given them.
    pixels: OnceLock<Vec<f32>>,
}

impl FixedImages {
    /// All images of a set.
    ///
    /// # Panics
    /// If `batch` is 0.
    pub(crate) fn new(set: InMemoryDataset, batch: usize) -> Self {
        assert!(batch > 0, "a batch has images");
        let labels = set.labels.iter().map(|&label| u32::from(label)).collect();
        Self { set, labels, batch, pixels: OnceLock::new() }
    }

    /// How many images.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> Shape {
        Shape::new(self.set.channels, self.set.height, self.set.width)
    }

    /// Gives them to an executor, if it takes them.
    pub(crate) fn upload(&self, executor: &mut dyn Executor) -> Result<Option<DeviceDataset>, ExecError> {
        upload(executor, &self.set, &self.labels)
    }

    /// All batches, of images that are held or given.
    pub(crate) fn batches(&self, held: Option<DeviceDataset>) -> impl Iterator<Item = Batch<'_>> {
        let shape = self.shape();
        let firsts = (0..self.len()).step_by(self.batch);
        firsts.zip(self.labels.chunks(self.batch)).map(move |(first, labels)| {
            let pixels = match held {
                Some(set) => Pixels::Range(set, first, labels.len()),
                None => {
                    Pixels::Given(&self.pixels()[first * shape.numel()..][..labels.len() * shape.numel()])
                }
            };
            Batch { images: Images { pixels, shape }, labels }
        })
    }

    fn pixels(&self) -> &[f32] {
        let all = || (0..self.set.len() as u32).collect::<Vec<_>>();
        let normalised = || pada_data::normalised(&self.set, &all()).expect("all indices are in range");
        self.pixels.get_or_init(normalised)
    }
}

/// Gives a set of images to an executor, if it takes them.
pub(crate) fn upload(
    executor: &mut dyn Executor,
    set: &InMemoryDataset,
    labels: &[u32],
) -> Result<Option<DeviceDataset>, ExecError> {
    let shape = Shape::new(set.channels, set.height, set.width);
    let values = set.normalize.values(set.channels);
    executor.upload_dataset(&ByteImages { bytes: &set.pixels, labels, shape, values: &values })
}
