use std::path::{Path, PathBuf};
use std::time::Instant;

use pada_report::MixtureRecord;
use pada_trainer::Observer;

use crate::config::{Config, ConfigError, RunConfig, SEARCH_RULES, TruthName};
use crate::error::PadaError;
use crate::experiment::run::Run;
use crate::run::folder::RunFolder;
use crate::run::inputs::Custom;
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;
use crate::search::look_up::LookUp;
use crate::search::{FoundArch, Images};

/// A differentiable search: a training run whose rule trains architecture parameters together with the shared weights.
#[derive(Clone, Debug)]
pub struct DifferentiableJob {
    /// The config of the run. Its section `[update]` has the rule of the method; its ranking is not computed.
    pub config: RunConfig,
    /// The benchmark table in which the architecture is looked up. With `None` it is the main table of the config, if it has one.
    pub truth: Option<TruthName>,
    /// The run folder, which is created. If it contains the same search, the search is continued.
    pub out: PathBuf,
}

/// The result of a differentiable search.
#[derive(Clone, Debug, PartialEq)]
pub struct DifferentiableResult {
    /// The strongest architecture at the end. Its score is the accuracy with the shared weights on validation images, or on the images of the
    /// ranking if all training images were trained on.
    pub found: FoundArch,
    /// The strongest architecture after every epoch, with the probabilities of all operations. If the supernet was split, these are the epochs
    /// of the sub-supernet whose architecture was found.
    pub epochs: Vec<MixtureRecord>,
    /// The number of sub-supernets that the supernet was split into, and the index of the one whose architecture was found. `None` if it was
    /// not split.
    pub leaf: Option<(usize, usize)>,
    /// The names of the operations, in digit order.
    pub ops: Vec<&'static str>,
    /// The highest stand-alone accuracy of the benchmark table in which the result is looked up, in percent. `None` without a table.
    pub ceiling: Option<f64>,
    /// The images of [`FoundArch::score`].
    pub scored_on: String,
    /// The images of [`FoundArch::test`], if they are others.
    pub tested_on: Option<String>,
    /// Wall-clock seconds of the training of all epochs, without validation afterwards.
    pub train_seconds: f64,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
    /// The run folder.
    pub folder: PathBuf,
}

/// Creates the config of a differentiable search from that of another run: with the rule of the method, uniform sampling, and without the
/// second half of the training images unless the method needs none. A section `split` of a config with another rule is left out. `settings` are keys of
/// `[update]`, `section.key` for others, or the whole section `split`.
///
/// # Errors
/// Returns an error with the assignment if it is not valid, or if the method has another name than those of [`SEARCH_RULES`].
pub fn differentiable_config(
    method: &str,
    start: &RunConfig,
    settings: &[String],
) -> Result<RunConfig, ConfigError> {
    let (key, value) = ("--method", method.to_owned());
    if !SEARCH_RULES.contains(&method) {
        return Err(ConfigError::Range { key, value, range: "a differentiable search" });
    }
    let own = |setting: &String| {
        let name = setting.split('=').next().unwrap_or_default();
        let is_section = name.contains('.') || ["seed", "name", "split"].contains(&name);
        if is_section { setting.clone() } else { format!("update.{setting}") }
    };
    let settings: Vec<String> = settings.iter().map(own).collect();
    let given = |key: &str| settings.iter().any(|setting| setting.split('=').next() == Some(key));
    let mut all = vec![];
    // A config of the same method keeps its settings.
    if start.update.rule() != method {
        all.push(format!("update.rule={method}"));
        let halves = [("paths.rule", "uniform"), ("images.rule", "uniform")];
        all.extend(
            halves.into_iter().filter(|(key, _)| !given(key)).map(|(key, value)| format!("{key}={value}")),
        );
        if start.data.train == crate::config::TrainPart::All && method != "snas" && !given("data.train") {
            all.push("data.train=half".to_owned());
        }
    }
    // The result needs no ranking, and the lists of one space are not those of another.
    let space = settings.iter().find_map(|setting| setting.strip_prefix("supernet.space="));
    if space.is_some_and(|space| space.trim_matches('"') != start.supernet.space.name()) {
        let ranking = ["rank.truth=none", "rank.compare=[]", "rank.archs=random:1"];
        let key = |setting: &&str| setting.split('=').next().unwrap_or_default().to_owned();
        all.extend(
            ranking.iter().filter(|setting| !given(&key(setting))).map(|setting| (*setting).to_owned()),
        );
    }
    all.extend(settings);
    if start.update.rule() == method {
        return start.with_all(&all);
    }
    RunConfig { name: method.to_owned(), split: None, ..start.clone() }.with_all(&all)
}

/// Returns the config of a differentiable search without other settings: DARTS on the embedded mini images, as `configs/mini/darts.toml`.
///
/// # Panics
/// This function never panics, because a test compares the config with its file.
pub fn differentiable_mini() -> RunConfig {
    const SETTINGS: [&str; 10] = [
        "name=darts",
        "data.train=half",
        "train.lr=0.025",
        "train.min_lr=0.001",
        "train.optimizer=nesterov",
        "train.weight_decay=5e-4",
        "paths.rule=uniform",
        "images.rule=uniform",
        "update.rule=darts",
        "update.first_update=weights",
    ];
    RunConfig::mini_with(&SETTINGS).expect("a test resolves these settings")
}

/// Creates the run folder, or opens that of the same search.
fn open_folder(out: &Path, config: &Config) -> Result<RunFolder, PadaError> {
    let error = match RunFolder::create_or_open(out, config) {
        Err(PadaError::FolderExists { path }) => path,
        other => return other,
    };
    let (Ok((_, Config::Run(found))), Config::Run(wanted)) = (RunFolder::open_to_read(&error), config) else {
        return Err(PadaError::FolderExists { path: error });
    };
    let (found, wanted) = (found.settings(), wanted.settings());
    let differs = |(key, value): &&(String, String)| !found.contains(&(key.clone(), value.clone()));
    let keys: Vec<&str> = wanted.iter().filter(differs).map(|(key, _)| key.as_str()).collect();
    let value = format!("{}, the folder of a search with another {}", error.display(), keys.join(", "));
    let range = "a new folder, or the folder of the same search; give another --out";
    Err(ConfigError::Range { key: "--out", value, range }.into())
}

/// Searches by training a supernet whose decisions are mixtures of operations.
///
/// If the config splits the supernet (`[split]`), every sub-supernet ends in an architecture of its own, and the one whose mixture classifies most
/// validation images correctly is found.
///
/// The run folder has everything that the folder of a training run has but for a ranking: checkpoints, the record with the probabilities of all
/// epochs, and the report. Commands that take a run folder take it too, such as `pada rank` and `pada search`.
///
/// # Errors
/// Returns an error if the config is not valid or has another rule, an input cannot be read, the folder has another run, or training fails.
/// After [`ErrorKind::Stopped`](crate::ErrorKind::Stopped), or if the process was killed, the same call continues from the last checkpoint.
pub fn search_differentiable(
    job: &DifferentiableJob,
    session: &Session,
    observer: &mut dyn Observer,
) -> Result<DifferentiableResult, PadaError> {
    let started = Instant::now();
    let DifferentiableJob { config, truth, out } = job;
    if config.update.differentiable().is_none() {
        let (key, value) = ("update.rule", config.update.rule().to_owned());
        return Err(ConfigError::Range { key, value, range: "a differentiable search" }.into());
    }
    let table = LookUp::of_run(*truth, &Config::Run(config.clone()), &session.data_dir)?;
    let config = Config::Run(config.clone());
    // A search that cannot start leaves no folder.
    let run = Run::prepare(config.clone(), session)?;
    let folder = open_folder(out, &config)?;
    run.execute_without_ranking(&folder, observer)?;
    let mut run = TrainedRun::of(folder, config, session, &Custom::default())?;
    let record = run.record()?;
    let none = || PadaError::NotTrained { path: out.clone() };
    let stage = record.found_stage().ok_or_else(none)?;
    let arch = run.space().parse(&record.found().ok_or_else(none)?.arch)?;
    let of_stage = record.epochs.iter().filter(|epoch| epoch.stage == stage);
    let epochs: Vec<MixtureRecord> = of_stage.filter_map(|epoch| epoch.mixture.clone()).collect();
    let search = job.config.update.differentiable();
    if search.is_some_and(|search| search.rule.trains_on_validation())
        && epochs.iter().all(|epoch| epoch.validation_loss.is_none())
    {
        tracing::warn!(
            "architecture parameters were never trained, so the result is random: the search has too few steps"
        );
    }
    let leaf = record.found_sub_supernet().map(|leaf| (record.sub_supernets.len(), leaf));
    let TrainedRun { folder, config, inputs, trained, session } = &mut run;
    let Images { selection, test } = Images::of(config, inputs, session)?;
    let scored = selection.as_ref().unwrap_or(&inputs.scoring);
    let tested = if selection.is_some() { Some(&inputs.scoring) } else { test.as_ref() };
    let (score, test) = trained.with_weights(|mut weights| {
        let images = scored.eval_set();
        let score = scored.scorer(&mut weights, &images).score(&arch)?.accuracy();
        let test = match tested {
            None => None,
            Some(tested) => {
                let images = tested.eval_set();
                Some(tested.scorer(&mut weights, &images).score(&arch)?.accuracy())
            }
        };
        Ok::<_, PadaError>((score, test))
    })?;
    let network = &inputs.scoring.network;
    let (space, cost) = (network.space.as_ref(), network.cost(&arch)?);
    let truth = match &table {
        None => None,
        Some(table) => table.accuracy(&arch, space)?,
    };
    let found = FoundArch {
        arch: arch.to_string(),
        text: space.format(&arch)?,
        score,
        test,
        fused: None,
        params: cost.params,
        macs: cost.macs,
        latency: None,
        truth,
    };
    let of = |scoring: &crate::run::scoring::Scoring| {
        format!("{} images of {}", scoring.images.len(), scoring.images.name)
    };
    Ok(DifferentiableResult {
        found,
        ops: space.op_names().to_vec(),
        epochs,
        leaf,
        ceiling: table.as_ref().map(LookUp::best),
        scored_on: of(scored),
        tested_on: tested.map(of),
        train_seconds: record.train_seconds,
        seconds: started.elapsed().as_secs_f64(),
        folder: folder.path().to_owned(),
    })
}
