use maud::{Markup, html};

use super::markup::figure;
use super::numbers::{count, digits, fixed};
use super::picture::data_uri;
use super::{PreferredImages, Thumbnail};

/// Which images the data side prefers and avoids.
pub(super) fn images(found: &PreferredImages) -> Markup {
    let n = found.images as f64;
    html! {
        p {
            "The distribution of " code { (found.checkpoint) } ", after " (found.epochs) " epochs, over " (count(found.images))
            " images. It is worth " (count(found.effective.round() as usize)) " images drawn alike. Numbers below are N·q: how many times as often as in "
            "a uniform draw an image comes."
        }
        (gallery("Preferred", "the most probable images", &found.preferred, n))
        (gallery("Avoided", &avoided(found), &found.avoided, n))
        (classes(&found.classes))
    }
}

fn avoided(found: &PreferredImages) -> String {
    let (lowest, times) = (count(found.lowest), digits(found.lowest_probability * found.images as f64));
    if found.lowest <= found.avoided.len() {
        return "the least probable images".to_owned();
    }
    format!(
        "the least probable images above the {lowest} that share the lowest N·q of all, {times}: images that the last epoch did not \
         draw, or whose gradient was nothing"
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

/// Classes as bars around 1.
fn classes(classes: &[(String, f64)]) -> Markup {
    let most = classes.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    figure(
        "Classes",
        "mean N·q of their images; the line is a uniform draw",
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
