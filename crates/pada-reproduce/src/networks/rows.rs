use pada::graph::{Cost, Shape};
use pada::models::DartsSize;
use pada::{RetrainConfig, StandAloneNet};
use serde::{Deserialize, Serialize};

use super::NetworkTarget;
use crate::ReproduceError;

const ROWS: &str = include_str!("../networks.toml");

/// A published network: one row of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    table: NetworkTarget,
    /// A short name for folders and the command line.
    pub(crate) name: String,
    pub(crate) label: String,
    /// The name of its architecture, if the architecture is public.
    pub(crate) arch: Option<String>,
    /// Assignments to the table's config for retraining.
    #[serde(default)]
    pub(crate) set: Vec<String>,
    pub(crate) published: Option<Published>,
    pub(crate) note: Option<String>,
}

/// Published results of a network. Accuracies are in percent, counts in millions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    /// Top-1 accuracy; a mean if `sd` is given.
    pub(crate) top1: Option<f64>,
    pub(crate) sd: Option<f64>,
    /// Top-1 accuracy of the best run.
    pub(crate) best: Option<f64>,
    pub(crate) top5: Option<f64>,
    pub(crate) params: Option<f64>,
    pub(crate) macs: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

impl Row {
    /// Returns the rows of a table, or only those in `names` if it is not empty.
    pub(crate) fn of_table(which: NetworkTarget, names: &[String]) -> Result<Vec<Self>, ReproduceError> {
        let Rows { row } = toml::from_str(ROWS).expect("a test reads networks.toml");
        let mut rows: Vec<Self> = row.into_iter().filter(|row| row.table == which).collect();
        for name in names {
            let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            let there = known.contains(&name.as_str());
            if !there {
                let known = known.join(", ");
                return Err(ReproduceError::Usage(format!(
                    "--methods: there is no {name}; there are {known}"
                )));
            }
        }
        rows.retain(|row| names.is_empty() || names.contains(&row.name));
        Ok(rows)
    }

    /// Returns the numbers of parameters and multiply-adds of the published network, as `pada cost` counts them, or `None` if the
    /// architecture is not public.
    pub(crate) fn cost(&self, which: NetworkTarget) -> Result<Option<Cost>, ReproduceError> {
        let Some(name) = &self.arch else { return Ok(None) };
        let net = match which {
            NetworkTarget::Table2 => StandAloneNet::Darts(DartsSize::CIFAR),
            NetworkTarget::Table3 => {
                StandAloneNet::Proxyless { input: Shape::new(3, 224, 224), classes: 1000 }
            }
        };
        let text = net.named(name)?.text;
        let cost = net.cost(text).map_err(|error| ReproduceError::from(error).within(self.name.clone()))?;
        Ok(Some(cost.1))
    }

    /// Returns the config that retrains the network with a seed; `base` is the table's config with the assignments of the user. The error
    /// is the reason why the network cannot be retrained.
    pub(crate) fn config(&self, base: &RetrainConfig, seed: u64) -> Result<RetrainConfig, String> {
        let Some(arch) = &self.arch else { return Err(NOWHERE.to_owned()) };
        let set = base.with_all(&self.set);
        let config = set.map_err(|error| error.to_string())?;
        let mut config = config.of_arch(arch).map_err(|error| error.to_string())?;
        config.seed = seed;
        Ok(config)
    }
}

impl Row {
    /// Returns the remarks about the row; `refused` is the reason why it cannot be retrained.
    pub(crate) fn remarks(&self, refused: Option<String>) -> Vec<String> {
        let refused = match refused {
            // A row without an architecture may have a better reason.
            Some(reason) if reason == NOWHERE => self.note.is_none().then_some(reason),
            Some(_) => Some("not retrained: no architecture of the space".to_owned()),
            None => None,
        };
        self.note.iter().cloned().chain(refused).collect()
    }
}

/// The reason why a row without an architecture cannot be retrained.
pub(crate) const NOWHERE: &str = "its architecture is not public";

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::configs;
    use crate::networks::NetworkPreset;

    /// Compares parameters and multiply-adds, in millions, with the paper's Table 3 as given in `networks.toml`.
    #[test]
    fn costs_are_those_that_were_published() {
        let mut counted = 0;
        for row in Row::of_table(NetworkTarget::Table3, &[]).unwrap() {
            let (Some(cost), Some(published)) = (row.cost(NetworkTarget::Table3).unwrap(), row.published)
            else {
                continue;
            };
            counted += 1;
            let off = |count: u64, millions: f64| (count as f64 / 1e6 - millions).abs() / millions;
            // FBNet-C's are counted otherwise in its paper; all others round to the published digits.
            let allowed = if row.name == "fbnet-c" { 0.015 } else { 0.013 };
            assert!(off(cost.params, published.params.unwrap()) < allowed, "{}: {cost:?}", row.name);
            assert!(off(cost.macs, published.macs.unwrap()) < allowed, "{}: {cost:?}", row.name);
        }
        assert_eq!(counted, 5);
    }

    #[test]
    fn every_row_is_retrained_or_says_why_not() {
        for (which, retrained) in [
            (
                NetworkTarget::Table2,
                vec![
                    "nasnet-a",
                    "amoebanet-a",
                    "pnas",
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
            (
                NetworkTarget::Table3,
                vec!["mnasnet-a1", "fbnet-c", "proxylessnas", "fairnas-a", "gm-proxylessnas"],
            ),
        ] {
            for preset in [NetworkPreset::Quick, NetworkPreset::Full] {
                let base = RetrainConfig::read(&configs().join(preset.config_file(which))).unwrap();
                let mut found = Vec::new();
                for row in Row::of_table(which, &[]).unwrap() {
                    row.cost(which).unwrap();
                    match row.config(&base, 3) {
                        Ok(config) => {
                            config.check().unwrap();
                            assert_eq!(config.seed, 3);
                            found.push(row.name);
                        }
                        Err(reason) => assert_eq!(reason == NOWHERE, row.arch.is_none(), "{reason}"),
                    }
                }
                assert_eq!(found, retrained);
            }
        }
        let error = Row::of_table(NetworkTarget::Table3, &["darts".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no darts") && error.contains("fairnas-a"), "{error}");
    }
}
