use std::path::Path;

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::DataError;

/// Longest side that is decoded, in pixels.
const LONGEST: usize = 65_535;
/// Most pixels that are decoded, which take 768 MiB.
const MOST_PIXELS: usize = 1 << 28;
/// Largest plausible number of pixels per byte of a JPEG: twice that of a file with one bit for each block of 64 pixels, which is the least. A file
/// that claims more is a decompression bomb.
const PIXELS_PER_BYTE: usize = 1024;
/// Largest number of bytes of rows per byte of a PNG: the compression of deflate ends there.
const ROWS_PER_BYTE: usize = 1032;

/// A decoded picture of any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Photo {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[H, W, 3]`, red, green and blue.
    pub(crate) rgb: Vec<u8>,
}

/// A crop rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CropBox {
    pub(crate) top: f64,
    pub(crate) left: f64,
    pub(crate) height: f64,
    pub(crate) width: f64,
}

impl Photo {
    /// Reads a JPEG or PNG file as RGB. Grey and CMYK pictures are converted, transparency is dropped. The EXIF orientation is ignored, as in
    /// torchvision.
    ///
    /// # Errors
    /// Returns [`DataError::Io`] if the file cannot be read, and [`DataError::Damaged`] if it is not a regular file or does not decode to
    /// its end.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.into(), source };
        // Reading a pipe would wait for ever.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(DataError::Damaged {
                path: path.into(),
                reason: "it is not a regular file".to_owned(),
            });
        }
        let bytes = std::fs::read(path).map_err(io)?;
        Self::decode(&bytes).map_err(|reason| DataError::Damaged { path: path.into(), reason })
    }

    /// Decodes the bytes of a file. The first bytes tell the format.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [0xff, 0xd8, ..] => jpeg(bytes),
            [0x89, b'P', b'N', b'G', ..] => png(bytes),
            _ => Err(format!("{}only JPEG and PNG files are read, so convert it", other_format(bytes))),
        }
    }

    /// Crops and resizes to `height` × `width`.
    ///
    /// # Source
    /// Pillow's `resize(…, BILINEAR, box)`, which is antialiased when the picture shrinks.
    pub(crate) fn resized(mut self, crop: CropBox, height: usize, width: usize) -> Self {
        const BYTES: &str = "as many bytes as pixels";
        let (h, w) = (self.height as u32, self.width as u32);
        // Source and result have one type, because the code is compiled once for every pair of image types, and each copy takes as long as
        // the rest of this crate.
        let from = TypedImage::<U8x3>::from_buffer(w, h, &mut self.rgb).expect(BYTES);
        let mut rgb = vec![0; 3 * height * width];
        let mut to = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut rgb).expect(BYTES);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
            crop.left,
            crop.top,
            crop.width,
            crop.height,
        );
        Resizer::new().resize_typed(&from, &mut to, &options).expect("the part lies inside");
        Self { height, width, rgb }
    }

    /// Resizes the shorter side to `size` / 0.875 and center-crops a square of `size`, as images are evaluated.
    ///
    /// # Source
    /// torchvision's `Resize(256)`, `CenterCrop(224)`. DIFFERS: both are one step, so that nothing is rounded in between.
    pub(crate) fn center_crop(self, size: usize) -> Self {
        let side = self.height.min(self.width) as f64 * EVALUATED;
        let middle = |extent: usize| (extent as f64 - side) / 2.0;
        let crop = CropBox { top: middle(self.height), left: middle(self.width), height: side, width: side };
        self.resized(crop, size, size)
    }
}

/// Names the format of an image that is not read, as the start of a sentence.
fn other_format(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "it is a WebP file, but ",
        [b'G', b'I', b'F', b'8', ..] => "it is a GIF file, but ",
        [b'B', b'M', ..] => "it is a BMP file, but ",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "it is a TIFF file, but ",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "it is a HEIC or AVIF file, but ",
        [] => "it is empty; ",
        _ => "",
    }
}

/// Share of the shorter side that a center crop keeps: 224 of 256.
const EVALUATED: f64 = 0.875;

/// Returns the index of the colour transform in the Adobe segment of a JPEG, if its value has no meaning. Values are 0 to 2.
fn unknown_transform(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    // Segments are a marker, and a length that counts itself. The pixels follow the marker DA.
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xda {
            return None;
        }
        let transform = at + 15;
        if marker == 0xee && bytes.get(at + 4..at + 9) == Some(b"Adobe") {
            return bytes.get(transform).filter(|value| **value > 2).map(|_| transform);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    None
}

fn jpeg(bytes: &[u8]) -> Result<Photo, String> {
    let mended;
    let bytes = match unknown_transform(bytes) {
        // As libjpeg and Pillow: the colours are those of most files, YCbCr.
        Some(at) => {
            mended = [&bytes[..at], &[1], &bytes[at + 1..]].concat();
            &mended
        }
        None => bytes,
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(LONGEST)
        .set_max_height(LONGEST)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("its size is missing")?;
    plausible(height, width, bytes.len(), height.saturating_mul(width) / PIXELS_PER_BYTE)?;
    let rgb = decoder.decode().map_err(|e| e.to_string())?;
    Photo::checked(height, width, rgb)
}

/// The last chunk of a PNG: its length, its name and its checksum.
const IEND: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

fn png(bytes: &[u8]) -> Result<Photo, String> {
    // Without its last chunk, the decoder cannot tell a whole image from one that was cut.
    let mended;
    let bytes = match bytes.ends_with(&IEND) {
        true => bytes,
        false => {
            mended = [bytes, &IEND].concat();
            &mended
        }
    };
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (height, width) = (reader.info().height as usize, reader.info().width as usize);
    // A page of one colour with one bit per pixel has far more pixels than bytes.
    let rows = height.saturating_mul(reader.info().raw_row_length());
    plausible(height, width, bytes.len(), rows / ROWS_PER_BYTE)?;
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let frame = reader.next_frame(&mut buffer).map_err(|e| e.to_string())?;
    let samples = frame.color_type.samples();
    let colour = |pixel: &[u8]| if samples < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
    Photo::checked(height, width, buffer.chunks_exact(samples).flat_map(colour).collect())
}

/// Checks the size that a header claims against limits, and the size of the file against the least number of bytes that such an image has.
fn plausible(height: usize, width: usize, bytes: usize, least: usize) -> Result<(), String> {
    match height.checked_mul(width) {
        None | Some(0) => Err(format!("its size is {height}×{width} pixels")),
        Some(pixels) if height.max(width) > LONGEST || pixels > MOST_PIXELS => Err(format!(
            "it has {height}×{width} pixels, but at most {LONGEST} in a direction and {MOST_PIXELS} in all are read; make it smaller"
        )),
        Some(_) if least > bytes => Err(format!(
            "its header claims {height}×{width} pixels, which is too much for a file of {bytes} bytes"
        )),
        Some(_) => Ok(()),
    }
}

impl Photo {
    fn checked(height: usize, width: usize, rgb: Vec<u8>) -> Result<Self, String> {
        match rgb.len() == 3 * height * width {
            true => Ok(Self { height, width, rgb }),
            false => Err(format!("it decodes to {} bytes instead of 3×{height}×{width}", rgb.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Made by `tests/make_photographs.py`.
    fn file(name: &str) -> Photo {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photographs");
        Photo::read(&folder.join(name)).unwrap()
    }

    /// The bytes of a file of `tests/make_photographs.py`.
    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photographs").join(name)).unwrap()
    }

    /// A PNG with one bit per pixel, all white, as a scanner writes an empty page.
    fn blank_page(size: u32) -> Vec<u8> {
        let mut page = Vec::new();
        let mut encoder = png::Encoder::new(&mut page, size, size);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.set_compression(png::Compression::High);
        let rows = vec![0xff; (size.div_ceil(8) * size) as usize];
        encoder.write_header().unwrap().write_image_data(&rows).unwrap();
        page
    }

    /// Pillow reads these files without an error.
    #[test]
    fn files_are_read_as_tolerantly_as_by_pillow() {
        let whole = bytes("colour.png");
        // The last chunk, IEND, has 12 bytes.
        let cut = Photo::decode(&whole[..whole.len() - 12]).unwrap();
        assert_eq!(cut, file("colour.png"));
        assert!(Photo::decode(&whole[..whole.len() - 13]).is_err(), "pixels are missing");
        let jpeg = bytes("colour.jpeg");
        let adobe = [b"\xff\xee\x00\x0eAdobe".as_slice(), &[0, 100, 0, 0, 0, 0, 9]].concat();
        let odd = [&jpeg[..2], &adobe, &jpeg[2..]].concat();
        assert_eq!(Photo::decode(&odd).unwrap(), file("colour.jpeg"));
        let page = blank_page(4096);
        assert!(4096 * 4096 / page.len() > PIXELS_PER_BYTE, "{} bytes", page.len());
        assert!(Photo::decode(&page).unwrap().rgb.iter().all(|byte| *byte == 255));
    }

    /// The largest and the mean difference between the bytes of two pictures.
    fn difference(a: &Photo, b: &Photo) -> (u8, f64) {
        assert_eq!((a.height, a.width), (b.height, b.width));
        let differences: Vec<u8> = a.rgb.iter().zip(&b.rgb).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
        (differences.into_iter().max().unwrap(), mean)
    }

    /// Decoders may round the cosine transform differently.
    #[test]
    fn golden_pictures_decode_as_pillow_decodes_them() {
        for name in ["colour", "progressive", "grey", "inks"] {
            let (largest, mean) =
                difference(&file(&format!("{name}.jpeg")), &file(&format!("pillow-{name}.png")));
            assert!(largest <= 4 && mean < 0.6, "{name}: {largest}, {mean}");
        }
        for name in ["grey", "palette"] {
            assert_eq!(file(&format!("{name}.png")), file(&format!("pillow-{name}-png.png")), "{name}");
        }
        assert_eq!(file("transparent.png"), file("colour.png"));
    }

    #[test]
    fn golden_parts_are_scaled_as_pillow_scales_them() {
        let crop = CropBox { left: 5.0, top: 7.0, width: 60.0, height: 40.0 };
        for (name, height, width) in [("smaller", 16, 24), ("larger", 100, 120)] {
            let ours = file("colour.png").resized(crop, height, width);
            let (largest, _) = difference(&ours, &file(&format!("pillow-{name}.png")));
            assert!(largest <= 1, "{name}: {largest}");
        }
    }

    #[test]
    fn the_middle_is_seven_eighths_of_the_shorter_side() {
        let photo = file("colour.png");
        let side = 61.0 * 0.875;
        let crop = CropBox { top: (61.0 - side) / 2.0, left: (83.0 - side) / 2.0, height: side, width: side };
        assert_eq!(file("colour.png").center_crop(32), photo.resized(crop, 32, 32));
    }

    #[test]
    fn damaged_bytes_are_refused_without_filling_the_memory() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photographs");
        let error = Photo::read(&folder.join("cut.jpeg")).unwrap_err();
        assert!(matches!(&error, DataError::Damaged { path, .. } if path.ends_with("cut.jpeg")), "{error}");
        assert!(error.to_string().contains("--set data.damaged=skip"), "{error}");

        // The header of a JPEG file with another height and width.
        let mut bytes = std::fs::read(folder.join("colour.jpeg")).unwrap();
        let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
        let reason = Photo::decode(&bytes).unwrap_err();
        assert!(reason.contains("16383×16383"), "{reason}");
        for (bytes, word) in [
            (&b"RIFF\x10\0\0\0WEBPVP8 "[..], "a WebP file"),
            (b"GIF89a", "a GIF file"),
            (b"BM\x10\0", "a BMP file"),
            (b"", "it is empty"),
            (b"text", "only JPEG and PNG files"),
        ] {
            let reason = Photo::decode(bytes).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
        for bytes in [&b""[..], b"GIF89a", &[0xff, 0xd8], &[0xff, 0xd8, 0xff, 0xd9], b"\x89PNG\r\n\x1a\n"] {
            assert!(Photo::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
