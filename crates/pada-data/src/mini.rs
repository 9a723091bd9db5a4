use sha2::{Digest, Sha256};

use crate::{DataError, InMemoryDataset, Normalize, Splits};

/// The embedded file: one PNG picture of 100 × 100 images, with the labels as digits in a text chunk.
static FILE: &[u8] = include_bytes!("../data/mini.png");

/// SHA-256 of the embedded file.
pub const MINI_SHA256: &str = "bc04b523167b0c31c7ff20c4aa03dbec26ce4ec4acc9ae945e9afa1bb1c22d61";

const SIZE: usize = 16;
const PER_ROW: usize = 100;
const CLASSES: usize = 10;
const TRAIN_PER_CLASS: usize = 800;
const TEST_PER_CLASS: usize = 200;
const LABELS: &str = "labels";

/// Mean and standard deviation of the 8,000 training images.
const NORMALIZE: Normalize = Normalize { mean: [0.4926, 0.4823, 0.4462], std: [0.2392, 0.2362, 0.2546] };

/// Loads the embedded data set mini: the first 800 training and the first 200 test images of each class of CIFAR-10 in official order,
/// downscaled to 16×16.
///
/// # Errors
/// Returns [`DataError::Embedded`] if the program was built from a damaged file.
pub fn mini() -> Result<Splits<InMemoryDataset>, DataError> {
    decode(FILE)
}

/// Selects the images of mini at full size: the first 800 or 200 of each class in official order.
pub fn select_mini(cifar10: &Splits<InMemoryDataset>) -> Splits<InMemoryDataset> {
    let first = |set: &InMemoryDataset, per_class: usize| {
        let mut left = [per_class; CLASSES];
        let mut take = |&i: &u32| {
            let left = &mut left[usize::from(set.labels[i as usize])];
            *left > 0 && {
                *left -= 1;
                true
            }
        };
        let indices: Vec<u32> = (0..set.len() as u32).filter(|i| take(i)).collect();
        set.subset(&indices).expect("all indices are below the number of images")
    };
    Splits { train: first(&cifar10.train, TRAIN_PER_CLASS), test: first(&cifar10.test, TEST_PER_CLASS) }
}

/// Downscales images by two: each pixel is the mean of 2×2 pixels, rounded half up.
///
/// # Panics
/// Panics if height or width is odd.
pub fn halve(set: &InMemoryDataset) -> InMemoryDataset {
    assert!(set.height.is_multiple_of(2) && set.width.is_multiple_of(2), "an even number of pixels");
    let (height, width) = (set.height / 2, set.width / 2);
    let mut pixels = Vec::with_capacity(set.pixels.len() / 4);
    for plane in set.pixels.chunks_exact(set.height * set.width) {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let at = |dy: usize, dx: usize| u16::from(plane[(2 * y + dy) * set.width + 2 * x + dx]);
            pixels.push(((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1) + 2) / 4) as u8);
        }
    }
    InMemoryDataset { name: set.name.clone(), height, width, pixels, labels: set.labels.clone(), ..*set }
}

/// Encodes the selected and downscaled images as the embedded file. The same images always give the same bytes.
///
/// # Errors
/// Returns [`DataError::Embedded`] if number or size of the images are not those of mini.
pub fn encode_mini(mini: &Splits<InMemoryDataset>) -> Result<Vec<u8>, DataError> {
    let sets = [&mini.train, &mini.test];
    let count: usize = sets.iter().map(|set| set.len()).sum();
    if count != CLASSES * (TRAIN_PER_CLASS + TEST_PER_CLASS) || mini.train.height != SIZE {
        return Err(DataError::Embedded {
            reason: format!("{count} images of {} pixels", mini.train.height),
        });
    }
    let side = PER_ROW * SIZE;
    let mut rgb = vec![0; count / PER_ROW * SIZE * side * 3];
    let images = sets.iter().flat_map(|set| (0..set.len()).map(|i| set.bytes_of(i)));
    for (image, planes) in images.enumerate() {
        for (byte, place) in planes.iter().zip(places(image)) {
            rgb[place] = *byte;
        }
    }
    let labels = sets.iter().flat_map(|set| &set.labels).map(|label| format!("{label}")).collect::<String>();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side as u32, (count / PER_ROW * SIZE) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Adaptive);
    let text = encoder.add_text_chunk(LABELS.to_owned(), labels);
    let written =
        text.and_then(|()| encoder.write_header()).and_then(|mut writer| writer.write_image_data(&rgb));
    written.map_err(|e| DataError::Embedded { reason: e.to_string() })?;
    Ok(bytes)
}

/// Positions of an image's bytes in the picture, plane by plane.
fn places(image: usize) -> impl Iterator<Item = usize> {
    let (top, left) = (image / PER_ROW * SIZE, image % PER_ROW * SIZE);
    let pixel = move |c: usize, y: usize, x: usize| ((top + y) * PER_ROW * SIZE + left + x) * 3 + c;
    (0..3 * SIZE * SIZE).map(move |i| pixel(i / (SIZE * SIZE), i / SIZE % SIZE, i % SIZE))
}

fn decode(file: &[u8]) -> Result<Splits<InMemoryDataset>, DataError> {
    let damaged = |reason: String| DataError::Embedded { reason };
    let sha256 = hex::encode(Sha256::digest(file));
    if sha256 != MINI_SHA256 {
        return Err(damaged(format!("SHA-256 {sha256}")));
    }
    let mut reader =
        png::Decoder::new(std::io::Cursor::new(file)).read_info().map_err(|e| damaged(e.to_string()))?;
    let mut rgb = vec![0; reader.output_buffer_size().ok_or_else(|| damaged("it is too large".to_owned()))?];
    reader.next_frame(&mut rgb).map_err(|e| damaged(e.to_string()))?;
    let info = reader.info();
    let text = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == LABELS);
    let labels: Vec<u16> = match text {
        Some(chunk) => chunk.text.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as u16).collect(),
        None => return Err(damaged("it has no labels".to_owned())),
    };
    let set = |name: &str, images: std::ops::Range<usize>| InMemoryDataset {
        name: name.to_owned(),
        channels: 3,
        height: SIZE,
        width: SIZE,
        classes: CLASSES,
        pixels: images.clone().flat_map(places).map(|place| rgb[place]).collect(),
        labels: labels[images].to_vec(),
        normalize: NORMALIZE,
    };
    let (train, all) = (CLASSES * TRAIN_PER_CLASS, CLASSES * (TRAIN_PER_CLASS + TEST_PER_CLASS));
    Ok(Splits { train: set("mini train", 0..train), test: set("mini test", train..all) })
}
