use maud::{Markup, html};

use super::RunView;
use super::markup::{Level, section};
use crate::SupernetRecord;
use crate::numbers::count;

/// Method, network, images and config of a run.
pub(super) fn setup(run: &RunView, i: usize, level: Level) -> Markup {
    let mut facts: Vec<(&str, String)> = vec![("method", run.method.clone()), ("seed", run.seed.to_string())];
    if let Some(record) = &run.record {
        let net = &record.supernet;
        let images = &record.train_images;
        facts.extend([
            ("search space", net.space.clone()),
            ("supernet", supernet(net)),
            ("trained on", format!("{} images of {}", count(images.images), images.name)),
            ("SHA-256 of the training images", images.sha256.clone()),
        ]);
        facts.extend(record.init.as_ref().map(|init| {
            let counts = match (init.inherited, init.initialised) {
                (Some(inherited), Some(initialised)) => {
                    format!(": {} of {} weights", count(inherited), count(inherited + initialised))
                }
                _ => String::new(),
            };
            ("initial weights", format!("{}{counts}", init.run))
        }));
        if let Some(ranking) = &record.ranking {
            let images = &ranking.images;
            let scored =
                format!("{} images of {}, batch size {}", count(images.images), images.name, ranking.batch);
            facts.push(("scored on", scored));
            facts.extend(ranking.recalibrated_on.map(|n| {
                let statistics =
                    format!("recalibrated on {} training images for each architecture", count(n));
                ("batch-norm statistics", statistics)
            }));
        }
        if !record.sub_supernets.is_empty() {
            facts.push(("sub-supernets", count(record.sub_supernets.len())));
        }
        facts.extend([
            ("device", format!("{}, {} threads", record.device, record.threads)),
            ("version", record.version.clone()),
        ]);
    }
    section(
        level,
        "Setup",
        html! {
            dl class="facts" {
                @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
            }
            details {
                summary { "Resolved config" }
                pre tabindex="0" role="group" aria-label={ "config of run " (i + 1) } { (run.config) }
            }
        },
    )
}

/// The sizes that the space leaves open, and the number of parameters.
fn supernet(net: &SupernetRecord) -> String {
    let parts: Vec<String> = net.sizes().chain([format!("{} parameters", count(net.params))]).collect();
    parts.join(", ")
}
