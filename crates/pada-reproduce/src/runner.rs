use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use pada::rank::kendall_tau_b;
use pada::report::{Agreement, FailedTrial, RunRecord};
use pada::space::{Arch, SearchSpace};
use pada::{RankArchs, RunConfig, Tables};

use super::cells::{Cell, State, look, record_file};
use super::child::{self, Ended};
use super::methods::Method;
use super::preset::Preset;
use super::shard::Shard;
use crate::bench::machine::commit;
use crate::usage::usage;
use crate::{binary, paths};

/// Which runs a table or figure is made of.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Plan {
    /// How much of the paper's protocol runs.
    #[arg(long, value_enum, default_value = "mini")]
    pub(crate) preset: Preset,
    /// Only these rows, of any table. The table then has these alone, finished runs of others stay where they are.
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = Method::names())]
    pub(crate) methods: Vec<String>,
    /// Seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Where runs and tables go; runs/<what>-<preset> if not given. Finished runs there are not run again.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Change a key of every run's config, as section.key=value; may be repeated. The table says so.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// How what is not finished runs.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Work {
    /// What computes: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Threads on the CPU; all cores if not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Run only this part of the runs and write no table: 0/4 to 3/4 for four jobs. `reproduce merge` puts them together.
    #[arg(long, value_name = "INDEX/COUNT")]
    pub(crate) shard: Option<Shard>,
}

/// What every command of `reproduce` takes that runs something.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) plan: Plan,
    #[command(flatten)]
    pub(crate) work: Work,
}

impl Plan {
    /// Where runs and tables go, made where it is not there.
    pub(crate) fn out_folder(&self, what: &str) -> anyhow::Result<PathBuf> {
        let default = || Ok(paths::root()?.join("runs").join(format!("{what}-{}", self.preset.name())));
        let out = std::path::absolute(self.out.clone().map_or_else(default, anyhow::Ok)?)?;
        std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        Ok(out)
    }
}

/// Runs cells one after the other.
pub(crate) struct Runner {
    plan: Plan,
    /// None: what is not finished stays so.
    work: Option<Work>,
    /// The config that cells change.
    pub(crate) base: RunConfig,
    pub(crate) out: PathBuf,
    /// Which code writes tables; none where git does not say.
    pub(crate) written_by: Option<String>,
    /// pada-train, built when the first cell needs it.
    program: OnceCell<PathBuf>,
    /// Accuracies from scratch, of the table that rankings are compared with first.
    tables: Tables,
    space: Box<dyn SearchSpace>,
}

/// A cell that ran to its end.
pub(crate) struct Finished {
    pub(crate) cell: Cell,
    pub(crate) record: RunRecord,
    /// Score and accuracy from scratch of every architecture that has both.
    pub(crate) scores: BTreeMap<Arch, (f64, f64)>,
}

/// What there is of a plan.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) finished: Vec<Finished>,
    pub(crate) failed: Vec<FailedTrial>,
}

impl Progress {
    /// How a ranking agrees with the main table: for what all runs have in common.
    pub(crate) fn first_agreement(&self) -> Option<&Agreement> {
        self.finished.first()?.record.ranking.as_ref()?.agreements.first()
    }
}

/// Whether a plan came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Stopped,
}

impl Runner {
    /// Reads what all cells need. `what` names the folder; `set` is what the table changes in all cells.
    pub(crate) fn new(what: &str, plan: &Plan, work: Option<&Work>, set: &[String]) -> anyhow::Result<Self> {
        let preset = plan.preset;
        let sets: Vec<String> = preset.set().iter().map(|s| (*s).to_owned()).chain(set.to_vec()).collect();
        let mut base = RunConfig::read_with(&preset.config_file()?, &sets)?;
        for assignment in &plan.set {
            // A key of a rule is there once a method names the rule. Cells take these again, and `check` says what is wrong with one.
            base = base.with(assignment).unwrap_or(base);
        }
        let space = pada::search_space(base.supernet.space);
        let tables = Tables::load(base.rank.truth, &[], &paths::data_dir())?;
        let version = env!("CARGO_PKG_VERSION");
        let written_by = commit().map(|commit| format!("Written by pada {version}, commit {commit}."));
        let (plan, work, out) = (plan.clone(), work.cloned(), plan.out_folder(what)?);
        Ok(Self { plan, work, base, out, written_by, program: OnceCell::new(), tables, space })
    }

    /// What accuracies from scratch are, where a reader should know: those of one seed are noisy.
    pub(crate) fn truth_seeds(&self) -> String {
        match self.tables.main_seeds() {
            None => String::new(),
            Some(1) => ", one network an architecture".to_owned(),
            Some(seeds) => format!(", means of {seeds} networks an architecture"),
        }
    }

    /// Operations with weights, by digit.
    pub(crate) fn weighted_ops(&self) -> Vec<usize> {
        // They are the same for every number of classes.
        let layout = pada::weight_layout(&self.base.supernet, 10).expect("the base is checked");
        let ops: BTreeSet<usize> =
            layout.iter().filter_map(|(_, spec)| Some(spec.owner.as_ref()?.op)).collect();
        ops.into_iter().collect()
    }

    /// Runs cells that are not finished; `after` hears of the state at the start and after every cell. A cell that fails does not
    /// keep others from running.
    pub(crate) fn run(
        &self,
        cells: &[Cell],
        after: &mut dyn FnMut(&Progress) -> anyhow::Result<()>,
    ) -> anyhow::Result<(Progress, End)> {
        let shard = self.shard().map(|shard| shard.of(cells));
        let cells = shard.as_deref().unwrap_or(cells);
        let mut nothing = |_: &Progress| Ok(());
        // Shards share a folder, and a table of all is not theirs to write.
        let after = if shard.is_some() { &mut nothing } else { after };
        self.check(cells)?;
        child::catch_ctrl_c();
        let mut progress = Progress::default();
        let mut todo = Vec::new();
        for cell in cells {
            match self.finished(cell) {
                Ok(Some(finished)) => progress.finished.push(finished),
                _ => todo.push(cell),
            }
        }
        eprintln!(
            "{}: {} runs, {} of them finished",
            self.out.display(),
            cells.len(),
            progress.finished.len()
        );
        after(&progress)?;
        let Some(work) = &self.work else { return Ok((progress, End::Whole)) };
        for cell in todo {
            if child::stop_requested() {
                return Ok((progress, End::Stopped));
            }
            match self.finish(cell, work) {
                Ok(Some(finished)) => progress.finished.push(finished),
                Ok(None) => return Ok((progress, End::Stopped)),
                Err(error) => {
                    let reason = format!("{error:#}");
                    eprintln!("{} failed: {reason}", cell.title());
                    progress.failed.push(FailedTrial { trial: cell.title(), reason });
                }
            }
            after(&progress)?;
        }
        Ok((progress, End::Whole))
    }

    fn shard(&self) -> Option<Shard> {
        self.work.as_ref()?.shard
    }

    fn program(&self) -> anyhow::Result<&Path> {
        if let Some(program) = self.program.get() {
            return Ok(program);
        }
        let built = binary::build()?;
        Ok(self.program.get_or_init(|| built))
    }

    /// Before anything is built or written: an assignment that is wrong is said once, and not by every cell; a folder that holds the run
    /// of another config would stand in the table unnoticed.
    fn check(&self, cells: &[Cell]) -> anyhow::Result<()> {
        let mut others = Vec::new();
        for cell in cells {
            let config = match cell.config(&self.base, &self.out) {
                // It has none before the run that it copies is finished.
                Err(_) if cell.follows_pada() => continue,
                config => config.with_context(|| format!("the row {}", cell.method.name))?,
            };
            let folder = self.out.join(&cell.name);
            if let State::Other(differences) = look(&folder, &config)? {
                others.push(refusal(&folder, &differences));
            }
        }
        if others.is_empty() { Ok(()) } else { Err(usage(others.join("\n"))) }
    }

    /// Ends a command whose plan is over: what failed is named, and a stop says how to go on. `table` is what was written.
    pub(crate) fn conclude(&self, progress: &Progress, end: End, table: &Path) -> anyhow::Result<()> {
        // Shards write no table.
        let place = if self.shard().is_some() { &self.out } else { table }.display();
        if end == End::Stopped {
            eprintln!("stopped; what is finished stands in {place}; the same command goes on");
            std::process::exit(130);
        }
        let failed: Vec<String> =
            progress.failed.iter().map(|f| format!("{}: {}", f.trial, f.reason)).collect();
        let n = failed.len();
        ensure!(failed.is_empty(), "{n} runs failed, the others stand in {place}:\n{}", failed.join("\n"));
        Ok(())
    }

    /// The cell, where its folder holds its finished run.
    fn finished(&self, cell: &Cell) -> anyhow::Result<Option<Finished>> {
        let config = cell.config(&self.base, &self.out)?;
        let folder = self.out.join(&cell.name);
        if look(&folder, &config)? != State::Finished {
            return Ok(None);
        }
        let record = RunRecord::read(&record_file(&folder))?;
        let scores = pada::read_scores(&folder.join("ranking.csv"), self.space.as_ref())?;
        let whole = match &config.rank.archs {
            RankArchs::Truth => !config.supernet.ops.is_empty() || self.tables.archs().len() == scores.len(),
            // Configs compare the list's name; what was ranked must be what it holds.
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
        Ok(up_to_date.then(|| Finished { cell: cell.clone(), record, scores }))
    }

    /// Runs a cell to its end; none if it was stopped.
    fn finish(&self, cell: &Cell, work: &Work) -> anyhow::Result<Option<Finished>> {
        let folder = self.out.join(&cell.name);
        let config = cell.config(&self.base, &self.out)?;
        let mut command = Command::new(self.program()?);
        match look(&folder, &config)? {
            State::Other(differences) => bail!(refusal(&folder, &differences)),
            State::New => {
                command.arg("--config").arg(self.plan.preset.config_file()?);
                let common = self.plan.preset.set().iter().map(|s| (*s).to_owned());
                for assignment in common.chain(cell.assignments(&self.out)?) {
                    command.arg("--set").arg(assignment);
                }
                command.args(["--seed", &cell.seed.to_string(), "--out"]).arg(&folder);
            }
            // A finished run is here again when its truth table has grown: it only ranks anew.
            State::Unfinished | State::Finished => drop(command.arg("--resume").arg(&folder)),
        }
        command.args(["--device", &work.device]);
        if let Some(threads) = work.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        command.env("PADA_DATA", std::path::absolute(paths::data_dir())?);
        match child::run(&mut command, &cell.name)? {
            Ended::Stopped => Ok(None),
            Ended::Failed(reason) => bail!(reason),
            Ended::Done => {
                let finished = self.finished(cell)?;
                let advice =
                    "its record does not agree with its ranking.csv and the truth table; delete the folder";
                finished.with_context(|| format!("{}: {advice}", folder.display())).map(Some)
            }
        }
    }
}

/// What is said of a folder that holds another run.
pub(super) fn refusal(folder: &std::path::Path, differences: &[String]) -> String {
    format!(
        "{} holds another run: {}; give another --out, or move it away",
        folder.display(),
        differences.join("; ")
    )
}

/// Whether a record's tau-b is that of these scores: the truth table may have grown since.
fn same_agreement(record: &RunRecord, scores: &BTreeMap<Arch, (f64, f64)>) -> bool {
    let (predicted, truth): (Vec<f64>, Vec<f64>) = scores.values().copied().unzip();
    let recorded = record.ranking.as_ref().and_then(|ranking| ranking.main_metrics());
    match (recorded, kendall_tau_b(&predicted, &truth)) {
        (Some(metrics), Ok(tau)) => metrics.n == scores.len() && (metrics.tau_b - tau).abs() < 1e-9,
        (None, Err(_)) => true,
        _ => false,
    }
}

/// Finished cells by method, in the order of seeds.
pub(crate) fn by_method(progress: &Progress) -> HashMap<&str, Vec<&Finished>> {
    let mut methods: HashMap<&str, Vec<&Finished>> = HashMap::new();
    for finished in &progress.finished {
        methods.entry(&finished.cell.method.name).or_default().push(finished);
    }
    methods.values_mut().for_each(|cells| cells.sort_by_key(|finished| finished.cell.seed));
    methods
}
