use std::fmt::Write;

use pada_metrics::Difference;
use serde::{Deserialize, Serialize};

use crate::numbers::difference;
use crate::{Ceiling, MethodRow, Published, PublishedCell, RankingRow, RowGroup, Spread, ZeroCostRow};

/// A table that compares methods, with the published numbers beside the reproduced ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodTable {
    /// Title, including the protocol.
    pub title: String,
    /// Remarks that a reader needs to interpret the table.
    pub notes: Vec<String>,
    /// Label of the method that all differences refer to.
    pub reference: String,
    /// The methods.
    pub rows: Vec<MethodRow>,
    /// Zero-cost baselines on the same architectures.
    pub zero_cost: Vec<ZeroCostRow>,
    /// The rows below the methods: the fused ranking of each method that has one, then the zero-cost baselines. Empty if a file does not
    /// have them.
    #[serde(default)]
    pub rankings: Vec<RankingRow>,
    /// Name of the zero-cost baseline that the differences of these rows refer to.
    #[serde(default)]
    pub best_zero_cost: Option<String>,
    /// Agreement of the benchmark table with itself.
    pub ceiling: Option<Ceiling>,
    /// Trials that failed.
    pub failed: Vec<FailedTrial>,
    /// Number of trials that are not finished.
    pub missing: usize,
}

/// A trial, one (method, seed) pair, that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedTrial {
    /// Method and seed.
    #[serde(alias = "cell")]
    pub trial: String,
    /// The error.
    pub reason: String,
}

const NONE: &str = "–";
/// Explains the columns.
const LEGEND: &str = "
*Published*: the cells of the paper as it prints them, with its dashes and blank cells; *n/a* marks a row that its table does not have.
*P@Top5%*: share of the top 5 % by score that are among the top 5 % by stand-alone accuracy. *BR@Top5%*: best true rank among the top 5 % by
score, divided by the number of architectures; smaller is better. *Partial tau*: tau-b given the number of parameters. *Tau within*: tau-b
over the pairs of architectures with equal active-conv-params. *…, fused*: the ranking that fuses the score of a supernet with zero-cost
scores. *GV*: gradient variance; *scale-free GV*: GV divided by ‖mean gradient‖². A step of FairNAS, Magic-AT, NSAS (archive, notebook)
and SUMNAS combines the gradients of several paths, and one of NSAS (released demo) has half of the gradient, so their GV is not
comparable with the other rows. *#params*: the number of parameters as a score. Standard deviations divide by n − 1.";

const SAMPLING_LEGEND: &str = "\
Each cell shows the first epoch → the last epoch, mean over seeds. If a supernet was split, the last epochs of all sub-supernets are
averaged. *Effective*: (Σn)²/Σn² over the counts n of the distinct paths. *With parameters*: share of all drawn operations that have
parameters.
";

impl MethodTable {
    /// Formats the table as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
        line(format!("# {}\n", self.title));
        self.notes.iter().for_each(|note| line(format!("- {note}")));
        if self.missing > 0 {
            line(format!("- **Not finished:** {} trials are missing.", self.missing));
        }
        let archs = self.archs();
        if archs.len() > 1 {
            line(format!(
                "- **Not comparable:** the rows rank different numbers of architectures: {archs:?}."
            ));
        }
        line(String::new());
        self.method_lines(&mut line);
        self.ranking_lines(&mut line);
        line(LEGEND.to_owned());
        self.sampling_lines(&mut line);
        if !self.failed.is_empty() {
            line("\n## Failed\n".to_owned());
            self.failed.iter().for_each(|failed| line(format!("- {}: {}", failed.trial, failed.reason)));
        }
        out
    }

    /// The numbers of architectures that the rows compare, without repeats.
    fn archs(&self) -> Vec<usize> {
        let mut archs: Vec<usize> = self.rows.iter().flat_map(|row| row.archs.iter().copied()).collect();
        archs.sort_unstable();
        archs.dedup();
        archs
    }

    fn method_lines(&self, line: &mut impl FnMut(String)) {
        let to = &self.reference;
        let header = [
            "method",
            "published: cost, GPU hours",
            "published: KT",
            "published: P@Top5%",
            "other sources",
            "own run",
            "seeds",
            "device hours",
            "tau-b",
            &format!("Δ tau-b to {to}, 95 % CI"),
            "P@Top5%",
            &format!("Δ P@Top5% to {to}, 95 % CI"),
            "Spearman",
            "BR@Top5%",
            "partial tau",
            "tau within",
            "GV",
            "scale-free GV",
        ];
        head(line, &header);
        let mut group = None;
        for row in &self.rows {
            let title = match row.method.group {
                RowGroup::Paper => None,
                RowGroup::Variant => Some("*variants of these methods*"),
                RowGroup::Control => Some("*controls*"),
                RowGroup::Beyond => Some("*beyond the paper*"),
            };
            if let Some(title) = title.filter(|_| group != Some(row.method.group)) {
                line(format!("| {title} |{}", " |".repeat(header.len() - 1)));
            }
            group = Some(row.method.group);
            line(format!("| {} |", cells(row).join(" | ")));
        }
    }

    fn ranking_lines(&self, line: &mut impl FnMut(String)) {
        // A file without rankings has only the baselines.
        let rankings = match &self.rankings[..] {
            [] => self.zero_cost.iter().map(RankingRow::zero_cost).collect(),
            rankings => rankings.to_vec(),
        };
        if rankings.is_empty() && self.ceiling.is_none() {
            return;
        }
        line(
            "\nFused rankings of the methods, and zero-cost baselines on the same architectures. A supernet is useful only if it beats the \
             baselines, alone or fused.\n"
                .to_owned(),
        );
        let to = self.best_zero_cost.as_deref().unwrap_or("the best baseline");
        let header = [
            "ranking",
            "seeds",
            "tau-b",
            &format!("Δ tau-b to {to}, 95 % CI"),
            "P@Top5%",
            &format!("Δ P@Top5% to {to}, 95 % CI"),
            "Spearman",
            "BR@Top5%",
            "partial tau",
            "tau within",
        ];
        head(line, &header);
        for row in &rankings {
            let seeds = if row.seeds == 0 { NONE.to_owned() } else { row.seeds.to_string() };
            let cells = [
                row.label.clone(),
                seeds,
                spread(row.tau_b),
                optional_difference(row.tau_b_difference),
                spread(row.p_at_top_5),
                optional_difference(row.p_at_top_5_difference),
                spread(row.spearman),
                spread(row.br_at_top_5),
                spread(row.partial_tau),
                spread(row.tau_within),
            ];
            line(format!("| {} |", cells.join(" | ")));
        }
        if let Some(Ceiling { tau_b, seeds, archs }) = self.ceiling {
            let name = format!("ceiling: agreement between {seeds} seeds, {archs} architectures");
            line(format!("| {name} | {NONE} | {tau_b:.3} |{}", format!(" {NONE} |").repeat(7)));
        }
    }

    fn sampling_lines(&self, line: &mut impl FnMut(String)) {
        if self.rows.iter().all(|row| row.sampling.is_none()) {
            return;
        }
        line("\n## Sampled paths and images\n".to_owned());
        line(SAMPLING_LEGEND.to_owned());
        line("| method | paths | distinct | effective | with parameters | images | distinct |".to_owned());
        line(format!("|---|{}", "--:|".repeat(6)));
        for row in &self.rows {
            if let Some(s) = &row.sampling {
                let (a, b) = (s.first, s.last);
                let change = |a: f64, b: f64| format!("{a:.0} → {b:.0}");
                line(format!(
                    "| {} | {} | {} | {} | {:.2} → {:.2} | {} | {} |",
                    row.method.label,
                    change(a.paths, b.paths),
                    change(a.distinct_paths, b.distinct_paths),
                    change(a.effective_paths, b.effective_paths),
                    a.weighted_share,
                    b.weighted_share,
                    change(a.images, b.images),
                    change(a.distinct_images, b.distinct_images)
                ));
            }
        }
    }
}

/// Writes the names of the columns and the line below them.
fn head(line: &mut impl FnMut(String), header: &[&str]) {
    line(format!("| {} |", header.join(" | ")));
    line(format!("|---|{}", "--:|".repeat(header.len() - 1)));
}

fn cells(row: &MethodRow) -> Vec<String> {
    let published = row.method.published.as_ref();
    let cell = |of: fn(&Published) -> &PublishedCell| {
        published
            .map_or_else(|| PublishedCell::NOT_A_ROW.to_owned(), |published| of(published).text().to_owned())
    };
    let printed = published.map(|published| published.method.clone()).filter(|method| !method.is_empty());
    let elsewhere = published.and_then(|published| published.elsewhere.clone());
    let seeds = match row.collapsed {
        0 => row.seeds.len().to_string(),
        n => format!("{}, {n} collapsed", row.seeds.len()),
    };
    vec![
        printed.unwrap_or_else(|| row.method.label.clone()),
        cell(|published| &published.gpu_hours),
        cell(|published| &published.tau_b),
        cell(|published| &published.p_at_top_5),
        elsewhere.unwrap_or_default(),
        row.method.label.clone(),
        seeds,
        hours(row.train_hours),
        spread(row.tau_b),
        optional_difference(row.tau_b_difference),
        spread(row.p_at_top_5),
        optional_difference(row.p_at_top_5_difference),
        spread(row.spearman),
        spread(row.br_at_top_5),
        spread(row.partial_tau),
        spread(row.tau_within),
        scientific(row.gv),
        row.gv_scale_free.map_or_else(|| NONE.to_owned(), |gv| format!("{gv:.1}")),
    ]
}

fn spread(value: Option<Spread>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// Hours with two to four decimals: runs take from seconds to days.
fn hours(value: Option<Spread>) -> String {
    let decimals = match value {
        Some(value) if value.mean >= 1.0 => 2,
        Some(value) if value.mean >= 0.1 => 3,
        _ => 4,
    };
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.decimals$}"))
}

/// Formats a number in scientific notation, for example `1.28e-2 ± 1.0e-3`. Returns `–` for `None`.
pub fn scientific(value: Option<Spread>) -> String {
    value.map_or_else(
        || NONE.to_owned(),
        |v| v.sd.map_or_else(|| format!("{:.2e}", v.mean), |sd| format!("{:.2e} ± {sd:.1e}", v.mean)),
    )
}

fn optional_difference(value: Option<Difference>) -> String {
    value.map_or_else(|| NONE.to_owned(), difference)
}
