use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use numpy::{PyArray1, ToPyArray};
use pada::data::{Damaged, Photographs};
use pada::dist::ProcessGroup;
use pada::graph::Lower;
use pada::zero_cost::Score;
use pada::{
    Config, ConfigError, Device, DifferentiableJob, Existing, ExportFiles, ExportFormat, ExportJob,
    ExportWeights, FoundArch, FusePart, PadaError, RankArchs, Recalibration, RetrainConfig, Run, RunConfig,
    RunFolder, RunReader, ScoreJob, SearchCost, SearchJob, SearchLimits, SearchResult, Session, SpaceName,
    StatisticsFrom, SupernetConfig, TableScores, TrainedRun, TruthName, check_output, differentiable_config,
    differentiable_mini, run_folders, search_differentiable, search_method, search_run, search_table,
    write_page, zero_cost_scores,
};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;

use crate::arch::Arch;
use crate::error::{from_json, invalid, raised, to_json};
use crate::observer::Progress;
use crate::space::named;

/// The version of the package.
#[pyfunction]
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Sets the number of threads of all computations, before the first one.
#[pyfunction]
pub(crate) fn set_threads(threads: usize) -> PyResult<()> {
    if !(1..=1024).contains(&threads) {
        return Err(invalid(&format!("{threads} threads; the number must be from 1 to 1024")));
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|_| {
        invalid("the threads run already; call pada.set_threads before the first computation, or set RAYON_NUM_THREADS")
    })
}

/// The device and the folders of a call, as the Python part of the package passes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    data_dir: PathBuf,
    device: String,
    #[serde(default)]
    checkpoint_every: Option<f64>,
}

impl Place {
    fn session(&self) -> Result<Session, PadaError> {
        let seconds = self.checkpoint_every.unwrap_or(60.0);
        let checkpoint_every = Duration::try_from_secs_f64(seconds).map_err(|_| ConfigError::Range {
            key: "checkpoint_every",
            value: seconds.to_string(),
            range: "0 or more seconds",
        })?;
        let device = Device::choose(&self.device)?.device;
        let (data_dir, world) = (pada::in_home(&self.data_dir), ProcessGroup::single());
        Ok(Session { data_dir, device, checkpoint_every, world })
    }
}

/// Runs a long computation without the GIL. Signals and the exceptions of `progress` stop it.
fn compute<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut Progress) -> Result<T, PadaError> + Send,
) -> PyResult<T> {
    let mut observer = Progress::new(progress);
    let result = py.detach(|| work(&mut observer)).map_err(raised);
    observer.result(result)
}

/// The config of a new run, as the Python part of the package passes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// A file.
    file: Option<PathBuf>,
    /// The content of a file, as a table.
    table: Option<toml::Table>,
    /// Changes of the form `section.key=value`.
    assignments: Vec<String>,
    seed: Option<u64>,
    /// The architecture of a run that trains one from scratch; an empty text stands for that of the config.
    arch: Option<String>,
    out: Option<PathBuf>,
}

/// The name of a config from Python in errors, which name the file of another config.
const OWN_CONFIG: &str = "the config";

impl NewRun {
    fn config(&self) -> Result<Config, PadaError> {
        let (set, own) = (&self.assignments, Path::new(OWN_CONFIG));
        let text = self.table.as_ref().map(|table| table.to_string());
        let Some(arch) = &self.arch else {
            let mut config = match (&self.file, &text) {
                (Some(file), _) => RunConfig::read_with(file, set)?,
                (None, Some(text)) => RunConfig::parse(text, own)?.with_all(set)?,
                (None, None) => RunConfig::mini_with(set)?,
            };
            config.seed = self.seed.unwrap_or(config.seed);
            return Ok(Config::Run(config));
        };
        let mut config = match (&self.file, &text) {
            (Some(file), _) => RetrainConfig::read_with(file, set)?,
            (None, Some(text)) => RetrainConfig::parse(text, own)?.with_all(set)?,
            (None, None) => RetrainConfig::mini_with(set)?,
        };
        config.seed = self.seed.unwrap_or(config.seed);
        if arch.is_empty() {
            config.arch()?;
            return Ok(Config::Retrain(config));
        }
        Ok(Config::Retrain(config.of_arch(arch)?))
    }
}

/// Trains in a new folder, and returns it.
#[pyfunction]
pub(crate) fn train(
    py: Python<'_>,
    run: &str,
    place: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<PathBuf> {
    let (new, place): (NewRun, Place) = (from_json("the config", run)?, from_json("the session", place)?);
    compute(py, progress, |observer| {
        let config = new.config()?;
        let run = Run::prepare(&config, &place.session()?)?;
        let folder = match &new.out {
            Some(path) => RunFolder::create(path, &config)?,
            None => RunFolder::create_numbered(Path::new("runs"), &config)?,
        };
        observer.works_in(folder.path());
        run.execute(&folder, observer)?;
        Ok(folder.path().to_owned())
    })
}

/// Continues the run of a folder.
#[pyfunction]
pub(crate) fn resume(
    py: Python<'_>,
    folder: PathBuf,
    place: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let place: Place = from_json("the session", place)?;
    compute(py, progress, |observer| {
        let folder = pada::in_home(&folder);
        observer.works_in(&folder);
        Run::resume(&folder, &place.session()?, observer).map(drop)
    })
}

/// Scores architectures with the weights of a finished run: accuracies in percent, `[A]`.
#[pyfunction]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    folder: PathBuf,
    archs: Vec<Bound<'py, PyAny>>,
    place: &str,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let place: Place = from_json("the session", place)?;
    let texts =
        archs.iter().map(|arch| arch.str().map(|text| text.to_string())).collect::<PyResult<Vec<_>>>()?;
    let scores = compute(py, None, |_| {
        let mut run = TrainedRun::load_in(&folder, &place.session()?)?;
        let archs = texts.iter().map(|text| run.space().parse(text)).collect::<Result<Vec<_>, _>>()?;
        let found = run.evaluate(&archs)?;
        Ok(found.scores.iter().map(|score| score.accuracy()).collect::<Vec<f64>>())
    })?;
    Ok(scores.to_pyarray(py))
}

/// Writes the HTML page of one or several run folders, and returns its path.
#[pyfunction]
pub(crate) fn write_report(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    out: Option<PathBuf>,
    data_dir: PathBuf,
) -> PyResult<PathBuf> {
    compute(py, None, |_| {
        let mut folders = Vec::new();
        for path in &runs {
            folders.extend(run_folders(path)?);
        }
        let file = match (out, &folders[..]) {
            (Some(file), _) => file,
            (None, [folder]) => RunFolder::page_of(folder),
            (None, _) => PathBuf::from("report.html"),
        };
        check_output(&file, &["html", "htm"], &[])?;
        let mut reader = RunReader::new(&pada::in_home(&data_dir));
        let runs = folders.iter().map(|folder| reader.read(folder)).collect::<Result<Vec<_>, _>>()?;
        write_page(&file, &runs)?;
        Ok(file)
    })
}

/// The settings of a search, as the Python part of the package passes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSearch {
    method: String,
    settings: Vec<String>,
    cost: Option<String>,
    max_macs: Option<u64>,
    max_params: Option<u64>,
    max_latency: Option<f64>,
    latency: Option<PathBuf>,
    seed: u64,
    top: usize,
    fuse: Vec<FusePart>,
    fusion: String,
    out: PathBuf,
}

impl NewSearch {
    fn job(self) -> PyResult<SearchJob> {
        let usual = if self.latency.is_some() { SearchCost::Latency } else { SearchCost::Macs };
        let cost = match self.cost.as_deref() {
            None => usual,
            Some("macs") => SearchCost::Macs,
            Some("params") => SearchCost::Params,
            Some("latency") => SearchCost::Latency,
            Some(other) => {
                return Err(invalid(&format!("the cost is {other:?}; it must be macs, params or latency")));
            }
        };
        Ok(SearchJob {
            method: search_method(&self.method, &self.settings).map_err(raised)?,
            cost,
            limits: SearchLimits { macs: self.max_macs, params: self.max_params, latency: self.max_latency },
            latency: self.latency,
            seed: self.seed,
            top: self.top,
            fuse: self.fuse,
            fusion: self.fusion.parse().map_err(|error: String| invalid(&error))?,
            truth: None,
            out: self.out,
        })
    }
}

/// Describes an architecture that a search found.
fn found_arch(found: &FoundArch) -> serde_json::Value {
    json!({
        "arch": found.arch, "text": found.text, "score": found.score, "test": found.test,
        "fused": found.fused, "params": found.params, "macs": found.macs, "latency": found.latency,
        "truth": found.truth,
    })
}

fn found(result: &SearchResult) -> PyResult<String> {
    let archs: Vec<_> = result.archs.iter().map(found_arch).collect();
    to_json(&json!({
        "archs": archs,
        "ceiling": result.ceiling,
        "asked": result.asked,
        "visited": result.visited,
        "scored": result.scored,
        "seconds": result.seconds,
        "selected_on": result.selected_on,
        "on_test_images": result.on_test_images,
        "tested_on": result.tested_on,
        "file": result.file,
    }))
}

/// Searches with the weights of a finished run.
#[pyfunction]
pub(crate) fn search_folder(
    py: Python<'_>,
    folder: PathBuf,
    search: &str,
    place: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let place: Place = from_json("the session", place)?;
    let job = from_json::<NewSearch>("the search", search)?.job()?;
    let result = compute(py, progress, |observer| search_run(&folder, &job, &place.session()?, observer))?;
    found(&result)
}

/// A search that trains a supernet of its own, as the Python part of the package passes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSupernetSearch {
    method: String,
    /// The config to start from: a file, or its content as a table.
    file: Option<PathBuf>,
    table: Option<toml::Table>,
    /// Keys of `[update]`, or `section.key` for others.
    assignments: Vec<String>,
    seed: Option<u64>,
    truth: Option<TruthName>,
    out: Option<PathBuf>,
}

impl NewSupernetSearch {
    fn job(&self) -> Result<DifferentiableJob, PadaError> {
        let start = match (&self.file, &self.table) {
            (Some(file), _) => RunConfig::read(file)?,
            (None, Some(table)) => RunConfig::parse(&table.to_string(), Path::new(OWN_CONFIG))?,
            (None, None) => differentiable_mini(),
        };
        let mut config = differentiable_config(&self.method, &start, &self.assignments)?;
        config.seed = self.seed.unwrap_or(config.seed);
        let usual = || PathBuf::from(format!("runs/search-{}-s{}", config.name, config.seed));
        let out = self.out.clone().unwrap_or_else(usual);
        Ok(DifferentiableJob { config, truth: self.truth, out })
    }
}

/// Searches by training a supernet. Returns a description as JSON.
#[pyfunction]
pub(crate) fn search_supernet(
    py: Python<'_>,
    search: &str,
    place: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let place: Place = from_json("the session", place)?;
    let new: NewSupernetSearch = from_json("the search", search)?;
    let result = compute(py, progress, |observer| {
        let job = new.job()?;
        observer.works_in(&job.out);
        search_differentiable(&job, &place.session()?, observer)
    })?;
    to_json(&json!({
        "found": found_arch(&result.found),
        "epochs": result.epochs,
        "ops": result.ops,
        "sub_supernet": result.leaf.map(|(_, leaf)| leaf),
        "ceiling": result.ceiling,
        "selected_on": result.scored_on,
        "tested_on": result.tested_on,
        "train_seconds": result.train_seconds,
        "folder": result.folder,
    }))
}

/// Searches a benchmark table.
#[pyfunction]
pub(crate) fn search_scores(
    py: Python<'_>,
    scores: &str,
    search: &str,
    data_dir: PathBuf,
) -> PyResult<String> {
    let job = from_json::<NewSearch>("the search", search)?.job()?;
    let scores: TableScores = scores.parse().map_err(raised)?;
    let data_dir = pada::in_home(&data_dir);
    found(&compute(py, None, |_| search_table(&scores, &job, &data_dir))?)
}

/// Exports one architecture of a finished run. Returns a description as JSON.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the Python function beside it has names for them")]
pub(crate) fn export(
    py: Python<'_>,
    folder: PathBuf,
    arch: Option<String>,
    file: PathBuf,
    format: Option<&str>,
    overwrite: bool,
    recalibrate: Option<NonZeroUsize>,
    place: &str,
) -> PyResult<String> {
    let place: Place = from_json("the session", place)?;
    let format = match format {
        None => ExportFormat::of(&file).map_err(raised)?,
        Some("onnx") => ExportFormat::Onnx,
        Some("safetensors") => ExportFormat::Safetensors,
        Some("pytorch") => ExportFormat::Pytorch,
        Some(other) => {
            return Err(invalid(&format!("{other:?} is not a format; use onnx, safetensors or pytorch")));
        }
    };
    let existing = if overwrite { Existing::Replace } else { Existing::Refuse };
    let about = compute(py, None, |_| {
        let files = ExportFiles::new(&file, format, &[&folder], existing)?;
        let statistics = StatisticsFrom::Score(recalibrate.map(Recalibration::over));
        let job = ExportJob { weights: ExportWeights::Run(folder.clone()), arch, statistics };
        let net = pada::export(&job, &place.session()?)?;
        files.write(&net)?;
        let (cost, input) = (net.cost(), net.frozen.input());
        Ok(json!({
            "files": files.paths().collect::<Vec<_>>(),
            "arch": net.about["arch"],
            "params": cost.params,
            "macs": cost.macs,
            "input": [input.channels, input.height, input.width],
            "classes": net.frozen.graph().output().shape.channels,
        }))
    });
    to_json(&about?)
}

/// Zero-cost scores to compute, as the Python part of the package passes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewScores {
    space: String,
    channels: Option<usize>,
    cells: Option<usize>,
    data: String,
    image_size: Option<usize>,
    test_images: bool,
    images: usize,
    seed: u64,
    weights: Option<PathBuf>,
    scores: Vec<String>,
    /// `all`, `random:N`, or a file.
    archs: String,
}

/// The architectures and the values of each score, by name.
type Scored<'py> = (Vec<Arch>, Vec<(String, Bound<'py, PyArray1<f64>>)>);

/// Computes zero-cost scores.
#[pyfunction]
pub(crate) fn zero_cost<'py>(
    py: Python<'py>,
    job: &str,
    place: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Scored<'py>> {
    let place: Place = from_json("the session", place)?;
    let new: NewScores = from_json("the scores", job)?;
    let space: SpaceName = named("search space", &new.space)?;
    let mut supernet = SupernetConfig::usual(space);
    supernet.channels = new.channels.or(supernet.channels);
    supernet.cells = new.cells.or(supernet.cells);
    let scores =
        new.scores.iter().map(|name| name.parse::<Score>().map_err(|error| invalid(&error.to_string())));
    let Ok(archs) = new.archs.parse::<RankArchs>();
    let job = ScoreJob {
        supernet,
        data: new.data,
        photographs: new.image_size.map(|size| Photographs { size, damaged: Damaged::Stop }),
        test_images: new.test_images,
        images: new.images,
        seed: new.seed,
        weights: new.weights,
        scores: scores.collect::<PyResult<_>>()?,
        fusion: None,
        archs,
        truth: None,
        log: None,
    };
    let scored = compute(py, progress, |observer| zero_cost_scores(&job, &place.session()?, observer))?;
    let column = |values: &[pada::zero_cost::ScoreValue]| {
        values.iter().map(|value| value.for_ranking()).collect::<Vec<f64>>().to_pyarray(py)
    };
    let columns = scored.scores.iter().map(|(score, values, _)| (score.name().to_owned(), column(values)));
    Ok((scored.archs.iter().cloned().map(Arch).collect(), columns.collect()))
}
