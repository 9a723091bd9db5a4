use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tensorboard::{curves, ranking_values};
use crate::{ReportError, RunRecord};

/// Writes runs to a file store of MLflow: a folder, usually called `mlruns`, that `mlflow ui` and `mlflow.search_runs` read.
///
/// A run is logged to the experiment `Default` (0). Its parameters are the keys of the config, its metrics the curves of an event file of
/// TensorBoard ([`EventFile`](crate::EventFile)), with one step per epoch, and its tags the method, the device and the version of the program.
/// Writing the same run again replaces its parameters, metrics and tags, so that a store can follow a run.
///
/// # Source
/// `mlflow/store/tracking/file_store.py` of MLflow describes the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlflowStore {
    folder: PathBuf,
}

/// A run that is logged.
#[derive(Clone, Copy, Debug)]
pub struct MlflowRun<'a> {
    /// 32 hexadecimal digits that identify the run in the store.
    pub id: &'a str,
    /// The name that the store shows.
    pub name: &'a str,
    /// Names and values of the parameters.
    pub params: &'a [(String, String)],
    /// The record of the run.
    pub record: &'a RunRecord,
    /// Names of the operations, `[O]`. They name the probabilities of the path distribution.
    pub op_names: &'a [&'a str],
    /// This is true if the run is finished. Otherwise the store shows it as running.
    pub is_finished: bool,
}

/// The experiment that exists in every store.
const EXPERIMENT: &str = "0";
/// `RunStatus` of MLflow.
const RUNNING: u32 = 1;
const FINISHED: u32 = 3;
/// `SourceType.LOCAL` of MLflow.
const LOCAL: u32 = 4;
/// MLflow refuses longer values of parameters.
const MOST_PARAM: usize = 6000;
const META: &str = "meta.yaml";

impl MlflowStore {
    /// Opens a store, and creates the folder and the experiment `Default` if they do not exist.
    ///
    /// # Errors
    /// Returns [`ReportError::Io`], which names the file.
    pub fn open(folder: &Path) -> Result<Self, ReportError> {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let store = Self { folder: absolute };
        let experiment = store.folder.join(EXPERIMENT);
        let meta = experiment.join(META);
        if !meta.is_file() {
            let now = milliseconds(now());
            let text = format!(
                "artifact_location: {}\ncreation_time: {now}\nexperiment_id: '{EXPERIMENT}'\nlast_update_time: {now}\n\
                 lifecycle_stage: active\nname: Default\n",
                quoted(&file_uri(&experiment))
            );
            write(&meta, &text)?;
        }
        Ok(store)
    }

    /// Returns the folder of the store.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a run, or replaces what was written of it before.
    ///
    /// # Errors
    /// Returns [`ReportError::Io`], which names the file.
    pub fn write(&self, run: &MlflowRun<'_>) -> Result<(), ReportError> {
        let folder = self.folder.join(EXPERIMENT).join(run.id);
        let record = run.record;
        // The clock of a run counts only training time, as in its event file.
        let started = started(&folder).unwrap_or_else(|| milliseconds(now() - record.train_seconds));
        let ended = match run.is_finished {
            true => milliseconds(now()).to_string(),
            false => "null".to_owned(),
        };
        for part in ["params", "metrics", "tags", "artifacts"] {
            let path = folder.join(part);
            if part != "artifacts" && path.is_dir() {
                std::fs::remove_dir_all(&path).map_err(io(&path))?;
            }
            std::fs::create_dir_all(&path).map_err(io(&path))?;
        }
        for (name, value) in run.params.iter().filter(|(_, value)| value.len() <= MOST_PARAM) {
            write(&folder.join("params").join(name), value)?;
        }
        let seed = record.seed.to_string();
        for (name, value) in [
            ("mlflow.runName", run.name),
            ("mlflow.source.name", "pada"),
            ("mlflow.source.type", "LOCAL"),
            ("pada.method", &record.method),
            ("pada.seed", &seed),
            ("pada.device", &record.device),
            ("pada.version", &record.version),
        ] {
            write(&folder.join("tags").join(name), value)?;
        }
        for (name, points) in metrics(record, run.op_names, started) {
            write(&folder.join("metrics").join(name), &points)?;
        }
        let (id, name) = (run.id, quoted(run.name));
        let status = if run.is_finished { FINISHED } else { RUNNING };
        let artifacts = quoted(&file_uri(&folder.join("artifacts")));
        // The file is written last: a run without it is not shown.
        let meta = format!(
            "artifact_uri: {artifacts}\nend_time: {ended}\nentry_point_name: ''\nexperiment_id: '{EXPERIMENT}'\n\
             lifecycle_stage: active\nrun_id: {id}\nrun_name: {name}\nrun_uuid: {id}\nsource_name: ''\nsource_type: {LOCAL}\n\
             source_version: ''\nstart_time: {started}\nstatus: {status}\ntags: []\nuser_id: ''\n"
        );
        write(&folder.join(META), &meta)
    }
}

/// Returns the metrics of a run: the name of each file, and its lines `milliseconds value step`. `started` is in milliseconds since 1970.
fn metrics(record: &RunRecord, op_names: &[&str], started: u64) -> Vec<(String, String)> {
    let mut metrics: Vec<(String, String)> = Vec::new();
    let mut add = |step: usize, seconds: f64, values: Vec<(String, f64)>| {
        let time = started + milliseconds(seconds);
        for (name, value) in values {
            let name = metric_name(&name);
            let place = metrics.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                metrics.push((name, String::new()));
                metrics.len() - 1
            });
            let _ = writeln!(metrics[place].1, "{time} {value} {step}");
        }
    };
    let mut seconds = 0.0;
    for (step, epoch) in record.epochs.iter().enumerate() {
        seconds += epoch.seconds;
        let mut values = curves(epoch, op_names);
        values.extend(epoch.test.iter().map(|test| ("test/accuracy".to_owned(), test.accuracy)));
        add(step, seconds, values);
    }
    if let Some(ranking) = &record.ranking {
        add(record.epochs.len(), seconds, ranking_values(&ranking.agreements));
    }
    metrics
}

/// Replaces characters that MLflow does not accept in the name of a metric.
fn metric_name(name: &str) -> String {
    let is_valid = |c: &char| c.is_ascii_alphanumeric() || "_-. /".contains(*c);
    let valid: String = name.chars().map(|c| if is_valid(&c) { c } else { '_' }).collect();
    // Each part is the name of a file or folder.
    let parts = valid.split('/').filter(|part| !part.is_empty());
    parts
        .map(|part| if part.starts_with('.') { format!("_{part}") } else { part.to_owned() })
        .collect::<Vec<_>>()
        .join("/")
}

/// Reads the start of a run that was written before, in milliseconds since 1970.
fn started(run: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(run.join(META)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("start_time: ")).and_then(|time| time.trim().parse().ok())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn milliseconds(seconds: f64) -> u64 {
    (1e3 * seconds) as u64
}

/// Returns the URI of an absolute path, with all characters escaped that are not unreserved.
fn file_uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

/// Returns a text as a YAML string. A JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write(path: &Path, text: &str) -> Result<(), ReportError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    std::fs::write(path, text).map_err(io(path))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ReportError + use<> {
    let path = path.to_owned();
    move |source| ReportError::Io { path, source }
}
