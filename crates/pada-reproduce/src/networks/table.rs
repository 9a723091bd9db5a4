use std::path::Path;

use pada::graph::Cost;
use pada::report::{FailedTrial, PublishedCell, Spread};
use serde::Serialize;

use super::retrained::Retrained;
use crate::ReproduceError;
use crate::environment::{MEMORY, csv_bytes, write_whole};
use crate::published::PublishedRow;

/// A table of networks: printed cells, own rows from the supernet to the retrained network, and published networks after retraining.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NetworkTable {
    pub(crate) title: String,
    /// Notes that a reader needs before comparing.
    pub(crate) notes: Vec<String>,
    /// The heads of the printed columns after the method.
    pub(crate) heads: Vec<String>,
    /// The rows of the paper in its order, then rows that its table does not have.
    pub(crate) rows: Vec<NetworkRow>,
    pub(crate) failed: Vec<FailedTrial>,
    /// Number of runs that are not finished.
    pub(crate) missing: usize,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NetworkRow {
    pub(crate) name: String,
    pub(crate) label: String,
    /// The printed cells. `None` if the paper's table does not have the row.
    pub(crate) published: Option<PublishedRow>,
    /// The own run of the row's method. `None` if this project does not train it.
    pub(crate) own: Option<OwnCells>,
    /// The published network.
    pub(crate) network: NetworkCells,
    /// Remarks, such as the reason why a network was not trained.
    pub(crate) remarks: Vec<String>,
}

/// An own row: supernet, search and retraining.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OwnCells {
    /// The name of the method.
    pub(crate) method: String,
    pub(crate) label: String,
    /// True if the method cannot train on the space. The remarks give the reason.
    pub(crate) refused: bool,
    /// The network that the search found.
    pub(crate) network: NetworkCells,
    /// Wall-clock time of supernet and search, hours.
    pub(crate) search_hours: Option<f64>,
    /// The device of the supernet.
    pub(crate) device: Option<String>,
}

/// A network, its cost and its accuracy after retraining.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct NetworkCells {
    /// The architecture: its name if it is published, or its digits.
    pub(crate) arch: Option<String>,
    /// Cost of the network at the published size, as `pada cost` counts it.
    pub(crate) cost: Option<Cost>,
    pub(crate) retrained: Option<Retrained>,
}

/// Marks a missing number.
const NONE: &str = "–";
/// The heads of the columns of a network.
const NETWORK: [&str; 5] = ["best, %", "average, %", "top-5, %", "#params", "MACs"];

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

    pub(crate) fn to_markdown(&self) -> String {
        let mut lines = vec![format!("# {}", self.title), String::new()];
        lines.extend(self.notes.iter().map(|note| format!("- {note}")));
        if self.missing > 0 {
            lines.push(format!("- **Not finished: {} runs are missing.**", self.missing));
        }
        let mut header = vec!["method".to_owned()];
        header.extend(self.heads.iter().cloned());
        header.push("own run".to_owned());
        header.extend(NETWORK.map(|head| format!("own: {head}")));
        header.push("own: search cost, device hours".to_owned());
        header.extend(NETWORK.map(|head| format!("network: {head}")));
        header.extend(["other sources", "remarks"].map(str::to_owned));
        lines.extend([String::new(), format!("| {} |", header.join(" | "))]);
        lines.push(format!("|---|{}---|---|", "--:|".repeat(header.len() - 3)));
        let mut others = false;
        for row in &self.rows {
            if row.published.is_none() && !others {
                others = true;
                let title = "*methods that the paper's table does not have*";
                lines.push(format!("| {title} |{}", " |".repeat(header.len() - 1)));
            }
            lines.push(format!("| {} |", row.fields(self.heads.len()).join(" | ")));
        }
        if !self.failed.is_empty() {
            lines.extend([String::new(), "## Failed".to_owned(), String::new()]);
            lines.extend(self.failed.iter().map(|failed| format!("- {}: {}", failed.trial, failed.reason)));
        }
        lines.join("\n") + "\n"
    }

    pub(crate) fn to_csv(&self) -> String {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let mut header = ["name", "method"].map(str::to_owned).to_vec();
        header.extend(self.heads.iter().cloned());
        header.push("own_method".to_owned());
        let network =
            ["arch", "best", "top1_mean", "top1_sd", "top5_mean", "top5_sd", "seeds", "params", "macs"];
        header.extend(network.map(|name| format!("own_{name}")));
        header.extend(["own_search_hours", "own_device"].map(str::to_owned));
        header.extend(network.map(|name| format!("network_{name}")));
        header.extend(["other_sources", "remarks"].map(str::to_owned));
        csv.write_record(&header).expect(MEMORY);
        for row in &self.rows {
            let mut fields = vec![row.name.clone(), row.label.clone()];
            match &row.published {
                Some(published) => fields.extend(published.cells.iter().map(|cell| cell.plain().to_owned())),
                None => fields.extend(vec![PublishedCell::NOT_A_ROW.to_owned(); self.heads.len()]),
            }
            let own = row.own.as_ref();
            fields.push(own.map_or_else(String::new, |own| own.method.clone()));
            fields.extend(numbers(own.map(|own| &own.network)));
            fields.push(number(own.and_then(|own| own.search_hours)));
            fields.push(own.and_then(|own| own.device.clone()).unwrap_or_default());
            fields.extend(numbers(Some(&row.network)));
            fields.push(row.elsewhere().unwrap_or_default());
            fields.push(row.remarks.join("; "));
            csv.write_record(&fields).expect(MEMORY);
        }
        String::from_utf8(csv_bytes(csv)).expect("all fields are text")
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Returns the fields of a network in a CSV file.
fn numbers(network: Option<&NetworkCells>) -> Vec<String> {
    let retrained = network.and_then(|network| network.retrained);
    let cost = network.and_then(|network| network.cost);
    let (top1, top5) = (retrained.map(|r| r.top1), retrained.and_then(|r| r.top5));
    let mut fields = vec![network.and_then(|network| network.arch.clone()).unwrap_or_default()];
    fields.push(number(retrained.map(|r| r.best)));
    for spread in [top1, top5] {
        fields.extend([number(spread.map(|s| s.mean)), number(spread.and_then(|s| s.sd))]);
    }
    fields.push(top1.map_or(0, |s| s.n).to_string());
    let count = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
    fields.extend([count(cost.map(|cost| cost.params)), count(cost.map(|cost| cost.macs))]);
    fields
}

impl NetworkCells {
    /// Returns the fields of the columns [`NETWORK`].
    fn fields(&self) -> [String; 5] {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let average = |spread: Spread| match spread.n {
            1 => format!("{spread:.2}"),
            n => format!("{spread:.2} ({n} seeds)"),
        };
        [
            or_none(self.retrained.map(|r| format!("{:.2}", r.best))),
            or_none(self.retrained.map(|r| average(r.top1))),
            or_none(self.retrained.and_then(|r| r.top5).map(average)),
            or_none(self.cost.map(|cost| cost.params.to_string())),
            or_none(self.cost.map(|cost| cost.macs.to_string())),
        ]
    }
}

impl NetworkRow {
    fn elsewhere(&self) -> Option<String> {
        self.published.as_ref()?.elsewhere.clone()
    }

    /// Returns the cells of the row; `printed` is the number of printed cells.
    fn fields(&self, printed: usize) -> Vec<String> {
        let mut fields = vec![self.label.clone()];
        match &self.published {
            Some(published) => fields.extend(published.cells.iter().map(PublishedCell::to_string)),
            None => fields.extend(vec![PublishedCell::NOT_A_ROW.to_owned(); printed]),
        }
        let own = self.own.as_ref();
        let run = own.map_or_else(
            || NONE.to_owned(),
            |own| if own.refused { format!("{} (refused)", own.label) } else { own.label.clone() },
        );
        fields.push(run);
        fields.extend(own.map(|own| own.network.clone()).unwrap_or_default().fields());
        let hours = own.and_then(|own| own.search_hours);
        fields.push(hours.map_or_else(|| NONE.to_owned(), |hours| format!("{hours:.3}")));
        fields.extend(self.network.fields());
        fields.push(self.elsewhere().unwrap_or_default());
        fields.push(self.remarks.join("; "));
        // A reason may contain the separator of cells.
        fields.iter().map(|field| field.replace('|', "\\|").replace('\n', " ")).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn table() -> NetworkTable {
        let published = PublishedRow {
            method: "A †".into(),
            cells: ["97.52", "", "–", "**3.9**"].map(PublishedCell::new).to_vec(),
            elsewhere: Some("97.65 (its README)".into()),
        };
        let cost = Some(Cost { params: 3_349_342, macs: 528_400_000 });
        let spread = |values: [f64; 2]| Spread::of(values).unwrap();
        let retrained =
            Retrained { best: 92.0, top1: spread([90.0, 92.0]), top5: Some(spread([99.0, 99.5])) };
        let own = OwnCells {
            method: "a".into(),
            label: "A (released)".into(),
            refused: false,
            network: NetworkCells { arch: Some("0123".into()), cost, retrained: Some(retrained) },
            search_hours: Some(0.25),
            device: Some("a device".into()),
        };
        let refused = OwnCells {
            refused: true,
            network: NetworkCells::default(),
            search_hours: None,
            device: None,
            ..own.clone()
        };
        let network = NetworkCells { arch: Some("DARTS_V2".into()), cost, retrained: None };
        NetworkTable {
            title: "Table".into(),
            notes: vec!["Quick.".into()],
            heads: ["best, %", "average, %", "params, M", "cost"]
                .map(|head| format!("published: {head}"))
                .to_vec(),
            rows: vec![
                NetworkRow {
                    name: "a".into(),
                    label: "A †".into(),
                    published: Some(published),
                    own: Some(own),
                    network: network.clone(),
                    remarks: vec![],
                },
                NetworkRow {
                    name: "b".into(),
                    label: "B".into(),
                    published: None,
                    own: Some(refused),
                    network: NetworkCells::default(),
                    remarks: vec!["own run of B refused: no cell, no edges".into()],
                },
            ],
            failed: vec![],
            missing: 3,
        }
    }

    #[test]
    fn printed_cells_stay_as_they_are_and_own_cells_stand_beside_them() {
        let text = table().to_markdown();
        let row = "| A † | 97.52 |  | – | **3.9** | A (released) | 92.00 | 91.00 ± 1.41 (2 seeds) | 99.25 ± 0.35 (2 seeds) | 3349342 | \
                   528400000 | 0.250 | – | – | – | 3349342 | 528400000 | 97.65 (its README) |  |";
        assert!(text.contains(row), "{text}");
        let other = "| B | n/a | n/a | n/a | n/a | A (released) (refused) | – | – | – | – | – | – | – | – | – | – | – |  | own run of B \
                     refused: no cell, no edges |";
        assert!(text.contains(other), "{text}");
        assert!(text.contains("3 runs are missing"), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        for line in &lines {
            assert_eq!(line.matches('|').count(), lines[0].matches('|').count(), "{line}");
        }
    }

    #[test]
    fn rows_of_the_csv_have_as_many_cells_as_its_head() {
        let csv = table().to_csv();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let cell = |row: usize, name: &str| {
            rows[row].get(header.iter().position(|head| head == name).unwrap()).unwrap().to_owned()
        };
        assert_eq!(cell(0, "published: cost"), "3.9");
        assert_eq!(
            (cell(0, "published: average, %"), cell(0, "published: params, M")),
            (String::new(), "–".into())
        );
        assert_eq!((cell(0, "own_best"), cell(0, "own_top5_mean")), ("92".into(), "99.25".into()));
        assert_eq!((cell(0, "network_arch"), cell(0, "network_seeds")), ("DARTS_V2".into(), "0".into()));
        assert_eq!((cell(1, "published: cost"), cell(1, "own_best")), ("n/a".into(), String::new()));
    }
}
