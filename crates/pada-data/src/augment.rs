use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::jitter::{ColorChange, ColorJitter};
use crate::photo::Cut;

/// Random changes to training images. What is not given is not done, and draws no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// A black border of this width is added and an image of the old size is cut out anywhere; 0 for photographs.
    pub crop_padding: usize,
    /// Mirroring.
    pub flip: Flip,
    /// Optional: side of a square, centred anywhere, that becomes the mean colour, after everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutout: Option<usize>,
    /// Optional, for photographs: a part of any size and place is used; without it the middle, as in evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// Optional, for photographs: random changes of colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
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

/// Which part of a photograph is used.
///
/// # Source
/// torchvision's `RandomResizedCrop(size, scale, ratio)`, with its ten tries and the middle after them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizedCrop {
    /// Smallest and largest share of the area.
    pub area: [f64; 2],
    /// Smallest and largest width over height.
    pub ratio: [f64; 2],
}

/// What was drawn for one image that is held as bytes: top, left, flipped, cutout, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// Where the cut starts in the bordered image.
    pub(crate) top: usize,
    pub(crate) left: usize,
    pub(crate) flipped: bool,
    /// Row and column of the middle of the square that is cut out.
    pub(crate) hole: Option<[usize; 2]>,
}

impl Change {
    /// Nothing is changed.
    pub(crate) const NONE: Self = Self { top: 0, left: 0, flipped: false, hole: None };
}

/// What was drawn for one photograph, once its extents are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PhotoChange {
    /// The part; none for the middle.
    pub(crate) cut: Option<Cut>,
    pub(crate) flipped: bool,
    pub(crate) colors: Vec<ColorChange>,
    pub(crate) hole: Option<[usize; 2]>,
}

impl Augment {
    /// No change.
    pub const NONE: Self =
        Self { crop_padding: 0, flip: Flip::Never, cutout: None, resized_crop: None, color_jitter: None };

    /// The changes of an image of `height` × `width`.
    pub(crate) fn draw(&self, height: usize, width: usize, rng: &mut dyn Rng) -> Change {
        let offset = |rng: &mut dyn Rng| match self.crop_padding {
            0 => 0,
            padding => rng.random_range(0..=2 * padding),
        };
        Change {
            top: offset(rng),
            left: offset(rng),
            flipped: self.flipped(rng),
            hole: self.hole(height, width, rng),
        }
    }

    /// The changes of a photograph of `height` × `width` pixels that becomes a square of `size`, from its own seed: how many numbers
    /// are drawn depends on the photograph.
    pub(crate) fn draw_photo(&self, [height, width]: [usize; 2], size: usize, seed: u64) -> PhotoChange {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        PhotoChange {
            cut: self.resized_crop.map(|crop| crop.draw(height, width, rng)),
            flipped: self.flipped(rng),
            colors: self.color_jitter.map_or_else(Vec::new, |jitter| jitter.draw(rng)),
            hole: self.hole(size, size, rng),
        }
    }

    fn flipped(&self, rng: &mut dyn Rng) -> bool {
        self.flip == Flip::Horizontal && rng.random_bool(0.5)
    }

    fn hole(&self, height: usize, width: usize, rng: &mut dyn Rng) -> Option<[usize; 2]> {
        self.cutout.map(|_| [rng.random_range(0..height), rng.random_range(0..width)])
    }

    /// Sets the square around `hole` to the mean colour, which is 0, in an image of planes of `height` × `width`.
    ///
    /// # Source
    /// `Cutout` of quark0/darts: the square is cut off where it leaves the image.
    pub(crate) fn cut_out(&self, hole: Option<[usize; 2]>, image: &mut [f32], [height, width]: [usize; 2]) {
        let [[top, bottom], [left, right]] = self.square(hole);
        for plane in image.chunks_exact_mut(height * width) {
            for row in top..bottom.min(height) {
                plane[row * width..][left..right.min(width)].fill(0.0);
            }
        }
    }

    /// Rows and columns of the square around `hole`, from the first to before the last; they may reach beyond the image.
    pub(crate) fn square(&self, hole: Option<[usize; 2]>) -> [[usize; 2]; 2] {
        let Some((hole, side)) = hole.zip(self.cutout) else { return [[0; 2]; 2] };
        hole.map(|middle| [middle.saturating_sub(side / 2), middle + side / 2])
    }
}

/// As torchvision.
const TRIES: usize = 10;

impl ResizedCrop {
    fn draw(&self, height: usize, width: usize, rng: &mut dyn Rng) -> Cut {
        let (h, w) = (height as f64, width as f64);
        let [narrowest, widest] = self.ratio.map(f64::ln);
        for _ in 0..TRIES {
            let area = h * w * rng.random_range(self.area[0]..=self.area[1]);
            let ratio = rng.random_range(narrowest..=widest).exp();
            let (cut_w, cut_h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
            if cut_w >= 1.0 && cut_h >= 1.0 && cut_w <= w && cut_h <= h {
                let top = rng.random_range(0..=height - cut_h as usize) as f64;
                let left = rng.random_range(0..=width - cut_w as usize) as f64;
                return Cut { top, left, height: cut_h, width: cut_w };
            }
        }
        let (cut_w, cut_h) = match w / h {
            ratio if ratio < self.ratio[0] => (w, (w / self.ratio[0]).round().min(h)),
            ratio if ratio > self.ratio[1] => ((h * self.ratio[1]).round().min(w), h),
            _ => (w, h),
        };
        Cut {
            top: ((h - cut_h) / 2.0).floor(),
            left: ((w - cut_w) / 2.0).floor(),
            height: cut_h,
            width: cut_w,
        }
    }
}
