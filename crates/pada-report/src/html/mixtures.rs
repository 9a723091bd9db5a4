use maud::{Markup, html};

use super::curves::{self, Curve};
use super::paths::areas;
use super::{RunView, result};
use crate::{EpochRecord, MixtureRecord, RunRecord};

const VALIDATION: Curve = Curve {
    title: "Validation accuracy of the mixture",
    about: "on validation images, %",
    of: |e| e.mixture.as_ref()?.validation_accuracy,
};
const TEMPERATURE: Curve =
    Curve { title: "Temperature", about: "of the Gumbel softmax", of: |e| e.mixture.as_ref()?.temperature };

/// Returns whether the run is a differentiable search.
pub(super) fn has_mixtures(record: &RunRecord) -> bool {
    record.epochs.iter().any(|epoch| epoch.mixture.is_some())
}

/// The probabilities of operations in the mixtures of a differentiable search, over the epochs.
pub(super) fn mixtures(record: &RunRecord, run: &RunView) -> Markup {
    let epochs: Vec<&MixtureRecord> =
        record.epochs.iter().filter_map(|epoch| epoch.mixture.as_ref()).collect();
    let Some(last) = epochs.last() else { return html! {} };
    let (names, marks) = (&run.op_names, curves::stages(&record.epochs));
    let ops = last.ops.iter().flatten().max().map_or(0, |&op| usize::from(op) + 1);
    let mean: Vec<Vec<f64>> = epochs
        .iter()
        .map(|epoch| (0..ops).map(|op| epoch.share_of(op as u8).unwrap_or(0.0)).collect())
        .collect();
    let total = |row: &[f64]| row.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    // A space in which decisions have different operations has means that add up to more than 1.
    let mean: Vec<Vec<f64>> = mean.iter().map(|row| row.iter().map(|p| p / total(row)).collect()).collect();
    let has = |curve: &Curve| record.epochs.iter().any(|epoch: &EpochRecord| (curve.of)(epoch).is_some());
    html! {
        p { "The strongest architecture is " code { (record.found().map_or(&last.arch, |found| &found.arch)) } "." }
        @if let Some(picture) = &run.found { (result::picture(picture)) }
        div class="grid-of-figures" {
            (areas("Probabilities of operations", "mean over all mixtures", &mean, names, &marks))
            @for curve in [&VALIDATION, &TEMPERATURE] {
                @if has(curve) { (curves::one(curve, &record.epochs, &marks)) }
            }
        }
        details {
            summary { "All mixtures" }
            div class="grid-of-figures" {
                @for (place, decision) in last.decisions.iter().enumerate() {
                    @let own = epochs.iter().map(|epoch| spread(epoch, place, ops)).collect::<Vec<_>>();
                    @let about = last.chosen.get(place).copied().flatten().map_or_else(String::new, |op| {
                        let name = names.get(usize::from(op)).cloned().unwrap_or_else(|| op.to_string());
                        format!("chosen: {name}")
                    });
                    (areas(&format!("Decision {decision}"), &about, &own, names, &marks))
                }
            }
        }
    }
}

/// The probabilities of one mixture at the places of its operations, `[O]`.
fn spread(epoch: &MixtureRecord, place: usize, ops: usize) -> Vec<f64> {
    let mut row = vec![0.0; ops];
    for (&op, &p) in epoch.ops[place].iter().zip(&epoch.probabilities[place]) {
        row[usize::from(op)] = p;
    }
    row
}
