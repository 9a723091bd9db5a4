use maud::{Markup, html};

use super::chart::{Frame, Key, Line, colour, legend, lines};
use super::markup::{Head, figure, table};
use crate::numbers::{count, digits, fixed, optional};
use crate::scale::Scale;
use crate::{EpochRecord, RunRecord};

type Of = fn(&EpochRecord) -> Option<f64>;

/// Counts of the drawn paths and images, by epoch.
pub(super) fn audit(record: &RunRecord, i: usize) -> Markup {
    let epochs = &record.epochs;
    let paths: [(&str, Of); 3] = [
        ("drawn", |e| Some(e.paths.drawn as f64)),
        ("distinct", |e| Some(e.paths.distinct as f64)),
        ("effective", |e| Some(e.paths.effective)),
    ];
    let images: [(&str, Of); 4] = [
        ("drawn", |e| Some(e.images.drawn as f64)),
        ("distinct", |e| Some(e.images.distinct as f64)),
        ("effective", |e| Some(e.images.effective)),
        ("effective sample size 1/Σq²", |e| e.effective_sample_size),
    ];
    html! {
        p { "The effective number is (Σn)²/Σn² over the counts n of the distinct paths or images. It equals the distinct number if all counts are equal." }
        div class="grid-of-figures" {
            (drawn("Paths per epoch", epochs, &paths))
            (drawn("Images per epoch", epochs, &images))
        }
        // The table is too wide for a printed page.
        details class="only-screen" {
            summary { "All measurements of every epoch" }
            (every(epochs, i))
        }
    }
}

fn drawn(title: &str, epochs: &[EpochRecord], series: &[(&str, Of)]) -> Markup {
    let points = |of: Of| (1..).zip(epochs).map(|(i, e)| (f64::from(i), of(e))).collect::<Vec<_>>();
    let all: Vec<(&str, Line)> = series
        .iter()
        .enumerate()
        .map(|(i, (label, of))| {
            (*label, Line { class: format!("{} d{}", colour(i), i % 3), points: points(*of) })
        })
        .filter(|(_, line)| line.points.iter().any(|(_, v)| v.is_some()))
        .collect();
    let values = all.iter().flat_map(|(_, line)| &line.points).filter_map(|(_, v)| *v);
    let last = epochs.last();
    let spoken: Vec<String> =
        series.iter().filter_map(|(label, of)| Some(format!("{label} {}", digits(of(last?)?)))).collect();
    let about = format!("{title} over {} epochs; last epoch: {}", epochs.len(), spoken.join(", "));
    let frame =
        Frame::new(about, ("epoch", Scale::counting(epochs.len())), ("", Scale::of(values.chain([0.0]))));
    let entries: Vec<(String, &str)> = all.iter().map(|(label, line)| (line.class.clone(), *label)).collect();
    let all: Vec<Line> = all.into_iter().map(|(_, line)| line).collect();
    figure(title, "", html! { (lines(&frame, &all, &[])) (legend(Key::Line, entries)) })
}

fn every(epochs: &[EpochRecord], i: usize) -> Markup {
    let numbers = [
        "stage",
        "loss",
        "accuracy %",
        "learning rate",
        "gradient norm",
        "skipped steps",
        "GV",
        "scale-free GV",
        "path entropy",
        "paths",
        "distinct paths",
        "effective paths",
        "images",
        "distinct images",
        "effective images",
        "1/Σq²",
        "image entropy",
        "seconds",
    ];
    let head = Head { texts: &["epoch"], numbers: &numbers };
    table(
        &format!("measurements of the epochs of run {}", i + 1),
        head,
        html! {
            @for e in epochs {
                tr {
                    th scope="row" { (e.epoch + 1) }
                    td { (e.stage) }
                    td { (fixed(e.loss, 4)) }
                    td { (fixed(e.accuracy, 2)) }
                    td { (digits(e.lr)) }
                    td { (digits(e.grad_norm)) }
                    td { (e.skipped_steps) }
                    td { (e.gv.map_or_else(|| "–".to_owned(), digits)) }
                    td { (e.gv_scale_free.map_or_else(|| "–".to_owned(), digits)) }
                    td { (fixed(e.path_entropy, 3)) }
                    td { (count(e.paths.drawn)) }
                    td { (count(e.paths.distinct)) }
                    td { (fixed(e.paths.effective, 1)) }
                    td { (count(e.images.drawn)) }
                    td { (count(e.images.distinct)) }
                    td { (fixed(e.images.effective, 0)) }
                    td { (optional(e.effective_sample_size, 0)) }
                    td { (optional(e.image_entropy, 3)) }
                    td { (fixed(e.seconds, 2)) }
                }
            }
        },
    )
}
