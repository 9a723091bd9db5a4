use std::path::Path;

use pada_metrics::{Bootstrap, MetricsError, kendall_tau_b};
use pada_nasbench::{
    BenchmarkTable, Darts214Table, Darts1000Table, Download, MacroTable, Nb201Dataset, Nb201Epochs,
    Nb201Table,
};
use pada_report::{Agreement, Ceiling, ScoreLists};
use pada_space::Arch;

use crate::config::TruthName;
use crate::error::PadaError;
use crate::eval::fusion::{FusedScores, at};
use crate::run::network::Network;

/// The benchmark tables that a ranking is compared with. The first one is the main table.
pub struct Tables(Vec<Table>);

struct Table {
    truth: BenchmarkTable,
    /// A baseline of the benchmark: accuracies after a few epochs of stand-alone training.
    short_runs: Option<(&'static str, BenchmarkTable)>,
    /// A remark about the reliability of the table.
    note: Option<String>,
}

impl Tables {
    /// Creates an empty set of tables.
    pub fn none() -> Self {
        Self(vec![])
    }

    /// Creates the set of one table.
    #[cfg(test)]
    pub(crate) fn of(truth: BenchmarkTable) -> Self {
        Self(vec![Table { truth, short_runs: None, note: None }])
    }

    /// Reads the main table, and those of the other tables that have been downloaded.
    ///
    /// # Errors
    /// Returns [`PadaError::Truth`] if the main table is missing or a table cannot be read.
    pub fn load(main: Option<TruthName>, others: &[TruthName], data_dir: &Path) -> Result<Self, PadaError> {
        let mut tables = main.map(|main| load(main, data_dir)).transpose()?.into_iter().collect::<Vec<_>>();
        for &name in others.iter().filter(|&&name| Some(name) != main) {
            match load(name, data_dir) {
                Ok(table) => tables.push(table),
                Err(PadaError::Truth(missing @ pada_nasbench::NasBenchError::Missing { .. })) => {
                    tracing::info!("not compared: {missing}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(tables))
    }

    /// Returns the architectures of the main table.
    pub fn archs(&self) -> &[Arch] {
        self.0.first().map_or(&[], |table| table.truth.archs())
    }

    /// Returns the main table.
    pub(crate) fn main(&self) -> Option<&BenchmarkTable> {
        self.0.first().map(|table| &table.truth)
    }

    /// Returns the name of the main table.
    pub fn main_name(&self) -> Option<&str> {
        self.0.first().map(|table| table.truth.name())
    }

    /// Returns the number of trainings per architecture in the main table, or `None` if the table only has their means.
    pub fn main_seeds(&self) -> Option<usize> {
        self.0.first().map(|table| table.truth.by_seed().len()).filter(|&seeds| seeds > 0)
    }

    /// Returns the accuracy of an architecture in the main table, in percent.
    pub fn main_accuracy(&self, arch: &Arch) -> Option<f64> {
        self.0.first()?.truth.accuracy(arch)
    }

    /// Returns the accuracy of an architecture in the first table that has it, in percent.
    pub fn accuracy(&self, arch: &Arch) -> Option<f64> {
        self.0.iter().find_map(|table| table.truth.accuracy(arch))
    }

    /// Returns for every table its name, the indices of those of some architectures that it has, and their accuracies in percent.
    pub(crate) fn columns(&self, archs: &[Arch]) -> impl Iterator<Item = (&str, Vec<usize>, Vec<f64>)> {
        self.0.iter().map(|Table { truth, .. }| {
            let known = archs.iter().enumerate().filter_map(|(i, arch)| Some((i, truth.accuracy(arch)?)));
            let (places, accuracies) = known.unzip();
            (truth.name(), places, accuracies)
        })
    }

    /// Compares the accuracies of architectures with the weights of a supernet, `[A]`, with every table, over the architectures that the
    /// table has.
    ///
    /// # Errors
    /// Returns an error if the metrics or the zero-cost scores cannot be computed.
    pub(crate) fn agreements(
        &self,
        network: &Network,
        archs: &[Arch],
        accuracies: &[f64],
        fused: Option<&FusedScores<'_>>,
    ) -> Result<Vec<Agreement>, PadaError> {
        let mut agreements = Vec::new();
        for (Table { truth, short_runs, note }, (_, known, truths)) in self.0.iter().zip(self.columns(archs))
        {
            let archs: Vec<Arch> = known.iter().map(|&i| archs[i].clone()).collect();
            let predicted = at(accuracies, &known);
            let column =
                |table: &BenchmarkTable| archs.iter().filter_map(|a| table.accuracy(a)).collect::<Vec<_>>();
            let mut baselines: Vec<(String, Vec<f64>)> =
                network.baselines(&archs)?.into_iter().map(|(name, list)| (name.to_owned(), list)).collect();
            if let Some(fused) = fused.filter(|_| !known.is_empty()) {
                for (name, list) in fused.zero_cost.baselines(&known)? {
                    if baselines.iter().all(|(other, _)| *other != name) {
                        baselines.push((name, list));
                    }
                }
            }
            baselines.extend(short_runs.iter().map(|(name, table)| ((*name).to_owned(), column(table))));
            let main = &self.0[0].truth;
            let scratch = format!("{} from scratch", main.name());
            if main.name() != truth.name() && archs.iter().all(|arch| main.accuracy(arch).is_some()) {
                baselines.push((scratch, column(main)));
            }
            let (names, lists): (Vec<String>, Vec<Vec<f64>>) = baselines.into_iter().unzip();
            let baselines: Vec<(&str, Vec<f64>)> = names.iter().map(String::as_str).zip(lists).collect();
            let sizes = fused.map(|fused| fused.zero_cost.sizes(&known));
            let scores = fused.and_then(|fused| fused.fused.as_ref()).map(|fused| at(fused, &known));
            let lists = ScoreLists {
                truth: &truths,
                supernet: &predicted,
                params: &baselines[0].1,
                size: sizes.as_deref(),
                zero_cost: &baselines,
                fused: scores.as_deref(),
            };
            let mut agreement = Agreement::of(truth.name(), &lists, &Bootstrap::bca())?;
            agreement.ceiling = ceiling(truth)?;
            agreement.note.clone_from(note);
            agreements.push(agreement);
        }
        Ok(agreements)
    }
}

/// Computes the agreement between the seeds of a table, which limits the agreement of any ranking with it.
fn ceiling(table: &BenchmarkTable) -> Result<Option<Ceiling>, MetricsError> {
    let lists: Vec<&Vec<Option<f64>>> = table.by_seed().values().collect();
    let trained = |i: &usize| lists.iter().all(|list| list[*i].is_some());
    let archs: Vec<usize> = (0..table.archs().len()).filter(trained).collect();
    if lists.len() < 2 || archs.len() < 2 {
        return Ok(None);
    }
    let column = |list: &[Option<f64>]| archs.iter().filter_map(|&i| list[i]).collect::<Vec<f64>>();
    let mut taus = Vec::new();
    for (i, a) in lists.iter().enumerate() {
        for b in &lists[..i] {
            taus.push(kendall_tau_b(&column(a), &column(b))?);
        }
    }
    let tau_b = taus.iter().sum::<f64>() / taus.len() as f64;
    Ok(Some(Ceiling { tau_b, seeds: lists.len(), archs: archs.len() }))
}

fn load(name: TruthName, data_dir: &Path) -> Result<Table, PadaError> {
    let plain = |truth: BenchmarkTable| Table { truth, short_runs: None, note: None };
    Ok(match name {
        TruthName::Mini => plain(pada_nasbench::mini()?),
        TruthName::NasBenchMacro => {
            plain(MacroTable::load(Download::NasBenchMacro.path(data_dir))?.table().clone())
        }
        TruthName::Darts214 => {
            let table = Darts214Table::load(Download::Darts214.path(data_dir))?;
            let tau = kendall_tau_b(table.best_epoch(), table.last_epoch())?;
            let note = format!(
                "noisy: each architecture was trained once, and the rankings by best and by last epoch agree only with tau-b {tau:.2}"
            );
            Table { note: Some(note), ..plain(table.table().clone()) }
        }
        TruthName::Darts1000 => {
            let table = Darts1000Table::load(Download::Darts1000.path(data_dir))?;
            let note = format!(
                "noisy: each architecture was trained once; {} genotypes of the file are not in the space",
                table.outside()
            );
            Table { note: Some(note), ..plain(table.table().clone()) }
        }
        TruthName::Nb201 => nb201(Nb201Dataset::Cifar10, data_dir)?,
        TruthName::Nb201Cifar100 => nb201(Nb201Dataset::Cifar100, data_dir)?,
        TruthName::Nb201Imagenet16 => nb201(Nb201Dataset::Imagenet16, data_dir)?,
    })
}

fn nb201(data: Nb201Dataset, data_dir: &Path) -> Result<Table, PadaError> {
    let table = Nb201Table::load(Download::Nb201.path(data_dir))?;
    let [truth, short] =
        [Nb201Epochs::Epochs200, Nb201Epochs::Epochs12].map(|epochs| table.test_accuracy(data, epochs));
    Ok(Table { truth, short_runs: Some(("12 epochs from scratch", short)), note: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_compares_the_architectures_that_every_seed_has() {
        let space = pada_space::Nb201::new();
        let table = |csv: &str| BenchmarkTable::from_csv("t.csv", csv.as_bytes(), &space).unwrap();
        let one = table("arch,seed,accuracy\n000000,0,1\n111111,0,2\n");
        assert_eq!(ceiling(&one).unwrap(), None);
        let csv = "arch,seed,accuracy\n000000,0,1\n111111,0,2\n222222,0,3\n333333,0,4\n\
                   000000,1,1\n111111,1,3\n222222,1,2\n";
        let found = ceiling(&table(csv)).unwrap();
        // One of three pairs is in the opposite order.
        assert_eq!(found, Some(Ceiling { tau_b: 1.0 / 3.0, seeds: 2, archs: 3 }));
    }
}
