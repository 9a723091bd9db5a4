use maud::{Markup, html};

use super::chart::{Frame, Group, Scale, points};
use super::markup::{figure, missing};
use super::numbers::{count, fixed};
use super::{Accuracies, ArchAccuracy};

/// Share of the architectures that is marked.
const TOP: f64 = 0.05;
/// Share of the architectures at each end that may lie far from the others.
const TAIL: f64 = 0.05;
/// So far: ranges of those between the two ends.
const FAR: f64 = 0.5;
/// Taller than others: both axes matter alike.
const HEIGHT: f64 = 400.0;
/// Marked points of that many architectures say what they are.
const TOLD: usize = 2000;

/// Predicted against true accuracy, the best of both marked.
pub(super) fn scatter(Accuracies { table, archs }: &Accuracies) -> Markup {
    if archs.is_empty() {
        return missing("No architecture that was ranked is in the truth table.");
    }
    let [predicted, truth] = [|a: &ArchAccuracy| a.predicted, |a: &ArchAccuracy| a.truth];
    let [best_predicted, best_true] = [predicted, truth].map(|of| best(archs, of));
    let mut groups = [
        ("rest", "others"),
        ("wrong", "only predicted best"),
        ("missed", "only truly best"),
        ("found", "both"),
    ]
    .map(|(class, label)| (Group { class, points: vec![] }, label));
    for (i, arch) in archs.iter().enumerate() {
        let kind = usize::from(best_predicted[i]) + 2 * usize::from(best_true[i]);
        let text = (kind > 0 && archs.len() <= TOLD).then(|| told(arch));
        groups[kind].0.points.push(((arch.predicted, arch.truth), text));
    }
    let counts = groups.each_ref().map(|(group, _)| group.points.len());
    let about = format!(
        "Predicted against true accuracy of {} architectures; of the best 5 % of both lists {} are in both, {} are predicted best \
         only, {} are truly best only",
        archs.len(),
        counts[3],
        counts[1],
        counts[2],
    );
    let [x, y] = [predicted, truth].map(|of| lowest_shown(archs, of));
    let far = archs.iter().filter(|a| a.predicted < x || a.truth < y).count();
    for (at, _) in groups.iter_mut().flat_map(|(group, _)| &mut group.points) {
        *at = (at.0.max(x), at.1.max(y));
    }
    let x = Scale::of(archs.iter().map(|a| a.predicted.max(x)));
    let y = Scale::of(archs.iter().map(|a| a.truth.max(y)));
    let frame = Frame {
        height: HEIGHT,
        ..Frame::new(about, ("predicted, with shared weights, %", x), ("true, from scratch, %", y))
    };
    let labels = groups.each_ref().map(|(group, label)| (group.class, *label));
    let groups = groups.map(|(group, _)| group);
    figure(
        &format!("{} architectures of {table}.", count(archs.len())),
        &format!("The best 5 % of both lists are marked.{}", on_the_edge(far)),
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

/// Architectures that learned nothing lie far below the others, and would press them together: what is below this is drawn at it.
fn lowest_shown(archs: &[ArchAccuracy], of: fn(&ArchAccuracy) -> f64) -> f64 {
    let mut sorted: Vec<f64> = archs.iter().map(of).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted[(share * (sorted.len() - 1) as f64).round() as usize];
    let (low, high) = (at(TAIL), at(1.0 - TAIL));
    sorted[0].max(low - FAR * (high - low))
}

fn on_the_edge(far: usize) -> String {
    match far {
        0 => String::new(),
        1 => " One architecture lies further out and is drawn on the edge.".to_owned(),
        n => format!(" {} architectures lie further out and are drawn on the edge.", count(n)),
    }
}

/// Which architectures are among the best 5 %; with ties at the last place, all of them.
fn best(archs: &[ArchAccuracy], of: fn(&ArchAccuracy) -> f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = archs.iter().map(of).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    // As many as `pada_metrics::p_at_top` takes.
    let k = (TOP * archs.len() as f64).floor() as usize;
    let cut = k.checked_sub(1).map_or(f64::INFINITY, |last| sorted[last]);
    archs.iter().map(|arch| of(arch) >= cut).collect()
}

fn told(arch: &ArchAccuracy) -> String {
    format!("{}: predicted {} %, true {} %", arch.arch, fixed(arch.predicted, 2), fixed(arch.truth, 2))
}
