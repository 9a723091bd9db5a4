use rand::Rng;
use rayon::prelude::*;

use crate::augment::Change;
use crate::in_memory::BYTES;
use crate::photo::Photo;
use crate::{Augment, DataError, Dataset, ImageFolder, InMemoryDataset};

/// The images of a batch and the random numbers of their augmentation: everything but the pixels.
///
/// [`Dataset::plan`] makes a plan, [`Dataset::load`] turns it into pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPlan {
    indices: Vec<u32>,
    augment: Augment,
    changes: Changes,
}

#[derive(Clone, Debug, PartialEq)]
enum Changes {
    /// The random numbers of images in memory.
    InMemory(Vec<Change>),
    /// One seed per photograph, because the number of random draws depends on its size.
    Photos(Vec<u64>),
}

/// An augmented and normalised batch.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageBatch {
    /// `[B, C, H, W]`
    pub pixels: Vec<f32>,
    /// `[B]`, indices of the images in the data set. Skipped damaged files are left out, so there may be fewer than were asked for.
    pub indices: Vec<u32>,
}

/// An image of an in-memory data set together with the random numbers of its augmentation.
///
/// The augmented pixel (y, x) is read at (y + `offset_y`, x' + `offset_x`), where x' is the flipped column if `flipped` is set and x
/// otherwise. Pixels outside of the image are zero bytes (the padding of `RandomCrop`). Then the cutout region becomes the mean colour,
/// which is 0 after normalisation.
///
/// An executor that holds the data set in its own memory can augment images from these numbers. `pada-exec` has a struct with the same
/// fields, because neither crate depends on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AugmentedIndex {
    /// Index of the image in the data set.
    pub index: u32,
    /// Vertical crop offset in pixels: top of the crop minus the padding.
    pub offset_y: i32,
    /// Horizontal crop offset in pixels: left of the crop minus the padding.
    pub offset_x: i32,
    /// True if the image is flipped horizontally.
    pub flipped: bool,
    /// Rows and columns of the cutout region as half-open ranges. Both are empty if there is no cutout.
    pub cutout: [[u32; 2]; 2],
}

impl BatchPlan {
    /// Returns the augmentation of every image, `[B]`. Returns `None` for photographs, whose augmentation depends on their size, and with
    /// AutoAugment or RandAugment, which need the pixels.
    pub fn augmented_indices(&self) -> Option<Vec<AugmentedIndex>> {
        let Changes::InMemory(changes) = &self.changes else { return None };
        if self.augment.has_policy() {
            return None;
        }
        let padding = self.augment.crop_padding as i32;
        let augmented = |(&index, change): (&u32, &Change)| AugmentedIndex {
            index,
            offset_y: change.top as i32 - padding,
            offset_x: change.left as i32 - padding,
            flipped: change.flipped,
            cutout: self.augment.cutout_region(change.cutout).map(|range| range.map(|end| end as u32)),
        };
        Some(self.indices.iter().zip(changes).map(augmented).collect())
    }

    /// Indices of the images in the data set, `[B]`.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }
}

impl Dataset {
    /// Draws the random numbers of a batch's augmentation, image by image.
    ///
    /// No pixel is touched, so the result depends neither on the number of threads nor on the moment at which the pixels are made.
    ///
    /// # Errors
    /// Returns [`DataError::IndexOutOfRange`] if an index is not below the number of images.
    pub fn plan(
        &self,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) -> Result<BatchPlan, DataError> {
        self.check(indices)?;
        check_colours(self.name(), self.extents()[0], augment)?;
        let changes = match self {
            Self::InMemory(set) => {
                Changes::InMemory(indices.iter().map(|_| augment.draw(set.height, set.width, rng)).collect())
            }
            Self::Folder(_) => Changes::Photos(indices.iter().map(|_| rng.next_u64()).collect()),
        };
        Ok(BatchPlan { indices: indices.to_vec(), augment: *augment, changes })
    }

    /// Makes the pixels of a batch.
    ///
    /// # Errors
    /// Returns a [`DataError`] if a photograph cannot be read, and [`DataError::IndexOutOfRange`] or [`DataError::OtherDataset`] if the
    /// plan was made for another data set.
    pub fn load(&self, plan: &BatchPlan) -> Result<ImageBatch, DataError> {
        let BatchPlan { indices, augment, changes } = plan;
        self.check(indices)?;
        match (self, changes) {
            (Self::InMemory(set), Changes::InMemory(changes)) => {
                let mut pixels = Vec::new();
                write(set, indices, changes, augment, &mut pixels);
                Ok(ImageBatch { pixels, indices: indices.clone() })
            }
            (Self::Folder(folder), Changes::Photos(seeds)) => photographs(folder, indices, seeds, augment),
            _ => Err(DataError::OtherDataset { name: self.name().to_owned() }),
        }
    }

    fn check(&self, indices: &[u32]) -> Result<(), DataError> {
        check_indices(self.name(), indices, self.len())
    }
}

/// Checks that all indices are below the number of images.
pub(crate) fn check_indices(name: &str, indices: &[u32], images: usize) -> Result<(), DataError> {
    match indices.iter().find(|&&index| index as usize >= images) {
        Some(&index) => {
            Err(DataError::IndexOutOfRange { dataset: name.to_owned(), index: index as usize, images })
        }
        None => Ok(()),
    }
}

/// Checks that images have three channels if they are changed by a policy.
fn check_colours(name: &str, channels: usize, augment: &Augment) -> Result<(), DataError> {
    match augment.has_policy() && channels != 3 {
        true => Err(DataError::NotColour { dataset: name.to_owned(), channels }),
        false => Ok(()),
    }
}

/// Fills `out` with augmented and normalised images, `[B, C, H, W]`.
///
/// The random numbers are drawn image by image (top, left, flip, operations, cutout) before any pixel is touched, so the result does not depend on
/// the number of threads. Augmentations that are switched off draw no random numbers.
///
/// # Errors
/// Returns [`DataError::IndexOutOfRange`] if an index is not below the number of images, and [`DataError::NotColour`] if a policy is to
/// change images without three channels.
///
/// # Source
/// torchvision's `RandomCrop(size, padding)`, whose padding is black before normalisation, then `RandomHorizontalFlip`.
pub fn fill(
    set: &InMemoryDataset,
    indices: &[u32],
    augment: &Augment,
    rng: &mut dyn Rng,
    out: &mut Vec<f32>,
) -> Result<(), DataError> {
    check_indices(&set.name, indices, set.len())?;
    check_colours(&set.name, set.channels, augment)?;
    let changes: Vec<Change> = indices.iter().map(|_| augment.draw(set.height, set.width, rng)).collect();
    write(set, indices, &changes, augment, out);
    Ok(())
}

/// Returns normalised images without augmentation, `[B, C, H, W]`.
///
/// # Errors
/// Returns [`DataError::IndexOutOfRange`] if an index is not below the number of images.
pub fn normalised(set: &InMemoryDataset, indices: &[u32]) -> Result<Vec<f32>, DataError> {
    check_indices(&set.name, indices, set.len())?;
    let mut out = Vec::new();
    write(set, indices, &vec![Change::NONE; indices.len()], &Augment::NONE, &mut out);
    Ok(out)
}

/// All indices must be in range.
fn write(set: &InMemoryDataset, indices: &[u32], changes: &[Change], augment: &Augment, out: &mut Vec<f32>) {
    out.resize(indices.len() * set.image_len(), 0.0);
    let (values, padding) = (set.normalize.values(set.channels), augment.crop_padding);
    out.par_chunks_mut(set.image_len()).zip(indices).zip(changes).for_each(|((out, &index), change)| {
        let image = set.bytes_of(index as usize);
        if !change.operations.is_empty() {
            write_with_operations(set, image, change, padding, &values, out);
            return augment.apply_cutout(change.cutout, out, [set.height, set.width]);
        }
        let planes =
            image.chunks_exact(set.height * set.width).zip(out.chunks_exact_mut(set.height * set.width));
        for ((plane, out), values) in planes.zip(values.chunks_exact(BYTES)) {
            for (y, row) in out.chunks_exact_mut(set.width).enumerate() {
                let source_y = (y + change.top).checked_sub(padding).filter(|&y| y < set.height);
                for (x, value) in row.iter_mut().enumerate() {
                    let x = if change.flipped { set.width - 1 - x } else { x };
                    let source_x = (x + change.left).checked_sub(padding).filter(|&x| x < set.width);
                    let byte = source_y.zip(source_x).map_or(0, |(y, x)| plane[y * set.width + x]);
                    *value = values[usize::from(byte)];
                }
            }
        }
        augment.apply_cutout(change.cutout, out, [set.height, set.width]);
    });
}

/// Crops and flips an image of three channels, applies its operations, and normalises it.
fn write_with_operations(
    set: &InMemoryDataset,
    image: &[u8],
    change: &Change,
    padding: usize,
    values: &[f32],
    out: &mut [f32],
) {
    let (height, width) = (set.height, set.width);
    let mut rgb = vec![0; image.len()];
    for (at, pixel) in rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (y, x) = (at / width, at % width);
        let x = if change.flipped { width - 1 - x } else { x };
        let source_y = (y + change.top).checked_sub(padding).filter(|&y| y < height);
        let source_x = (x + change.left).checked_sub(padding).filter(|&x| x < width);
        if let Some((y, x)) = source_y.zip(source_x) {
            *pixel = std::array::from_fn(|c| image[(c * height + y) * width + x]);
        }
    }
    change.operations.iter().for_each(|operation| operation.apply(&mut rgb, [height, width]));
    for (c, plane) in out.chunks_exact_mut(height * width).enumerate() {
        for (value, pixel) in plane.iter_mut().zip(rgb.as_chunks::<3>().0) {
            *value = values[c * BYTES + usize::from(pixel[c])];
        }
    }
}

fn photographs(
    folder: &ImageFolder,
    indices: &[u32],
    seeds: &[u64],
    augment: &Augment,
) -> Result<ImageBatch, DataError> {
    let image = |(&index, &seed): (&u32, &u64)| {
        let photo = folder.photo(index)?;
        Ok(photo.map(|photo| (index, augmented(photo, folder, augment, seed))))
    };
    let images = indices.par_iter().zip(seeds).map(image).collect::<Result<Vec<_>, DataError>>()?;
    let mut batch = ImageBatch { pixels: Vec::new(), indices: Vec::new() };
    for (index, pixels) in images.into_iter().flatten() {
        batch.indices.push(index);
        batch.pixels.extend_from_slice(&pixels);
    }
    Ok(batch)
}

/// Augments and normalises a photograph, `[3, H, W]`.
fn augmented(photo: Photo, folder: &ImageFolder, augment: &Augment, seed: u64) -> Vec<f32> {
    let size = folder.size;
    let change = augment.draw_photo([photo.height, photo.width], size, seed);
    let mut photo = match change.crop {
        Some(crop) => photo.resized(crop, size, size),
        None => photo.center_crop(size),
    };
    let mut flipped = change.flipped;
    if !change.operations.is_empty() {
        // The operations see the flipped image.
        if flipped {
            photo.rgb.chunks_exact_mut(3 * size).for_each(|row| row.as_chunks_mut::<3>().0.reverse());
            flipped = false;
        }
        change.operations.iter().for_each(|operation| operation.apply(&mut photo.rgb, [size, size]));
    }
    let mut pixels: Vec<[f32; 3]> =
        photo.rgb.as_chunks::<3>().0.iter().map(|pixel| pixel.map(f32::from)).collect();
    change.colors.iter().for_each(|color| color.apply(&mut pixels));
    let mut image = vec![0.0; 3 * size * size];
    for (c, plane) in image.chunks_exact_mut(size * size).enumerate() {
        let (mean, std) = (folder.normalize.mean[c], folder.normalize.std[c]);
        for (row, out) in pixels.chunks_exact(size).zip(plane.chunks_exact_mut(size)) {
            for (x, value) in out.iter_mut().enumerate() {
                let x = if flipped { size - 1 - x } else { x };
                *value = (row[x][c] / 255.0 - mean) / std;
            }
        }
    }
    augment.apply_cutout(change.cutout, &mut image, [size, size]);
    image
}
