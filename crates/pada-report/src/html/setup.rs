use maud::{Markup, html};

use super::RunView;
use super::markup::{Isa, section};
use super::numbers::count;
use crate::SupernetRecord;

/// What ran.
pub(super) fn setup(run: &RunView, i: usize, level: Isa) -> Markup {
    let mut facts: Vec<(&str, String)> = vec![("method", run.method.clone()), ("seed", run.seed.to_string())];
    if let Some(record) = &run.record {
        let net = &record.supernet;
        let images = &record.train_images;
        facts.extend([
            ("space", net.space.clone()),
            ("network", network(net)),
            ("trained on", format!("{} images of {}", count(images.images), images.name)),
            ("their SHA-256", images.sha256.clone()),
        ]);
        if let Some(ranking) = &record.ranking {
            let images = &ranking.images;
            let scored =
                format!("{} images of {}, {} a batch", count(images.images), images.name, ranking.batch);
            facts.push(("scored on", scored));
            facts.extend(ranking.recalibrated_on.map(|n| {
                let statistics = format!("running, of each architecture from {} training images", count(n));
                ("statistics of norms", statistics)
            }));
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

/// C and N where the space leaves them open, and the weights.
fn network(net: &SupernetRecord) -> String {
    let parts: Vec<String> = net.sizes().chain([format!("{} weights", count(net.weights))]).collect();
    parts.join(", ")
}
