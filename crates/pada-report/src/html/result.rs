use maud::{Markup, html};
use pada_metrics::Metrics;

use super::chart::{Estimate, estimates};
use super::compare::difference;
use super::markup::{Head, figure, missing, table};
use super::verdict::verdict;
use crate::numbers::{count, fixed, optional};
use crate::{Agreement, ArchPicture, BestEpoch, Comparison, RankRecord};

/// The result of a run: tau-b and P@Top5% first, then the comparison with zero-cost baselines.
pub(super) fn result(ranking: &RankRecord) -> Markup {
    html! {
        @if let Some(halving) = &ranking.halving {
            p class="small" {
                "The ranking had the budget " (halving.budget) ". Rounds: " (halving.rounds_in_words()) "."
                @if let Some(tau_b) = halving.tau_b_with_all {
                    " By " (halving.controls) " random control architectures, its tau-b with the ranking on all images is " (fixed(tau_b, 3)) "."
                }
            }
        }
        @if let Some(main) = ranking.agreements.first() {
            (headline(main))
            @for agreement in &ranking.agreements { (against(agreement)) }
        } @else {
            (missing("The ranking was not compared with a benchmark table."))
        }
    }
}

fn headline(main: &Agreement) -> Markup {
    html! {
        @if let Some(m) = &main.metrics {
            dl class="tiles" {
                div {
                    dt { "tau-b" }
                    dd { (fixed(m.tau_b, 3)) }
                    @if let Some(i) = main.tau_b_interval {
                        dd class="small" { (percent_of(i.level)) " CI: [" (fixed(i.low, 3)) ", " (fixed(i.high, 3)) "]" }
                    }
                }
                div {
                    dt { "P@Top5%" }
                    dd { (optional(m.p_at_top_5, 3)) }
                    dd class="small" { "share of the true top 5 % found" }
                }
                div {
                    dt { "partial tau-b" }
                    dd { (optional(m.partial_tau_given_params, 3)) }
                    dd class="small" { "given the number of parameters" }
                }
                div {
                    dt { "architectures" }
                    dd { (count(m.n)) }
                    dd class="small" { "in table " (main.table) }
                }
            }
        }
        p class="verdict" { (verdict(main)) }
    }
}

/// The agreement with one benchmark table, as a chart and as a table.
fn against(agreement: &Agreement) -> Markup {
    let fused = agreement.fused.as_ref().map(|row| Estimate {
        label: "fused",
        value: row.metrics.tau_b,
        interval: row.tau_b_interval,
        class: "own",
    });
    let own = agreement.metrics.as_ref().map(|m| Estimate {
        label: "supernet",
        value: m.tau_b,
        interval: agreement.tau_b_interval,
        class: "own",
    });
    let free = agreement.zero_cost.iter().map(|row| Estimate {
        label: &row.name,
        value: row.metrics.tau_b,
        interval: None,
        class: "free",
    });
    let ceiling = agreement.ceiling.map(|ceiling| Estimate {
        label: "between seeds",
        value: ceiling.tau_b,
        interval: None,
        class: "ceiling",
    });
    let rows: Vec<Estimate<'_>> = fused.into_iter().chain(own).chain(free).chain(ceiling).collect();
    let about = format!("tau-b against {}: {}", agreement.table, spoken(&rows));
    let level = agreement.tau_b_interval.map_or(String::new(), |i| {
        format!("; the line is the {} confidence interval over architectures", percent_of(i.level))
    });
    html! {
        @if let Some(note) = &agreement.note { p class="small" { (note) } }
        div class="pair" {
            (figure(&format!("tau-b against {}", agreement.table), &format!("{}{level}.", legend(agreement)), estimates(&about, &rows)))
            (table(&format!("metrics against {}", agreement.table), Head { texts: &["ranking"], numbers: &["tau-b", "P@Top5%", "BR@Top5%", "Spearman", "partial tau-b", "tau-b within"] }, html! {
                @if let Some(fused) = &agreement.fused { (row("fused", &fused.metrics, fused.tau_within)) }
                @if let Some(m) = &agreement.metrics { (row("supernet", m, agreement.tau_within)) }
                @for zero_cost in &agreement.zero_cost { (row(&zero_cost.name, &zero_cost.metrics, zero_cost.tau_within)) }
                @if let Some(ceiling) = agreement.ceiling {
                    tr {
                        th scope="row" { "between seeds" }
                        td { (fixed(ceiling.tau_b, 3)) }
                        td colspan="5" { (ceiling.seeds) " seeds, " (count(ceiling.archs)) " architectures" }
                    }
                }
            }))
        }
        (comparisons(agreement))
    }
}

/// Paired differences to zero-cost baselines.
fn comparisons(agreement: &Agreement) -> Markup {
    let rows: Vec<(&str, &Comparison)> = agreement.all_comparisons().collect();
    html! {
        @if !rows.is_empty() {
            (table(&format!("paired differences to zero-cost baselines against {}", agreement.table), Head { texts: &["difference"], numbers: &["tau-b", "P@Top5%"] }, html! {
                @for (name, comparison) in rows {
                    tr {
                        th scope="row" { (name) " minus " (comparison.with) }
                        td { (difference(comparison.tau_b)) }
                        td { (difference(comparison.p_at_top_5)) }
                    }
                }
            }))
        }
    }
}

fn legend(agreement: &Agreement) -> String {
    let ceiling = match agreement.ceiling {
        Some(_) => "; between seeds: agreement of the table with itself, an upper limit",
        None => "",
    };
    format!("Hollow points: zero-cost baselines{ceiling}")
}

fn spoken(rows: &[Estimate<'_>]) -> String {
    let text = |row: &Estimate<'_>| format!("{} {}", row.label, fixed(row.value, 3));
    rows.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn row(name: &str, m: &Metrics, within: Option<f64>) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td { (fixed(m.tau_b, 3)) }
            td { (optional(m.p_at_top_5, 3)) }
            td { (optional(m.br_at_top_5, 3)) }
            td { (fixed(m.spearman, 3)) }
            td { (optional(m.partial_tau_given_params, 3)) }
            td { (optional(within, 3)) }
        }
    }
}

/// The best architectures by score.
pub(super) fn best(ranking: &RankRecord) -> Markup {
    let parts = ranking.fusion.as_ref().map_or(&[][..], |fusion| &fusion.parts);
    let by = if parts.is_empty() { "best by score" } else { "best by fused score" };
    let ranks: Vec<String> = parts.iter().map(|part| format!("rank by {part}, %")).collect();
    let numbers = ["score %", "top-5 %", "#params", "MACs", "stand-alone %"].into_iter();
    let numbers: Vec<&str> = numbers.chain(ranks.iter().map(String::as_str)).collect();
    table(
        "best architectures by score",
        Head { texts: &[by], numbers: &numbers },
        html! {
            @for best in &ranking.best {
                tr {
                    th scope="row" { code { (best.arch) } }
                    td { (fixed(best.score, 2)) }
                    td { (optional(best.top5, 2)) }
                    td { (count(best.params as usize)) }
                    td { (count(best.macs as usize)) }
                    td { (optional(best.stand_alone_accuracy, 2)) }
                    @for rank in &best.part_ranks { td { (fixed(100.0 * rank, 0)) } }
                }
            }
        },
    )
}

/// The picture of the best architecture, one figure per cell.
pub(super) fn picture(best: &ArchPicture) -> Markup {
    html! {
        div class="pictures" {
            @for part in &best.parts {
                (figure(&best.title, part.title(), html! { div class="scroll" { (part.inline()) } }))
            }
        }
    }
}

/// The best epoch of a network that was trained from scratch. The accuracy after the last epoch is in the table of [`best`].
pub(super) fn best_epoch(best: &BestEpoch, epochs: usize) -> Markup {
    html! {
        p class="best-epoch" {
            "Best epoch: " (best.epoch + 1) " of " (epochs) ", " (fixed(best.accuracy, 2)) " %"
            @if let Some(top5) = best.top5 { ", top-5 " (fixed(top5, 2)) " %" }
            ". It is chosen on the images that it is tested on."
        }
    }
}

fn percent_of(level: f64) -> String {
    format!("{} %", fixed(100.0 * level, 0))
}
