//! Tables of networks: published results and costs, published networks after retraining, and own rows from the supernet to the retrained
//! network.

mod own;
mod retrained;
mod rows;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use pada::report::{FailedTrial, RunRecord};
use pada::{Config, RetrainConfig};
use serde::Deserialize;

pub(crate) use self::own::SearchRecord;
use self::own::{Own, SEARCH_SEED, SearchSize};
use self::retrained::{Retrained, Test};
use self::rows::Row;
use self::table::{NetworkCells, NetworkRow, NetworkTable, OwnCells};
use crate::child::{self, Ended};
use crate::merge::copy_runs;
use crate::preset::Preset;
use crate::published::{PaperTable, PublishedRow, PublishedTable};
use crate::runner::{conclude, refusal};
use crate::shard::Shard;
use crate::table::changed;
use crate::trials::{State, look, record_file};
use crate::{Environment, Event, ReproduceError};

/// All presets, for tests.
#[cfg(test)]
pub(crate) const PRESETS: [Preset; 3] = [Preset::Mini, Preset::Short, Preset::Full];

/// A table of the paper whose rows are networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkTarget {
    /// Table 2: cells of DARTS on CIFAR-10.
    Table2,
    /// Table 3: networks of MobileNet blocks on ImageNet.
    Table3,
}

/// The rows of a table, and the way to train their networks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkPlan {
    /// The size of supernets, searches and retraining, up to the published recipe.
    pub preset: Preset,
    /// Only these rows; all rows of the table if it is empty.
    pub methods: Vec<String>,
    /// Retraining uses the seeds 0 to N - 1; 0 trains nothing and only counts. Supernets and searches use the seed 0.
    pub seeds: u64,
    /// Number of architectures that each search scores; the number of the preset if it is `None`.
    pub candidates: Option<usize>,
    /// Output folder for runs and tables; `<table>-<preset>` in [`Environment::runs`] if it is `None`. Finished runs in it are not run
    /// again.
    pub out: Option<PathBuf>,
    /// Assignments `section.key=value` that change the config of every retraining. The table lists them.
    pub set: Vec<String>,
    /// Assignments `section.key=value` that change the config of every supernet. The table lists them.
    pub supernet_set: Vec<String>,
    /// Device to compute on: `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Number of CPU threads; all cores if it is `None`.
    pub threads: Option<usize>,
    /// Run only this part of the rows and write no table.
    pub shard: Option<Shard>,
}

impl NetworkPlan {
    /// Returns a plan with all rows of a table, one seed and no changes, on any device.
    pub fn new(preset: Preset) -> Self {
        Self {
            preset,
            methods: vec![],
            seeds: 1,
            candidates: None,
            out: None,
            set: vec![],
            supernet_set: vec![],
            device: "auto".to_owned(),
            threads: None,
            shard: None,
        }
    }
}

impl NetworkTarget {
    /// Returns the name in names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table2 => "table2",
            Self::Table3 => "table3",
        }
    }

    /// Returns the printed table.
    pub(crate) fn paper(self) -> PaperTable {
        match self {
            Self::Table2 => PaperTable::Table2,
            Self::Table3 => PaperTable::Table3,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Table2 => "Table 2",
            Self::Table3 => "Table 3",
        }
    }

    /// Describes the networks whose costs are counted.
    fn counted(self) -> &'static str {
        match self {
            Self::Table2 => "20 cells, C=36, images of 32×32, no auxiliary head",
            Self::Table3 => "images of 224×224, 1,000 classes",
        }
    }

    /// Returns the printed number of multiply-adds of a row, millions.
    pub(crate) fn printed_macs(self, row: Option<&PublishedRow>) -> Option<f64> {
        match self {
            Self::Table2 => None,
            // The columns after the method are parameters, multiply-adds, top-1 and top-5.
            Self::Table3 => row?.cells.get(1)?.number(),
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Table2 => "darts",
            Self::Table3 => "proxyless",
        }
    }
}

impl Preset {
    /// Returns the config of the supernet of a table, in the folder `configs`.
    pub(crate) fn supernet_file(self, which: NetworkTarget) -> String {
        let file = match (self, which) {
            (Self::Mini, _) => "mini",
            (Self::Short | Self::Medium, _) => "short",
            (Self::Full, NetworkTarget::Table2) => "pada",
            (Self::Full, NetworkTarget::Table3) => "imagenet",
        };
        format!("{}/{file}.toml", which.folder())
    }

    /// Returns the config of the differentiable searches of a table, in the folder `configs`.
    pub(crate) fn search_file(self, which: NetworkTarget) -> String {
        match (self, which) {
            (Self::Full, NetworkTarget::Table2) => "darts/search.toml".to_owned(),
            _ => self.supernet_file(which),
        }
    }

    /// Returns the config for retraining, in the folder `configs`.
    pub(crate) fn retrain_file(self, which: NetworkTarget) -> String {
        let file = match self {
            Self::Mini => "retrain-mini",
            Self::Short | Self::Medium => "retrain-short",
            Self::Full => "retrain",
        };
        format!("{}/{file}.toml", which.folder())
    }

    /// Returns the note about the networks that were retrained.
    fn retraining_note(self, config: &RetrainConfig) -> String {
        let (net, train, source) = (&config.network, &config.train, &config.data.source);
        let size = net.size_text();
        let recipe = format!("{size}, {} epochs, batch {}, images of {source}", train.epochs, train.batch);
        match self {
            Self::Mini | Self::Short | Self::Medium => format!(
                "**Quick preset `{}`, not the published recipe**: networks were retrained with {recipe}. These accuracies neither confirm \
                 nor contradict the published ones.",
                self.name()
            ),
            Self::Full => format!("Retrained with the recipe of the config's head: {recipe}."),
        }
    }
}

/// One run of the program for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Training of the own supernet.
    Supernet { row: usize },
    /// The search with it.
    Search { row: usize },
    /// Retraining of the architecture that the search found.
    Own { row: usize, seed: u64 },
    /// Retraining of the published architecture.
    Published { row: usize, seed: u64 },
}

impl Step {
    fn row(self) -> usize {
        let (Self::Supernet { row }
        | Self::Search { row }
        | Self::Own { row, .. }
        | Self::Published { row, .. }) = self;
        row
    }
}

/// A table, its rows and its runs.
struct Job<'a> {
    which: NetworkTarget,
    plan: &'a NetworkPlan,
    environment: &'a Environment<'a>,
    rows: Vec<Row>,
    /// The printed cells of each row.
    published: Vec<Option<PublishedRow>>,
    /// The own supernet of each row.
    owns: Vec<Option<Own>>,
    /// The config for retraining with the assignments of the user.
    base: RetrainConfig,
    out: PathBuf,
}

/// Runs the unfinished steps and writes the table after every run, unless the plan is a shard. Returns the path of the table's Markdown
/// file.
pub(crate) fn run(
    which: NetworkTarget,
    plan: &NetworkPlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let job = Job::new(which, plan, environment)?;
    let steps = job.steps();
    let shard = plan.shard.map(|shard| job.of_shard(&steps, shard));
    let steps = shard.as_deref().unwrap_or(&steps);
    job.refuse_other_runs(steps)?;
    let (file, mut failed) = (job.out.join("table.md"), Vec::new());
    let write = |failed: &[(Step, FailedTrial)]| match plan.shard {
        // Shards may share a folder, so that no shard can write the table of all rows.
        Some(_) => Ok(()),
        None => job.write(steps, failed, &file),
    };
    let finished = job.count_finished(steps)?;
    (environment.events)(Event::Planned { folder: &job.out, trials: steps.len(), finished });
    write(&failed)?;
    for &step in steps {
        if job.state(step)? == Some(State::Finished) {
            continue;
        }
        if environment.stop_requested() {
            return Err(ReproduceError::Stopped { place: file });
        }
        match job.execute(step)? {
            // The step before it in its row has failed.
            None => continue,
            Some(Ended::Done) if job.state(step)? == Some(State::Finished) => {}
            Some(Ended::Stopped) => return Err(ReproduceError::Stopped { place: file }),
            Some(ended) => {
                let reason = match ended {
                    Ended::Failed(reason) => reason,
                    _ => "it ended without a result; delete its folder".to_owned(),
                };
                let trial = job.title(step);
                (environment.events)(Event::Failed { trial: &trial, reason: &reason });
                failed.push((step, FailedTrial { trial, reason }));
            }
        }
        write(&failed)?;
    }
    let failed: Vec<FailedTrial> = failed.into_iter().map(|(_, failed)| failed).collect();
    conclude(&failed, if plan.shard.is_some() { &job.out } else { &file })?;
    Ok(file)
}

/// Copies the finished runs of shards that ran on other disks, and writes the table. Returns the path of its Markdown file.
pub(crate) fn merge(
    which: NetworkTarget,
    from: &[PathBuf],
    plan: &NetworkPlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let job = Job::new(which, plan, environment)?;
    for from in from {
        copy_runs(from, &job.out, environment.events)?;
    }
    let steps = job.steps();
    job.refuse_other_runs(&steps)?;
    let file = job.out.join("table.md");
    job.write(&steps, &[], &file)?;
    Ok(file)
}

impl<'a> Job<'a> {
    fn new(
        which: NetworkTarget,
        plan: &'a NetworkPlan,
        environment: &'a Environment<'a>,
    ) -> Result<Self, ReproduceError> {
        if plan.preset == Preset::Medium {
            let known = "--preset medium: table2 and table3 do not have it; use mini, short or full";
            return Err(ReproduceError::Usage(known.to_owned()));
        }
        let rows = Row::of_table(which, &plan.methods)?;
        let config = environment.config(&plan.preset.retrain_file(which))?;
        let base = RetrainConfig::read_with(&config, &plan.set)?;
        let usual = format!("{}-{}", which.name(), plan.preset.name());
        let out = environment.out_folder(plan.out.as_deref(), usual)?;
        let table = PublishedTable::of(which.paper());
        let published: Vec<Option<PublishedRow>> = rows.iter().map(|row| row.published(&table)).collect();
        let own = |(row, published): (&Row, &Option<PublishedRow>)| {
            Own::of(row, which, plan, which.printed_macs(published.as_ref()), &out, environment)
        };
        let owns = rows.iter().zip(&published).map(own).collect::<Result<_, _>>()?;
        Ok(Self { which, plan, environment, rows, published, owns, base, out })
    }

    /// Lists the runs of the table in their order: supernets with their searches, then retraining with the first seed of all rows, and so
    /// on. A table that is stopped early then has all its rows.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.plan.seeds == 0 {
            return steps;
        }
        let trains = |row: usize| self.owns[row].as_ref().is_some_and(|own| own.supernet.is_ok());
        for row in (0..self.rows.len()).filter(|&row| trains(row)) {
            steps.extend(self.own(row).finder.needs_supernet().then_some(Step::Supernet { row }));
            steps.push(Step::Search { row });
        }
        for seed in 0..self.plan.seeds {
            for row in 0..self.rows.len() {
                if self.rows[row].config(&self.base, seed).is_ok() {
                    steps.push(Step::Published { row, seed });
                }
                if trains(row) {
                    steps.push(Step::Own { row, seed });
                }
            }
        }
        steps
    }

    /// Returns the steps of a shard. All steps of an own row are in one shard, because each needs the one before it. Own rows and trainings
    /// of published networks are assigned round-robin.
    fn of_shard(&self, steps: &[Step], shard: Shard) -> Vec<Step> {
        let mut groups: Vec<Vec<Step>> = Vec::new();
        for &step in steps {
            let same = |group: &&mut Vec<Step>| {
                group[0].row() == step.row()
                    && !matches!((group[0], step), (Step::Published { .. }, _) | (_, Step::Published { .. }))
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(step),
                None => groups.push(vec![step]),
            }
        }
        shard.part(groups)
    }

    fn own(&self, row: usize) -> &Own {
        self.owns[row].as_ref().expect("a step of an own row has one")
    }

    fn name(&self, step: Step) -> String {
        let name = &self.rows[step.row()].name;
        match step {
            Step::Supernet { .. } => format!("{name}-supernet-s{SEARCH_SEED}"),
            Step::Search { .. } => format!("{name}-search-s{SEARCH_SEED}"),
            Step::Own { seed, .. } => format!("{name}-own-s{seed}"),
            Step::Published { seed, .. } => format!("{name}-s{seed}"),
        }
    }

    fn title(&self, step: Step) -> String {
        let name = &self.rows[step.row()].name;
        match step {
            Step::Supernet { .. } => format!("{name}, supernet"),
            Step::Search { .. } => format!("{name}, search"),
            Step::Own { seed, .. } => format!("{name}, own network, seed {seed}"),
            Step::Published { seed, .. } => format!("{name}, published network, seed {seed}"),
        }
    }

    fn folder(&self, step: Step) -> PathBuf {
        self.out.join(self.name(step))
    }

    /// Returns the config of a step. `None` for a search, and for a network that is not found yet.
    fn config(&self, step: Step) -> Result<Option<Config>, ReproduceError> {
        let config: Config = match step {
            Step::Search { .. } => return Ok(None),
            Step::Supernet { row } => self.own(row).supernet.clone().map_err(ReproduceError::Trial)?.into(),
            Step::Own { row, seed } => {
                let Some(arch) = self.found(row)? else { return Ok(None) };
                let mut config = self.base.clone().of_arch(&arch)?;
                config.seed = seed;
                config.check()?;
                config.into()
            }
            Step::Published { row, seed } => {
                let config = self.rows[row].config(&self.base, seed).map_err(ReproduceError::Trial)?;
                config.check()?;
                config.into()
            }
        };
        Ok(Some(config))
    }

    /// Returns the architecture that the search of a row found. `None` if the search is not finished.
    fn found(&self, row: usize) -> Result<Option<String>, ReproduceError> {
        let Some(own) = &self.owns[row] else { return Ok(None) };
        Ok(SearchRecord::read(&own.search_folder)?.and_then(|record| record.arch))
    }

    /// Returns the state of a step. `None` if the network that it retrains is not found yet.
    fn state(&self, step: Step) -> Result<Option<State>, ReproduceError> {
        if let Step::Search { row } = step {
            let own = self.own(row);
            return Ok(Some(match SearchRecord::read(&own.search_folder)? {
                None => State::New,
                Some(found) if found.arguments != own.search => {
                    let [is, would_be] = [&found.arguments, &own.search].map(|arguments| arguments.join(" "));
                    State::Other(vec![format!("the search is {is}, would be {would_be}")])
                }
                Some(found) if found.arch.is_some() => State::Finished,
                Some(_) => State::Unfinished,
            }));
        }
        self.config(step)?.map(|config| look(&self.folder(step), config)).transpose()
    }

    fn count_finished(&self, steps: &[Step]) -> Result<usize, ReproduceError> {
        let states = steps.iter().map(|&step| self.state(step)).collect::<Result<Vec<_>, _>>()?;
        Ok(states.into_iter().filter(|state| *state == Some(State::Finished)).count())
    }

    /// Rejects folders with the run of another config, because its result would enter the table unnoticed.
    fn refuse_other_runs(&self, steps: &[Step]) -> Result<(), ReproduceError> {
        let mut others = Vec::new();
        for &step in steps {
            if let Some(State::Other(differences)) = self.state(step)? {
                others.push(refusal(&self.folder(step), &differences));
            }
        }
        if others.is_empty() { Ok(()) } else { Err(ReproduceError::Usage(others.join("\n"))) }
    }

    /// Runs a step, or resumes its run. Returns `None` if the step before it in its row is not finished.
    fn execute(&self, step: Step) -> Result<Option<Ended>, ReproduceError> {
        let folder = self.folder(step);
        let mut command = self.environment.call()?;
        if let Step::Search { row } = step {
            let own = self.own(row);
            command.arg("search");
            if own.finder.needs_supernet() {
                if self.state(Step::Supernet { row })? != Some(State::Finished) {
                    return Ok(None);
                }
                command.arg(&own.supernet_folder).args(["--top", "1"]);
            }
            command.args(own.call(self.environment)?).arg("--out").arg(&folder);
            self.compute(&mut command);
            return self.search(row, &mut command).map(Some);
        }
        let Some(config) = self.config(step)? else { return Ok(None) };
        if let Step::Own { .. } | Step::Published { .. } = step {
            command.arg("retrain");
        }
        match look(&folder, config)? {
            State::New => {
                let (file, set, seed) = match step {
                    Step::Supernet { row } | Step::Search { row } => {
                        let own = self.own(row);
                        (self.plan.preset.supernet_file(self.which), own.set.clone(), SEARCH_SEED)
                    }
                    Step::Own { row, seed } => {
                        let arch = self.found(row)?.expect("its config is known");
                        command.arg("--arch").arg(arch);
                        (self.plan.preset.retrain_file(self.which), self.plan.set.clone(), seed)
                    }
                    Step::Published { row, seed } => {
                        let row = &self.rows[row];
                        let arch = row.arch.as_deref().expect("a row that is retrained has an architecture");
                        command.arg("--arch").arg(arch);
                        let set = self.plan.set.iter().chain(&row.set).cloned().collect();
                        (self.plan.preset.retrain_file(self.which), set, seed)
                    }
                };
                command.arg("--config").arg(self.environment.config(&file)?);
                for assignment in set {
                    command.arg("--set").arg(assignment);
                }
                command.args(["--seed", &seed.to_string(), "--out"]).arg(&folder);
            }
            _ => drop(command.arg("--resume").arg(&folder)),
        }
        self.compute(&mut command);
        child::run(&mut command, &self.name(step), self.environment).map(Some)
    }

    /// Adds the options of the device to a command.
    fn compute(&self, command: &mut std::process::Command) {
        command.args(["--device", &self.plan.device]);
        if let Some(threads) = self.plan.threads {
            command.args(["--threads", &threads.to_string()]);
        }
    }

    /// Runs a search and adds its time to that of earlier, interrupted sessions.
    fn search(&self, row: usize, command: &mut std::process::Command) -> Result<Ended, ReproduceError> {
        let own = self.own(row);
        let folder = &own.search_folder;
        let earlier = SearchRecord::read(folder)?.map_or(0.0, |record| record.seconds);
        let started = Instant::now();
        let ended = child::run(command, &self.name(Step::Search { row }), self.environment)?;
        let seconds = earlier + started.elapsed().as_secs_f64();
        let arch = if ended == Ended::Done { Some(own.found()?) } else { None };
        SearchRecord { arguments: own.search.clone(), seconds, arch }.write(folder)?;
        Ok(ended)
    }

    /// Returns the tests of a row's networks that are retrained.
    fn tests(&self, steps: &[Step], wanted: impl Fn(Step) -> bool) -> Result<Vec<Test>, ReproduceError> {
        let mut tests = Vec::new();
        for &step in steps.iter().filter(|&&step| wanted(step)) {
            if self.state(step)? == Some(State::Finished) {
                tests.push(Test::read(&self.folder(step))?);
            }
        }
        Ok(tests)
    }

    fn table_row(
        &self,
        index: usize,
        steps: &[Step],
        failed: &[(Step, FailedTrial)],
    ) -> Result<NetworkRow, ReproduceError> {
        let row = &self.rows[index];
        let published =
            self.tests(steps, |step| matches!(step, Step::Published { row, .. } if row == index))?;
        let mut remarks = row.remarks(row.config(&self.base, 0).err());
        let own = match &self.owns[index] {
            None => None,
            Some(own) => {
                let label = row.own_label.clone().unwrap_or_else(|| own.finder.label());
                if let Err(reason) = &own.supernet {
                    remarks.push(format!("own run of {label} refused: {reason}"));
                }
                let arch = self.found(index)?;
                let cost = arch.as_ref().map(|arch| self.which.published_size().cost(arch)).transpose()?;
                let tests =
                    self.tests(steps, |step| matches!(step, Step::Own { row, .. } if row == index))?;
                let (search_hours, device) = self.search_cost(index)?;
                Some(OwnCells {
                    method: own.finder.name().to_owned(),
                    label,
                    refused: own.supernet.is_err(),
                    search_hours,
                    device,
                    network: NetworkCells {
                        arch,
                        cost: cost.map(|(_, cost)| cost),
                        retrained: Retrained::of(&tests),
                    },
                })
            }
        };
        let failed = failed.iter().filter(|(step, _)| step.row() == index);
        remarks
            .extend(failed.map(|(step, failed)| format!("{} failed: {}", self.title(*step), failed.reason)));
        Ok(NetworkRow {
            name: row.name.clone(),
            label: row.label().to_owned(),
            published: self.published[index].clone(),
            network: NetworkCells {
                arch: row.arch.clone(),
                cost: row.cost(self.which)?,
                retrained: Retrained::of(&published),
            },
            own,
            remarks,
        })
    }

    /// Returns the wall-clock hours of supernet and search of a row, and the device of the supernet. `None` before the search is finished.
    fn search_cost(&self, row: usize) -> Result<(Option<f64>, Option<String>), ReproduceError> {
        let own = self.own(row);
        let search = SearchRecord::read(&own.search_folder)?.filter(|search| search.arch.is_some());
        let Some(search) = search else { return Ok((None, None)) };
        let supernet = RunRecord::read(&record_file(&own.supernet_folder))?;
        // The record of a differentiable search contains all of its work.
        let searched = if own.finder.needs_supernet() { search.seconds } else { 0.0 };
        Ok((Some((supernet.train_seconds + searched) / 3600.0), Some(supernet.device)))
    }

    fn write(
        &self,
        steps: &[Step],
        failed: &[(Step, FailedTrial)],
        file: &Path,
    ) -> Result<(), ReproduceError> {
        let (which, plan) = (self.which, self.plan);
        let paper = PublishedTable::of(which.paper());
        let rows = (0..self.rows.len())
            .map(|row| self.table_row(row, steps, failed))
            .collect::<Result<Vec<_>, _>>()?;
        let mut changes = plan.set.clone();
        changes.extend(plan.supernet_set.iter().map(|assignment| format!("supernet: {assignment}")));
        let title =
            format!("{}, {}, preset {}{}", which.title(), paper.title, plan.preset.name(), changed(&changes));
        let table = NetworkTable {
            title,
            notes: self.notes(steps, &rows, &paper),
            heads: paper.heads(),
            rows,
            failed: failed.iter().map(|(_, failed)| failed.clone()).collect(),
            missing: steps.len() - self.count_finished(steps)? - failed.len(),
        };
        table.write(file)
    }

    fn notes(&self, steps: &[Step], rows: &[NetworkRow], paper: &PublishedTable) -> Vec<String> {
        let (which, plan) = (self.which, self.plan);
        let mut notes = vec![
            "Published: the cells of the paper as it prints them, with its dashes and blank cells; n/a marks a row that its table does not \
             have."
                .to_owned(),
        ];
        notes.extend(paper.notes.iter().cloned());
        if !steps.is_empty() {
            notes.push(plan.preset.retraining_note(&self.base));
        }
        if steps.iter().any(|step| matches!(step, Step::Supernet { .. })) {
            let search = SearchSize::of(which, plan.preset, plan.candidates).text();
            notes.push(format!(
                "Own: the method trains a supernet with the seed {SEARCH_SEED} (configs/{}); {search} finds an architecture, which is \
                 retrained with every seed. Best and average are over these seeds.",
                plan.preset.supernet_file(which)
            ));
        }
        let searched = |own: &Own| own.supernet.is_ok() && !own.finder.needs_supernet();
        if !steps.is_empty() && self.owns.iter().flatten().any(searched) {
            notes.push(format!(
                "Own rows of ENAS, DARTS and its relatives: a search that trains a supernet of its own (`pada search --method`, seed {SEARCH_SEED}, \
                 configs/{}) on one half of the training images and finds the architecture.",
                plan.preset.search_file(which)
            ));
        }
        let mut devices: Vec<&str> =
            rows.iter().filter_map(|row| row.own.as_ref()?.device.as_deref()).collect();
        devices.sort_unstable();
        devices.dedup();
        if !devices.is_empty() {
            notes.push(format!(
                "Own search cost: wall-clock hours of supernet and search on {}, without retraining. The published cost is that of other \
                 devices.",
                devices.join(" and ")
            ));
        }
        notes.push(format!(
            "Network: the published architecture. Parameters and multiply-adds (MACs) of both networks are counted at the published size: {}.",
            which.counted()
        ));
        notes.push(
            "– in the other columns marks a network that is not public or was not trained, and a number that was not measured."
                .to_owned(),
        );
        for (row, own) in self.rows.iter().zip(&self.owns) {
            let Some(own) = own.as_ref().filter(|own| own.supernet.is_ok()) else { continue };
            notes.extend(row.unsaid().or_else(|| own.finder.unsaid()));
        }
        notes
    }
}
