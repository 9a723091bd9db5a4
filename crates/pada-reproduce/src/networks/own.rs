//! Own rows of Tables 2 and 3: a supernet is trained, searched, and the architecture that was found is retrained. A differentiable search does the
//! first two in one step.

use std::path::{Path, PathBuf};

use pada::report::RunRecord;
use pada::sampler::FairPaths;
use pada::space::SubSpace;
use pada::{PathsConfig, RunConfig, differentiable_config, search_space};
use serde::{Deserialize, Serialize};

use super::{NetworkPlan, NetworkTarget, Row};
use crate::environment::write_whole;
use crate::methods::Method;
use crate::preset::Preset;
use crate::trials::record_file;
use crate::{Environment, ReproduceError};

/// Seed of the supernet and of the search. The seeds of a row are seeds of retraining, because the paper reports the accuracy of one
/// architecture over several trainings.
pub(crate) const SEARCH_SEED: u64 = 0;

/// Number of random architectures that the run of a supernet ranks. The table does not use that ranking.
const RANKED: usize = 20;

/// Largest number of multiply-adds of a row that the paper's Table 3 does not have: the mobile setting of ImageNet (Liu et al., DARTS,
/// ICLR 2019).
const MOBILE_SETTING: u64 = 600_000_000;

/// The way in which a supernet is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SearchSize {
    method: &'static str,
    population: usize,
    generations: usize,
}

impl SearchSize {
    /// Returns the search of a table.
    ///
    /// Table 2 prints the search method of PA&DA as random. DIFFERS: no public text says how many architectures it scores; the preset `full`
    /// scores 1,000. Table 3 searches as SPOS does: a population of 50, 20 generations, 10 parents, 25 children by crossover and 25 by
    /// mutation with probability .1 (<https://github.com/megvii-model/SinglePathOneShot>, src/Search/search.py).
    pub(crate) fn of(which: NetworkTarget, preset: Preset, candidates: Option<usize>) -> Self {
        let (method, population, generations) = match (which, preset) {
            (NetworkTarget::Table2, Preset::Mini) => ("random", 30, 0),
            (NetworkTarget::Table2, Preset::Short | Preset::Medium) => ("random", 200, 0),
            (NetworkTarget::Table2, Preset::Full) => ("random", 1000, 0),
            (NetworkTarget::Table3, Preset::Mini) => ("evolution", 10, 2),
            (NetworkTarget::Table3, Preset::Short | Preset::Medium) => ("evolution", 20, 9),
            (NetworkTarget::Table3, Preset::Full) => ("evolution", 50, 20),
        };
        let population = candidates.map_or(population, |n| n.div_ceil(generations + 1).max(2));
        Self { method, population, generations }
    }

    /// Returns the arguments of `pada search` that determine its result.
    fn arguments(self, limit: Option<u64>) -> Vec<String> {
        let Self { method, population, generations } = self;
        let mut arguments = vec!["--method".to_owned(), method.to_owned()];
        let mut option = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
        option("population", population.to_string());
        option("generations", generations.to_string());
        option("parents", population.min(10).to_string());
        option("seed", SEARCH_SEED.to_string());
        if let Some(limit) = limit {
            option("max-macs", limit.to_string());
        }
        arguments
    }

    /// Describes the search for the notes of a table.
    pub(crate) fn text(self) -> String {
        let Self { method, population, generations } = self;
        format!("{method} search over {} architectures", population * (generations + 1))
    }
}

/// The way in which an own row finds its architecture.
pub(crate) enum Finder {
    /// A method trains a supernet, which is then searched.
    Method(Method),
    /// A differentiable search, with its name in tables.
    Differentiable { name: String, label: String },
}

impl Finder {
    /// Returns the name for files.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Method(method) => &method.name,
            Self::Differentiable { name, .. } => name,
        }
    }

    /// Returns the name for tables.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Method(method) => method.row_name().label,
            Self::Differentiable { label, .. } => label.clone(),
        }
    }

    /// Returns the note about settings that no public text gives.
    pub(crate) fn unsaid(&self) -> Option<String> {
        match self {
            Self::Method(method) => method.unsaid(),
            Self::Differentiable { .. } => None,
        }
    }

    /// Returns whether the search needs a trained supernet.
    pub(crate) fn needs_supernet(&self) -> bool {
        matches!(self, Self::Method(_))
    }
}

/// The supernet and the search of an own row.
pub(crate) struct Own {
    pub(crate) finder: Finder,
    /// The config of the supernet, or the reason of the method why it cannot train on this space.
    pub(crate) supernet: Result<RunConfig, String>,
    /// Assignments to the config of the preset, for a supernet that a search needs.
    pub(crate) set: Vec<String>,
    /// Arguments of the search. A differentiable search also has a config.
    pub(crate) search: Vec<String>,
    pub(crate) supernet_folder: PathBuf,
    pub(crate) search_folder: PathBuf,
}

impl Own {
    /// Prepares the own row of a table. `None` if no method of this project belongs to the row.
    pub(crate) fn of(
        row: &Row,
        which: NetworkTarget,
        plan: &NetworkPlan,
        macs: Option<f64>,
        out: &Path,
        environment: &Environment<'_>,
    ) -> Result<Option<Self>, ReproduceError> {
        if let Some(search) = &row.search {
            return Self::of_search(row, search, which, plan, out, environment).map(Some);
        }
        let Some(method) = row.method() else { return Ok(None) };
        let file = environment.config(&plan.preset.supernet_file(which))?;
        let variables = plan.preset.variables(RunConfig::read(&file)?.train.epochs);
        let mut set = without_ranking(which, row);
        set.extend(method.assignments(&variables));
        set.extend(Method::filled(&row.method_set, &variables));
        let methods_own = set.len();
        set.extend_from_slice(&plan.supernet_set);
        let supernet = match RunConfig::read_with(&file, &set) {
            Ok(mut config) => {
                config.seed = SEARCH_SEED;
                reason_to_refuse(&config).map_or(Ok(config), Err)
            }
            // The method does not fit the space. An assignment of the user that is wrong is an error instead.
            Err(error) => match RunConfig::read_with(&file, &set[..methods_own]) {
                Ok(_) => return Err(error.into()),
                Err(reason) => Err(reason.to_string()),
            },
        };
        // Multiply-adds of smaller images cannot be compared with those of the paper.
        let limited = which == NetworkTarget::Table3 && plan.preset == Preset::Full;
        let limit = limited.then(|| macs.map_or(MOBILE_SETTING, |millions| (millions * 1e6) as u64));
        let search = SearchSize::of(which, plan.preset, plan.candidates).arguments(limit);
        let [supernet_folder, search_folder] =
            ["supernet", "search"].map(|step| out.join(format!("{}-{step}-s{SEARCH_SEED}", row.name)));
        let finder = Finder::Method(method);
        Ok(Some(Self { finder, supernet, set, search, supernet_folder, search_folder }))
    }

    /// Prepares an own row whose architecture is found by a differentiable search.
    fn of_search(
        row: &Row,
        search: &str,
        which: NetworkTarget,
        plan: &NetworkPlan,
        out: &Path,
        environment: &Environment<'_>,
    ) -> Result<Self, ReproduceError> {
        let file = plan.preset.search_file(which);
        let mut set = without_ranking(which, row);
        if plan.preset == Preset::Full {
            set.extend_from_slice(&row.search_full);
        }
        set.extend_from_slice(&plan.supernet_set);
        let start = RunConfig::read(&environment.config(&file)?)?;
        let mut config = differentiable_config(search, &start, &set)?;
        config.seed = SEARCH_SEED;
        config.check()?;
        let mut arguments = vec!["--method".to_owned(), search.to_owned(), "--config".to_owned(), file];
        arguments.extend(set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
        arguments.extend(["--seed".to_owned(), SEARCH_SEED.to_string()]);
        let folder = out.join(format!("{}-search-s{SEARCH_SEED}", row.name));
        Ok(Self {
            finder: Finder::Differentiable { name: search.to_owned(), label: config.method() },
            supernet: Ok(config),
            set: vec![],
            search: arguments,
            supernet_folder: folder.clone(),
            search_folder: folder,
        })
    }

    /// Returns the arguments of the search for a call of the program, in which the config is a path.
    pub(crate) fn call(&self, environment: &Environment<'_>) -> Result<Vec<String>, ReproduceError> {
        let mut arguments = self.search.clone();
        for place in 1..arguments.len() {
            if arguments[place - 1] == "--config" {
                arguments[place] = environment.config(&arguments[place])?.display().to_string();
            }
        }
        Ok(arguments)
    }

    /// Reads the architecture that a finished search found, as digits.
    pub(crate) fn found(&self) -> Result<String, ReproduceError> {
        if self.finder.needs_supernet() {
            return best_arch(&self.search_folder);
        }
        let record = RunRecord::read(&record_file(&self.search_folder))?;
        let none =
            || ReproduceError::Trial(format!("{} has no result of a search", self.search_folder.display()));
        record.found().map(|found| found.arch.clone()).ok_or_else(none)
    }
}

/// Returns the assignments that name a run of a row, and leave it a short ranking, which the table does not use.
fn without_ranking(which: NetworkTarget, row: &Row) -> Vec<String> {
    vec![
        format!("name=\"{}-{}\"", which.name(), row.name),
        format!("rank.archs=\"random:{RANKED}\""),
        "rank.truth=none".to_owned(),
        "rank.compare=[]".to_owned(),
    ]
}

/// Returns the reason why a method cannot train on the space of its config.
fn reason_to_refuse(config: &RunConfig) -> Option<String> {
    if let Err(error) = config.check() {
        return Some(error.to_string());
    }
    // The other samplers accept every space.
    let PathsConfig::Fair { variant } = &config.paths else { return None };
    let space = search_space(config.supernet.space);
    FairPaths::new(SubSpace::full(space.as_ref()), *variant).err().map(|error| error.to_string())
}

/// The search of an own row. Its folder has it as `search.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRecord {
    /// The arguments of `pada search` that determine its result.
    pub(crate) arguments: Vec<String>,
    /// Wall-clock time over all sessions of the search, seconds.
    pub(crate) seconds: f64,
    /// The best architecture, as digits. `None` if the search is not finished.
    pub(crate) arch: Option<String>,
}

impl SearchRecord {
    fn file(folder: &Path) -> PathBuf {
        folder.join("search.json")
    }

    /// Reads the record of a folder. `None` if it has none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, ReproduceError> {
        let file = Self::file(folder);
        if !file.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&file).map_err(ReproduceError::io(&file))?;
        let record = serde_json::from_str(&text);
        let damaged =
            |error| ReproduceError::Usage(format!("{}: {error}; delete the folder", file.display()));
        record.map(Some).map_err(damaged)
    }

    /// Returns `true` if a folder contains a search that is finished.
    pub(crate) fn is_finished(folder: &Path) -> bool {
        Self::read(folder).is_ok_and(|record| record.is_some_and(|record| record.arch.is_some()))
    }

    /// Writes the record into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), ReproduceError> {
        let json = serde_json::to_string_pretty(self).expect("a record is JSON") + "\n";
        write_whole(&Self::file(folder), json.as_bytes())
    }
}

/// Reads the best architecture from the result of `pada search`, the file `archs-….csv` in its folder.
fn best_arch(folder: &Path) -> Result<String, ReproduceError> {
    let entries = std::fs::read_dir(folder).map_err(ReproduceError::io(folder))?;
    let is_result = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("archs-") && name.ends_with(".csv")
    };
    let file = entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_result);
    let none = || ReproduceError::Trial(format!("{} has no result of a search", folder.display()));
    let mut csv = csv::Reader::from_path(file.ok_or_else(none)?).map_err(|_| none())?;
    let first = csv.records().next().and_then(Result::ok);
    first.and_then(|record| Some(record.get(0)?.to_owned())).ok_or_else(none)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::configs;
    use crate::networks::PRESETS;
    use crate::published::PublishedTable;

    fn owns(which: NetworkTarget, preset: Preset) -> Vec<(Row, Own)> {
        let stops = AtomicUsize::new(0);
        let environment = Environment {
            program: "pada".into(),
            configs: configs(),
            runs: "runs".into(),
            data: "no-such-folder".into(),
            commit: None,
            stops: &stops,
            events: &|_| {},
        };
        let (plan, out) = (NetworkPlan::new(preset), Path::new("out"));
        let table = PublishedTable::of(which.paper());
        let rows = Row::of_table(which, &[]).unwrap();
        let own = |row: Row| {
            let macs = which.printed_macs(row.published(&table).as_ref());
            let own = Own::of(&row, which, &plan, macs, out, &environment).unwrap()?;
            Some((row, own))
        };
        rows.into_iter().filter_map(own).collect()
    }

    #[test]
    fn every_method_trains_on_the_space_or_has_a_reason() {
        for (which, differentiable, trained) in [
            (
                NetworkTarget::Table2,
                vec!["enas", "darts", "gdas", "darts-pt", "balenas", "agnas", "zarts", "gdas-nsas"],
                ["spos", "nsas-released-demo", "few-shot", "gm", "close", "pada", "fairnas-released"]
                    .as_slice(),
            ),
            (
                NetworkTarget::Table3,
                vec!["fbnet-c", "proxylessnas"],
                &["spos", "nsas-archive", "few-shot", "gm", "pada"],
            ),
        ] {
            for preset in PRESETS {
                let owns = owns(which, preset);
                let searches: Vec<&str> = owns
                    .iter()
                    .filter(|(_, own)| !own.finder.needs_supernet())
                    .map(|(row, _)| &*row.name)
                    .collect();
                assert_eq!(owns.len() - searches.len(), 8);
                assert_eq!(searches, differentiable);
                for (row, own) in owns {
                    match &own.supernet {
                        Ok(config) => assert_eq!(config.name, format!("{}-{}", which.name(), row.name)),
                        Err(reason) => {
                            assert!(!trained.contains(&own.finder.name()), "{}: {reason}", row.name);
                            assert!(reason.len() > 20, "{}: {reason}", row.name);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_search_is_bounded_by_the_printed_multiply_adds() {
        let limit = |preset, name: &str| {
            let owns = owns(NetworkTarget::Table3, preset);
            let own = &owns.iter().find(|(row, _)| row.name == name).unwrap().1;
            let place = own.search.iter().position(|argument| argument == "--max-macs")?;
            Some(own.search[place + 1].clone())
        };
        assert_eq!(limit(Preset::Full, "pada").as_deref(), Some("399000000"));
        assert_eq!(limit(Preset::Full, "nsas").as_deref(), Some("600000000"));
        assert_eq!(limit(Preset::Mini, "pada"), None);
    }

    #[test]
    fn a_search_is_finished_once_it_has_an_architecture() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(SearchRecord::read(folder).unwrap(), None);
        let mut record = SearchRecord { arguments: vec!["--seed".into()], seconds: 2.5, arch: None };
        record.write(folder).unwrap();
        assert_eq!(SearchRecord::read(folder).unwrap().as_ref(), Some(&record));
        assert!(!SearchRecord::is_finished(folder));
        let error = best_arch(folder).unwrap_err().to_string();
        assert!(error.contains("no result of a search"), "{error}");
        std::fs::write(folder.join("archs-random-s0.csv"), "arch,score\n0012,31.5\n0011,30\n").unwrap();
        record.arch = Some(best_arch(folder).unwrap());
        record.write(folder).unwrap();
        assert_eq!(SearchRecord::read(folder).unwrap().unwrap().arch.as_deref(), Some("0012"));
        assert!(SearchRecord::is_finished(folder));
        std::fs::write(folder.join("search.json"), "{").unwrap();
        let error = SearchRecord::read(folder).unwrap_err().to_string();
        assert!(error.contains("search.json") && error.contains("delete the folder"), "{error}");
    }

    #[test]
    fn the_number_of_candidates_can_be_chosen() {
        let of = |which, n| SearchSize::of(which, Preset::Mini, n).text();
        assert_eq!(of(NetworkTarget::Table2, None), "random search over 30 architectures");
        assert_eq!(of(NetworkTarget::Table2, Some(4)), "random search over 4 architectures");
        assert_eq!(of(NetworkTarget::Table3, Some(12)), "evolution search over 12 architectures");
    }
}
