use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use pada::metrics::kendall_tau_b;
use pada::report::{Agreement, FailedTrial, RunRecord};
use pada::space::{Arch, SearchSpace};
use pada::{RankArchs, RunConfig, Tables};

use crate::child::{self, Ended};
use crate::preset::Preset;
use crate::shard::Shard;
use crate::trials::{State, Trial, look, record_file};
use crate::{Environment, Event, ReproduceError};

/// The trials of a table or figure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The size of the experiment, up to the paper's protocol.
    pub preset: Preset,
    /// Only these rows, of any table; all rows of the table if it is empty. Finished trials of other rows are kept.
    pub methods: Vec<String>,
    /// Seeds 0 to N - 1.
    pub seeds: u64,
    /// Output folder for trials and tables; `<what>-<preset>` in [`Environment::runs`] if it is `None`. Finished trials in it are not run
    /// again.
    pub out: Option<PathBuf>,
    /// Assignments `section.key=value` that change the config of every trial. The table lists them.
    pub set: Vec<String>,
}

/// The way in which unfinished trials run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Work {
    /// Device to compute on: `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Number of CPU threads; all cores if it is `None`.
    pub threads: Option<usize>,
    /// Run only this part of the trials and write no table.
    pub shard: Option<Shard>,
}

impl Plan {
    /// Returns a plan with all rows of a table, three seeds and no changes.
    pub fn new(preset: Preset) -> Self {
        Self { preset, methods: vec![], seeds: 3, out: None, set: vec![] }
    }

    /// Returns the folder of trials and tables, and creates it if it does not exist.
    pub(crate) fn out_folder(
        &self,
        what: &str,
        environment: &Environment<'_>,
    ) -> Result<PathBuf, ReproduceError> {
        environment.out_folder(self.out.as_deref(), format!("{what}-{}", self.preset.name()))
    }
}

impl Default for Work {
    /// Runs all trials on any device, with all cores.
    fn default() -> Self {
        Self { device: "auto".to_owned(), threads: None, shard: None }
    }
}

/// Runs trials one after the other.
pub(crate) struct Runner<'a> {
    environment: &'a Environment<'a>,
    plan: Plan,
    /// `None` if unfinished trials must not run.
    work: Option<Work>,
    /// The config that trials change.
    pub(crate) base: RunConfig,
    pub(crate) out: PathBuf,
    /// A note about the version and commit of the program; `None` if the commit is unknown.
    pub(crate) written_by: Option<String>,
    /// Stand-alone accuracies of the first benchmark table that rankings are compared with.
    tables: Tables,
    space: Box<dyn SearchSpace>,
}

/// A finished trial.
pub(crate) struct Finished {
    pub(crate) trial: Trial,
    pub(crate) record: RunRecord,
    /// Score and stand-alone accuracy of every architecture that has both.
    pub(crate) scores: BTreeMap<Arch, (f64, f64)>,
    /// The fused score of every ranked architecture. Empty if the run fuses nothing.
    pub(crate) fused: HashMap<Arch, f64>,
}

/// The finished and failed trials of a plan.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) finished: Vec<Finished>,
    pub(crate) failed: Vec<FailedTrial>,
}

impl Progress {
    /// Returns the agreement of the first finished run with the main table, for values that all runs have in common.
    pub(crate) fn first_agreement(&self) -> Option<&Agreement> {
        self.finished.first()?.record.ranking.as_ref()?.agreements.first()
    }
}

/// The way in which a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Stopped,
}

impl<'a> Runner<'a> {
    /// Reads the base config and the benchmark table. `what` names the folder; `set` contains the assignments of the table to all trials.
    pub(crate) fn new(
        what: &str,
        plan: &Plan,
        work: Option<&Work>,
        set: &[String],
        environment: &'a Environment<'a>,
    ) -> Result<Self, ReproduceError> {
        let preset = plan.preset;
        let sets: Vec<String> = preset.set().iter().map(|s| (*s).to_owned()).chain(set.to_vec()).collect();
        let mut base = RunConfig::read_with(&environment.config(preset.config_file())?, &sets)?;
        for assignment in &plan.set {
            // A key of a rule exists only if a method selects the rule. Trials apply all assignments again, and `check` reports invalid
            // ones.
            base = base.with(assignment).unwrap_or(base);
        }
        let space = pada::search_space(base.supernet.space);
        let tables = Tables::load(base.rank.truth, &[], &environment.data)?;
        let version = env!("CARGO_PKG_VERSION");
        let commit = environment.commit.as_ref();
        let written_by = commit.map(|commit| format!("Written by pada {version}, commit {commit}."));
        let out = plan.out_folder(what, environment)?;
        let (plan, work) = (plan.clone(), work.cloned());
        Ok(Self { environment, plan, work, base, out, written_by, tables, space })
    }

    /// Describes how many seeds a stand-alone accuracy averages over, because accuracies of one seed are noisy.
    pub(crate) fn truth_seeds(&self) -> String {
        match self.tables.main_seeds() {
            None => String::new(),
            Some(1) => ", one network per architecture".to_owned(),
            Some(seeds) => format!(", means of {seeds} networks per architecture"),
        }
    }

    /// Returns the indices of the operations that have weights.
    pub(crate) fn weighted_ops(&self) -> Vec<usize> {
        // They are the same for every number of classes.
        let layout = pada::weight_layout(&self.base.supernet, 10).expect("the base is checked");
        let ops: BTreeSet<usize> =
            layout.iter().filter_map(|(_, spec)| Some(spec.owner.as_ref()?.op)).collect();
        ops.into_iter().collect()
    }

    /// Runs the unfinished trials. `after` is called at the start and after every trial. If a trial fails, the others still run.
    pub(crate) fn run(
        &self,
        trials: &[Trial],
        after: &mut dyn FnMut(&Progress) -> Result<(), ReproduceError>,
    ) -> Result<(Progress, End), ReproduceError> {
        let shard = self.shard().map(|shard| shard.of(trials));
        let trials = shard.as_deref().unwrap_or(trials);
        let mut nothing = |_: &Progress| Ok(());
        // Shards may share a folder, so that no shard can write the table of all trials.
        let after = if shard.is_some() { &mut nothing } else { after };
        self.check(trials)?;
        let mut progress = Progress::default();
        let mut todo = Vec::new();
        for trial in trials {
            match self.finished(trial) {
                Ok(Some(finished)) => progress.finished.push(finished),
                _ => todo.push(trial),
            }
        }
        (self.environment.events)(Event::Planned {
            folder: &self.out,
            trials: trials.len(),
            finished: progress.finished.len(),
        });
        after(&progress)?;
        let Some(work) = &self.work else { return Ok((progress, End::Whole)) };
        for trial in todo {
            if self.environment.stop_requested() {
                return Ok((progress, End::Stopped));
            }
            match self.finish(trial, work) {
                Ok(Some(finished)) => progress.finished.push(finished),
                Ok(None) => return Ok((progress, End::Stopped)),
                Err(error) => {
                    let (trial, reason) = (trial.title(), pada::with_causes(&error));
                    (self.environment.events)(Event::Failed { trial: &trial, reason: &reason });
                    progress.failed.push(FailedTrial { trial, reason });
                }
            }
            after(&progress)?;
        }
        Ok((progress, End::Whole))
    }

    fn shard(&self) -> Option<Shard> {
        self.work.as_ref()?.shard
    }

    /// Checks all trials before anything is run or written. An invalid assignment is reported once instead of by every trial, and a folder
    /// with the run of another config is rejected, because its result would enter the table unnoticed.
    fn check(&self, trials: &[Trial]) -> Result<(), ReproduceError> {
        let mut others = Vec::new();
        for trial in trials {
            let config = match trial.config(&self.base, &self.out) {
                // A control has no config before the run that it copies is finished.
                Err(_) if trial.follows_pada() => continue,
                config => config.map_err(|error| error.within(format!("the row {}", trial.method.name)))?,
            };
            let folder = self.out.join(&trial.name);
            if let State::Other(differences) = look(&folder, &config)? {
                others.push(refusal(&folder, &differences));
            }
        }
        if others.is_empty() { Ok(()) } else { Err(ReproduceError::Usage(others.join("\n"))) }
    }

    /// Converts the end of a plan to the result of the command: failed trials or a stop are errors. `table` is the path of the table.
    pub(crate) fn conclude(&self, progress: &Progress, end: End, table: &Path) -> Result<(), ReproduceError> {
        // Shards write no table.
        let place = if self.shard().is_some() { &self.out } else { table };
        match end {
            End::Stopped => Err(ReproduceError::Stopped { place: place.to_owned() }),
            End::Whole => conclude(&progress.failed, place),
        }
    }

    /// Returns the trial if its folder contains its finished run.
    fn finished(&self, trial: &Trial) -> Result<Option<Finished>, ReproduceError> {
        let config = trial.config(&self.base, &self.out)?;
        let folder = self.out.join(&trial.name);
        if look(&folder, &config)? != State::Finished {
            return Ok(None);
        }
        let record = RunRecord::read(&record_file(&folder))?;
        let scores = pada::read_scores(&folder.join("ranking.csv"), self.space.as_ref())?;
        let whole = match &config.rank.archs {
            RankArchs::Truth => !config.supernet.ops.is_empty() || self.tables.archs().len() == scores.len(),
            // Configs are compared by the name of the list, so that the ranked architectures are compared with its content.
            RankArchs::File(list) => {
                let listed: BTreeSet<Arch> =
                    pada::read_archs(Path::new(list), self.space.as_ref())?.into_iter().collect();
                listed.len() == scores.len() && scores.iter().all(|(arch, _)| listed.contains(arch))
            }
            RankArchs::All | RankArchs::Random(_) => true,
        };
        let with_truth = |(arch, score)| self.tables.accuracy(&arch).map(|truth| (arch, (score, truth)));
        let scores: BTreeMap<Arch, (f64, f64)> = scores.into_iter().filter_map(with_truth).collect();
        let up_to_date = whole && same_agreement(&record, &scores);
        let fuses = !config.rank.fuse.is_empty()
            && record.ranking.as_ref().is_some_and(|ranking| ranking.fusion.is_some());
        let fused = match up_to_date && fuses {
            true => pada::read_score_column(&folder.join("ranking.csv"), pada::FUSED, self.space.as_ref())?,
            false => vec![],
        };
        let fused = fused.into_iter().collect();
        Ok(up_to_date.then(|| Finished { trial: trial.clone(), record, scores, fused }))
    }

    /// Returns the scores by which zero-cost baselines rank some architectures, with their names, from the files of a finished trial.
    pub(crate) fn baselines(
        &self,
        finished: &Finished,
        archs: &[Arch],
    ) -> Result<Vec<(String, Vec<f64>)>, ReproduceError> {
        let config = finished.trial.config(&self.base, &self.out)?;
        let file = self.out.join(&finished.trial.name).join("ranking.csv");
        Ok(pada::read_baselines(&file, &config, archs)?)
    }

    /// Runs a trial. Returns `None` if it was stopped.
    fn finish(&self, trial: &Trial, work: &Work) -> Result<Option<Finished>, ReproduceError> {
        let folder = self.out.join(&trial.name);
        let config = trial.config(&self.base, &self.out)?;
        let mut command = self.environment.call()?;
        match look(&folder, &config)? {
            State::Other(differences) => return Err(ReproduceError::Usage(refusal(&folder, &differences))),
            State::New => {
                command.arg("--config").arg(self.environment.config(self.plan.preset.config_file())?);
                let common = self.plan.preset.set().iter().map(|s| (*s).to_owned());
                for assignment in common.chain(trial.assignments(&self.out)?) {
                    command.arg("--set").arg(assignment);
                }
                command.args(["--seed", &trial.seed.to_string(), "--out"]).arg(&folder);
            }
            // If the benchmark table has grown since a run finished, resuming the run only ranks again.
            State::Unfinished | State::Finished => drop(command.arg("--resume").arg(&folder)),
        }
        command.args(["--device", &work.device]);
        if let Some(threads) = work.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        match child::run(&mut command, &trial.name, self.environment)? {
            Ended::Stopped => Ok(None),
            Ended::Failed(reason) => Err(ReproduceError::Trial(reason)),
            Ended::Done => {
                let finished = self.finished(trial)?;
                let advice =
                    "its record does not agree with ranking.csv and the benchmark table; delete the folder";
                let disagrees = || ReproduceError::Trial(format!("{}: {advice}", folder.display()));
                finished.ok_or_else(disagrees).map(Some)
            }
        }
    }
}

/// Returns an error that lists the failed trials, if there are any. `place` contains the others.
pub(crate) fn conclude(failed: &[FailedTrial], place: &Path) -> Result<(), ReproduceError> {
    let reasons: Vec<String> = failed.iter().map(|f| format!("{}: {}", f.trial, f.reason)).collect();
    if reasons.is_empty() { Ok(()) } else { Err(ReproduceError::Trials { place: place.to_owned(), reasons }) }
}

/// Returns the message about a folder that contains another run.
pub(crate) fn refusal(folder: &std::path::Path, differences: &[String]) -> String {
    format!(
        "{} contains another run: {}; pass another --out, or move the folder",
        folder.display(),
        differences.join("; ")
    )
}

/// Returns `true` if the recorded tau-b belongs to these scores. It does not if the benchmark table has grown since.
fn same_agreement(record: &RunRecord, scores: &BTreeMap<Arch, (f64, f64)>) -> bool {
    let (predicted, truth): (Vec<f64>, Vec<f64>) = scores.values().copied().unzip();
    let recorded = record.ranking.as_ref().and_then(|ranking| ranking.main_metrics());
    match (recorded, kendall_tau_b(&predicted, &truth)) {
        (Some(metrics), Ok(tau)) => metrics.n == scores.len() && (metrics.tau_b - tau).abs() < 1e-9,
        (None, Err(_)) => true,
        _ => false,
    }
}

/// Groups the finished trials by method, in the order of seeds.
pub(crate) fn by_method(progress: &Progress) -> HashMap<&str, Vec<&Finished>> {
    let mut methods: HashMap<&str, Vec<&Finished>> = HashMap::new();
    for finished in &progress.finished {
        methods.entry(&finished.trial.method.name).or_default().push(finished);
    }
    methods.values_mut().for_each(|trials| trials.sort_by_key(|finished| finished.trial.seed));
    methods
}
