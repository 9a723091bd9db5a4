use maud::{Markup, html};

use super::RunView;
use super::markup::{Level, section};
use super::numbers::count;

/// What ran.
pub(super) fn setup(run: &RunView, i: usize, level: Level) -> Markup {
    let mut facts: Vec<(&str, String)> = vec![("method", run.method.clone()), ("seed", run.seed.to_string())];
    if let Some(record) = &run.record {
        let net = &record.supernet;
        let images = &record.train_images;
        facts.extend([
            ("space", net.space.clone()),
            ("network", format!("C={}, N={}, {} weights", net.channels, net.cells, count(net.weights))),
            ("trained on", format!("{} images of {}", count(images.images), images.name)),
            ("their SHA-256", images.sha256.clone()),
        ]);
        if let Some(ranking) = &record.ranking {
            let images = &ranking.images;
            let scored =
                format!("{} images of {}, {} a batch", count(images.images), images.name, ranking.batch);
            facts.push(("scored on", scored));
        }
        if !record.parts.is_empty() {
            facts.push(("parts with weights of their own", count(record.parts.len())));
        }
        facts.extend([
            ("device", format!("{}, {} threads", record.device, record.threads)),
            ("version", record.version.clone()),
        ]);
    }
    section(
        level,
        "What ran",
        html! {
            dl class="facts" {
                @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
            }
            details {
                summary { "The whole config" }
                pre tabindex="0" role="group" aria-label={ "config of run " (i + 1) } { (run.config) }
            }
        },
    )
}
