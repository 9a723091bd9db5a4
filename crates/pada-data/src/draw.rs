use rand::Rng;
use rayon::prelude::*;

use crate::augment::Change;
use crate::photo::Photo;
use crate::set::BYTES;
use crate::{Augment, DataError, ImageFolder, ImageSet, ImageSource};

/// Which images a batch is made of, and what was drawn for each: everything but the pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    indices: Vec<u32>,
    augment: Augment,
    changes: Changes,
}

#[derive(Clone, Debug, PartialEq)]
enum Changes {
    /// Of images held as bytes.
    Held(Vec<Change>),
    /// Seeds of photographs' changes.
    Photos(Vec<u64>),
}

/// A batch, changed at random and normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnImages {
    /// `[B, C, H, W]`
    pub pixels: Vec<f32>,
    /// `[B]`, which images; those that were drawn but for damaged ones.
    pub indices: Vec<u32>,
}

/// What an image becomes that is held as bytes: pixel (y, x) is read at (y + down, x' + right), where x' is x or the flipped column;
/// what lies outside is a byte of 0. Then the hole becomes the mean colour, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which image.
    pub index: u32,
    /// Rows between a pixel and where it is read.
    pub down: i32,
    /// Columns between them.
    pub right: i32,
    /// Whether left and right are exchanged.
    pub flipped: bool,
    /// Rows and columns of the hole, from the first to before the last; empty where there is none.
    pub hole: [[u32; 2]; 2],
}

impl Draw {
    /// What the images become, `[B]`; none of photographs, whose pixels are made from files.
    pub fn placed(&self) -> Option<Vec<Placed>> {
        let Changes::Held(changes) = &self.changes else { return None };
        let padding = self.augment.crop_padding as i32;
        let placed = |(&index, change): (&u32, &Change)| Placed {
            index,
            down: change.top as i32 - padding,
            right: change.left as i32 - padding,
            flipped: change.flipped,
            hole: self.augment.square(change.hole).map(|[first, end]| [first as u32, end as u32]),
        };
        Some(self.indices.iter().zip(changes).map(placed).collect())
    }

    /// `[B]`, which images.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }
}

impl ImageSource {
    /// Draws the changes of a batch, image by image, before any pixel is touched: the result depends neither on threads nor on when
    /// the pixels are made.
    pub fn draw(&self, indices: &[u32], augment: &Augment, rng: &mut dyn Rng) -> Draw {
        let changes = match self {
            Self::Held(set) => {
                Changes::Held(indices.iter().map(|_| augment.draw(set.height, set.width, rng)).collect())
            }
            Self::Folder(_) => Changes::Photos(indices.iter().map(|_| rng.next_u64()).collect()),
        };
        Draw { indices: indices.to_vec(), augment: *augment, changes }
    }

    /// Makes the pixels of a batch.
    ///
    /// # Errors
    /// [`DataError`] where a photograph cannot be read.
    ///
    /// # Panics
    /// If the batch was drawn from another kind of source.
    pub fn images(&self, draw: &Draw) -> Result<DrawnImages, DataError> {
        let Draw { indices, augment, changes } = draw;
        match (self, changes) {
            (Self::Held(set), Changes::Held(changes)) => {
                let mut pixels = Vec::new();
                write(set, indices, changes, augment, &mut pixels);
                Ok(DrawnImages { pixels, indices: indices.clone() })
            }
            (Self::Folder(folder), Changes::Photos(seeds)) => photographs(folder, indices, seeds, augment),
            _ => unreachable!("a batch is drawn from the source that makes it"),
        }
    }
}

/// Fills `out` with the images at `indices`, changed at random and normalised: `[B, C, H, W]`.
///
/// The numbers are drawn image by image (top, left, flipped, cutout) before any pixel is touched, so the result does not depend on
/// threads. What is switched off is not drawn.
///
/// # Source
/// torchvision's `RandomCrop(size, padding)`, whose border is black before normalisation, then `RandomHorizontalFlip`.
pub fn fill(set: &ImageSet, indices: &[u32], augment: &Augment, rng: &mut dyn Rng, out: &mut Vec<f32>) {
    let changes: Vec<Change> = indices.iter().map(|_| augment.draw(set.height, set.width, rng)).collect();
    write(set, indices, &changes, augment, out);
}

/// The images at `indices`, normalised and otherwise as they are: `[B, C, H, W]`.
pub fn normalised(set: &ImageSet, indices: &[u32]) -> Vec<f32> {
    let mut out = Vec::new();
    write(set, indices, &vec![Change::NONE; indices.len()], &Augment::NONE, &mut out);
    out
}

fn write(set: &ImageSet, indices: &[u32], changes: &[Change], augment: &Augment, out: &mut Vec<f32>) {
    out.resize(indices.len() * set.image_len(), 0.0);
    let (values, padding) = (set.normalize.values(set.channels), augment.crop_padding);
    out.par_chunks_mut(set.image_len()).zip(indices).zip(changes).for_each(|((out, &index), change)| {
        let image = set.image(index as usize);
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
        augment.cut_out(change.hole, out, [set.height, set.width]);
    });
}

fn photographs(
    folder: &ImageFolder,
    indices: &[u32],
    seeds: &[u64],
    augment: &Augment,
) -> Result<DrawnImages, DataError> {
    let image = |(&index, &seed): (&u32, &u64)| {
        let photo = folder.photo(index)?;
        Ok(photo.map(|photo| (index, changed(&photo, folder, augment, seed))))
    };
    let images = indices.par_iter().zip(seeds).map(image).collect::<Result<Vec<_>, DataError>>()?;
    let mut drawn = DrawnImages { pixels: Vec::new(), indices: Vec::new() };
    for (index, pixels) in images.into_iter().flatten() {
        drawn.indices.push(index);
        drawn.pixels.extend_from_slice(&pixels);
    }
    Ok(drawn)
}

/// A photograph as a training image, `[3, H, W]`.
fn changed(photo: &Photo, folder: &ImageFolder, augment: &Augment, seed: u64) -> Vec<f32> {
    let size = folder.size;
    let change = augment.draw_photo([photo.height, photo.width], size, seed);
    let photo = match change.cut {
        Some(cut) => photo.resized(cut, size, size),
        None => photo.centre(size),
    };
    let mut pixels: Vec<[f32; 3]> =
        photo.rgb.as_chunks::<3>().0.iter().map(|pixel| pixel.map(f32::from)).collect();
    change.colors.iter().for_each(|color| color.apply(&mut pixels));
    let mut image = vec![0.0; 3 * size * size];
    for (c, plane) in image.chunks_exact_mut(size * size).enumerate() {
        let (mean, std) = (folder.normalize.mean[c], folder.normalize.std[c]);
        for (row, out) in pixels.chunks_exact(size).zip(plane.chunks_exact_mut(size)) {
            for (x, value) in out.iter_mut().enumerate() {
                let x = if change.flipped { size - 1 - x } else { x };
                *value = (row[x][c] / 255.0 - mean) / std;
            }
        }
    }
    augment.cut_out(change.hole, &mut image, [size, size]);
    image
}
