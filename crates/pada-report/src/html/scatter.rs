use maud::{Markup, html};

use super::chart::{Frame, Group, points};
use super::markup::{figure, missing};
use super::{Accuracies, ArchAccuracy};
use crate::numbers::{count, fixed};
use crate::scale::Scale;

/// Share of the architectures that are marked as the best.
const TOP: f64 = 0.05;
/// Share of the architectures at each end that are treated as possible outliers.
const TAIL: f64 = 0.05;
/// An outlier lies further below the others than this multiple of their range.
const FAR: f64 = 0.5;
/// Taller than other charts, because both axes matter equally.
const HEIGHT: f64 = 400.0;
/// Largest number of architectures whose marked points have a tooltip.
const MAX_TOOLTIPS: usize = 2000;

/// Predicted against stand-alone accuracy, and the fused score against it if there is one, with the best of both marked.
pub(super) fn scatter(accuracies: &Accuracies) -> Markup {
    let archs = &accuracies.archs;
    if archs.is_empty() {
        return missing("The benchmark table contains none of the ranked architectures.");
    }
    let fused = archs.iter().all(|arch| arch.fused.is_some());
    html! {
        (one(accuracies, "predicted accuracy, inherited weights, %", |a| a.predicted))
        @if fused { (one(accuracies, "fused score", |a| a.fused.unwrap_or_default())) }
    }
}

/// One score against stand-alone accuracy.
fn one(Accuracies { table, archs }: &Accuracies, score: &str, predicted: fn(&ArchAccuracy) -> f64) -> Markup {
    let truth: fn(&ArchAccuracy) -> f64 = |a| a.stand_alone;
    let [best_predicted, best_true] = [predicted, truth].map(|of| best(archs, of));
    let mut groups = [
        ("rest", "others"),
        ("wrong", "top 5 % by prediction only"),
        ("missed", "top 5 % by stand-alone accuracy only"),
        ("found", "top 5 % by both"),
    ]
    .map(|(class, label)| (Group { class, points: vec![] }, label));
    for (i, arch) in archs.iter().enumerate() {
        let kind = usize::from(best_predicted[i]) + 2 * usize::from(best_true[i]);
        let text = (kind > 0 && archs.len() <= MAX_TOOLTIPS).then(|| tooltip(arch));
        groups[kind].0.points.push(((predicted(arch), arch.stand_alone), text));
    }
    let counts = groups.each_ref().map(|(group, _)| group.points.len());
    let about = format!(
        "{score} against stand-alone accuracy of {} architectures; {} are in the top 5 % by both, {} by prediction only, {} by \
         stand-alone accuracy only",
        archs.len(),
        counts[3],
        counts[1],
        counts[2],
    );
    let [x, y] = [predicted, truth].map(|of| lowest_shown(archs, of));
    let far = archs.iter().filter(|a| predicted(a) < x || a.stand_alone < y).count();
    for (at, _) in groups.iter_mut().flat_map(|(group, _)| &mut group.points) {
        *at = (at.0.max(x), at.1.max(y));
    }
    let x = Scale::of(archs.iter().map(|a| predicted(a).max(x)));
    let y = Scale::of(archs.iter().map(|a| a.stand_alone.max(y)));
    let frame = Frame { height: HEIGHT, ..Frame::new(about, (score, x), ("stand-alone accuracy, %", y)) };
    let labels = groups.each_ref().map(|(group, label)| (group.class, *label));
    let groups = groups.map(|(group, _)| group);
    figure(
        &format!("{} of {} architectures of table {table}.", capital(score), count(archs.len())),
        &format!("The top 5 % by either are marked.{}", on_the_edge(far)),
        html! {
            (points(&frame, &groups))
            ul class="legend" {
                @for ((class, label), n) in labels.iter().zip(counts).rev() {
                    li { span class={ "swatch point " (class) } aria-hidden="true" {} (label) " (" (count(n)) ")" }
                }
            }
        },
    )
}

/// The lowest value that is drawn at its true position. Untrainable architectures lie far below the others and would squeeze them
/// together, so they are drawn at this value.
fn lowest_shown(archs: &[ArchAccuracy], of: fn(&ArchAccuracy) -> f64) -> f64 {
    let mut sorted: Vec<f64> = archs.iter().map(of).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted[(share * (sorted.len() - 1) as f64).round() as usize];
    let (low, high) = (at(TAIL), at(1.0 - TAIL));
    sorted[0].max(low - FAR * (high - low))
}

/// Returns a text with its first letter in upper case.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn on_the_edge(far: usize) -> String {
    match far {
        0 => String::new(),
        1 => " One outlier is drawn at the edge.".to_owned(),
        n => format!(" {} outliers are drawn at the edge.", count(n)),
    }
}

/// Marks the architectures in the top 5 %. All ties at the last place are included.
fn best(archs: &[ArchAccuracy], of: fn(&ArchAccuracy) -> f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = archs.iter().map(of).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    // The same number as `pada_metrics::p_at_top` uses.
    let k = (TOP * archs.len() as f64).floor() as usize;
    let cut = k.checked_sub(1).map_or(f64::INFINITY, |last| sorted[last]);
    archs.iter().map(|arch| of(arch) >= cut).collect()
}

fn tooltip(arch: &ArchAccuracy) -> String {
    format!(
        "{}: predicted {} %, stand-alone {} %",
        arch.arch,
        fixed(arch.predicted, 2),
        fixed(arch.stand_alone, 2)
    )
}
