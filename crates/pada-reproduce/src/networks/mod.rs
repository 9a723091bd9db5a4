//! Tables of published networks: their published results, their costs, and their accuracy after retraining.

mod rows;
mod table;

use std::path::{Path, PathBuf};

use pada::RetrainConfig;
use pada::report::{FailedTrial, RunRecord, Spread};
use serde::Deserialize;

use self::rows::Row;
use self::table::{NetworkRow, NetworkTable};
use crate::child::{self, Ended};
use crate::runner::{conclude, refusal};
use crate::table::changed;
use crate::trials::{State, look, record_file};
use crate::{Environment, Event, ReproduceError};

/// A table of the paper whose rows are networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkTarget {
    /// Table 2: cells of DARTS on CIFAR-10.
    Table2,
    /// Table 3: networks of MobileNet blocks on ImageNet.
    Table3,
}

/// The size of the retraining, up to the published recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPreset {
    /// Embedded images, small networks, minutes.
    Quick,
    /// The published recipe.
    Full,
}

/// The networks to retrain, and the way to retrain them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkPlan {
    /// The size of the retraining, up to the published recipe.
    pub preset: NetworkPreset,
    /// Only these rows; all rows of the table if it is empty.
    pub methods: Vec<String>,
    /// Seeds 0 to N - 1; 0 retrains nothing.
    pub seeds: u64,
    /// Output folder for trials and tables; `<table>-<preset>` in [`Environment::runs`] if it is `None`. Finished trials in it are not run
    /// again.
    pub out: Option<PathBuf>,
    /// Assignments `section.key=value` that change the config of every trial. The table lists them.
    pub set: Vec<String>,
    /// Device to compute on: `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Number of CPU threads; all cores if it is `None`.
    pub threads: Option<usize>,
}

impl NetworkPlan {
    /// Returns a plan with all rows of a table, one seed and no changes, on any device.
    pub fn new(preset: NetworkPreset) -> Self {
        let device = "auto".to_owned();
        Self { preset, methods: vec![], seeds: 1, out: None, set: vec![], device, threads: None }
    }
}

impl NetworkTarget {
    /// Returns the name in names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table2 => "table2",
            Self::Table3 => "table3",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Table2 => "Table 2, networks of DARTS cells, CIFAR-10",
            Self::Table3 => "Table 3, networks of MobileNet blocks, ImageNet",
        }
    }

    /// Describes the networks whose costs are counted.
    fn counted(self) -> &'static str {
        match self {
            Self::Table2 => "20 cells, C=36, images of 32×32, no auxiliary head",
            Self::Table3 => "images of 224×224, 1,000 classes",
        }
    }
}

impl NetworkPreset {
    /// Returns the name in tables and in names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// Returns the config for retraining, in the folder `configs`.
    fn config_file(self, which: NetworkTarget) -> String {
        let folder = match which {
            NetworkTarget::Table2 => "darts",
            NetworkTarget::Table3 => "proxyless",
        };
        let file = match self {
            Self::Quick => "retrain-mini.toml",
            Self::Full => "retrain.toml",
        };
        format!("{folder}/{file}")
    }

    fn note(self, config: &RetrainConfig) -> String {
        let (net, train, source) = (&config.network, &config.train, &config.data.source);
        let size = net.size_text();
        let recipe = format!("{size}, {} epochs, batch {}, images of {source}", train.epochs, train.batch);
        match self {
            Self::Quick => format!(
                "**Quick preset, not the published recipe**: networks were retrained with {recipe}. These accuracies neither confirm nor \
                 contradict the published ones."
            ),
            Self::Full => format!("Retrained with the recipe of the config's head: {recipe}."),
        }
    }
}

/// A row with a seed.
struct NetworkTrial {
    row: usize,
    seed: u64,
    folder: PathBuf,
    config: RetrainConfig,
}

/// Runs the unfinished trials and writes the table after every run. Returns the path of its Markdown file.
pub(crate) fn run(
    which: NetworkTarget,
    plan: &NetworkPlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let rows = Row::of_table(which, &plan.methods)?;
    let base = RetrainConfig::read_with(&environment.config(&plan.preset.config_file(which))?, &plan.set)?;
    let usual = format!("{}-{}", which.name(), plan.preset.name());
    let out = environment.out_folder(plan.out.as_deref(), usual)?;
    let mut trials = Vec::new();
    for seed in 0..plan.seeds {
        for (index, row) in rows.iter().enumerate() {
            let Ok(config) = row.config(&base, seed) else { continue };
            config.check()?;
            trials.push(NetworkTrial {
                row: index,
                seed,
                folder: out.join(format!("{}-s{seed}", row.name)),
                config,
            });
        }
    }
    let file = out.join("table");
    let mut failed = Vec::new();
    refuse_other_runs(&trials)?;
    write(which, plan, &rows, &base, &trials, &failed, &file)?;
    for trial in &trials {
        if look(&trial.folder, &trial.config)? == State::Finished {
            continue;
        }
        match retrain(which, plan, &rows, trial, environment)? {
            Ended::Done => {}
            Ended::Stopped => return Err(ReproduceError::Stopped { place: file.with_extension("md") }),
            Ended::Failed(reason) => {
                let trial = format!("{}, seed {}", rows[trial.row].name, trial.seed);
                (environment.events)(Event::Failed { trial: &trial, reason: &reason });
                failed.push(FailedTrial { trial, reason });
            }
        }
        write(which, plan, &rows, &base, &trials, &failed, &file)?;
    }
    let file = file.with_extension("md");
    conclude(&failed, &file)?;
    Ok(file)
}

/// Rejects folders with the run of another config, because its result would enter the table unnoticed.
fn refuse_other_runs(trials: &[NetworkTrial]) -> Result<(), ReproduceError> {
    let mut others = Vec::new();
    for trial in trials {
        if let State::Other(differences) = look(&trial.folder, &trial.config)? {
            others.push(refusal(&trial.folder, &differences));
        }
    }
    if others.is_empty() { Ok(()) } else { Err(ReproduceError::Usage(others.join("\n"))) }
}

/// Trains a network from scratch, or resumes its training.
fn retrain(
    which: NetworkTarget,
    plan: &NetworkPlan,
    rows: &[Row],
    trial: &NetworkTrial,
    environment: &Environment<'_>,
) -> Result<Ended, ReproduceError> {
    let row = &rows[trial.row];
    let mut command = environment.call()?;
    command.arg("retrain");
    match look(&trial.folder, &trial.config)? {
        State::New => {
            let arch = row.arch.as_deref().expect("a row that is retrained has an architecture");
            let config = environment.config(&plan.preset.config_file(which))?;
            command.arg("--config").arg(config).args(["--arch", arch]);
            for assignment in plan.set.iter().chain(&row.set) {
                command.arg("--set").arg(assignment);
            }
            command.args(["--seed", &trial.seed.to_string(), "--out"]).arg(&trial.folder);
        }
        _ => drop(command.arg("--resume").arg(&trial.folder)),
    }
    command.args(["--device", &plan.device]);
    if let Some(threads) = plan.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    child::run(&mut command, &format!("{}-s{}", row.name, trial.seed), environment)
}

fn write(
    which: NetworkTarget,
    plan: &NetworkPlan,
    rows: &[Row],
    base: &RetrainConfig,
    trials: &[NetworkTrial],
    failed: &[FailedTrial],
    file: &Path,
) -> Result<(), ReproduceError> {
    let mut accuracies = vec![Vec::new(); rows.len()];
    for trial in trials {
        if look(&trial.folder, &trial.config)? == State::Finished {
            let record = RunRecord::read(&record_file(&trial.folder))?;
            let best = record.ranking.as_ref().and_then(|ranking| ranking.best.first());
            let best = best.ok_or_else(|| {
                ReproduceError::Trial(format!("{} names no architecture", trial.folder.display()))
            })?;
            accuracies[trial.row].push(best.score);
        }
    }
    let finished = accuracies.iter().map(Vec::len).sum::<usize>();
    let row = |(row, accuracies): (&Row, Vec<f64>)| -> Result<NetworkRow, ReproduceError> {
        let refused = row.config(base, 0).err();
        Ok(NetworkRow {
            name: row.name.clone(),
            label: row.label.clone(),
            arch: row.arch.clone(),
            published: row.published.unwrap_or_default(),
            cost: row.cost(which)?,
            retrained: Spread::of(accuracies),
            remarks: row.remarks(refused),
        })
    };
    let mut notes = Vec::new();
    if !trials.is_empty() {
        notes.push(plan.preset.note(base));
    }
    notes.push(format!("Parameters and MACs are counted for the published network: {}.", which.counted()));
    notes.push("– marks a value that neither the paper nor the public code of the row gives, or a network that was not retrained.".to_owned());
    let table = NetworkTable {
        title: format!("{}, preset {}{}", which.title(), plan.preset.name(), changed(&plan.set)),
        notes,
        rows: rows.iter().zip(accuracies).map(row).collect::<Result<_, ReproduceError>>()?,
        failed: failed.to_vec(),
        missing: trials.len() - finished - failed.len(),
    };
    table.write(file)
}
