use maud::{Markup, html};

use super::chart::{Frame, Line, lines};
use super::markup::{figure, missing};
use crate::numbers::digits;
use crate::scale::Scale;
use crate::{EpochRecord, RunRecord};

/// A measurement that epochs have.
pub(super) struct Curve {
    pub(super) title: &'static str,
    /// Unit or definition.
    pub(super) about: &'static str,
    pub(super) of: fn(&EpochRecord) -> Option<f64>,
}

pub(super) const LOSS: Curve =
    Curve { title: "Loss", about: "mean cross entropy, nats", of: |e| Some(e.loss) };
pub(super) const ACCURACY: Curve =
    Curve { title: "Accuracy", about: "on the augmented training images, %", of: |e| Some(e.accuracy) };
pub(super) const GV: Curve = Curve {
    title: "Gradient variance",
    about: "GV, mean over the weight tensors of candidate operations",
    of: |e| e.gv,
};
pub(super) const PATH_ENTROPY: Curve = Curve {
    title: "Entropy of the path distribution",
    about: "nats, mean over the rows of the distribution",
    of: |e| (!e.path_distribution.is_empty()).then_some(e.path_entropy),
};
const GV_SCALE_FREE: Curve = Curve {
    title: "Scale-free gradient variance",
    about: "GV divided by the squared norm of the mean gradient",
    of: |e| e.gv_scale_free,
};
const GRADIENT_NORM: Curve = Curve {
    title: "Gradient norm",
    about: "L2, before clipping, mean over steps",
    of: |e| Some(e.grad_norm),
};
const LEARNING_RATE: Curve =
    Curve { title: "Learning rate", about: "at the first step of each epoch", of: |e| Some(e.lr) };

/// The training curves of a run.
pub(super) fn curves(record: &RunRecord) -> Markup {
    let marks = stages(&record.epochs);
    html! {
        @if !marks.is_empty() {
            p { "The supernet was split. A dashed line marks the start of each sub-supernet's training." }
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
        return figure(curve.title, "", missing("No epoch has this measurement."));
    };
    figure(curve.title, curve.about, lines(&frame, &[line], marks))
}

/// `(epoch, value)`, with epochs counted from 1 over all stages.
pub(super) fn points(curve: &Curve, epochs: &[EpochRecord]) -> Vec<(f64, Option<f64>)> {
    (1..).zip(epochs).map(|(epoch, record)| (f64::from(epoch), (curve.of)(record))).collect()
}

/// Axes that fit the lines. `None` if the lines have no finite value.
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

/// Positions between two epochs where a new stage starts. Empty for a run with one stage.
pub(super) fn stages(epochs: &[EpochRecord]) -> Vec<f64> {
    (1..)
        .zip(epochs.windows(2))
        .filter(|(_, pair)| pair[0].stage != pair[1].stage)
        .map(|(i, _)| f64::from(i) + 0.5)
        .collect()
}
