use std::ops::RangeInclusive;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Random changes of brightness, contrast, saturation and hue.
///
/// A strength s of brightness, contrast or saturation is a factor drawn uniformly from `[max(0, 1 − s), 1 + s]`. A strength s of hue is a
/// shift drawn from `[−s, s]`, where 1 is the full colour circle. 0 switches a change off.
///
/// # Source
/// torchvision's `ColorJitter` on floating-point images: the four changes are applied in random order, and each result is clamped to the
/// range of a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Strength of the brightness change: all colours are multiplied.
    pub brightness: f64,
    /// Strength of the contrast change: colours are blended with the mean grey of the image.
    pub contrast: f64,
    /// Strength of the saturation change: colours are blended with the grey of their pixel.
    pub saturation: f64,
    /// Strength of the hue shift, at most 0.5.
    pub hue: f64,
}

/// One change with its random number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ColorChange {
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    Hue(f32),
}

impl ColorJitter {
    /// Draws the changes of one image in the order in which they are applied.
    pub(crate) fn draw(&self, rng: &mut dyn Rng) -> Vec<ColorChange> {
        let mut drawn = |strength: f64, range: RangeInclusive<f64>| {
            (strength > 0.0).then(|| rng.random_range(range) as f32)
        };
        let mut factor = |strength: f64| drawn(strength, (1.0 - strength).max(0.0)..=1.0 + strength);
        let mut changes = Vec::new();
        changes.extend(factor(self.brightness).map(ColorChange::Brightness));
        changes.extend(factor(self.contrast).map(ColorChange::Contrast));
        changes.extend(factor(self.saturation).map(ColorChange::Saturation));
        changes.extend(drawn(self.hue, -self.hue..=self.hue).map(ColorChange::Hue));
        changes.shuffle(rng);
        changes
    }
}

impl ColorChange {
    /// Applies the change to an image of `[H · W]` pixels of red, green and blue from 0 to 255.
    pub(crate) fn apply(self, pixels: &mut [[f32; 3]]) {
        match self {
            Self::Brightness(factor) => blend(pixels, factor, |_| 0.0),
            Self::Contrast(factor) => {
                let sum: f64 = pixels.iter().map(|&pixel| f64::from(grey(pixel))).sum();
                let mean = (sum / pixels.len() as f64) as f32;
                blend(pixels, factor, |_| mean);
            }
            Self::Saturation(factor) => blend(pixels, factor, grey),
            Self::Hue(turn) => pixels.iter_mut().for_each(|pixel| *pixel = turned(*pixel, turn)),
        }
    }
}

/// `factor · pixel + (1 − factor) · other`, clamped.
fn blend(pixels: &mut [[f32; 3]], factor: f32, other: impl Fn([f32; 3]) -> f32) {
    for pixel in pixels {
        let other = (1.0 - factor) * other(*pixel);
        *pixel = pixel.map(|value| (factor * value + other).clamp(0.0, 255.0));
    }
}

/// The grey value of a colour by ITU-R 601, with torchvision's digits.
fn grey([red, green, blue]: [f32; 3]) -> f32 {
    0.2989 * red + 0.587 * green + 0.114 * blue
}

/// Shifts the hue of a colour and keeps its largest and smallest component.
fn turned([red, green, blue]: [f32; 3], turn: f32) -> [f32; 3] {
    let (largest, smallest) = (red.max(green).max(blue), red.min(green).min(blue));
    let range = largest - smallest;
    if range == 0.0 {
        return [red, green, blue];
    }
    // In sixths of the circle, from red.
    let hue = match largest {
        _ if largest == red => (green - blue) / range,
        _ if largest == green => 2.0 + (blue - red) / range,
        _ => 4.0 + (red - green) / range,
    };
    let hue = (hue + 6.0 * turn).rem_euclid(6.0);
    let component = |shift: f32| {
        let place = (shift + hue).rem_euclid(6.0);
        largest - range * place.min(4.0 - place).clamp(0.0, 1.0)
    };
    [component(5.0), component(3.0), component(1.0)]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const PIXELS: [[f32; 3]; 6] = [
        [10.0, 200.0, 90.0],
        [255.0, 0.0, 0.0],
        [128.0, 128.0, 128.0],
        [3.0, 7.0, 250.0],
        [240.0, 230.0, 20.0],
        [0.0, 0.0, 0.0],
    ];

    /// Printed by `tests/make_photographs.py`: torchvision's `adjust_…` on floating-point images.
    #[test]
    fn golden_colours_change_as_in_torchvision() {
        let black = [0.0; 3];
        let grey = [128.0; 3];
        #[rustfmt::skip]
        let golden = [
            (ColorChange::Brightness(1.4), [[14.0, 255.0, 126.0], [255.0, 0.0, 0.0], [179.2; 3], [4.2, 9.8, 255.0], [255.0, 255.0, 28.0], black]),
            (ColorChange::Contrast(0.6), [[44.492, 158.492, 92.492], [191.492, 38.492, 38.492], [115.292; 3], [40.292, 42.692, 188.492], [182.492, 176.492, 50.492], [38.492; 3]]),
            (ColorChange::Saturation(1.3), [[0.0, 220.805, 77.805], [255.0, 0.0, 0.0], [128.004; 3], [0.0, 0.0, 255.0], [249.292, 236.292, 0.0], black]),
            (ColorChange::Hue(0.2), [[10.0, 82.0, 200.0], [204.0, 255.0, 0.0], grey, [250.0, 3.0, 204.6], [20.0, 240.0, 54.0], black]),
            (ColorChange::Hue(-0.1), [[44.0, 200.0, 10.0], [255.0, 0.0, 153.0], grey, [3.0, 155.2, 250.0], [240.0, 98.0, 20.0], black]),
        ];
        for (change, expected) in golden {
            let mut pixels = PIXELS;
            change.apply(&mut pixels);
            for (ours, theirs) in pixels.as_flattened().iter().zip(expected.as_flattened()) {
                assert!((ours - theirs).abs() < 2e-3, "{change:?}: {pixels:?}");
            }
        }
    }

    #[test]
    fn strengths_bound_what_is_drawn_and_the_order_varies() {
        let jitter = ColorJitter { brightness: 0.4, contrast: 0.3, saturation: 2.0, hue: 0.1 };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut first = [false; 4];
        for _ in 0..200 {
            let changes = jitter.draw(&mut rng);
            assert_eq!(changes.len(), 4);
            for (place, change) in changes.into_iter().enumerate() {
                let (kind, inside) = match change {
                    ColorChange::Brightness(f) => (0, (0.6..=1.4).contains(&f)),
                    ColorChange::Contrast(f) => (1, (0.7..=1.3).contains(&f)),
                    ColorChange::Saturation(f) => (2, (0.0..=3.0).contains(&f)),
                    ColorChange::Hue(turn) => (3, turn.abs() <= 0.1),
                };
                assert!(inside, "{change:?}");
                first[kind] |= place == 0;
            }
        }
        assert_eq!(first, [true; 4]);
        assert!(ColorJitter::default().draw(&mut rng).is_empty());
    }
}
