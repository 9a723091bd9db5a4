use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::jitter::{ColorChange, ColorJitter};
use crate::photo::CropBox;
use crate::policy::{AutoAugment, Operation, RandAugment};

/// Random augmentation of training images. An augmentation that is switched off draws no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Padding of torchvision's `RandomCrop(size, padding)`: the image is padded with black and cropped to its old size at a random place.
    /// 0 switches it off; it must be 0 for photographs.
    pub crop_padding: usize,
    /// Random flips.
    pub flip: Flip,
    /// Side of the cutout square in pixels. Cutout is applied last and sets the square, whose center is random, to the mean colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutout: Option<usize>,
    /// Random resized crop of photographs. Without it, photographs are center-cropped as in evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// Colour jitter of photographs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
    /// A policy of AutoAugment, for images with three channels. It is applied after crop and flip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_augment: Option<AutoAugment>,
    /// RandAugment, for images with three channels. It is applied after crop and flip, and after AutoAugment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugment>,
}

/// Random flips of training images, as torchvision's `RandomHorizontalFlip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// No flips.
    Never,
    /// Each image is flipped horizontally with probability 0.5.
    Horizontal,
}

/// Random crop of random size and aspect ratio.
///
/// # Source
/// torchvision's `RandomResizedCrop(size, scale, ratio)`, including its ten attempts and the central crop as a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizedCrop {
    /// Smallest and largest area of the crop as a share of the image (torchvision's `scale`).
    pub area: [f64; 2],
    /// Smallest and largest aspect ratio, width over height.
    pub ratio: [f64; 2],
}

/// Random numbers of one in-memory image, drawn in this order: top, left, flip, operations, cutout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// Top of the crop in the padded image.
    pub(crate) top: usize,
    pub(crate) left: usize,
    pub(crate) flipped: bool,
    /// The operations of AutoAugment and RandAugment.
    pub(crate) operations: Vec<Operation>,
    /// Row and column of the center of the cutout square.
    pub(crate) cutout: Option<[usize; 2]>,
}

impl Change {
    /// No augmentation.
    pub(crate) const NONE: Self =
        Self { top: 0, left: 0, flipped: false, operations: Vec::new(), cutout: None };
}

/// Random numbers of one photograph, drawn once its size is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PhotoChange {
    /// The random resized crop. `None` for a center crop.
    pub(crate) crop: Option<CropBox>,
    pub(crate) flipped: bool,
    /// The operations of AutoAugment and RandAugment.
    pub(crate) operations: Vec<Operation>,
    pub(crate) colors: Vec<ColorChange>,
    pub(crate) cutout: Option<[usize; 2]>,
}

impl Augment {
    /// No augmentation.
    pub const NONE: Self = Self {
        crop_padding: 0,
        flip: Flip::Never,
        cutout: None,
        resized_crop: None,
        color_jitter: None,
        auto_augment: None,
        rand_augment: None,
    };

    /// Returns true if images are changed by AutoAugment or RandAugment, which compute only in host memory.
    pub fn has_policy(&self) -> bool {
        self.auto_augment.is_some() || self.rand_augment.is_some()
    }

    /// Draws the operations of an image of `[height, width]`.
    fn draw_operations(&self, size: [usize; 2], rng: &mut dyn Rng) -> Vec<Operation> {
        let mut operations = self.auto_augment.map_or_else(Vec::new, |policy| policy.draw(size, rng));
        operations.extend(self.rand_augment.map_or_else(Vec::new, |random| random.draw(size, rng)));
        operations
    }

    /// Draws the random numbers of an in-memory image.
    pub(crate) fn draw(&self, height: usize, width: usize, rng: &mut dyn Rng) -> Change {
        let offset = |rng: &mut dyn Rng| match self.crop_padding {
            0 => 0,
            padding => rng.random_range(0..=2 * padding),
        };
        Change {
            top: offset(rng),
            left: offset(rng),
            flipped: self.flipped(rng),
            operations: self.draw_operations([height, width], rng),
            cutout: self.draw_cutout(height, width, rng),
        }
    }

    /// Draws the random numbers of a photograph that becomes a square of `size`. It has its own seed, because the number of random draws
    /// depends on the photograph.
    pub(crate) fn draw_photo(&self, [height, width]: [usize; 2], size: usize, seed: u64) -> PhotoChange {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        PhotoChange {
            crop: self.resized_crop.map(|crop| crop.draw(height, width, rng)),
            flipped: self.flipped(rng),
            operations: self.draw_operations([size, size], rng),
            colors: self.color_jitter.map_or_else(Vec::new, |jitter| jitter.draw(rng)),
            cutout: self.draw_cutout(size, size, rng),
        }
    }

    fn flipped(&self, rng: &mut dyn Rng) -> bool {
        self.flip == Flip::Horizontal && rng.random_bool(0.5)
    }

    fn draw_cutout(&self, height: usize, width: usize, rng: &mut dyn Rng) -> Option<[usize; 2]> {
        self.cutout.map(|_| [rng.random_range(0..height), rng.random_range(0..width)])
    }

    /// Sets the cutout square around `center` to the mean colour, which is 0 after normalisation, in planes of `height` × `width`.
    ///
    /// # Source
    /// `Cutout` of quark0/darts: the square is clipped at the border of the image.
    pub(crate) fn apply_cutout(
        &self,
        center: Option<[usize; 2]>,
        image: &mut [f32],
        [height, width]: [usize; 2],
    ) {
        let [[top, bottom], [left, right]] = self.cutout_region(center);
        for plane in image.chunks_exact_mut(height * width) {
            for row in top..bottom.min(height) {
                plane[row * width..][left..right.min(width)].fill(0.0);
            }
        }
    }

    /// Rows and columns of the cutout square as half-open ranges. They may reach beyond the image, and are empty without a cutout.
    pub(crate) fn cutout_region(&self, center: Option<[usize; 2]>) -> [[usize; 2]; 2] {
        let Some((center, side)) = center.zip(self.cutout) else { return [[0; 2]; 2] };
        center.map(|at| [at.saturating_sub(side / 2), at + side / 2])
    }
}

/// Attempts of torchvision's `RandomResizedCrop`.
const TRIES: usize = 10;

impl ResizedCrop {
    fn draw(&self, height: usize, width: usize, rng: &mut dyn Rng) -> CropBox {
        let (h, w) = (height as f64, width as f64);
        let [narrowest, widest] = self.ratio.map(f64::ln);
        for _ in 0..TRIES {
            let area = h * w * rng.random_range(self.area[0]..=self.area[1]);
            let ratio = rng.random_range(narrowest..=widest).exp();
            let (crop_w, crop_h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
            if crop_w >= 1.0 && crop_h >= 1.0 && crop_w <= w && crop_h <= h {
                let top = rng.random_range(0..=height - crop_h as usize) as f64;
                let left = rng.random_range(0..=width - crop_w as usize) as f64;
                return CropBox { top, left, height: crop_h, width: crop_w };
            }
        }
        let (crop_w, crop_h) = match w / h {
            ratio if ratio < self.ratio[0] => (w, (w / self.ratio[0]).round().min(h)),
            ratio if ratio > self.ratio[1] => ((h * self.ratio[1]).round().min(w), h),
            _ => (w, h),
        };
        CropBox {
            top: ((h - crop_h) / 2.0).floor(),
            left: ((w - crop_w) / 2.0).floor(),
            height: crop_h,
            width: crop_w,
        }
    }
}
