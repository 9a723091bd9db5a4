//! The embedded mini images.
use pada_data::{DataError, InMemoryDataset, Normalize, Splits, encode_mini, halve, mini, select_mini};

#[test]
fn mini_holds_800_and_200_images_of_each_class_in_official_order() {
    let splits = mini().unwrap();
    for (set, per_class) in [(&splits.train, 800), (&splits.test, 200)] {
        assert_eq!((set.channels, set.height, set.width, set.classes), (3, 16, 16, 10));
        let mut counts = [0; 10];
        set.labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        assert_eq!(counts, [per_class; 10]);
        assert_eq!(set.pixels.len(), set.len() * set.image_len());
    }
    // The first labels of CIFAR-10.
    assert_eq!(splits.train.labels[..10], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
    assert_eq!(splits.test.labels[..10], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
}

/// Red above and beside, green likewise, blue likewise; from the official files, with plain Python:
/// `(sum(batch[1 + 1024 * c + 32 * (2 * y + dy) + 2 * x + dx] for dy in (0, 1) for dx in (0, 1)) + 2) // 4`
#[test]
fn the_first_images_are_those_of_cifar10_halved_and_not_transposed() {
    let splits = mini().unwrap();
    let places = [(0, 0, 15), (0, 15, 0), (1, 2, 9), (1, 9, 2), (2, 7, 3), (2, 3, 7)];
    for (set, expected) in
        [(&splits.train, [135, 175, 69, 90, 34, 16]), (&splits.test, [122, 55, 92, 162, 71, 75])]
    {
        let pixel = |(c, y, x): (usize, usize, usize)| set.image(0).unwrap()[(c * 16 + y) * 16 + x];
        assert_eq!(places.map(pixel), expected);
    }
}

#[test]
fn the_stored_mean_and_deviation_are_those_of_the_training_images() {
    let train = mini().unwrap().train;
    for c in 0..3 {
        let bytes: Vec<f64> = (0..train.len())
            .flat_map(|i| {
                train.image(i).unwrap()[c * 256..(c + 1) * 256].iter().map(|&b| f64::from(b) / 255.0)
            })
            .collect();
        let n = bytes.len() as f64;
        let mean = bytes.iter().sum::<f64>() / n;
        let std = (bytes.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - f64::from(train.normalize.mean[c])).abs() < 5.1e-5, "mean {mean}");
        assert!((std - f64::from(train.normalize.std[c])).abs() < 5.1e-5, "deviation {std}");
    }
}

#[test]
fn encoding_what_was_decoded_gives_the_embedded_file() {
    let bytes = encode_mini(&mini().unwrap()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mini.png");
    assert!(bytes == std::fs::read(path).unwrap(), "the same bytes");
    assert!(bytes.len() < 7_000_000);
}

fn set(labels: Vec<u16>, height: usize, width: usize) -> InMemoryDataset {
    let pixels = (0..labels.len() * height * width).map(|i| (i * 97 % 256) as u8).collect();
    let normalize = Normalize { mean: [0.0; 3], std: [1.0; 3] };
    InMemoryDataset {
        name: "test".into(),
        channels: 1,
        height,
        width,
        classes: 10,
        pixels,
        labels,
        normalize,
    }
}

#[test]
fn halving_takes_the_rounded_mean_of_four_pixels() {
    let large = set(vec![0, 1, 2], 4, 6);
    let small = halve(&large);
    assert_eq!((small.height, small.width, small.len()), (2, 3, 3));
    for (i, y, x) in (0..3).flat_map(|i| (0..2).flat_map(move |y| (0..3).map(move |x| (i, y, x)))) {
        let at = |dy: usize, dx: usize| f64::from(large.image(i).unwrap()[(2 * y + dy) * 6 + 2 * x + dx]);
        let mean = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0;
        assert_eq!(f64::from(small.image(i).unwrap()[y * 3 + x]), (mean + 0.5).floor());
    }
}

#[test]
fn selection_takes_the_first_of_each_class() {
    // Class 0 comes 900 times first, then all classes in turn.
    let labels: Vec<u16> = std::iter::repeat_n(0, 900).chain((0..9_000).map(|i| i % 10)).collect();
    let all = Splits { train: set(labels.clone(), 2, 2), test: set(labels, 2, 2) };
    let mini = select_mini(&all);
    assert_eq!((mini.train.len(), mini.test.len()), (8_000, 2_000));
    assert_eq!(mini.train.labels[..802], [vec![0; 800], vec![1, 2]].concat());
    assert_eq!(mini.train.image(800).unwrap(), all.train.image(901).unwrap());
}

#[test]
fn images_of_another_number_are_no_mini_file() {
    let few = Splits { train: set(vec![0; 5], 16, 16), test: set(vec![0; 5], 16, 16) };
    assert!(matches!(encode_mini(&few), Err(DataError::Embedded { .. })));
}
