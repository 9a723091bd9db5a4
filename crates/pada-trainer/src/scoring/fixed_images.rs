use std::ops::Range;
use std::sync::OnceLock;

use pada_data::{Dataset, InMemoryDataset};
use pada_exec::{Batch, ByteImages, DeviceDataset, ExecError, Executor, Images, Pixels, upload_dataset};
use pada_graph::Shape;

/// Images without augmentation, in batches; the last batch may be smaller. They are uploaded once if the executor has room for them.
#[derive(Clone, Debug)]
pub(crate) struct FixedImages {
    set: InMemoryDataset,
    labels: Vec<u32>,
    batch: usize,
    /// Normalised pixels, for an executor to which the images were not uploaded.
    pixels: OnceLock<Vec<f32>>,
}

impl FixedImages {
    /// Creates batches of all images of a set.
    ///
    /// # Panics
    /// Panics if `batch` is 0.
    pub(crate) fn new(set: InMemoryDataset, batch: usize) -> Self {
        assert!(batch > 0, "the batch size must be at least 1");
        let labels = set.labels.iter().map(|&label| u32::from(label)).collect();
        Self { set, labels, batch, pixels: OnceLock::new() }
    }

    /// Returns the number of images.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> Shape {
        Shape::new(self.set.channels, self.set.height, self.set.width)
    }

    /// Uploads the images to an executor. Returns `None` if the executor does not accept them.
    pub(crate) fn upload(&self, executor: &mut dyn Executor) -> Result<Option<DeviceDataset>, ExecError> {
        upload(executor, &self.set, &self.labels)
    }

    /// Returns all batches, which refer to the uploaded images if there are any.
    pub(crate) fn batches(&self, uploaded: Option<DeviceDataset>) -> impl Iterator<Item = Batch<'_>> {
        self.batches_of(0..self.len(), uploaded)
    }

    /// Returns the batches of a range of the images.
    pub(crate) fn batches_of(
        &self,
        range: Range<usize>,
        uploaded: Option<DeviceDataset>,
    ) -> impl Iterator<Item = Batch<'_>> {
        let shape = self.shape();
        let firsts = range.clone().step_by(self.batch);
        firsts.zip(self.labels[range].chunks(self.batch)).map(move |(first, labels)| {
            let pixels = match uploaded {
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

/// Uploads images to an executor. Returns `None` if the executor does not accept them.
pub(crate) fn upload(
    executor: &mut dyn Executor,
    set: &InMemoryDataset,
    labels: &[u32],
) -> Result<Option<DeviceDataset>, ExecError> {
    let shape = Shape::new(set.channels, set.height, set.width);
    let values = set.normalize.values(set.channels);
    let images = ByteImages { bytes: &set.pixels, labels, shape, values: &values };
    upload_dataset(executor, &images)
}

/// Returns the shape of the images of a data set, in the type that networks use.
pub fn image_shape(images: &Dataset) -> Shape {
    let [channels, height, width] = images.extents();
    Shape::new(channels, height, width)
}
