use maud::{Markup, html};

use super::chart::{Frame, Line, Scale, lines};
use super::markup::{figure, missing};
use super::numbers::digits;
use crate::{EpochRecord, RunRecord};

/// A number that an epoch has.
pub(super) struct Curve {
    pub(super) title: &'static str,
    /// Its unit, or how it is measured.
    pub(super) about: &'static str,
    pub(super) of: fn(&EpochRecord) -> Option<f64>,
}

pub(super) const LOSS: Curve =
    Curve { title: "Loss", about: "mean cross entropy, nats", of: |e| Some(e.loss) };
pub(super) const ACCURACY: Curve =
    Curve { title: "Accuracy", about: "on the training images as drawn, %", of: |e| Some(e.accuracy) };
pub(super) const GV: Curve =
    Curve { title: "Gradient variance", about: "GV, mean over weight tensors of operations", of: |e| e.gv };
pub(super) const PATH_ENTROPY: Curve = Curve {
    title: "Entropy of the path distribution",
    about: "nats, mean over its rows",
    of: |e| Some(e.path_entropy),
};
const GV_SCALE_FREE: Curve = Curve {
    title: "Gradient variance, scale-free",
    about: "GV divided by the squared norm of the mean gradient",
    of: |e| e.gv_scale_free,
};
const GRADIENT_NORM: Curve =
    Curve { title: "Gradient norm", about: "before clipping, mean over steps", of: |e| Some(e.grad_norm) };
const LEARNING_RATE: Curve =
    Curve { title: "Learning rate", about: "of an epoch's first step", of: |e| Some(e.lr) };

/// Training over epochs.
pub(super) fn curves(record: &RunRecord) -> Markup {
    let marks = stages(&record.epochs);
    html! {
        @if !marks.is_empty() {
            p { "The supernet was split: each dashed line begins the training of another part." }
        }
        div class="grid-of-figures" {
            @for curve in [&LOSS, &ACCURACY, &GV, &GV_SCALE_FREE, &GRADIENT_NORM, &LEARNING_RATE] {
                (one(curve, &record.epochs, &marks))
            }
        }
    }
}

/// One curve of one run.
pub(super) fn one(curve: &Curve, epochs: &[EpochRecord], marks: &[f64]) -> Markup {
    let line = Line { class: super::chart::colour(0), points: points(curve, epochs) };
    let Some(frame) = frame(curve, std::slice::from_ref(&line)) else {
        return figure(curve.title, "", missing("No epoch has it."));
    };
    figure(curve.title, curve.about, lines(&frame, &[line], marks))
}

/// `(epoch, value)`, epochs from 1 over all stages.
pub(super) fn points(curve: &Curve, epochs: &[EpochRecord]) -> Vec<(f64, Option<f64>)> {
    (1..).zip(epochs).map(|(epoch, record)| (f64::from(epoch), (curve.of)(record))).collect()
}

/// Axes that hold some lines; none where they hold no number.
pub(super) fn frame(curve: &Curve, lines: &[Line]) -> Option<Frame<'static>> {
    let values =
        || lines.iter().flat_map(|line| &line.points).filter_map(|(_, v)| *v).filter(|v| v.is_finite());
    let (first, last) = (values().next()?, values().next_back()?);
    let epochs = lines.iter().map(|line| line.points.len()).max().unwrap_or(1);
    let about = match lines {
        [_] => format!("{} over {epochs} epochs, from {} to {}", curve.title, digits(first), digits(last)),
        _ => format!("{} of {} runs over {epochs} epochs", curve.title, lines.len()),
    };
    Some(Frame::new(about, ("epoch", Scale::counting(epochs)), ("", Scale::of(values()))))
}

/// Where stages begin, between two epochs; none for a run with one.
pub(super) fn stages(epochs: &[EpochRecord]) -> Vec<f64> {
    (1..)
        .zip(epochs.windows(2))
        .filter(|(_, pair)| pair[0].stage != pair[1].stage)
        .map(|(i, _)| f64::from(i) + 0.5)
        .collect()
}
