//! Crops, flips and normalisation against slow references.
use pada_data::{
    Augment, AutoAugment, DataError, Flip, InMemoryDataset, Normalize, RandAugment, fill, normalised,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NORMALIZE: Normalize = Normalize { mean: [0.5, 0.25, 0.0], std: [0.5, 0.25, 0.2] };

/// Nine images of 4×5 whose bytes are all different from their neighbours'.
fn images() -> InMemoryDataset {
    let pixels = (0..9 * 3 * 4 * 5).map(|i| (i * 37 % 251) as u8).collect();
    let name = "test".to_owned();
    InMemoryDataset {
        name,
        channels: 3,
        height: 4,
        width: 5,
        classes: 9,
        pixels,
        labels: (0..9).collect(),
        normalize: NORMALIZE,
    }
}

fn value(byte: u8, channel: usize) -> f32 {
    (f32::from(byte) / 255.0 - NORMALIZE.mean[channel]) / NORMALIZE.std[channel]
}

fn filled(indices: &[u32], augment: &Augment, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = vec![7.0; 3];
    fill(&images(), indices, augment, rng, &mut out).unwrap();
    out
}

#[test]
fn normalised_images_keep_their_order() {
    let (set, indices) = (images(), [8, 0, 3]);
    let ours = normalised(&set, &indices).unwrap();
    let slow: Vec<f32> = indices
        .iter()
        .flat_map(|&i| {
            set.image(i as usize).unwrap().iter().enumerate().map(|(at, &byte)| value(byte, at / 20))
        })
        .collect();
    assert_eq!(ours, slow);
}

#[test]
fn without_changes_nothing_is_drawn_and_nothing_changes() {
    let (mut rng, indices) = (ChaCha8Rng::seed_from_u64(3), [4, 4, 1]);
    let before = rng.get_word_pos();
    let ours = filled(&indices, &Augment { crop_padding: 0, flip: Flip::Never, ..Augment::NONE }, &mut rng);
    assert_eq!(ours, normalised(&images(), &indices).unwrap());
    assert_eq!(rng.get_word_pos(), before);
}

#[test]
fn crops_and_flips_equal_their_definition() {
    const PADDING: usize = 2;
    let (set, indices, seed) = (images(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 8], 5);
    let augment = Augment { crop_padding: PADDING, flip: Flip::Horizontal, ..Augment::NONE };
    let ours = filled(&indices, &augment, &mut ChaCha8Rng::seed_from_u64(seed));
    // Slow: paint the bordered image, cut, then mirror.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut slow, mut flipped) = (Vec::new(), 0);
    for &i in &indices {
        let (top, left): (usize, usize) =
            (rng.random_range(0..=2 * PADDING), rng.random_range(0..=2 * PADDING));
        let mirror = rng.random_bool(0.5);
        flipped += usize::from(mirror);
        for c in 0..3 {
            let mut bordered = vec![vec![0_u8; 5 + 2 * PADDING]; 4 + 2 * PADDING];
            for (y, x) in (0..4).flat_map(|y| (0..5).map(move |x| (y, x))) {
                bordered[y + PADDING][x + PADDING] = set.image(i as usize).unwrap()[c * 20 + y * 5 + x];
            }
            for row in &bordered[top..top + 4] {
                let mut row = row[left..left + 5].to_vec();
                if mirror {
                    row.reverse();
                }
                slow.extend(row.iter().map(|&byte| value(byte, c)));
            }
        }
    }
    assert!((1..10).contains(&flipped), "the seed shows both cases");
    assert_eq!(ours, slow);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let augment = Augment { crop_padding: 1, flip: Flip::Horizontal, ..Augment::NONE };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| filled(&[0, 1, 2, 3, 4, 5, 6, 7, 8], &augment, &mut ChaCha8Rng::seed_from_u64(1)))
    };
    assert_eq!(with(1), with(3));
}

/// At magnitude 0 twelve of the fourteen operations of RandAugment do nothing, so most images only go there and back between planes and
/// pixels.
#[test]
fn operations_are_applied_after_crop_and_flip_to_the_same_pixels() {
    let (set, indices) = (images(), vec![3_u32; 400]);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let augment = |magnitude| Augment {
        flip: Flip::Horizontal,
        rand_augment: Some(RandAugment { ops: 1, magnitude }),
        ..Augment::NONE
    };
    let plain = normalised(&set, &[3]).unwrap();
    let mirrored: Vec<f32> = plain.chunks(5).flat_map(|row| row.iter().rev().copied()).collect();
    let mut count = |magnitude| {
        let batch = filled(&indices, &augment(magnitude), &mut rng);
        [&plain, &mirrored].map(|image| batch.chunks(plain.len()).filter(|found| found == image).count())
    };
    let [as_it_is, flipped] = count(0);
    assert!(as_it_is + flipped > 310 && as_it_is + flipped < 400, "{as_it_is} and {flipped} of 400");
    assert!(as_it_is.abs_diff(flipped) < 80, "{as_it_is} and {flipped} of 400");
    let [as_it_is, flipped] = count(30);
    assert!(as_it_is + flipped < 100, "only the identity leaves an image as it is: {as_it_is} and {flipped}");
}

#[test]
fn policies_are_for_images_with_three_channels() {
    let colour = images();
    let grey = InMemoryDataset { channels: 1, pixels: colour.pixels[..9 * 20].to_vec(), ..colour };
    let augment = Augment { auto_augment: Some(AutoAugment::Cifar10), ..Augment::NONE };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let error = fill(&grey, &[0], &augment, &mut rng, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, DataError::NotColour { channels: 1, .. }), "{error}");
}
