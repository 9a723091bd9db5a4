use std::fmt::{self, Write};

use pada_metrics::{Interval, Metrics};

use crate::communication::{in_turn, volume};
use crate::numbers::difference;
use crate::{
    Agreement, BestEpoch, Ceiling, CommunicationRecord, Comparison, HalvingRecord, RankRecord, RunRecord,
    ZeroCostRow,
};

/// Formats the result of a run for a terminal.
pub fn summary(record: &RunRecord) -> String {
    let mut out = String::new();
    let net = &record.supernet;
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!("{}: {}, seed {}", record.name, record.method, record.seed));
    let network: Vec<String> = std::iter::once(net.space.clone()).chain(net.sizes()).collect();
    line(format!(
        "supernet   {}, {} parameters, {} epochs on {} images in {:.1} s ({})",
        network.join(" "),
        net.params,
        record.epochs.len(),
        record.train_images.images,
        record.train_seconds,
        record.device
    ));
    if let Some((sizes, sum)) = CommunicationRecord::total(&record.epochs) {
        line(format!(
            "processes  {}; process 0 sent {} messages ({}) and waited {:.1} s for the others",
            in_turn(&sizes),
            sum.messages,
            volume(sum.bytes),
            sum.seconds
        ));
    }
    if let Some(BestEpoch { epoch, accuracy, top5 }) = record.best_epoch {
        let top5 = top5.map_or_else(String::new, |top5| format!(", top-5 {top5:.2} %"));
        line(format!("best epoch {} of {}: {accuracy:.2} %{top5}", epoch + 1, record.epochs.len()));
    }
    if let Some(ranking) = &record.ranking {
        out.push_str(&ranking_summary(ranking));
    }
    out
}

/// Formats as [`summary`].
impl fmt::Display for RunRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&summary(self))
    }
}

/// Formats as [`ranking_summary`].
impl fmt::Display for RankRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ranking_summary(self))
    }
}

/// Formats as the table of metrics in [`ranking_summary`].
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        agreement_lines(self, &mut |text| writeln!(out, "{text}").unwrap_or_default());
        f.write_str(out.trim_start())
    }
}

/// Smallest width of the column of architectures. Larger spaces have more digits.
const NAME_WIDTH: usize = 12;

/// Formats the result of a ranking for a terminal.
pub fn ranking_summary(ranking: &RankRecord) -> String {
    let mut out = String::new();
    rank_lines(ranking, &mut |text| writeln!(out, "{text}").unwrap_or_default());
    out
}

fn rank_lines(ranking: &RankRecord, line: &mut impl FnMut(String)) {
    let images = &ranking.images;
    let processes =
        ranking.communication.map_or_else(String::new, |c| format!(" by {} processes", c.processes));
    line(format!(
        "ranking    {} architectures on {} images of {} in {:.1} s{processes}",
        ranking.archs, images.images, images.name, ranking.seconds
    ));
    if let Some(n) = ranking.recalibrated_on {
        line(format!(
            "           batch-norm statistics recalibrated on {n} training images for each architecture"
        ));
    }
    if let Some(halving) = &ranking.halving {
        halving_lines(halving, line);
    }
    if let Some(fusion) = &ranking.fusion {
        let parts = match fusion.parts.is_empty() {
            true => String::new(),
            false => format!("{} ({}); ", fusion.parts.join(", "), fusion.fusion),
        };
        let name = if fusion.parts.is_empty() { "zero-cost" } else { "fused" };
        line(format!(
            "{name:<10} {parts}zero-cost scores on {} images of {} in {:.1} s",
            fusion.images.images, fusion.images.name, fusion.seconds
        ));
        for (score, count, reason) in &fusion.undefined {
            line(format!("           {score} is not defined for {}: {reason}", architectures(*count)));
        }
    }
    for agreement in &ranking.agreements {
        agreement_lines(agreement, line);
    }
    if ranking.agreements.is_empty() {
        line(
            "           no benchmark table, so the ranking is not compared with stand-alone accuracies"
                .to_owned(),
        );
    }
    line(String::new());
    let fuses = ranking.best.iter().any(|best| best.fused.is_some());
    let widest = ranking.best.iter().map(|best| best.arch.len()).max().unwrap_or(0).max(NAME_WIDTH);
    line(format!(
        "{:<widest$}{} {:>8} {:>8} {:>10} {:>12} {:>13}",
        "best",
        if fuses { format!(" {:>8}", "fused") } else { String::new() },
        "score %",
        "top-5 %",
        "#params",
        "MACs",
        "stand-alone %"
    ));
    for best in &ranking.best {
        let fused = best.fused.map_or_else(String::new, |fused| format!(" {fused:>8.3}"));
        let optional = |percent: Option<f64>| percent.map_or_else(|| "-".to_owned(), |p| format!("{p:.2}"));
        let (top5, truth) = (optional(best.top5), optional(best.stand_alone_accuracy));
        line(format!(
            "{:<widest$}{fused} {:>8.2} {top5:>8} {:>10} {:>12} {truth:>13}",
            best.arch, best.score, best.params, best.macs
        ));
    }
}

fn halving_lines(halving: &HalvingRecord, line: &mut impl FnMut(String)) {
    line(format!("budget     {}; rounds: {}", halving.budget, halving.rounds_in_words()));
    if let Some(tau_b) = halving.tau_b_with_all {
        let interval = interval(halving.tau_b_with_all_interval.as_ref());
        line(format!(
            "           by {} control architectures: tau-b {tau_b:.3} {interval} with the ranking on all images",
            halving.controls
        ));
    }
    for cost in &halving.costs {
        let written =
            [cost.tau_b, cost.p_at_top_5].map(|found| found.map_or_else(|| "-".to_owned(), difference));
        let [tau_b, p] = written;
        line(format!("           minus all images, {}: tau-b {tau_b}, P@Top5% {p}", cost.table));
    }
}

fn interval(interval: Option<&Interval>) -> String {
    interval.map_or_else(|| "-".to_owned(), |i| format!("[{:.3}, {:.3}]", i.low, i.high))
}

/// Formats a number of architectures, for example `1 architecture`.
pub fn architectures(count: usize) -> String {
    if count == 1 { "1 architecture".to_owned() } else { format!("{count} architectures") }
}

/// Formats zero-cost scores that were compared with a table, for a terminal.
pub fn zero_cost_summary(table: &str, rows: &[ZeroCostRow]) -> String {
    let header = std::iter::once(header(table));
    let lines = header.chain(rows.iter().map(|of| row(&of.name, String::new(), &of.metrics, of.tau_within)));
    lines.map(|line| line + "\n").collect()
}

fn header(table: &str) -> String {
    format!(
        "{table:<28} {:>6} {:>17} {:>8} {:>10} {:>10}",
        "tau-b", "95 % CI", "P@Top5%", "partial", "within"
    )
}

fn row(name: &str, interval: String, m: &Metrics, within: Option<f64>) -> String {
    let optional = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let [p, partial, within] = [m.p_at_top_5, m.partial_tau_given_params, within].map(optional);
    format!("{name:<28} {:>6.3} {interval:>17} {p:>8} {partial:>10} {within:>10}", m.tau_b)
}

fn agreement_lines(agreement: &Agreement, line: &mut impl FnMut(String)) {
    line(String::new());
    line(header(&agreement.table));
    if let Some(fused) = &agreement.fused {
        let name = format!("fused (n = {})", fused.metrics.n);
        line(row(&name, interval(fused.tau_b_interval.as_ref()), &fused.metrics, fused.tau_within));
    }
    match &agreement.metrics {
        Some(metrics) => {
            let name = format!("supernet (n = {})", metrics.n);
            line(row(&name, interval(agreement.tau_b_interval.as_ref()), metrics, agreement.tau_within));
        }
        _ => line(format!(
            "supernet: {}",
            agreement.undefined.as_deref().unwrap_or("not compared with this table")
        )),
    }
    for zero_cost in &agreement.zero_cost {
        line(row(&zero_cost.name, String::new(), &zero_cost.metrics, zero_cost.tau_within));
    }
    if let Some(Ceiling { tau_b, seeds, archs }) = agreement.ceiling {
        line(format!(
            "{:<28} {tau_b:>6.3}   mean over pairs of {seeds} seeds, A = {archs}",
            "ceiling (between seeds)"
        ));
    }
    for (name, Comparison { with, tau_b, p_at_top_5 }) in agreement.all_comparisons() {
        let [tau, p] = [tau_b, p_at_top_5].map(|found| found.map_or_else(|| "-".to_owned(), difference));
        line(format!("{:<28} tau-b {tau}, P@Top5% {p}", format!("{name} minus {with}")));
    }
    if let Some(note) = &agreement.note {
        line(note.clone());
    }
}
