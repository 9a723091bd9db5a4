use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// A policy of AutoAugment: 25 pairs of operations, of which each image gets a random one.
///
/// # Source
/// Cubuk et al., *AutoAugment: Learning Augmentation Strategies from Data*, CVPR 2019; `torchvision.transforms.AutoAugment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoAugment {
    /// The policy that was learned on ImageNet.
    ImageNet,
    /// The policy that was learned on CIFAR-10.
    Cifar10,
}

/// RandAugment: each image gets some random operations, all of the same magnitude.
///
/// # Source
/// Cubuk et al., *RandAugment: Practical automated data augmentation with a reduced search space*, 2019;
/// `torchvision.transforms.RandAugment(num_ops, magnitude, num_magnitude_bins=31)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    /// Number of operations per image.
    pub ops: usize,
    /// Magnitude of all operations, from 0 to 30.
    pub magnitude: usize,
}

/// An operation on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

/// An operation with its magnitude: shears as a ratio, translations in pixels, rotations in degrees, enhancements as the distance of the
/// factor from 1, posterising in bits, solarising as the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) op: Op,
    pub(crate) magnitude: f64,
}

/// Numbers of magnitudes of AutoAugment and of RandAugment.
const AUTO_BINS: usize = 10;
const RAND_BINS: usize = 31;

/// The largest magnitude of [`RandAugment`].
pub const LARGEST_MAGNITUDE: usize = RAND_BINS - 1;

/// One operation of a policy: the probability that it is applied, and its magnitude if it has one.
type Entry = (Op, f64, usize);

#[rustfmt::skip]
const IMAGENET: [[Entry; 2]; 25] = {
    use Op::{AutoContrast, Color, Contrast, Equalize, Invert, Posterize, Rotate, Sharpness, ShearX, Solarize};
    [
        [(Posterize, 0.4, 8), (Rotate, 0.6, 9)], [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
        [(Equalize, 0.8, 0), (Equalize, 0.6, 0)], [(Posterize, 0.6, 7), (Posterize, 0.6, 6)],
        [(Equalize, 0.4, 0), (Solarize, 0.2, 4)], [(Equalize, 0.4, 0), (Rotate, 0.8, 8)],
        [(Solarize, 0.6, 3), (Equalize, 0.6, 0)], [(Posterize, 0.8, 5), (Equalize, 1.0, 0)],
        [(Rotate, 0.2, 3), (Solarize, 0.6, 8)], [(Equalize, 0.6, 0), (Posterize, 0.4, 6)],
        [(Rotate, 0.8, 8), (Color, 0.4, 0)], [(Rotate, 0.4, 9), (Equalize, 0.6, 0)],
        [(Equalize, 0.0, 0), (Equalize, 0.8, 0)], [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
        [(Color, 0.6, 4), (Contrast, 1.0, 8)], [(Rotate, 0.8, 8), (Color, 1.0, 2)],
        [(Color, 0.8, 8), (Solarize, 0.8, 7)], [(Sharpness, 0.4, 7), (Invert, 0.6, 0)],
        [(ShearX, 0.6, 5), (Equalize, 1.0, 0)], [(Color, 0.4, 0), (Equalize, 0.6, 0)],
        [(Equalize, 0.4, 0), (Solarize, 0.2, 4)], [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
        [(Invert, 0.6, 0), (Equalize, 1.0, 0)], [(Color, 0.6, 4), (Contrast, 1.0, 8)],
        [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
    ]
};

#[rustfmt::skip]
const CIFAR10: [[Entry; 2]; 25] = {
    use Op::{
        AutoContrast, Brightness, Color, Contrast, Equalize, Invert, Posterize, Rotate, Sharpness, ShearY, Solarize, TranslateX,
        TranslateY,
    };
    [
        [(Invert, 0.1, 0), (Contrast, 0.2, 6)], [(Rotate, 0.7, 2), (TranslateX, 0.3, 9)],
        [(Sharpness, 0.8, 1), (Sharpness, 0.9, 3)], [(ShearY, 0.5, 8), (TranslateY, 0.7, 9)],
        [(AutoContrast, 0.5, 0), (Equalize, 0.9, 0)], [(ShearY, 0.2, 7), (Posterize, 0.3, 7)],
        [(Color, 0.4, 3), (Brightness, 0.6, 7)], [(Sharpness, 0.3, 9), (Brightness, 0.7, 9)],
        [(Equalize, 0.6, 0), (Equalize, 0.5, 0)], [(Contrast, 0.6, 7), (Sharpness, 0.6, 5)],
        [(Color, 0.7, 7), (TranslateX, 0.5, 8)], [(Equalize, 0.3, 0), (AutoContrast, 0.4, 0)],
        [(TranslateY, 0.4, 3), (Sharpness, 0.2, 6)], [(Brightness, 0.9, 6), (Color, 0.2, 8)],
        [(Solarize, 0.5, 2), (Invert, 0.0, 0)], [(Equalize, 0.2, 0), (AutoContrast, 0.6, 0)],
        [(Equalize, 0.2, 0), (Equalize, 0.6, 0)], [(Color, 0.9, 9), (Equalize, 0.6, 0)],
        [(AutoContrast, 0.8, 0), (Solarize, 0.2, 8)], [(Brightness, 0.1, 3), (Color, 0.7, 0)],
        [(Solarize, 0.4, 5), (AutoContrast, 0.9, 0)], [(TranslateY, 0.9, 9), (TranslateY, 0.7, 9)],
        [(AutoContrast, 0.9, 0), (Solarize, 0.8, 3)], [(Equalize, 0.8, 0), (Invert, 0.1, 0)],
        [(TranslateY, 0.7, 9), (AutoContrast, 0.9, 0)],
    ]
};

/// The operations of RandAugment.
const RANDOM: [Op; 14] = [
    Op::Identity,
    Op::ShearX,
    Op::ShearY,
    Op::TranslateX,
    Op::TranslateY,
    Op::Rotate,
    Op::Brightness,
    Op::Color,
    Op::Contrast,
    Op::Sharpness,
    Op::Posterize,
    Op::Solarize,
    Op::AutoContrast,
    Op::Equalize,
];

impl Op {
    /// Returns the magnitude with this index of `bins` ones for an image of `[height, width]`, and whether its sign is random.
    fn magnitude(self, index: usize, bins: usize, [height, width]: [usize; 2]) -> (f64, bool) {
        // Translations go up to 150 of the 331 pixels of the images on which the policies were learned.
        const FARTHEST: f64 = 150.0 / 331.0;
        let share = index as f64 / (bins - 1) as f64;
        match self {
            Self::ShearX | Self::ShearY => (0.3 * share, true),
            Self::TranslateX => (FARTHEST * width as f64 * share, true),
            Self::TranslateY => (FARTHEST * height as f64 * share, true),
            Self::Rotate => (30.0 * share, true),
            Self::Brightness | Self::Color | Self::Contrast | Self::Sharpness => (0.9 * share, true),
            Self::Posterize => (8.0 - (4.0 * share).round_ties_even(), false),
            Self::Solarize => (255.0 * (1.0 - share), false),
            Self::Identity | Self::AutoContrast | Self::Equalize | Self::Invert => (0.0, false),
        }
    }

    /// Returns the operation with its magnitude, whose sign is random if it has one.
    fn drawn(self, index: usize, bins: usize, size: [usize; 2], rng: &mut dyn Rng) -> Operation {
        let (magnitude, signed) = self.magnitude(index, bins, size);
        let sign = if signed && rng.random_bool(0.5) { -1.0 } else { 1.0 };
        Operation { op: self, magnitude: sign * magnitude }
    }
}

impl AutoAugment {
    fn policy(self) -> &'static [[Entry; 2]; 25] {
        match self {
            Self::ImageNet => &IMAGENET,
            Self::Cifar10 => &CIFAR10,
        }
    }

    /// Draws the operations of an image of `[height, width]`.
    pub(crate) fn draw(self, size: [usize; 2], rng: &mut dyn Rng) -> Vec<Operation> {
        let policy = self.policy();
        let pair = &policy[rng.random_range(0..policy.len())];
        let drawn = |&(op, probability, index): &Entry| {
            rng.random_bool(probability).then(|| op.drawn(index, AUTO_BINS, size, rng))
        };
        pair.iter().filter_map(drawn).collect()
    }
}

impl RandAugment {
    /// Draws the operations of an image of `[height, width]`.
    pub(crate) fn draw(self, size: [usize; 2], rng: &mut dyn Rng) -> Vec<Operation> {
        let mut draw =
            || RANDOM[rng.random_range(0..RANDOM.len())].drawn(self.magnitude, RAND_BINS, size, rng);
        (0..self.ops).map(|_| draw()).collect()
    }
}

impl Operation {
    /// Applies the operation to an image `[H, W, 3]` of bytes.
    ///
    /// # Source
    /// `_apply_op` of torchvision for images of Pillow: nearest neighbour, black beyond the border.
    pub(crate) fn apply(self, image: &mut Vec<u8>, [height, width]: [usize; 2]) {
        let m = self.magnitude;
        let size = [height, width];
        match self.op {
            Op::Identity => {}
            Op::ShearX => affine(image, size, [1.0, m, 0.0, 0.0, 1.0, 0.0]),
            Op::ShearY => affine(image, size, [1.0, 0.0, 0.0, m, 1.0, 0.0]),
            Op::TranslateX => affine(image, size, [1.0, 0.0, -m.trunc(), 0.0, 1.0, 0.0]),
            Op::TranslateY => affine(image, size, [1.0, 0.0, 0.0, 0.0, 1.0, -m.trunc()]),
            Op::Rotate => affine(image, size, rotation(m, size)),
            Op::Brightness => enhance(image, m, |_, _| [0; 3]),
            Op::Color => enhance(image, m, |_, pixel| [grey(pixel); 3]),
            Op::Contrast => {
                let pixels = image.as_chunks::<3>().0;
                let sum: u64 = pixels.iter().map(|&pixel| u64::from(grey(pixel))).sum();
                let mean = (sum as f64 / pixels.len() as f64 + 0.5) as u8;
                enhance(image, m, |_, _| [mean; 3]);
            }
            Op::Sharpness => {
                let smooth = smoothed(image, size);
                enhance(image, m, |at, _| [smooth[3 * at], smooth[3 * at + 1], smooth[3 * at + 2]]);
            }
            Op::Posterize => {
                let dropped = 8 - (m as u32).min(8);
                image.iter_mut().for_each(|value| *value = (u32::from(*value) >> dropped << dropped) as u8);
            }
            Op::Solarize => {
                let solarized = |value: u8| if f64::from(value) < m { value } else { 255 - value };
                image.iter_mut().for_each(|value| *value = solarized(*value));
            }
            Op::AutoContrast => look_up(image, stretched),
            Op::Equalize => look_up(image, equalized),
            Op::Invert => image.iter_mut().for_each(|value| *value = 255 - *value),
        }
    }
}

/// Returns the matrix of a rotation around the center, from output to input. Angles are in degrees, counter-clockwise.
///
/// # Source
/// `Image.rotate` of Pillow, which rounds sine and cosine to 15 digits.
fn rotation(degrees: f64, [height, width]: [usize; 2]) -> [f64; 6] {
    const DIGITS: f64 = 1e15;
    let round = |value: f64| (value * DIGITS).round_ties_even() / DIGITS;
    let angle = -degrees.rem_euclid(360.0).to_radians();
    let (cos, sin) = (round(angle.cos()), round(angle.sin()));
    let [x, y] = [width as f64 / 2.0, height as f64 / 2.0];
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/// Moves the pixels of an image: the pixel (x, y) is read at `(ax + by + c, dx + ey + f)`, with black beyond the border.
///
/// # Source
/// `affine_fixed` of Pillow's `Geometry.c`: nearest neighbour of the centers of pixels, in fixed point with 16 bits.
fn affine(image: &mut Vec<u8>, [height, width]: [usize; 2], [a, b, c, d, e, f]: [f64; 6]) {
    let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
    let [step_x, row_x] = [a, b].map(fixed);
    let [step_y, row_y] = [d, e].map(fixed);
    let (first_x, first_y) = (fixed(c + 0.5 * a + 0.5 * b), fixed(f + 0.5 * d + 0.5 * e));
    let source = std::mem::replace(image, vec![0; image.len()]);
    let (source, out) = (source.as_chunks::<3>().0, image.as_chunks_mut::<3>().0);
    let inside = |at: i64, extent: usize| usize::try_from(at >> 16).ok().filter(|&at| at < extent);
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let (y, x) = (y as i64, x as i64);
            let from_x = inside(first_x + row_x * y + step_x * x, width);
            let from_y = inside(first_y + row_y * y + step_y * x, height);
            if let Some((x, y)) = from_x.zip(from_y) {
                *pixel = source[y * width + x];
            }
        }
    }
}

/// The grey value of a colour by ITU-R 601, in the fixed point of Pillow.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}

/// Blends every pixel with another one: `other + (1 + magnitude) · (pixel − other)`, clamped and truncated.
///
/// # Source
/// `ImageEnhance` of Pillow, with `ImagingBlend`, which computes in f32.
fn enhance(image: &mut [u8], magnitude: f64, other: impl Fn(usize, [u8; 3]) -> [u8; 3]) {
    let factor = (1.0 + magnitude) as f32;
    for (at, pixel) in image.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let other = other(at, *pixel);
        for (value, other) in pixel.iter_mut().zip(other) {
            let (from, to) = (f32::from(other), f32::from(*value));
            *value = (from + factor * (to - from)).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Smooths an image with the kernel 1 1 1 / 1 5 1 / 1 1 1, divided by 13 and rounded. Pixels at the border stay.
///
/// # Source
/// `ImageFilter.SMOOTH` of Pillow.
fn smoothed(image: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
    let mut out = image.to_vec();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            for c in 0..3 {
                let at = |y: usize, x: usize| u32::from(image[3 * (y * width + x) + c]);
                let rows = [y - 1, y, y + 1].map(|y| at(y, x - 1) + at(y, x) + at(y, x + 1));
                let sum = rows.iter().sum::<u32>() + 4 * at(y, x);
                out[3 * (y * width + x) + c] = ((2 * sum + 13) / 26) as u8;
            }
        }
    }
    out
}

/// Replaces the values of every channel by a table that depends on its histogram.
fn look_up(image: &mut [u8], table: impl Fn(&[u64; 256]) -> Option<[u8; 256]>) {
    for channel in 0..3 {
        let mut histogram = [0; 256];
        image.iter().skip(channel).step_by(3).for_each(|&value| histogram[usize::from(value)] += 1);
        if let Some(table) = table(&histogram) {
            image.iter_mut().skip(channel).step_by(3).for_each(|value| *value = table[usize::from(*value)]);
        }
    }
}

/// Stretches the values from the smallest and largest one to 0 and 255, as `ImageOps.autocontrast` of Pillow.
fn stretched(histogram: &[u64; 256]) -> Option<[u8; 256]> {
    let low = histogram.iter().position(|&n| n > 0)?;
    let high = histogram.iter().rposition(|&n| n > 0)?;
    let scale = (high > low).then(|| 255.0 / (high - low) as f64)?;
    let offset = -(low as f64) * scale;
    Some(std::array::from_fn(|value| (value as f64 * scale + offset).clamp(0.0, 255.0) as u8))
}

/// Makes all values about equally frequent, as `ImageOps.equalize` of Pillow.
fn equalized(histogram: &[u64; 256]) -> Option<[u8; 256]> {
    let last = histogram[histogram.iter().rposition(|&n| n > 0)?];
    let step = (histogram.iter().sum::<u64>() - last) / 255;
    let mut below = (step > 0).then_some(step / 2)?;
    Some(std::array::from_fn(|value| {
        let level = (below / step).min(255) as u8;
        below += histogram[value];
        level
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SIZE: [usize; 2] = [19, 29];

    /// The image of `tests/make_policies.py`.
    fn image() -> Vec<u8> {
        let [height, width] = SIZE;
        let pixel = |at: usize| {
            let (y, x) = (at / width, at % width);
            [(7 * x + 3 * y + 20) % 200, (x * y + 40) % 181, (255 + 5 * x - 8 * y) % 256]
                .map(|value| value as u8)
        };
        (0..height * width).flat_map(pixel).collect()
    }

    fn op(name: &str) -> Op {
        let all = RANDOM.into_iter().chain([Op::Invert]);
        all.into_iter().find(|op| format!("{op:?}") == name).unwrap()
    }

    /// Every operation, with magnitudes of both signs, by Pillow 13: `tests/make_policies.py`.
    #[test]
    fn golden_operations_equal_pillow() {
        let golden = include_str!("../tests/data/policies.csv");
        let mut names = std::collections::BTreeSet::new();
        for line in golden.lines() {
            let [name, magnitude, expected] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
            let (mut ours, magnitude) = (image(), magnitude.parse().unwrap());
            Operation { op: op(name), magnitude }.apply(&mut ours, SIZE);
            let expected = hex::decode(expected).unwrap();
            let wrong = ours.iter().zip(&expected).filter(|(a, b)| a != b).count();
            assert_eq!((ours.len(), wrong), (expected.len(), 0), "{name} {magnitude}");
            assert_eq!(ours != image(), name != "Identity", "{name} {magnitude}");
            names.insert(name);
        }
        assert_eq!(names.len(), 15);
    }

    /// `_augmentation_space` of torchvision 0.29 for 29 × 19 pixels, the magnitudes 3 of 10 and 9 of 31.
    #[test]
    fn golden_magnitudes_equal_torchvision() {
        for (op, auto, rand) in [
            (Op::ShearX, 0.1, 0.09),
            (Op::TranslateX, 4.380_665, 3.942_598),
            (Op::TranslateY, 2.870_090, 2.583_082),
            (Op::Rotate, 10.0, 9.0),
            (Op::Color, 0.3, 0.27),
            (Op::Posterize, 7.0, 7.0),
            (Op::Solarize, 170.0, 178.5),
            (Op::Equalize, 0.0, 0.0),
        ] {
            for (index, bins, expected) in [(3, AUTO_BINS, auto), (9, RAND_BINS, rand)] {
                let (ours, _) = op.magnitude(index, bins, SIZE);
                assert!((ours - expected).abs() < 1e-5, "{op:?}: {ours}, not {expected}");
            }
        }
    }

    #[test]
    fn pairs_are_drawn_with_their_probabilities_and_both_signs() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let draws = 20_000;
        for policy in [AutoAugment::ImageNet, AutoAugment::Cifar10] {
            let drawn: Vec<Operation> = (0..draws).flat_map(|_| policy.draw(SIZE, &mut rng)).collect();
            for op in [Op::Equalize, Op::Rotate, Op::Color, Op::Invert] {
                let entries = policy.policy().iter().flatten().filter(|entry| entry.0 == op);
                let expected = entries.map(|entry| entry.1).sum::<f64>() / 25.0;
                let found = drawn.iter().filter(|drawn| drawn.op == op).count() as f64 / f64::from(draws);
                assert!((found - expected).abs() < 0.02, "{policy:?}, {op:?}: {found}, not {expected}");
            }
            let rotations = || drawn.iter().filter(|drawn| drawn.op == Op::Rotate);
            let negative = rotations().filter(|drawn| drawn.magnitude < 0.0).count() as f64;
            assert!((negative / rotations().count() as f64 - 0.5).abs() < 0.05);
        }
        let random = RandAugment { ops: 3, magnitude: 9 };
        let drawn: Vec<Operation> = (0..draws).flat_map(|_| random.draw(SIZE, &mut rng)).collect();
        assert_eq!(drawn.len(), 3 * draws as usize);
        for op in RANDOM {
            let found = drawn.iter().filter(|drawn| drawn.op == op).count() as f64 / drawn.len() as f64;
            assert!((found - 1.0 / 14.0).abs() < 0.01, "{op:?}: {found}");
        }
    }
}
