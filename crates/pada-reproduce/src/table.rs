use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pada::metrics::{Bootstrap, Difference, PairedMetric, paired_difference};
use pada::report::{
    Axes, Bar, Mark, MethodRow, MethodTable, Panel, RankingRow, RunRecord, bar_plot, scatter_plot,
};
use pada::space::Arch;

use crate::environment::write_whole;
use crate::methods::{Method, PADA, SPOS};
use crate::published::{PaperTable, PublishedTable};
use crate::runner::{Finished, Plan, Progress, Runner, Work, by_method};
use crate::trials::Trial;
use crate::{Environment, ReproduceError, Target, scores};

/// The bootstrap of all confidence intervals.
const BOOTSTRAP: Bootstrap = Bootstrap::bca().with_resamples(2000);
const METRICS: [PairedMetric; 2] = [PairedMetric::TauB, PairedMetric::PAtTop { fraction: 0.05 }];

/// The table that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The paper's Table 1.
    Table1,
    /// The ablation of PA&DA.
    Ablation,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Table1 => Target::Table1.name(),
            Self::Ablation => Target::Ablation.name(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Table1 => "Table 1, ranking consistency, NAS-Bench-201",
            Self::Ablation => "Ablation of PA&DA, NAS-Bench-201",
        }
    }

    /// Returns the row that other rows are compared with.
    fn reference(self) -> &'static str {
        match self {
            Self::Table1 => SPOS,
            Self::Ablation => PADA,
        }
    }
}

/// Runs every method with every seed and writes the table after each run. Returns the path of the table without its extension.
pub(crate) fn run(
    which: Which,
    plan: &Plan,
    work: Option<&Work>,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let methods = Method::of_table(which.name(), &plan.methods)?;
    let runner = Runner::new(which.name(), plan, work, &[], environment)?;
    let variables = plan.preset.variables(runner.base.train.epochs);
    let set = |method: &Method| {
        let mut set = method.assignments(&variables);
        // Assignments of the user override those of the method.
        set.extend_from_slice(&plan.set);
        set
    };
    // All methods run with the first seed first, so that a table that is stopped early has all its rows.
    let mut trials: Vec<Trial> = (0..plan.seeds)
        .flat_map(|seed| methods.iter().map(move |method| (method, seed)))
        .map(|(method, seed)| Trial::new(method, seed, set(method)))
        .collect();
    // A control that repeats PA&DA's paths runs after PA&DA.
    trials.sort_by_key(|trial| (trial.seed, trial.follows_pada()));
    let file = runner.out.join("table");
    let mut differences = Differences::default();
    let mut write = |progress: &Progress| {
        let table = table(which, plan, &runner, &methods, trials.len(), progress, &mut differences)?;
        write_files(&table, &file, progress, &methods)
    };
    let (progress, end) = runner.run(&trials, &mut write)?;
    runner.conclude(&progress, end, &file.with_extension("md"))?;
    Ok(file)
}

fn table(
    which: Which,
    plan: &Plan,
    runner: &Runner,
    methods: &[Method],
    trials: usize,
    progress: &Progress,
    differences: &mut Differences,
) -> Result<MethodTable, ReproduceError> {
    let by_method = by_method(progress);
    let of = |name: &str| by_method.get(name).map_or(&[][..], Vec::as_slice);
    let reference = which.reference();
    let weighted_ops = runner.weighted_ops();
    let mut rows = Vec::new();
    for method in methods {
        let runs = of(&method.name);
        let records: Vec<RunRecord> = runs.iter().map(|finished| finished.record.clone()).collect();
        let mut row = MethodRow::of(method.row_name(), &records, &weighted_ops);
        if method.name != reference {
            [row.tau_b_difference, row.p_at_top_5_difference] = differences.of(runs, of(reference));
        }
        rows.push(row);
    }
    let main = progress.first_agreement();
    let zero_cost = main.map(|agreement| agreement.zero_cost.clone()).unwrap_or_default();
    let best = main.and_then(|agreement| agreement.best_zero_cost());
    if let (Some(best), Some(first)) = (best, progress.finished.first()) {
        differences.know(best, first, runner)?;
    }
    let mut rankings = Vec::new();
    for (method, row) in methods.iter().zip(&rows) {
        let runs = of(&method.name);
        let records: Vec<RunRecord> = runs.iter().map(|finished| finished.record.clone()).collect();
        let fused = RankingRow::fused(method.name.clone(), &row.method.label, &records);
        rankings.extend(fused.map(|row| {
            let [tau_b_difference, p_at_top_5_difference] = differences.of_fused(runs);
            RankingRow { tau_b_difference, p_at_top_5_difference, ..row }
        }));
    }
    rankings.extend(zero_cost.iter().map(|row| {
        let [tau_b_difference, p_at_top_5_difference] = differences.of_baseline(&row.name);
        RankingRow { tau_b_difference, p_at_top_5_difference, ..RankingRow::zero_cost(row) }
    }));
    Ok(MethodTable {
        title: format!("{}, preset {}{}", which.title(), plan.preset.name(), changed(&plan.set)),
        notes: notes(which, plan, runner, methods, progress),
        reference: Method::named(reference).map_or_else(String::new, |method| method.row_name().label),
        rows,
        zero_cost,
        rankings,
        best_zero_cost: best.map(str::to_owned),
        ceiling: main.and_then(|agreement| agreement.ceiling),
        failed: progress.failed.clone(),
        missing: trials - progress.finished.len() - progress.failed.len(),
    })
}

/// Returns the part of a title that lists the user's changes to the preset.
pub(crate) fn changed(set: &[String]) -> String {
    if set.is_empty() { String::new() } else { format!(", changed: {}", set.join(", ")) }
}

fn notes(which: Which, plan: &Plan, runner: &Runner, methods: &[Method], progress: &Progress) -> Vec<String> {
    let mut notes = vec![plan.preset.note(&runner.base, &plan.set)];
    let main = progress.finished.first().and_then(|finished| finished.record.ranking.as_ref());
    if let Some(ranking) = main {
        let truth = ranking.agreements.first().map_or("no table", |agreement| &agreement.table);
        let images = &ranking.images;
        notes.push(format!(
            "{} architectures ranked on {} images of {}, compared with {truth}{}.",
            ranking.archs,
            images.images,
            images.name,
            runner.truth_seeds()
        ));
    }
    let mut devices: Vec<&str> = progress.finished.iter().map(|f| f.record.device.as_str()).collect();
    devices.sort_unstable();
    devices.dedup();
    if !devices.is_empty() {
        notes.push(format!(
            "Device hours include training and splits, but not ranking, on {}.",
            devices.join(" and ")
        ));
    }
    notes.push(format!(
        "Numbers are mean ± sd over seeds. Differences (Δ) are paired over architectures and seeds: {} bootstrap resamples, BCa \
         intervals, or percentiles where BCa is undefined. Below the methods, differences are those to the zero-cost baseline with the best \
         tau-b, which has no seed.",
        BOOTSTRAP.resamples
    ));
    notes.push("GV is the mean over all epochs.".to_owned());
    if which == Which::Table1 {
        notes.extend(PublishedTable::of(PaperTable::Table1).notes);
    }
    notes.extend(methods.iter().filter_map(Method::unsaid));
    notes.extend(runner.written_by.clone());
    notes
}

/// A cache of differences, by row and seeds, because they take long to compute on a large table.
#[derive(Default)]
struct Differences {
    /// To the reference method.
    methods: HashMap<(String, Vec<u64>), [Option<Difference>; 2]>,
    /// Differences of fused rankings and of baselines to the best baseline.
    rankings: HashMap<(String, Vec<u64>), [Option<Difference>; 2]>,
    baselines: Option<Baselines>,
}

/// The scores of zero-cost baselines.
struct Baselines {
    /// The trial whose files they come from.
    trial: String,
    /// The baseline that others are compared with.
    best: String,
    archs: Vec<Arch>,
    /// `[A]`, stand-alone accuracies.
    truth: Vec<f64>,
    /// `[A]` each, by name.
    lists: HashMap<String, Vec<f64>>,
}

impl Baselines {
    /// Compares rankings, one per seed, with the best baseline.
    fn compare(&self, rankings: &[Vec<f64>]) -> [Option<Difference>; 2] {
        let Some(best) = self.lists.get(&self.best) else { return [None; 2] };
        let best = vec![best.clone(); rankings.len()];
        differences(rankings, &best, &self.truth)
    }
}

/// Computes the paired differences of the metrics of two methods, which have one list of scores per seed. The metric of a collapsed supernet
/// is undefined, and so is its difference.
fn differences(a: &[Vec<f64>], b: &[Vec<f64>], truth: &[f64]) -> [Option<Difference>; 2] {
    METRICS.map(|metric| {
        let compute = |bootstrap: &Bootstrap| paired_difference(a, b, truth, metric, bootstrap);
        BOOTSTRAP.or_percentiles(compute).ok()
    })
}

impl Differences {
    fn of(&mut self, runs: &[&Finished], reference: &[&Finished]) -> [Option<Difference>; 2] {
        let pairs: Vec<(&Finished, &Finished)> = runs
            .iter()
            .filter_map(|a| Some((*a, *reference.iter().find(|b| b.trial.seed == a.trial.seed)?)))
            .collect();
        let Some((first, _)) = pairs.first() else { return [None; 2] };
        let key = (first.trial.method.name.clone(), pairs.iter().map(|(a, _)| a.trial.seed).collect());
        *self.methods.entry(key).or_insert_with(|| {
            let in_all = |arch: &&_| {
                pairs.iter().all(|(a, b)| a.scores.contains_key(*arch) && b.scores.contains_key(*arch))
            };
            let archs: Vec<_> = first.scores.keys().filter(in_all).collect();
            let truth: Vec<f64> = archs.iter().map(|arch| first.scores[*arch].1).collect();
            let scores = |run: &Finished| archs.iter().map(|arch| run.scores[*arch].0).collect::<Vec<f64>>();
            let a: Vec<Vec<f64>> = pairs.iter().map(|(a, _)| scores(a)).collect();
            let b: Vec<Vec<f64>> = pairs.iter().map(|(_, b)| scores(b)).collect();
            differences(&a, &b, &truth)
        })
    }

    /// Reads the scores of the baselines, which all runs have in common, from the files of the first one.
    fn know(&mut self, best: &str, first: &Finished, runner: &Runner<'_>) -> Result<(), ReproduceError> {
        let is_known = |known: &Baselines| known.trial == first.trial.name && known.best == best;
        if self.baselines.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        let archs: Vec<Arch> = first.scores.keys().cloned().collect();
        let truth = first.scores.values().map(|(_, truth)| *truth).collect();
        let lists = runner.baselines(first, &archs)?.into_iter().collect();
        let (trial, best) = (first.trial.name.clone(), best.to_owned());
        self.rankings.clear();
        self.baselines = Some(Baselines { trial, best, archs, truth, lists });
        Ok(())
    }

    /// Compares the fused rankings of a method with the best baseline.
    fn of_fused(&mut self, runs: &[&Finished]) -> [Option<Difference>; 2] {
        let (Some(baselines), Some(first)) = (&self.baselines, runs.first()) else { return [None; 2] };
        let scores = |run: &&&Finished| {
            let scores: Option<Vec<f64>> =
                baselines.archs.iter().map(|arch| run.fused.get(arch).copied()).collect();
            Some((run.trial.seed, scores?))
        };
        // A run that ranked other architectures cannot be compared.
        let (seeds, lists): (Vec<u64>, Vec<Vec<f64>>) = runs.iter().filter_map(|run| scores(&run)).unzip();
        if lists.is_empty() {
            return [None; 2];
        }
        let key = (format!("{}, fused", first.trial.method.name), seeds);
        *self.rankings.entry(key).or_insert_with(|| baselines.compare(&lists))
    }

    /// Compares a baseline with the best one. There is no difference of the best one to itself.
    fn of_baseline(&mut self, name: &str) -> [Option<Difference>; 2] {
        let Some(baselines) = self.baselines.as_ref().filter(|known| known.best != name) else {
            return [None; 2];
        };
        let Some(list) = baselines.lists.get(name) else { return [None; 2] };
        let compute = || baselines.compare(std::slice::from_ref(list));
        *self.rankings.entry((name.to_owned(), vec![])).or_insert_with(compute)
    }
}

fn write_files(
    table: &MethodTable,
    file: &Path,
    progress: &Progress,
    methods: &[Method],
) -> Result<(), ReproduceError> {
    let write = |name: &Path, text: &str| write_whole(name, text.as_bytes());
    write(&file.with_extension("md"), &table.to_markdown())?;
    write(&file.with_extension("csv"), &table.to_csv())?;
    write(
        &file.with_extension("json"),
        &(serde_json::to_string_pretty(table).expect("a table is JSON") + "\n"),
    )?;
    scores::write(progress, &file.with_file_name("scores.csv"))?;
    let bar = |row: &MethodRow| Bar {
        label: row.method.label.clone(),
        value: row.tau_b,
        points: row.tau_b_by_seed.clone(),
        published: row.method.published.as_ref().and_then(|published| published.tau_b.number()),
    };
    let bars: Vec<Bar> = table.rows.iter().map(bar).collect();
    let mut marks: Vec<Mark> =
        table.zero_cost.iter().map(|row| Mark { label: row.name.clone(), at: row.metrics.tau_b }).collect();
    marks.extend(
        table.ceiling.map(|ceiling| Mark { label: "ceiling: seed against seed".into(), at: ceiling.tau_b }),
    );
    write(&file.with_file_name("bars.svg"), &bar_plot(&table.title, "tau-b", &bars, &marks))?;
    let by_method = by_method(progress);
    let panel = |(row, method): (&MethodRow, &Method)| {
        let first = by_method.get(method.name.as_str())?.first()?;
        let title = format!("{}, seed {}", row.method.label, first.trial.seed);
        Some(Panel { title, points: first.scores.values().copied().collect() })
    };
    let panels: Vec<Panel> = table.rows.iter().zip(methods).filter_map(panel).collect();
    let axes = Axes { x: "accuracy with shared weights, %", y: "stand-alone accuracy, %" };
    write(&file.with_file_name("scatter.svg"), &scatter_plot(&table.title, &axes, &panels))
}
