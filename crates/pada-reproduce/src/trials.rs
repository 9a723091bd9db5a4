use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pada::report::{RunRecord, Spread};
use pada::{Config, RankArchs, RunConfig};

use crate::ReproduceError;
use crate::methods::{Method, PADA, PathsOfPada};

/// One run of a table: a method with a seed.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// The name of its folder.
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) seed: u64,
    /// Assignments to the base config: of the method, then of the table, then of the user.
    pub(crate) set: Vec<String>,
}

/// The state of a trial's folder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// The folder is empty or missing.
    New,
    /// The folder contains a run without a ranking.
    Unfinished,
    /// The folder contains a run with its ranking.
    Finished,
    /// The folder contains the run of another config. The differences are listed.
    Other(Vec<String>),
}

impl Trial {
    /// Creates the trial of a method with a seed, in the folder `<method>-s<seed>`.
    pub(crate) fn new(method: &Method, seed: u64, set: Vec<String>) -> Self {
        Self { name: trial_name(&method.name, seed), method: method.clone(), seed, set }
    }

    /// Returns the title for messages.
    pub(crate) fn title(&self) -> String {
        format!("{}, seed {}", self.method.name, self.seed)
    }

    /// Returns `true` if the trial reads its path distribution from a trial of PA&DA.
    pub(crate) fn follows_pada(&self) -> bool {
        self.method.paths_of_pada.is_some()
    }

    /// Returns all assignments; `out` is the folder of the trials.
    pub(crate) fn assignments(&self, out: &Path) -> Result<Vec<String>, ReproduceError> {
        let mut set = vec![format!("name={:?}", self.method.name)];
        set.extend_from_slice(&self.set);
        if let Some(which) = self.method.paths_of_pada {
            let name = trial_name(PADA, self.seed);
            let record = RunRecord::read(&out.join(&name).join("record.json"))
                .ok()
                .filter(|record| record.ranking.is_some())
                .ok_or_else(|| {
                    ReproduceError::Trial(format!(
                        "it repeats the paths of {name}, which is not finished; add {PADA} to --methods"
                    ))
                })?;
            set.push(format!("paths.distribution={:?}", distribution(&record, which)?));
        }
        Ok(set)
    }

    /// Returns the config of the run.
    pub(crate) fn config(&self, base: &RunConfig, out: &Path) -> Result<RunConfig, ReproduceError> {
        let mut config = base.with_all(&self.assignments(out)?)?;
        config.seed = self.seed;
        config.check()?;
        Ok(config)
    }
}

fn trial_name(method: &str, seed: u64) -> String {
    format!("{method}-s{seed}")
}

/// Returns the state of a folder from its config and its record. Lists of architectures are compared by file name only, because runs of
/// another checkout or of a shard on another disk have them in another folder.
pub(crate) fn state(found: Option<&Config>, record: Option<&RunRecord>, expected: &Config) -> State {
    let (found, expected) = (found.map(without_folder), &without_folder(expected));
    match &found {
        None => State::New,
        Some(found) if found != expected => State::Other(differences(found, expected)),
        Some(_) if record.is_some_and(|record| record.ranking.is_some()) => State::Finished,
        Some(_) => State::Unfinished,
    }
}

fn without_folder(config: &Config) -> Config {
    let mut config = config.clone();
    if let Config::Run(RunConfig { rank, .. }) = &mut config
        && let RankArchs::File(list) = &mut rank.archs
        && let Some(name) = Path::new(list).file_name()
    {
        *list = name.to_string_lossy().into_owned();
    }
    config
}

/// Reads a trial's folder.
pub(crate) fn look(folder: &Path, expected: impl Into<Config>) -> Result<State, ReproduceError> {
    // A run that was killed before it wrote its config starts in the same folder.
    if !folder.exists() || pada::RunFolder::is_unborn(folder) {
        return Ok(State::New);
    }
    let (_, config) = pada::RunFolder::open(folder).map_err(|error| match error {
        busy @ pada::PadaError::FolderInUse { .. } => ReproduceError::from(busy),
        other => ReproduceError::from(other)
            .within(format!("{} is in the way; move it, or pass another --out", folder.display())),
    })?;
    let file = record_file(folder);
    let record = if file.is_file() { Some(RunRecord::read(&file)?) } else { None };
    Ok(state(Some(&config), record.as_ref(), &expected.into()))
}

pub(crate) fn record_file(folder: &Path) -> PathBuf {
    folder.join("record.json")
}

/// Lists the keys in which two configs differ: `key is a, would be b`.
fn differences(found: &Config, expected: &Config) -> Vec<String> {
    let flat = |config: &Config| config.settings().into_iter().collect::<BTreeMap<String, String>>();
    let (found, expected) = (flat(found), flat(expected));
    let mut keys: Vec<&String> = found.keys().chain(expected.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let show = |value: Option<&String>| value.map_or_else(|| "not set".to_owned(), Clone::clone);
    keys.into_iter()
        .filter(|key| found.get(*key) != expected.get(*key))
        .map(|key| format!("{key} is {}, would be {}", show(found.get(key)), show(expected.get(key))))
        .collect()
}

/// Returns the path distribution `[O]` of a finished run in which all decisions share one distribution.
fn distribution(record: &RunRecord, which: PathsOfPada) -> Result<Vec<f64>, ReproduceError> {
    let epochs = &record.epochs;
    if epochs.is_empty() {
        return Err(ReproduceError::Trial(format!("{} has no epoch", record.name)));
    }
    if epochs.iter().any(|epoch| epoch.path_distribution.len() != 1) {
        return Err(ReproduceError::Trial(format!(
            "{} has a path distribution per decision; a distribution that all decisions share is needed",
            record.name
        )));
    }
    let row = |i: usize| &epochs[i].path_distribution[0];
    Ok(match which {
        PathsOfPada::Final => row(epochs.len() - 1).clone(),
        PathsOfPada::Mean => {
            let mean = |op: usize| Spread::of((0..epochs.len()).map(|i| row(i)[op])).map_or(0.0, |s| s.mean);
            (0..row(0).len()).map(mean).collect()
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn trial(method: &str, set: &[&str]) -> Trial {
        let method = Method::of_table("table1", &[method.to_owned()]).unwrap().remove(0);
        Trial::new(&method, 2, set.iter().map(|s| (*s).to_owned()).collect())
    }

    #[test]
    fn a_trial_is_run_gone_on_with_or_refused() {
        let (base, out) = (RunConfig::mini(), Path::new("nowhere"));
        let expected = trial("spos", &["train.epochs=3"]).config(&base, out).unwrap();
        assert_eq!((expected.seed, expected.name.as_str(), expected.train.epochs), (2, "spos", 3));
        let other = expected.with("train.epochs=4").unwrap().with("data.train_images=500").unwrap();
        let (expected, other) = (Config::from(expected), Config::from(other));
        assert_eq!(state(None, None, &expected), State::New);
        assert_eq!(state(Some(&expected), None, &expected), State::Unfinished);
        let State::Other(keys) = state(Some(&other), None, &expected) else { panic!("it differs") };
        assert_eq!(keys, ["data.train_images is 500, would be not set", "train.epochs is 4, would be 3"]);
    }

    #[test]
    fn a_list_of_architectures_may_lie_elsewhere() {
        let list =
            |path: &str| Config::from(RunConfig::mini().with(&format!("rank.archs={path:?}")).unwrap());
        let expected = list("/here/archs.txt");
        assert_eq!(state(Some(&list("/there/archs.txt")), None, &expected), State::Unfinished);
        let State::Other(keys) = state(Some(&list("/here/others.txt")), None, &expected) else {
            panic!("it is another list")
        };
        assert!(keys.len() == 1 && keys[0].contains("others.txt"), "{keys:?}");
    }

    #[test]
    fn a_folder_is_read_as_it_was_left() {
        let out = tempfile::tempdir().unwrap();
        let expected = trial("spos", &[]).config(&RunConfig::mini(), out.path()).unwrap();
        let folder = out.path().join("spos-s2");
        assert_eq!(look(&folder, &expected).unwrap(), State::New);
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(look(&folder, &expected).unwrap(), State::New);
        pada::RunFolder::create(&folder, &expected).unwrap();
        assert_eq!(look(&folder, &expected).unwrap(), State::Unfinished);
        let other = expected.with("train.lr=0.1").unwrap();
        assert!(matches!(look(&folder, &other).unwrap(), State::Other(_)));
        std::fs::remove_file(folder.join("config.toml")).unwrap();
        std::fs::write(folder.join("notes.txt"), "mine").unwrap();
        let error = look(&folder, &expected).unwrap_err().to_string();
        assert!(error.contains("in the way") && error.contains("spos-s2"), "{error}");
    }

    #[test]
    fn a_control_waits_for_the_run_it_copies() {
        let out = tempfile::tempdir().unwrap();
        let control = trial("constant-final", &[]);
        assert!(control.follows_pada());
        let error = control.assignments(out.path()).unwrap_err().to_string();
        assert!(error.contains("pada-s2"), "{error}");
    }
}
