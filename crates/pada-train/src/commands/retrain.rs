use std::path::PathBuf;

use pada::{Config, ConfigError, PadaError, RetrainConfig, RunFolder};
use serde_json::json;

use super::{report, train};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The architecture in any text form of its space, or the name of a published network of darts or proxyless.
    /// Required unless the config has `retrain.arch`.
    #[arg(long)]
    arch: Option<String>,
    /// Folder of a finished run of the same size: start from its weights of the architecture instead of random ones. With sub-supernets, from
    /// those of the sub-supernet that the architecture belongs to.
    #[arg(long, value_name = "RUN_DIR", conflicts_with = "resume")]
    init: Option<PathBuf>,
    #[command(flatten)]
    run: train::Args,
}

impl Args {
    /// Reads the config and applies the options of the command line.
    fn config(&self) -> Result<RetrainConfig, PadaError> {
        let mut config = match &self.run.config {
            Some(path) => RetrainConfig::read_with(path, &self.run.set)?,
            None => RetrainConfig::mini_with(&self.run.set)?,
        };
        config.seed = self.run.seed.unwrap_or(config.seed);
        if let Some(init) = &self.init {
            config.retrain.init = Some(init.display().to_string());
        }
        match &self.arch {
            Some(arch) => Ok(config.of_arch(arch)?),
            // A config that has an architecture keeps its own name.
            None => config.arch().map(|_| ()).map_err(PadaError::from).map(|()| config),
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let done = args.run.work(|| Ok(args.config()?.into()))?;
    let Some((folder, config, record)) = done else { return Ok(()) };
    let best = record.ranking.as_ref().and_then(|ranking| ranking.best.first());
    let Some(best) = best.filter(|_| matches!(config, Config::Retrain(_))) else {
        return Err(not_one_architecture(&folder).into());
    };
    let arch = match &config {
        Config::Retrain(config) => config.arch()?,
        Config::Run(_) => &best.arch,
    };
    let top5 = |percent: Option<f64>| percent.map_or_else(String::new, |p| format!(", top-5 {p:.2} %"));
    let (epochs, seed) = (record.epochs.len(), config.seed());
    say!("{arch}: {:.2} %{} after {epochs} epochs, seed {seed}", best.score, top5(best.top5));
    if let Some(init) = &record.init {
        say!("started from the weights of {}", init.run);
    }
    if let Some(epoch) = &record.best_epoch {
        say!("best epoch {}: {:.2} %{}", epoch.epoch + 1, epoch.accuracy, top5(epoch.top5));
    }
    say!("{} parameters, {} MACs, run folder {}", best.params, best.macs, folder.path().display());
    let page = report::write_for(&folder);
    if args.run.common.json {
        say!(
            "{}",
            json!({
                "accuracy": best.score,
                "top5": best.top5,
                "best_epoch": record.best_epoch,
                "params": best.params,
                "macs": best.macs,
                "epochs": epochs,
                "init": record.init,
            })
        );
    }
    page.map(drop)
}

fn not_one_architecture(folder: &RunFolder) -> PadaError {
    let value = folder.path().display().to_string();
    ConfigError::Range { key: "--resume", value, range: "a run that `pada retrain` started" }.into()
}
