use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Pixels;

/// An image as a `data:` URI that holds a PNG file; none for pixels that are no image.
pub(super) fn data_uri(pixels: &Pixels) -> Option<String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width, pixels.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels.rgb)).ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_its_uri() {
        let pixels = Pixels { width: 2, height: 1, rgb: vec![255, 0, 0, 7, 8, 9] };
        let uri = data_uri(&pixels).unwrap();
        let bytes = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        assert_eq!((reader.info().width, reader.info().height, rgb), (2, 1, pixels.rgb));
        assert_eq!(data_uri(&Pixels { width: 2, height: 2, rgb: vec![0; 3] }), None);
    }
}
