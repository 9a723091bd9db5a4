use pada_graph::{Graph, Shape};

use crate::batch::Batch;
use crate::error::ExecError;
use crate::executor::Executor;

/// Data sets and counters in the memory of a device: what an executor offers beyond [`Executor`] if copies between host and device would
/// cost time.
///
/// Training and scoring call [`upload_dataset`], [`count_correct`] and [`correct_counts`], which work with every executor.
pub trait DeviceData {
    /// Uploads images to the device, so that batches can refer to them by index ([`crate::Pixels::Range`], [`crate::Pixels::Augmented`]).
    ///
    /// The data set stays on the device as long as the executor exists. Returns `None` if it does not fit.
    ///
    /// # Errors
    /// Returns [`ExecError::Backend`] if the device fails.
    fn upload_dataset(&mut self, images: &ByteImages<'_>) -> Result<Option<DeviceDataset>, ExecError>;

    /// Computes the forward pass of [`Executor::logits`] and adds the number of correctly classified images to `counts`.
    ///
    /// It may return before the pass is finished. [`DeviceData::counts`] waits for the result.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if images or labels do not fit the graph, or if the device fails.
    fn count(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        counts: &mut CorrectCounts,
    ) -> Result<(), ExecError>;

    /// Waits for all pending [`DeviceData::count`] calls and returns the number of correct images for each of `counts`.
    ///
    /// Counters that are not among `counts` are discarded.
    ///
    /// # Errors
    /// Returns an [`ExecError`], also for passes that were still running when [`DeviceData::count`] returned.
    fn counts(&mut self, counts: &[CorrectCounts]) -> Result<Vec<usize>, ExecError>;
}

/// Uploads images to the device of an executor. Returns `None` if it has no device memory of its own, as on the CPU, or if the images do not
/// fit.
///
/// # Errors
/// Returns the errors of [`DeviceData::upload_dataset`].
pub fn upload_dataset(
    executor: &mut dyn Executor,
    images: &ByteImages<'_>,
) -> Result<Option<DeviceDataset>, ExecError> {
    executor.device_data().map_or(Ok(None), |device| device.upload_dataset(images))
}

/// Computes the forward pass of [`Executor::logits`] and adds the number of correctly classified images to `counts`.
///
/// On a device it may return before the pass is finished. [`correct_counts`] waits for the result.
///
/// # Errors
/// Returns an [`ExecError`] if images or labels do not fit the graph, or if the device fails.
pub fn count_correct(
    executor: &mut dyn Executor,
    graph: &Graph,
    batch: &Batch<'_>,
    counts: &mut CorrectCounts,
) -> Result<(), ExecError> {
    if let Some(device) = executor.device_data() {
        return device.count(graph, batch, counts);
    }
    batch.check_labels(graph)?;
    counts.known += executor.logits(graph, &batch.images)?.correct(batch.labels);
    Ok(())
}

/// Waits for all pending [`count_correct`] calls and returns the number of correct images for each of `counts`.
///
/// Counters that are not among `counts` are discarded.
///
/// # Errors
/// Returns an [`ExecError`], also for passes that were still running when [`count_correct`] returned.
pub fn correct_counts(
    executor: &mut dyn Executor,
    counts: &[CorrectCounts],
) -> Result<Vec<usize>, ExecError> {
    match executor.device_data() {
        Some(device) => device.counts(counts),
        None => Ok(counts.iter().map(|counts| counts.known).collect()),
    }
}

/// The number of correctly classified images over some batches.
///
/// [`count_correct`] adds to it. An executor may keep a part of the count on its device until [`correct_counts`] asks for it, so that the
/// host does not wait after every batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CorrectCounts {
    /// The count that has arrived on the host.
    pub known: usize,
    /// Index of the counter on the device that holds the rest. `None` if there is none.
    pub kept: Option<usize>,
}

/// A labelled data set as bytes, for [`DeviceData::upload_dataset`].
#[derive(Clone, Copy, Debug)]
pub struct ByteImages<'a> {
    /// `[N, C, H, W]`
    pub bytes: &'a [u8],
    /// `[N]`, class of each image.
    pub labels: &'a [u32],
    /// Shape of one image.
    pub shape: Shape,
    /// `[C, 256]`, the normalised value of every byte in every channel.
    pub values: &'a [f32],
}

/// The identifier of a data set that was uploaded to an executor. It is valid for this executor only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDataset(pub usize);

/// An image of an uploaded data set and its augmentation: random crop with padding, horizontal flip, and cutout.
///
/// The augmented pixel (y, x) is read at (y + `offset_y`, x' + `offset_x`), where x' is the flipped column if `flipped` is set and x
/// otherwise. Pixels outside of the image are zero bytes (the padding of `RandomCrop`). Then the cutout region becomes the mean colour,
/// which is 0 after normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AugmentedIndex {
    /// Index of the image in the data set.
    pub index: u32,
    /// Vertical crop offset in pixels.
    pub offset_y: i32,
    /// Horizontal crop offset in pixels.
    pub offset_x: i32,
    /// True if the image is flipped horizontally.
    pub flipped: bool,
    /// Rows and columns of the cutout region as half-open ranges. Both are empty if there is no cutout.
    pub cutout: [[u32; 2]; 2],
}

impl AugmentedIndex {
    /// An image without augmentation.
    pub fn plain(index: u32) -> Self {
        Self { index, offset_y: 0, offset_x: 0, flipped: false, cutout: [[0; 2]; 2] }
    }
}
