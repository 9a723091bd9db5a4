use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use pada::dist::ProcessGroup;
use pada::report::{MlflowStore, RunRecord, summary};
use pada::{Config, ErrorKind, PadaError, Run, RunConfig, RunFolder, Session};
use serde_json::json;

use super::{Common, report, seconds};
use crate::progress::{Progress, Show};

/// The folder in which run folders are created.
const RUNS: &str = "runs";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Config of the run as a TOML file. The default is PA&DA on the embedded mini images; `retrain` uses the same recipe.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change a key of the config, as section.key=value; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of all random streams.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Folder to create for the run; runs/<name>-s<seed>-<number> if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Resume the run of this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "set", "seed", "out"])]
    pub(crate) resume: Option<PathBuf>,
    /// Number of epochs, at least that of the run, after which the resumed run ends. The run must have a learning rate and samplers that do
    /// not depend on the number of epochs.
    #[arg(long, value_name = "EPOCHS", requires = "resume")]
    extend_to: Option<NonZeroUsize>,
    /// Seconds between two checkpoints within an epoch. A checkpoint is also written after every epoch.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub(crate) checkpoint_every: f64,
    /// Folder of a file store of MLflow, such as mlruns, to which the run is logged after every epoch. It is created if it does not exist.
    #[arg(long, value_name = "DIR")]
    mlflow: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Args {
    /// Reads the config and applies the options of the command line.
    pub(crate) fn config(&self) -> Result<RunConfig, PadaError> {
        let mut config = match &self.config {
            Some(path) => RunConfig::read_with(path, &self.set)?,
            None => RunConfig::mini_with(&self.set)?,
        };
        config.seed = self.seed.unwrap_or(config.seed);
        Ok(config)
    }

    /// Executes or resumes the run; `config` returns the config of a run that is not resumed. If the run fails after its start, the command
    /// that resumes it is printed. Returns `None` in all processes but process 0.
    pub(crate) fn work(
        &self,
        config: impl FnOnce() -> anyhow::Result<Config>,
    ) -> anyhow::Result<Option<(RunFolder, Config, RunRecord)>> {
        let checkpoint_every = seconds("--checkpoint-every", self.checkpoint_every)?;
        let session = Session { checkpoint_every, ..self.common.shared_session()? };
        let world = &session.world;
        let (folder, config) = match &self.resume {
            // Only process 0 reads and writes the folder.
            Some(_) if world.index() > 0 => (None, received(world)?),
            Some(path) => {
                let (folder, config) = RunFolder::open(path)?;
                let config = match self.extend_to {
                    Some(epochs) => config.extended(epochs.get()).map_err(PadaError::from)?,
                    None => config,
                };
                world.broadcast(config.to_toml().into_bytes()).map_err(PadaError::from)?;
                (Some(folder), config)
            }
            None => (None, config()?),
        };
        let finished = folder.as_ref().filter(|_| world.is_single());
        if let Some(record) = finished.and_then(|folder| Run::finished(folder, &config))
            && let Some(folder) = folder
        {
            note!("{} is finished, so nothing is computed again", folder.path().display());
            if let Some(store) = &self.mlflow {
                folder.write_mlflow(store)?;
            }
            return Ok(Some((folder, config, record)));
        }
        if let Some(store) = &self.mlflow {
            // A store that cannot be written is an error before a run folder is created.
            MlflowStore::open(store).map_err(PadaError::from)?;
        }
        let run = match &self.resume {
            Some(path) => Run::prepare_to_resume(&config, path, &session)?,
            None => Run::prepare(&config, &session)?,
        };
        if world.index() > 0 {
            ended(world, run.run_worker(&mut Progress::new(Show::Nothing)))?;
            return Ok(None);
        }
        let mut folder = match (folder, &self.out) {
            (Some(folder), _) => folder,
            (None, Some(path)) => RunFolder::create(path, &config)?,
            (None, None) => RunFolder::create_numbered(Path::new(RUNS), &config)?,
        };
        if let Some(store) = &self.mlflow {
            folder.log_to_mlflow(store)?;
        }
        let result = run.execute(&folder, &mut self.common.progress());
        if result.as_ref().is_err_and(|error| error.kind() != ErrorKind::Input) {
            note!("to resume: pada --resume {}", folder.path().display());
        }
        Ok(Some((folder, config, ended(world, result)?)))
    }
}

/// Closes the process group, unless this process failed: then the launcher ends the other processes.
pub(crate) fn ended<T>(world: &ProcessGroup, result: Result<T, PadaError>) -> Result<T, PadaError> {
    match &result {
        Ok(_) => world.close(),
        // A stop reaches all processes. The barrier keeps them alive until process 0 has written its checkpoint.
        Err(error) if error.kind() == ErrorKind::Stopped && world.barrier().is_ok() => world.close(),
        Err(_) => {}
    }
    result
}

/// Receives the config from process 0.
fn received(world: &ProcessGroup) -> Result<Config, PadaError> {
    let text = world.broadcast(vec![])?;
    Ok(Config::parse(&String::from_utf8_lossy(&text), Path::new("the config of process 0"))?)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Some((folder, _, record)) = args.work(|| Ok(args.config()?.into()))? else { return Ok(()) };
    say!("{}", summary(&record).trim_end());
    say!("\nrun folder {}", folder.path().display());
    let page = report::write_for(&folder);
    if let Ok(page) = &page {
        say!("report     {}", page.display());
    }
    if args.common.json {
        let main = record.ranking.as_ref().and_then(|ranking| ranking.main_metrics());
        let fused = record.ranking.as_ref().and_then(|ranking| ranking.fused_metrics());
        say!(
            "{}",
            json!({
                "run_dir": folder.path(),
                "tau_b": main.map(|m| m.tau_b),
                "p_at_top5": main.and_then(|m| m.p_at_top_5),
                "fused_tau_b": fused.map(|m| m.tau_b),
                "fused_p_at_top5": fused.and_then(|m| m.p_at_top_5),
                "archs_ranked": record.ranking.as_ref().map(|r| r.archs),
                "train_s": record.train_seconds,
                "rank_s": record.ranking.as_ref().map(|r| r.seconds),
                "device": record.device,
            })
        );
    }
    page.map(drop)
}
