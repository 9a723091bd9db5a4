use std::path::Path;

use pada::graph::Cost;
use pada::report::{FailedTrial, Spread};
use serde::Serialize;

use super::rows::Published;
use crate::ReproduceError;
use crate::environment::{MEMORY, csv_bytes, write_whole};

/// A table of networks: published results, costs, and accuracy after retraining.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NetworkTable {
    pub(crate) title: String,
    /// Notes that a reader needs before comparing.
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<NetworkRow>,
    pub(crate) failed: Vec<FailedTrial>,
    /// Number of runs that are not finished.
    pub(crate) missing: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NetworkRow {
    pub(crate) name: String,
    pub(crate) label: String,
    /// The name of the architecture, if it is public.
    pub(crate) arch: Option<String>,
    pub(crate) published: Published,
    /// Cost of the published network, as `pada cost` counts it.
    pub(crate) cost: Option<Cost>,
    /// Accuracy after retraining, percent, over seeds.
    pub(crate) retrained: Option<Spread>,
    /// Remarks, such as the reason why the network was not retrained.
    pub(crate) remarks: Vec<String>,
}

/// Marks a missing number.
const NONE: &str = "–";

impl NetworkTable {
    /// Writes the table as Markdown, CSV and JSON: `file` with three extensions.
    pub(crate) fn write(&self, file: &Path) -> Result<(), ReproduceError> {
        write_whole(&file.with_extension("md"), self.to_markdown().as_bytes())?;
        write_whole(&file.with_extension("csv"), self.to_csv().as_bytes())?;
        write_whole(
            &file.with_extension("json"),
            (serde_json::to_string_pretty(self).expect("a table is JSON") + "\n").as_bytes(),
        )
    }

    fn to_markdown(&self) -> String {
        let mut lines = vec![format!("# {}", self.title), String::new()];
        for note in &self.notes {
            lines.extend([note.clone(), String::new()]);
        }
        if self.missing > 0 {
            lines.extend([
                format!("**Not finished: {} runs are still to come.**", self.missing),
                String::new(),
            ]);
        }
        lines.push("| network | published top-1, % | best | top-5 | M params | M MACs | #params | MACs | retrained, % | remarks |".into());
        lines.push(format!("|---|{}---|", "--:|".repeat(8)));
        lines.extend(self.rows.iter().map(|row| format!("| {} |", row.fields().join(" | "))));
        if !self.failed.is_empty() {
            lines.extend([String::new(), "## Failed".to_owned(), String::new()]);
            lines.extend(self.failed.iter().map(|failed| format!("- {}: {}", failed.trial, failed.reason)));
        }
        lines.join("\n") + "\n"
    }

    fn to_csv(&self) -> String {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record([
            "network",
            "label",
            "arch",
            "published_top1",
            "published_sd",
            "published_best",
            "published_top5",
            "published_params_m",
            "published_macs_m",
            "params",
            "macs",
            "retrained_mean",
            "retrained_sd",
            "retrained_seeds",
            "remarks",
        ])
        .expect(MEMORY);
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for row in &self.rows {
            let p = row.published;
            let mut fields = vec![row.name.clone(), row.label.clone(), row.arch.clone().unwrap_or_default()];
            fields.extend([p.top1, p.sd, p.best, p.top5, p.params, p.macs].map(number));
            fields.extend(
                [row.cost.map(|c| c.params), row.cost.map(|c| c.macs)]
                    .map(|n| n.map_or_else(String::new, |n| n.to_string())),
            );
            let spread = row.retrained;
            fields.extend([spread.map(|s| s.mean), spread.and_then(|s| s.sd)].map(number));
            fields.push(spread.map_or(0, |s| s.n).to_string());
            fields.push(row.remarks.join("; "));
            csv.write_record(&fields).expect(MEMORY);
        }
        String::from_utf8(csv_bytes(csv)).expect("all fields are text")
    }
}

impl NetworkRow {
    fn fields(&self) -> Vec<String> {
        let p = self.published;
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let percent = |value: f64| format!("{value:.2}");
        let top1 = p.top1.map(|mean| match p.sd {
            Some(sd) => format!("{mean:.2} ± {sd:.2}"),
            None => percent(mean),
        });
        let retrained = self.retrained.map(|spread| match spread.n {
            1 => format!("{spread:.2}"),
            n => format!("{spread:.2} ({n} seeds)"),
        });
        vec![
            self.label.clone(),
            or_none(top1),
            or_none(p.best.map(percent)),
            or_none(p.top5.map(percent)),
            or_none(p.params.map(|v| v.to_string())),
            or_none(p.macs.map(|v| v.to_string())),
            or_none(self.cost.map(|cost| cost.params.to_string())),
            or_none(self.cost.map(|cost| cost.macs.to_string())),
            or_none(retrained),
            self.remarks.join("; "),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_no_number() {
        let row = |label: &str, retrained| NetworkRow {
            name: label.to_lowercase(),
            label: label.to_owned(),
            arch: None,
            published: Published { top1: Some(97.5), sd: Some(0.07), ..Published::default() },
            cost: Some(Cost { params: 3_349_342, macs: 528_400_000 }),
            retrained,
            remarks: vec!["a, b".to_owned()],
        };
        let table = NetworkTable {
            title: "Table".into(),
            notes: vec!["Quick.".into()],
            rows: vec![row("A", None), row("B", Spread::of([90.0, 92.0]))],
            failed: vec![],
            missing: 3,
        };
        let text = table.to_markdown();
        assert!(
            text.contains("| A | 97.50 ± 0.07 | – | – | – | – | 3349342 | 528400000 | – | a, b |"),
            "{text}"
        );
        assert!(
            text.contains("| 91.00 ± 1.41 (2 seeds) |") && text.contains("3 runs are still to come"),
            "{text}"
        );
        let csv = table.to_csv();
        assert_eq!(csv.lines().nth(1).unwrap(), "a,A,,97.5,0.07,,,,,3349342,528400000,,,0,\"a, b\"");
        assert_eq!(csv.lines().next().unwrap().split(',').count(), 15);
    }
}
