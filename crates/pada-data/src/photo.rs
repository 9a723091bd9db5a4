use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::DataError;

/// The longest side that is decoded.
const LONGEST: usize = 16_384;
/// No real picture has more pixels than this for each byte of its file: a JPEG needs two bits for a block of 64, and its colours are
/// shared by four. A file that claims more is made to fill the memory.
const PIXELS_PER_BYTE: usize = 1024;

/// A decoded picture of any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Photo {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[H, W, 3]`, red, green and blue.
    pub(crate) rgb: Vec<u8>,
}

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) top: f64,
    pub(crate) left: f64,
    pub(crate) height: f64,
    pub(crate) width: f64,
}

impl Photo {
    /// Reads a JPEG or PNG file: grey becomes three equal colours, four printing inks become three colours, transparency is dropped.
    /// What the file says about turning the picture is not followed, as in torchvision.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Damaged`] where it does not decode to its end.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(|source| DataError::Io { path: path.into(), source })?;
        Self::decode(&bytes).map_err(|reason| DataError::Damaged { path: path.into(), reason })
    }

    /// The same from the bytes of a file, whose kind its first bytes tell.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [0xff, 0xd8, ..] => jpeg(bytes),
            [0x89, b'P', b'N', b'G', ..] => png(bytes),
            _ => Err("it is neither a JPEG nor a PNG file".to_owned()),
        }
    }

    /// A part of it, scaled to `height` × `width`.
    ///
    /// # Source
    /// Pillow's `resize(…, BILINEAR, box)`: where the picture shrinks, every pixel of the part counts.
    pub(crate) fn resized(&self, cut: Cut, height: usize, width: usize) -> Self {
        let (h, w) = (self.height as u32, self.width as u32);
        let from = ImageRef::new(w, h, &self.rgb, PixelType::U8x3).expect("as many bytes as pixels");
        let mut to = Image::new(width as u32, height as u32, PixelType::U8x3);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(cut.left, cut.top, cut.width, cut.height);
        Resizer::new().resize(&from, &mut to, &options).expect("the part lies inside");
        Self { height, width, rgb: to.into_vec() }
    }

    /// The middle, as images are evaluated: the shorter side is scaled to `size` / .875, and a square of `size` cut out.
    ///
    /// # Source
    /// torchvision's `Resize(256)`, `CenterCrop(224)`. DIFFERS: both in one step, so nothing is rounded in between.
    pub(crate) fn centre(&self, size: usize) -> Self {
        let side = self.height.min(self.width) as f64 * EVALUATED;
        let middle = |extent: usize| (extent as f64 - side) / 2.0;
        let cut = Cut { top: middle(self.height), left: middle(self.width), height: side, width: side };
        self.resized(cut, size, size)
    }
}

/// The share of the shorter side that is evaluated: 224 of 256.
const EVALUATED: f64 = 0.875;

fn jpeg(bytes: &[u8]) -> Result<Photo, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(LONGEST)
        .set_max_height(LONGEST)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    plausible(height, width, bytes.len())?;
    let rgb = decoder.decode().map_err(|e| e.to_string())?;
    Photo::checked(height, width, rgb)
}

fn png(bytes: &[u8]) -> Result<Photo, String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (height, width) = (reader.info().height as usize, reader.info().width as usize);
    plausible(height, width, bytes.len())?;
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let frame = reader.next_frame(&mut buffer).map_err(|e| e.to_string())?;
    let samples = frame.color_type.samples();
    let colour = |pixel: &[u8]| if samples < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
    Photo::checked(height, width, buffer.chunks_exact(samples).flat_map(colour).collect())
}

fn plausible(height: usize, width: usize, bytes: usize) -> Result<(), String> {
    match height.checked_mul(width) {
        None | Some(0) => Err(format!("it has {height}×{width} pixels")),
        Some(pixels) if height.max(width) > LONGEST || pixels / PIXELS_PER_BYTE > bytes => {
            Err(format!("it claims {height}×{width} pixels, too many for {bytes} bytes"))
        }
        Some(_) => Ok(()),
    }
}

impl Photo {
    fn checked(height: usize, width: usize, rgb: Vec<u8>) -> Result<Self, String> {
        match rgb.len() == 3 * height * width {
            true => Ok(Self { height, width, rgb }),
            false => Err(format!("it decodes to {} bytes, not 3×{height}×{width}", rgb.len())),
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

    /// The largest and the mean difference of two pictures' bytes.
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
        let cut = Cut { left: 5.0, top: 7.0, width: 60.0, height: 40.0 };
        for (name, height, width) in [("smaller", 16, 24), ("larger", 100, 120)] {
            let ours = file("colour.png").resized(cut, height, width);
            let (largest, _) = difference(&ours, &file(&format!("pillow-{name}.png")));
            assert!(largest <= 1, "{name}: {largest}");
        }
    }

    #[test]
    fn the_middle_is_seven_eighths_of_the_shorter_side() {
        let photo = file("colour.png");
        let side = 61.0 * 0.875;
        let cut = Cut { top: (61.0 - side) / 2.0, left: (83.0 - side) / 2.0, height: side, width: side };
        assert_eq!(photo.centre(32), photo.resized(cut, 32, 32));
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
        for bytes in [&b""[..], b"GIF89a", &[0xff, 0xd8], &[0xff, 0xd8, 0xff, 0xd9], b"\x89PNG\r\n\x1a\n"] {
            assert!(Photo::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
