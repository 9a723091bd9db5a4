use rand::{Rng, RngExt};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ImageSet;

/// Random changes to training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// A black border of this width is added and an image of the old size is cut out anywhere.
    pub crop_padding: usize,
    /// Mirroring.
    pub flip: Flip,
}

/// Mirroring of training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// Never.
    Never,
    /// Left and right exchanged for half of the images.
    Horizontal,
}

/// What was drawn for one image.
#[derive(Clone, Copy)]
struct Change {
    /// Where the cut starts in the bordered image.
    top: usize,
    left: usize,
    mirrored: bool,
}

/// Fills `out` with the images at `indices`, changed at random and normalised: `[B, C, H, W]`.
///
/// The numbers are drawn image by image (top, left, mirrored) before any pixel is touched, so the result does not depend on
/// threads. What is switched off is not drawn.
///
/// # Source
/// torchvision's `RandomCrop(size, padding)`, whose border is black before normalisation, then `RandomHorizontalFlip`.
pub fn fill(set: &ImageSet, indices: &[u32], augment: &Augment, rng: &mut dyn Rng, out: &mut Vec<f32>) {
    let offset = |rng: &mut dyn Rng| match augment.crop_padding {
        0 => 0,
        padding => rng.random_range(0..=2 * padding),
    };
    let draw = |_| Change {
        top: offset(rng),
        left: offset(rng),
        mirrored: augment.flip == Flip::Horizontal && rng.random_bool(0.5),
    };
    let changes: Vec<Change> = indices.iter().map(draw).collect();
    write(set, indices, &changes, augment.crop_padding, out);
}

/// The images at `indices`, normalised and otherwise as they are: `[B, C, H, W]`.
pub fn normalised(set: &ImageSet, indices: &[u32]) -> Vec<f32> {
    let mut out = Vec::new();
    let unchanged = vec![Change { top: 0, left: 0, mirrored: false }; indices.len()];
    write(set, indices, &unchanged, 0, &mut out);
    out
}

fn write(set: &ImageSet, indices: &[u32], changes: &[Change], padding: usize, out: &mut Vec<f32>) {
    out.resize(indices.len() * set.image_len(), 0.0);
    let tables = value_tables(set);
    out.par_chunks_mut(set.image_len()).zip(indices).zip(changes).for_each(|((out, &index), &change)| {
        let image = set.image(index as usize);
        let planes =
            image.chunks_exact(set.height * set.width).zip(out.chunks_exact_mut(set.height * set.width));
        for ((plane, out), table) in planes.zip(&tables) {
            for (y, row) in out.chunks_exact_mut(set.width).enumerate() {
                let source_y = (y + change.top).checked_sub(padding).filter(|&y| y < set.height);
                for (x, value) in row.iter_mut().enumerate() {
                    let x = if change.mirrored { set.width - 1 - x } else { x };
                    let source_x = (x + change.left).checked_sub(padding).filter(|&x| x < set.width);
                    let byte = source_y.zip(source_x).map_or(0, |(y, x)| plane[y * set.width + x]);
                    *value = table[usize::from(byte)];
                }
            }
        }
    });
}

/// The normalised value of every byte, for each channel.
fn value_tables(set: &ImageSet) -> Vec<[f32; 256]> {
    let table = |c: usize| {
        let (mean, std) = (set.normalize.mean[c], set.normalize.std[c]);
        std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
    };
    (0..set.channels).map(table).collect()
}
