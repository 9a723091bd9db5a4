use std::collections::BTreeMap;

use maud::{Markup, html};
use pada_metrics::{Bootstrap, Difference, Interval, PairedMetric, paired_difference};

use super::chart::{COLOURS, Key, Line, colour, legend, lines};
use super::cost::train_rate;
use super::curves::{self, ACCURACY, Curve, GV, LOSS, PATH_ENTROPY};
use super::markup::{Head, anchor, figure, missing, table};
use super::{Accuracies, RunView};
use crate::numbers::{count, duration, fixed, optional};
use crate::{Agreement, Spread};

/// A comparison of several runs.
pub(super) fn comparison(runs: &[RunView]) -> Markup {
    html! {
        section {
            h2 { "Comparison" }
            (results(runs))
            (scores(runs))
            (means(runs))
            (baselines(runs))
        }
        section {
            h2 { "Curves" }
            div class="grid-of-figures" {
                @for curve in [&LOSS, &ACCURACY, &GV] { (overlaid(curve, runs)) }
                // Differentiable searches draw no paths.
                @if runs.iter().any(|run| has(&PATH_ENTROPY, run)) { (overlaid(&PATH_ENTROPY, runs)) }
            }
            (legend(Key::Line, methods(runs).iter().enumerate().map(|(i, label)| (class(i), label.as_str()))))
        }
        section {
            h2 { "Config differences" }
            (settings(runs))
        }
    }
}

fn has(curve: &Curve, run: &RunView) -> bool {
    run.record.iter().flat_map(|record| &record.epochs).any(|epoch| (curve.of)(epoch).is_some())
}

fn main_agreement(run: &RunView) -> Option<&Agreement> {
    run.record.as_ref()?.ranking.as_ref()?.agreements.first()
}

fn results(runs: &[RunView]) -> Markup {
    let to_first = "Δ to first run";
    let numbers = [
        "tau-b", to_first, "P@Top5%", to_first, "archs", "seed", "epochs", "training", "images/s", "ranking",
    ];
    html! {
        (table("results of all runs", Head { texts: &["run"], numbers: &numbers }, html! {
            @for (i, run) in runs.iter().enumerate() {
                @let agreement = main_agreement(run);
                @let metrics = agreement.and_then(|a| a.metrics.as_ref());
                @let [tau, p] = if i > 0 { differences(run, &runs[0]) } else { None }.unwrap_or([None; 2]);
                @let record = run.record.as_ref();
                @let ranking = record.and_then(|r| r.ranking.as_ref());
                tr {
                    th scope="row" { a href={ "#" (anchor(i)) } { (run.folder) } span class="below" { (run.method) } }
                    td {
                        strong { (optional(metrics.map(|m| m.tau_b), 3)) }
                        @if let Some(interval) = agreement.and_then(|a| a.tau_b_interval) { (within(interval)) }
                    }
                    td { (difference(tau)) }
                    td { strong { (optional(metrics.and_then(|m| m.p_at_top_5), 3)) } }
                    td { (difference(p)) }
                    td { (or_none(metrics, |m| count(m.n))) }
                    td { (run.seed) }
                    td {
                        (record.map_or(0, |r| r.epochs.len()))
                        @if run.unfinished().is_some() { span class="below" { "not finished" } }
                    }
                    td { (or_none(record, |r| duration(r.train_seconds))) }
                    td { (or_none(record.and_then(train_rate), |rate| count(rate.round() as usize))) }
                    td { (or_none(ranking, |r| duration(r.seconds))) }
                }
            }
        }))
        p class="small" {
            "Brackets show 95 % confidence intervals over architectures. Differences are paired: each bootstrap sample draws the same "
            "architectures for both runs. The intervals do not cover variation over seeds."
        }
    }
}

/// The distribution of scores of each run, if a run has no benchmark table to be compared with.
fn scores(runs: &[RunView]) -> Markup {
    let has_table = |run: &RunView| main_agreement(run).is_some();
    if runs.iter().all(|run| has_table(run) || run.scores.is_empty()) {
        return html! {};
    }
    let numbers = ["architectures", "best %", "mean ± sd %", "median %", "lowest %"];
    let row = |i: usize, run: &RunView| {
        let mut sorted: Vec<f64> = run.scores.iter().copied().filter(|score| score.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let median = (n > 0)
            .then(|| if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 });
        let spread = Spread::of(sorted.iter().copied());
        html! {
            tr {
                th scope="row" { a href={ "#" (anchor(i)) } { (run.folder) } }
                td { (count(n)) }
                td { strong { (optional(sorted.last().copied(), 2)) } }
                td {
                    (optional(spread.map(|s| s.mean), 2))
                    @if let Some(sd) = spread.and_then(|s| s.sd) { " ± " (fixed(sd, 2)) }
                }
                td { (optional(median, 2)) }
                td { (optional(sorted.first().copied(), 2)) }
            }
        }
    };
    html! {
        (table("scores of all runs", Head { texts: &["accuracy with shared weights"], numbers: &numbers }, html! {
            @for (i, run) in runs.iter().enumerate() { (row(i, run)) }
        }))
        p class="small" {
            "Scores of different supernets can be compared only if they rank the same architectures on the same images. A higher score does not "
            "mean a better ranking."
        }
    }
}

/// The paired differences of a run to the first run in tau-b and in P@Top5%. `None` if they rank different architectures.
fn differences(run: &RunView, first: &RunView) -> Option<[Option<Difference>; 2]> {
    let (Ok(a), Ok(b)) = (&run.accuracies, &first.accuracies) else { return None };
    let scores = |accuracies: &Accuracies| -> BTreeMap<String, (f64, f64)> {
        accuracies.archs.iter().map(|a| (a.arch.clone(), (a.predicted, a.stand_alone))).collect()
    };
    let (own, others) = (scores(a), scores(b));
    if a.table != b.table || !own.keys().eq(others.keys()) {
        return None;
    }
    let (own, truth): (Vec<f64>, Vec<f64>) = own.into_values().unzip();
    let others: Vec<f64> = others.into_values().map(|(predicted, _)| predicted).collect();
    let metrics = [PairedMetric::TauB, PairedMetric::PAtTop { fraction: 0.05 }];
    let [own, others] = [[own], [others]];
    let difference = |metric| {
        let compute = |bootstrap: &Bootstrap| paired_difference(&own, &others, &truth, metric, bootstrap);
        Bootstrap::bca().or_percentiles(compute).ok()
    };
    Some(metrics.map(difference))
}

/// A paired difference with its interval below it.
pub(super) fn difference(found: Option<Difference>) -> Markup {
    match found {
        Some(Difference { mean, interval, .. }) => html! { (signed(mean)) (within(interval)) },
        None => html! { "–" },
    }
}

fn within(Interval { low, high, .. }: Interval) -> Markup {
    html! { span class="below" { "[" (fixed(low, 3)) ", " (fixed(high, 3)) "]" } }
}

/// Formats a number with its sign, also if it is positive.
fn signed(value: f64) -> String {
    let text = fixed(value, 3);
    if value > 0.0 { format!("+{text}") } else { text }
}

fn or_none<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// Mean and standard deviation over seeds, for every method that has several.
fn means(runs: &[RunView]) -> Markup {
    let mut methods: Vec<(&str, &str, Vec<&RunView>)> = Vec::new();
    for run in runs {
        match methods.iter_mut().find(|(name, method, _)| (*name, *method) == (&run.name, &run.method)) {
            Some((_, _, group)) => group.push(run),
            None => methods.push((&run.name, &run.method, vec![run])),
        }
    }
    if methods.iter().all(|(_, _, group)| group.len() == 1) {
        return html! {};
    }
    let spread = |group: &[&RunView], of: fn(&Agreement) -> Option<f64>| {
        Spread::of(group.iter().filter_map(|run| of(main_agreement(run)?)))
            .map_or_else(|| "–".to_owned(), |s| s.to_string())
    };
    table(
        "means over seeds",
        Head { texts: &["config", "method"], numbers: &["runs", "tau-b, mean ± sd", "P@Top5%, mean ± sd"] },
        html! {
            @for (name, method, group) in &methods {
                tr {
                    th scope="row" { (name) }
                    td class="text" { (method) }
                    td { (group.len()) }
                    td { (spread(group, |a| Some(a.metrics.as_ref()?.tau_b))) }
                    td { (spread(group, |a| a.metrics.as_ref()?.p_at_top_5)) }
                }
            }
        },
    )
}

/// The zero-cost baselines, if they are the same for all runs.
fn baselines(runs: &[RunView]) -> Markup {
    let mut found = runs.iter().filter_map(main_agreement);
    let Some(first) = found.next() else {
        return missing("No run has a ranking that was compared with a benchmark table.");
    };
    if !found.all(|other| (&other.table, &other.zero_cost) == (&first.table, &first.zero_cost)) {
        return html! { p class="notice" { "The runs rank different architectures or use different benchmark tables, so their numbers are not comparable." } };
    }
    html! {
        p class="small" {
            "Zero-cost baselines on the same architectures, tau-b against " (first.table) ": "
            @for (i, row) in first.zero_cost.iter().enumerate() {
                @if i > 0 { ", " }
                (row.name) " " (fixed(row.metrics.tau_b, 3))
            }
            @if let Some(ceiling) = first.ceiling { "; between seeds of the table " (fixed(ceiling.tau_b, 3)) }
            "."
        }
    }
}

/// One curve of all runs. Each method has its own colour; if the colours run out, the dash pattern changes.
fn overlaid(curve: &Curve, runs: &[RunView]) -> Markup {
    let methods = methods(runs);
    let line = |run: &RunView| {
        let place = methods.iter().position(|known| *known == label(run)).unwrap_or_default();
        Some(Line { class: class(place), points: curves::points(curve, &run.record.as_ref()?.epochs) })
    };
    let all: Vec<Line> = runs.iter().filter_map(line).collect();
    match curves::frame(curve, &all) {
        Some(frame) => figure(curve.title, curve.about, lines(&frame, &all, &[])),
        None => figure(curve.title, "", missing("No epoch has this measurement.")),
    }
}

/// The label that all seeds of a method share.
fn label(run: &RunView) -> String {
    format!("{}: {}", run.name, run.method)
}

/// The methods of the runs that have a record, in order of appearance.
fn methods(runs: &[RunView]) -> Vec<String> {
    let mut methods = Vec::new();
    for label in runs.iter().filter(|run| run.record.is_some()).map(label) {
        if !methods.contains(&label) {
            methods.push(label);
        }
    }
    methods
}

fn class(i: usize) -> String {
    format!("{} d{}", colour(i), i / COLOURS % 3)
}

/// The config keys whose values differ between runs.
fn settings(runs: &[RunView]) -> Markup {
    let maps: Vec<BTreeMap<&str, &str>> =
        runs.iter().map(|run| run.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()).collect();
    let mut keys: Vec<&str> = maps.iter().flat_map(|map| map.keys().copied()).collect();
    keys.sort_unstable();
    keys.dedup();
    // The first table shows these two.
    keys.retain(|key| {
        !["name", "seed"].contains(key) && maps.iter().any(|map| map.get(key) != maps[0].get(key))
    });
    if keys.is_empty() {
        return html! { p { "The configs are equal except for name and seed." } };
    }
    let value = |map: &BTreeMap<&str, &str>, key: &str| html! { td class="text" { code { (map.get(key).copied().unwrap_or("–")) } } };
    let folders = runs.iter().map(|run| run.folder.as_str());
    // The shorter list becomes the columns, so that the table stays narrow.
    let turned = keys.len() > runs.len();
    let texts: Vec<&str> = match turned {
        true => ["key"].into_iter().chain(folders).collect(),
        false => ["run"].into_iter().chain(keys.iter().copied()).collect(),
    };
    table(
        "config keys that differ",
        Head { texts: &texts, numbers: &[] },
        html! {
            @if turned {
                @for key in &keys {
                    tr { th scope="row" { (key) } @for map in &maps { (value(map, key)) } }
                }
            } @else {
                @for (run, map) in runs.iter().zip(&maps) {
                    tr { th scope="row" { (run.folder) } @for key in &keys { (value(map, key)) } }
                }
            }
        },
    )
}
