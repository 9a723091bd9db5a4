use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::markup::figure;
use super::{Pixels, PreferredImages, Thumbnail};
use crate::numbers::{count, digits, fixed};

/// The images with the highest and lowest probability under the data sampler.
pub(super) fn images(found: &PreferredImages) -> Markup {
    let n = found.images as f64;
    html! {
        p {
            "The image distribution q in " code { (found.checkpoint) } ", after " (found.epochs) " epochs, over N = " (count(found.images))
            " images. Its effective sample size is " (count(found.effective.round() as usize)) ". The numbers below are N·q, the probability "
            "relative to uniform sampling."
        }
        (gallery("Most probable images", "highest N·q first", &found.preferred, n))
        (gallery("Least probable images", &avoided(found), &found.avoided, n))
        (classes(&found.classes))
    }
}

fn avoided(found: &PreferredImages) -> String {
    let (lowest, times) = (count(found.lowest), digits(found.lowest_probability * found.images as f64));
    if found.lowest <= found.avoided.len() {
        return "lowest N·q first".to_owned();
    }
    format!(
        "lowest N·q first, without the {lowest} images that share the lowest N·q of all, {times}: images that the last epoch did not \
         draw, or whose gradient was zero"
    )
}

fn gallery(title: &str, about: &str, thumbnails: &[Thumbnail], n: f64) -> Markup {
    figure(
        title,
        about,
        html! {
            ul class="gallery" {
                @for image in thumbnails {
                    li {
                        @if let Some(uri) = data_uri(&image.pixels) {
                            img src=(uri) width=(image.pixels.width) height=(image.pixels.height)
                                alt={ "image " (image.index) ", " (image.class) } title={ "image " (image.index) ", q = " (digits(image.probability)) };
                        }
                        span { (image.class) }
                        span class="number" { (digits(n * image.probability)) }
                    }
                }
            }
        },
    )
}

/// Mean N·q of each class as bars, with a line at 1.
fn classes(classes: &[(String, f64)]) -> Markup {
    let most = classes.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    figure(
        "Classes",
        "mean N·q of the images of a class; the line at 1 is uniform sampling",
        html! {
            ul class="bars" {
                @for (class, ratio) in classes {
                    li {
                        span class="label" { (class) }
                        span class="track" style={ "--one:" (percent_of(1.0 / most)) } {
                            span class="bar" style={ "width:" (percent_of(ratio / most)) } {}
                        }
                        span class="number" { (fixed(*ratio, 2)) }
                    }
                }
            }
        },
    )
}

fn percent_of(share: f64) -> String {
    format!("{}%", fixed(100.0 * share.clamp(0.0, 1.0), 1))
}

/// Encodes an image as a `data:` URI that holds a PNG file. Returns `None` if the number of bytes does not fit the size.
fn data_uri(pixels: &Pixels) -> Option<String> {
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
