//! The result tables of the paper, cell by cell, from `published.toml`.

use std::collections::BTreeMap;

use pada::report::{Published, PublishedCell};
use serde::{Deserialize, Serialize};

const TABLES: &str = include_str!("published.toml");

/// A result table of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaperTable {
    /// Ranking consistency on NAS-Bench-201.
    Table1,
    /// Networks of the DARTS space on CIFAR-10.
    Table2,
    /// Networks of the ProxylessNAS space on ImageNet.
    Table3,
}

/// The printed cells of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedTable {
    /// The subject of the table.
    pub(crate) title: String,
    /// The head, one text per column. The first column names the method.
    pub(crate) columns: Vec<String>,
    /// The unit of each column. Empty if it has none.
    units: Vec<String>,
    /// The rows in printed order, one cell per column.
    rows: Vec<Vec<PublishedCell>>,
    /// Remarks of the slides on the table, and questions that they leave open.
    pub(crate) notes: Vec<String>,
    /// Values of other sources by the printed name of the row, each with its source.
    elsewhere: BTreeMap<String, String>,
}

/// The printed row of a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PublishedRow {
    /// The printed name of the method.
    pub(crate) method: String,
    /// The cells of the other columns, in printed order.
    pub(crate) cells: Vec<PublishedCell>,
    /// A value of another source, with the name of the source.
    pub(crate) elsewhere: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    table1: PublishedTable,
    table2: PublishedTable,
    table3: PublishedTable,
}

impl PublishedTable {
    /// Returns a table of the paper.
    pub(crate) fn of(table: PaperTable) -> Self {
        let tables: Tables = toml::from_str(TABLES).expect("a test reads published.toml");
        match table {
            PaperTable::Table1 => tables.table1,
            PaperTable::Table2 => tables.table2,
            PaperTable::Table3 => tables.table3,
        }
    }

    /// Returns the heads of all columns but the first, in the form `published: best, %`.
    pub(crate) fn heads(&self) -> Vec<String> {
        let head = |(column, unit): (&String, &String)| match unit.as_str() {
            "" => format!("published: {column}"),
            unit => format!("published: {column}, {unit}"),
        };
        self.columns.iter().zip(&self.units).skip(1).map(head).collect()
    }

    /// Returns the rows in printed order.
    pub(crate) fn rows(&self) -> Vec<PublishedRow> {
        let row = |row: &Vec<PublishedCell>| {
            let (method, cells) = row.split_first().expect("a test counts the cells");
            let method = method.text().to_owned();
            let elsewhere = self.elsewhere.get(&method).cloned();
            PublishedRow { method, cells: cells.to_vec(), elsewhere }
        };
        self.rows.iter().map(row).collect()
    }
}

/// Returns the row of Table 1 with a printed name, for tables of methods.
pub(crate) fn of_table_1(method: &str) -> Option<Published> {
    let row = PublishedTable::of(PaperTable::Table1).rows().into_iter().find(|row| row.method == method)?;
    let [gpu_hours, tau_b, p_at_top_5] = row.cells.try_into().expect("a test counts the cells");
    Some(Published { method: row.method, gpu_hours, tau_b, p_at_top_5, elsewhere: row.elsewhere })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn workspace() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// Reads the first table below a heading that starts with `heading`: the head, then the rows. The second line of a Markdown table only
    /// sets the alignment.
    fn markdown_table(text: &str, heading: &str) -> Vec<Vec<String>> {
        let lines = text.lines().skip_while(|line| !line.starts_with(heading));
        let table = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let cells = |line: &str| {
            let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
            let cell = |cell: &str| match cell.trim() {
                "(blank)" => String::new(),
                cell => cell.to_owned(),
            };
            inner.split('|').map(cell).collect::<Vec<_>>()
        };
        table.enumerate().filter(|(line, _)| *line != 1).map(|(_, line)| cells(line)).collect()
    }

    /// Compares all cells of the data file with a Markdown file that has the same tables.
    fn compare(text: &str, file: &Path) {
        for (heading, table) in [
            ("## Table 1", PaperTable::Table1),
            ("## Table 2", PaperTable::Table2),
            ("## Table 3", PaperTable::Table3),
        ] {
            let expected = markdown_table(text, heading);
            let PublishedTable { columns, rows, .. } = PublishedTable::of(table);
            assert_eq!(rows.len() + 1, expected.len(), "{heading} of {}", file.display());
            assert_eq!(columns, expected[0], "{heading} of {}", file.display());
            for (row, expected) in rows.iter().zip(&expected[1..]) {
                assert_eq!(row.len(), expected.len(), "{heading} of {}: {expected:?}", file.display());
                for ((cell, expected_cell), column) in row.iter().zip(expected).zip(&columns) {
                    let place = format!("{heading} of {}, {}, {column}", file.display(), expected[0]);
                    assert_eq!(cell.text(), expected_cell, "{place}");
                }
            }
        }
    }

    #[test]
    fn published_cells_equal_a_second_transcription() {
        let file = workspace().join("tests/data/published.md");
        compare(&std::fs::read_to_string(&file).unwrap(), &file);
    }

    #[test]
    fn published_cells_equal_the_shared_transcription() {
        let file = workspace().join("../shared/design/published.md");
        if !file.is_file() {
            let required = std::env::var_os("PADA_REQUIRE_SHARED").is_some_and(|v| v == "1");
            assert!(!required, "{} is missing and PADA_REQUIRE_SHARED is set", file.display());
            println!("skipped: {} is not there", file.display());
            return;
        }
        compare(&std::fs::read_to_string(&file).unwrap(), &file);
    }

    #[test]
    fn every_cell_is_a_number_a_dash_or_blank_and_other_sources_belong_to_rows() {
        for (table, rows) in [(PaperTable::Table1, 9), (PaperTable::Table2, 15), (PaperTable::Table3, 13)] {
            let published = PublishedTable::of(table);
            assert_eq!(published.rows.len(), rows);
            assert_eq!(published.units.len(), published.columns.len());
            let methods: Vec<String> = published.rows().into_iter().map(|row| row.method).collect();
            for row in published.rows() {
                assert_eq!(row.cells.len() + 1, published.columns.len(), "{}", row.method);
                for (cell, column) in row.cells.iter().zip(&published.columns[1..]) {
                    // The second column of this name is the search method, a word.
                    let valid =
                        cell.number().is_some() || cell.is_dash() || cell.is_blank() || column == "method";
                    assert!(valid, "{}, {column}: {cell}", row.method);
                }
            }
            for method in published.elsewhere.keys() {
                assert!(methods.contains(method), "{method}");
            }
        }
    }

    #[test]
    fn a_dash_and_a_blank_cell_are_different_values() {
        let rows = PublishedTable::of(PaperTable::Table2).rows();
        let row = |method: &str| rows.iter().find(|row| row.method == method).unwrap();
        assert!(row("NASNet-A").cells[1].is_dash() && row("ENAS").cells[1].is_blank());
        let few_shot = of_table_1("Few-Shot-25").unwrap();
        assert_eq!((few_shot.tau_b.number(), few_shot.tau_b.sd()), (Some(0.696), None));
        assert!(few_shot.p_at_top_5.is_dash());
        assert_eq!(of_table_1("Few-Shot-26"), None);
    }
}
