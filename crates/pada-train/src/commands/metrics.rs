use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pada::rank::{Bootstrap, Metrics, tau_b_interval};
use pada::space::{Arch, Nb201, SearchSpace};
use pada::truth::{NB201_FILE, Nb201Table, TruthTable};
use pada::{PadaError, read_scores};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Scores: a CSV file with the columns arch and accuracy.
    #[arg(long, value_name = "FILE.csv")]
    pred: PathBuf,
    /// `nb201`, `mini`, or a CSV file with the columns arch and accuracy.
    #[arg(long, value_name = "FILE.csv|nb201|mini")]
    truth: String,
    /// Bootstrap samples behind a confidence interval.
    #[arg(long, default_value = "1000")]
    resamples: std::num::NonZeroUsize,
    /// Seed of the bootstrap.
    #[arg(long, default_value = "0")]
    seed: u64,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let space = Nb201::new();
    let scores = read_scores(&args.pred, &space)?;
    let truth = Truth::load(&args.truth, &space)?;
    let truths = truth.of(&args.pred, &scores)?;
    let predicted: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
    let params = truth.params.as_ref().map(|p| scores.iter().map(|(arch, _)| p[arch]).collect::<Vec<f64>>());
    let metrics = Metrics::compute(&predicted, &truths, params.as_deref()).map_err(PadaError::from)?;
    let bootstrap = Bootstrap { resamples: args.resamples.get(), seed: args.seed, ..Bootstrap::default() };
    let interval = tau_b_interval(&predicted, &truths, &bootstrap).map_err(PadaError::from)?;

    let mut json = serde_json::to_value(&metrics)?;
    if let serde_json::Value::Object(fields) = &mut json {
        for (name, value) in fields.iter() {
            say!("{name:<26} {value}");
        }
        say!("{:<26} [{}, {}], {} %", "tau_b interval", interval.low, interval.high, 100.0 * interval.level);
        fields.insert("tau_b_interval".to_owned(), serde_json::to_value(interval)?);
    }
    if args.json {
        say!("{json}");
    }
    Ok(())
}

/// Accuracies to compare with, and weights where the table has them.
struct Truth {
    path: PathBuf,
    accuracy: HashMap<Arch, f64>,
    params: Option<HashMap<Arch, f64>>,
}

impl Truth {
    fn load(name: &str, space: &dyn SearchSpace) -> Result<Self, PadaError> {
        let by_arch = |table: &TruthTable| {
            table.archs().iter().cloned().zip(table.accuracies().iter().copied()).collect::<HashMap<_, _>>()
        };
        match name {
            "mini" => {
                let accuracy = by_arch(&pada::truth::mini(space)?);
                Ok(Self { path: "mini".into(), accuracy, params: None })
            }
            "nb201" => {
                let path = super::data_dir().join("nasbench201").join(NB201_FILE);
                let table = Nb201Table::load(&path)?;
                let column = |name| table.truth(name).expect("every loaded table has this column");
                let params = Some(by_arch(&column("params_cifar10")));
                Ok(Self { path, accuracy: by_arch(&column("cifar10_test_200")), params })
            }
            file => {
                let path = PathBuf::from(file);
                let accuracy = read_scores(&path, space)?.into_iter().collect();
                Ok(Self { path, accuracy, params: None })
            }
        }
    }

    /// The truth of every architecture that was scored, and of no other.
    fn of(&self, pred: &Path, scores: &[(Arch, f64)]) -> Result<Vec<f64>, PadaError> {
        let missing: Vec<&Arch> =
            scores.iter().map(|(arch, _)| arch).filter(|arch| !self.accuracy.contains_key(*arch)).collect();
        if let Some(arch) = missing.first() {
            let (path, arch, missing) = (self.path.clone(), arch.to_string(), missing.len());
            return Err(PadaError::NoTruth { path, arch, missing });
        }
        if scores.len() < self.accuracy.len() {
            let (have, all) = (scores.len(), self.accuracy.len());
            tracing::warn!(
                "{} scores {have} of the {all} architectures of {}",
                pred.display(),
                self.path.display()
            );
        }
        Ok(scores.iter().map(|(arch, _)| self.accuracy[arch]).collect())
    }
}
