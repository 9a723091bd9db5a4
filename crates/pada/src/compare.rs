use std::path::Path;

use pada_rank::{Bootstrap, RankError};
use pada_report::Agreement;
use pada_space::{Arch, SearchSpace};
use pada_trainer::ArchScore;
use pada_truth::{NB201_FILE, Nb201Table, TruthTable};

use crate::{Network, PadaError, TruthName};

/// The truth tables of a job; the first is the main one.
pub struct Tables(Vec<Table>);

struct Table {
    truth: TruthTable,
    /// Rankings that the benchmark itself holds: what a few epochs of stand-alone training say.
    short_runs: Option<(&'static str, TruthTable)>,
}

impl Tables {
    /// No table.
    pub fn none() -> Self {
        Self(vec![])
    }

    /// Reads the main table and, where they have been downloaded, the others.
    ///
    /// # Errors
    /// [`PadaError::Truth`]
    pub fn load(
        main: TruthName,
        others: &[TruthName],
        data_dir: &Path,
        space: &dyn SearchSpace,
    ) -> Result<Self, PadaError> {
        let mut tables = vec![load(main, data_dir, space)?];
        for &name in others.iter().filter(|&&name| name != main) {
            match load(name, data_dir, space) {
                Ok(table) => tables.push(table),
                Err(PadaError::Truth(missing @ pada_truth::TruthError::Missing { .. })) => {
                    tracing::info!("not compared: {missing}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(tables))
    }

    /// The architectures of the main table.
    pub fn archs(&self) -> &[Arch] {
        self.0.first().map_or(&[], |table| table.truth.archs())
    }

    /// An architecture's accuracy in the first table that has it, percent.
    pub fn accuracy(&self, arch: &Arch) -> Option<f64> {
        self.0.iter().find_map(|table| table.truth.accuracy(arch))
    }

    /// Compares scores with every table, over the architectures that are in both.
    ///
    /// # Errors
    /// [`PadaError`] from metrics and costs.
    pub fn agreements(&self, network: &Network, scores: &[ArchScore]) -> Result<Vec<Agreement>, PadaError> {
        let mut agreements = Vec::new();
        for Table { truth, short_runs } in &self.0 {
            let known: Vec<&ArchScore> =
                scores.iter().filter(|s| truth.accuracy(&s.arch).is_some()).collect();
            let archs: Vec<Arch> = known.iter().map(|s| s.arch.clone()).collect();
            let predicted: Vec<f64> = known.iter().map(|s| s.accuracy()).collect();
            let column =
                |table: &TruthTable| archs.iter().filter_map(|a| table.accuracy(a)).collect::<Vec<_>>();
            let mut baselines = network.baselines(&archs)?;
            baselines.extend(short_runs.iter().map(|(name, table)| (*name, column(table))));
            let params = baselines[0].1.clone();
            let truths = column(truth);
            agreements.push(compare(truth.name(), &predicted, &truths, &params, &baselines)?);
        }
        Ok(agreements)
    }
}

fn compare(
    name: &str,
    predicted: &[f64],
    truth: &[f64],
    params: &[f64],
    baselines: &[(&str, Vec<f64>)],
) -> Result<Agreement, RankError> {
    Agreement::of(name, predicted, truth, params, baselines, &Bootstrap::default())
}

fn load(name: TruthName, data_dir: &Path, space: &dyn SearchSpace) -> Result<Table, PadaError> {
    Ok(match name {
        TruthName::Mini => Table { truth: pada_truth::mini(space)?, short_runs: None },
        TruthName::Nb201 => {
            let table = Nb201Table::load(&data_dir.join("nasbench201").join(NB201_FILE))?;
            let column = |column| table.truth(column).expect("every loaded table has this column");
            let short_runs = Some(("12 epochs from scratch", column("cifar10_test_12")));
            Table { truth: column("cifar10_test_200"), short_runs }
        }
    })
}
