//! Tables of networks that searches found: what was published, what they cost, and what they reach when they are retrained here.

mod rows;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use pada::RetrainConfig;
use pada::report::{FailedTrial, RunRecord, Spread};
use serde::Deserialize;

use self::rows::Row;
use self::table::{NetworkRow, NetworkTable};
use super::cells::{State, look, record_file};
use super::child::{self, Ended};
use super::runner::refusal;
use super::table::changed;
use crate::usage::usage;
use crate::{binary, paths};

/// A table of the paper whose rows are networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// Cells of DARTS on CIFAR-10.
    Table2,
    /// Networks of MobileNet blocks on ImageNet.
    Table3,
}

/// How much of the published recipe runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preset {
    /// Embedded images, small networks, minutes.
    Quick,
    /// The published recipe.
    Full,
}

/// What `reproduce table2` and `table3` take.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// How much of the published recipe runs.
    #[arg(long, value_enum, default_value = "quick")]
    preset: Preset,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    methods: Vec<String>,
    /// Seeds 0 to N - 1; 0 retrains nothing.
    #[arg(long, value_name = "N", default_value = "1")]
    seeds: u64,
    /// Where runs and tables go; runs/<table>-<preset> if not given. Finished runs there are not run again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a key of every run's config, as section.key=value; may be repeated. The table says so.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// What computes: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads on the CPU; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Which {
    fn name(self) -> &'static str {
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

    /// The networks that are counted.
    fn counted(self) -> &'static str {
        match self {
            Self::Table2 => "20 cells, C=36, images of 32×32, no auxiliary head",
            Self::Table3 => "images of 224×224, 1,000 classes",
        }
    }
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    fn config_file(self, which: Which) -> anyhow::Result<PathBuf> {
        let folder = match which {
            Which::Table2 => "configs/darts",
            Which::Table3 => "configs/proxyless",
        };
        let file = match self {
            Self::Quick => "retrain-mini.toml",
            Self::Full => "retrain.toml",
        };
        Ok(paths::root()?.join(folder).join(file))
    }

    fn note(self, config: &RetrainConfig) -> String {
        let (net, train, source) = (&config.network, &config.train, &config.data.source);
        let size = net.size_text();
        let recipe = format!("{size}, {} epochs, batch {}, images of {source}", train.epochs, train.batch);
        match self {
            Self::Quick => format!(
                "**Quick preset, not the published recipe**: what was retrained here is {recipe}. These accuracies neither confirm nor \
                 contradict the published ones."
            ),
            Self::Full => format!("Retrained with the recipe of the config's head: {recipe}."),
        }
    }
}

/// A row with a seed.
struct Cell {
    row: usize,
    seed: u64,
    folder: PathBuf,
    config: RetrainConfig,
}

/// Retrains what is not finished and writes the table after every run; the path of its Markdown.
pub(crate) fn run(which: Which, args: &Args) -> anyhow::Result<PathBuf> {
    let rows = Row::of_table(which, &args.methods)?;
    let base = RetrainConfig::read_with(&args.preset.config_file(which)?, &args.set)?;
    let default = || Ok(paths::root()?.join("runs").join(format!("{}-{}", which.name(), args.preset.name())));
    let out = std::path::absolute(args.out.clone().map_or_else(default, anyhow::Ok)?)?;
    let mut cells = Vec::new();
    for seed in 0..args.seeds {
        for (place, row) in rows.iter().enumerate() {
            let Ok(config) = row.config(&base, seed) else { continue };
            config.check()?;
            cells.push(Cell { row: place, seed, folder: out.join(format!("{}-s{seed}", row.name)), config });
        }
    }
    let file = out.join("table");
    let mut failed = Vec::new();
    refuse_other_runs(&cells)?;
    write(which, args, &rows, &base, &cells, &failed, &file)?;
    let program = if cells.is_empty() { PathBuf::new() } else { binary::build()? };
    child::catch_ctrl_c();
    for cell in &cells {
        if look(&cell.folder, &cell.config)? == State::Finished {
            continue;
        }
        match retrain(which, args, &rows, cell, &program)? {
            Ended::Done => {}
            Ended::Stopped => {
                eprintln!(
                    "stopped; what is finished stands in {}; the same command goes on",
                    file.with_extension("md").display()
                );
                std::process::exit(130);
            }
            Ended::Failed(reason) => {
                let cell = format!("{}, seed {}", rows[cell.row].name, cell.seed);
                failed.push(FailedTrial { trial: cell, reason });
            }
        }
        write(which, args, &rows, &base, &cells, &failed, &file)?;
    }
    let file = file.with_extension("md");
    let reasons: Vec<String> = failed.iter().map(|f| format!("{}: {}", f.trial, f.reason)).collect();
    ensure!(
        failed.is_empty(),
        "{} runs failed, the others stand in {}:\n{}",
        failed.len(),
        file.display(),
        reasons.join("\n")
    );
    Ok(file)
}

/// A folder that holds another run would stand in the table unnoticed.
fn refuse_other_runs(cells: &[Cell]) -> anyhow::Result<()> {
    let mut others = Vec::new();
    for cell in cells {
        if let State::Other(differences) = look(&cell.folder, &cell.config)? {
            others.push(refusal(&cell.folder, &differences));
        }
    }
    if others.is_empty() { Ok(()) } else { Err(usage(others.join("\n"))) }
}

/// Trains a network from scratch, from where an earlier call was stopped.
fn retrain(which: Which, args: &Args, rows: &[Row], cell: &Cell, program: &Path) -> anyhow::Result<Ended> {
    let row = &rows[cell.row];
    let mut command = Command::new(program);
    command.arg("retrain");
    match look(&cell.folder, &cell.config)? {
        State::New => {
            let arch = row.arch.as_deref().context("a row that is retrained has an architecture")?;
            command.arg("--config").arg(args.preset.config_file(which)?).args(["--arch", arch]);
            for assignment in args.set.iter().chain(&row.set) {
                command.arg("--set").arg(assignment);
            }
            command.args(["--seed", &cell.seed.to_string(), "--out"]).arg(&cell.folder);
        }
        _ => drop(command.arg("--resume").arg(&cell.folder)),
    }
    command.args(["--device", &args.device]);
    if let Some(threads) = args.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    command.env("PADA_DATA", std::path::absolute(paths::data_dir())?);
    child::run(&mut command, &format!("{}-s{}", row.name, cell.seed))
}

fn write(
    which: Which,
    args: &Args,
    rows: &[Row],
    base: &RetrainConfig,
    cells: &[Cell],
    failed: &[FailedTrial],
    file: &Path,
) -> anyhow::Result<()> {
    let mut accuracies = vec![Vec::new(); rows.len()];
    for cell in cells {
        if look(&cell.folder, &cell.config)? == State::Finished {
            let record = RunRecord::read(&record_file(&cell.folder))?;
            let best = record.ranking.as_ref().and_then(|ranking| ranking.best.first());
            let best = best.with_context(|| format!("{} names no architecture", cell.folder.display()))?;
            accuracies[cell.row].push(best.score);
        }
    }
    let finished = accuracies.iter().map(Vec::len).sum::<usize>();
    let row = |(row, accuracies): (&Row, Vec<f64>)| -> anyhow::Result<NetworkRow> {
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
    if !cells.is_empty() {
        notes.push(args.preset.note(base));
    }
    notes.push(format!("Weights and MACs are counted for the published network: {}.", which.counted()));
    notes.push("– stands for what neither the paper nor the row's own public code gives, or what was not retrained here.".to_owned());
    let table = NetworkTable {
        title: format!("{}, preset {}{}", which.title(), args.preset.name(), changed(&args.set)),
        notes,
        rows: rows.iter().zip(accuracies).map(row).collect::<anyhow::Result<_>>()?,
        failed: failed.to_vec(),
        missing: cells.len() - finished - failed.len(),
    };
    table.write(file)
}
