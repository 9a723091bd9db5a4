use pada::graph::{Cost, Shape};
use pada::models::DartsSize;
use pada::{RetrainConfig, StandAloneNet};
use serde::Deserialize;

use super::NetworkTarget;
use crate::ReproduceError;
use crate::methods::Method;
use crate::published::{PublishedRow, PublishedTable};

const ROWS: &str = include_str!("../networks.toml");

/// A row of Table 2 or 3: a published network, and the method of this project that searches for such a network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    table: NetworkTarget,
    /// A short name for folders and the command line.
    pub(crate) name: String,
    /// The printed name. `None` if the paper's table does not have the row.
    published: Option<String>,
    /// The name of a row that the paper's table does not have.
    label: Option<String>,
    /// The name of its architecture, if the architecture is public.
    pub(crate) arch: Option<String>,
    /// Assignments to the table's config for retraining the published architecture.
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// The method that trains the own supernet of the row.
    method: Option<String>,
    /// The differentiable search that trains a supernet and finds the own network of the row, in place of `method`.
    pub(crate) search: Option<String>,
    /// Assignments of that search with the preset `full`.
    #[serde(default)]
    pub(crate) search_full: Vec<String>,
    /// Assignments of the method on the space of the table.
    #[serde(default)]
    pub(crate) method_set: Vec<String>,
    /// The name of the own network, if it is not the label of the method.
    pub(crate) own_label: Option<String>,
    /// Settings of the method on this space that no public text gives, and the values that are used instead.
    unsaid: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

impl Row {
    /// Returns the rows of a table, or only those in `names` if it is not empty. The rows of the paper come first, in its order.
    pub(crate) fn of_table(which: NetworkTarget, names: &[String]) -> Result<Vec<Self>, ReproduceError> {
        let Rows { row } = toml::from_str(ROWS).expect("a test reads networks.toml");
        let mut rows: Vec<Self> = row.into_iter().filter(|row| row.table == which).collect();
        if let Some(name) = names.iter().find(|name| rows.iter().all(|row| row.name != **name)) {
            let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            let known = known.join(", ");
            return Err(ReproduceError::Usage(format!("--methods: there is no {name}; there are {known}")));
        }
        rows.retain(|row| names.is_empty() || names.contains(&row.name));
        Ok(rows)
    }

    /// Returns the name of the row in a table.
    pub(crate) fn label(&self) -> &str {
        self.published.as_deref().or(self.label.as_deref()).unwrap_or(&self.name)
    }

    /// Returns the printed cells. `None` if the paper's table does not have the row.
    pub(crate) fn published(&self, table: &PublishedTable) -> Option<PublishedRow> {
        let name = self.published.as_ref()?;
        Some(table.rows().into_iter().find(|row| row.method == *name).expect("a test looks for the row"))
    }

    /// Returns the method that trains the own supernet of the row.
    pub(crate) fn method(&self) -> Option<Method> {
        Some(Method::named(self.method.as_ref()?).expect("a test looks for the method"))
    }

    /// Returns the numbers of parameters and multiply-adds of the published network, as `pada cost` counts them, or `None` if the
    /// architecture is not public.
    pub(crate) fn cost(&self, which: NetworkTarget) -> Result<Option<Cost>, ReproduceError> {
        let Some(name) = &self.arch else { return Ok(None) };
        let net = which.published_size();
        let text = net.named(name)?.text;
        let cost = net.cost(text).map_err(|error| ReproduceError::from(error).within(self.name.clone()))?;
        Ok(Some(cost.1))
    }

    /// Returns the config that retrains the published network with a seed; `base` is the table's config with the assignments of the user.
    /// The error is the reason why the network cannot be retrained.
    pub(crate) fn config(&self, base: &RetrainConfig, seed: u64) -> Result<RetrainConfig, String> {
        let Some(arch) = &self.arch else { return Err(NOWHERE.to_owned()) };
        let set = base.with_all(&self.set);
        let config = set.map_err(|error| error.to_string())?;
        let mut config = config.of_arch(arch).map_err(|error| error.to_string())?;
        config.seed = seed;
        Ok(config)
    }

    /// Returns the remarks about the published network; `refused` is the reason why it cannot be retrained.
    pub(crate) fn remarks(&self, refused: Option<String>) -> Vec<String> {
        let refused = match refused {
            // A row without an architecture may have a better reason, and a row that is not the paper's has no architecture.
            Some(reason) if reason == NOWHERE => {
                (self.note.is_none() && self.published.is_some()).then_some(reason)
            }
            Some(reason) => Some(format!("not retrained: {reason}")),
            None => None,
        };
        self.note.iter().cloned().chain(refused).collect()
    }

    /// Returns the note about settings of the method that no public text gives.
    pub(crate) fn unsaid(&self) -> Option<String> {
        Some(format!("{}: {}.", self.label(), self.unsaid.as_ref()?))
    }
}

impl NetworkTarget {
    /// Returns the network at the size at which published parameters and multiply-adds are counted.
    pub(crate) fn published_size(self) -> StandAloneNet {
        match self {
            Self::Table2 => StandAloneNet::Darts(DartsSize::CIFAR),
            Self::Table3 => StandAloneNet::Proxyless { input: Shape::new(3, 224, 224), classes: 1000 },
        }
    }
}

/// The reason why a row without an architecture cannot be retrained.
pub(crate) const NOWHERE: &str = "its architecture is not public";

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::configs;
    use crate::networks::PRESETS;

    /// Compares parameters and multiply-adds, in millions, with the cells of the paper's Table 3.
    #[test]
    fn costs_are_those_that_were_published() {
        let table = PublishedTable::of(NetworkTarget::Table3.paper());
        let mut counted = 0;
        for row in Row::of_table(NetworkTarget::Table3, &[]).unwrap() {
            let Some(cost) = row.cost(NetworkTarget::Table3).unwrap() else { continue };
            let cells = row.published(&table).unwrap().cells;
            counted += 1;
            let off = |count: u64, millions: f64| (count as f64 / 1e6 - millions).abs() / millions;
            // FBNet-C is counted otherwise in its paper. FairNAS-A has 4.65 M parameters, printed 4.6.
            let allowed = if row.name == "fbnet-c" { 0.015 } else { 0.013 };
            assert!(off(cost.params, cells[0].number().unwrap()) < allowed, "{}: {cost:?}", row.name);
            assert!(off(cost.macs, cells[1].number().unwrap()) < allowed, "{}: {cost:?}", row.name);
        }
        assert_eq!(counted, 5);
    }

    #[test]
    fn rows_are_those_of_the_paper_in_its_order_and_then_others() {
        for which in [NetworkTarget::Table2, NetworkTarget::Table3] {
            let table = PublishedTable::of(which.paper());
            let rows = Row::of_table(which, &[]).unwrap();
            let printed: Vec<String> = table.rows().into_iter().map(|row| row.method).collect();
            let (paper, others) = rows.split_at(printed.len());
            assert_eq!(paper.iter().map(Row::label).collect::<Vec<_>>(), printed);
            assert!(paper.iter().all(|row| row.published(&table).is_some()));
            for row in others {
                assert!(row.published(&table).is_none() && row.label.is_some(), "{}", row.name);
            }
            // The methods of this project are all in both tables.
            let methods: Vec<String> = rows.iter().filter_map(|row| Some(row.method()?.name)).collect();
            for method in ["spos", "fairnas-released", "nsas", "magic-at", "few-shot", "gm", "close", "pada"]
            {
                assert_eq!(methods.iter().filter(|name| name.starts_with(method)).count(), 1, "{method}");
            }
        }
    }

    #[test]
    fn every_published_network_is_retrained_or_has_a_reason() {
        for (which, retrained) in [
            (
                NetworkTarget::Table2,
                vec![
                    "nasnet-a",
                    "enas",
                    "darts",
                    "gdas",
                    "darts-pt",
                    "randomnas-nsas",
                    "few-shot",
                    "gm",
                    "agnas",
                ],
            ),
            (NetworkTarget::Table3, vec!["mnasnet-a1", "fbnet-c", "proxylessnas", "fairnas-a", "gm"]),
        ] {
            for preset in PRESETS {
                let base = RetrainConfig::read(&configs().join(preset.retrain_file(which))).unwrap();
                let mut found = Vec::new();
                for row in Row::of_table(which, &[]).unwrap() {
                    row.cost(which).unwrap();
                    match row.config(&base, 3) {
                        Ok(config) => {
                            config.check().unwrap();
                            assert_eq!(config.seed, 3);
                            found.push(row.name);
                        }
                        Err(reason) => {
                            assert_eq!(reason == NOWHERE, row.arch.is_none(), "{reason}");
                            let published = row.published.is_some();
                            assert_eq!(row.remarks(Some(reason)).is_empty(), !published, "{}", row.name);
                        }
                    }
                }
                // Networks that can be built besides these are welcome.
                for name in &retrained {
                    assert!(found.iter().any(|found| found == name), "{name} of {}", which.name());
                }
            }
        }
        let error = Row::of_table(NetworkTarget::Table3, &["darts".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no darts") && error.contains("fairnas-a"), "{error}");
    }
}
