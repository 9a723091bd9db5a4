//! Differentiable searches on NAS-Bench-201's space: each trains a supernet, and what it finds is looked up in tables of trained architectures.

use std::path::{Path, PathBuf};

use pada::nasbench::{BenchmarkTable, Download, Nb201Dataset, Nb201Epochs, Nb201Table};
use pada::report::Spread;
use pada::space::{Nb201, SearchSpace};
use pada::trainer::{Observer, StepProgress};
use pada::{
    ConfigError, DifferentiableJob, DifferentiableResult, ErrorKind, RunConfig, Session,
    differentiable_config, search_differentiable,
};

use crate::environment::{Event, MEMORY, csv_bytes, write_whole};
use crate::{Environment, Preset, ReproduceError};

/// The searches of a table of differentiable search methods.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DifferentiablePlan {
    /// `Mini` trains on the embedded images, `Short` and `Full` on CIFAR-10. `Medium` is an error.
    pub preset: Preset,
    /// Only these methods; all if it is empty.
    pub methods: Vec<String>,
    /// Seeds 0 to N - 1.
    pub seeds: u64,
    /// Assignments that change the config of every search.
    pub set: Vec<String>,
    /// Output folder; `differentiable-<preset>` in [`Environment::runs`] if it is `None`.
    pub out: Option<PathBuf>,
}

impl DifferentiablePlan {
    /// Returns a plan with all methods and three seeds.
    pub fn new(preset: Preset) -> Self {
        Self { preset, methods: vec![], seeds: 3, set: vec![], out: None }
    }
}

/// A row of the table.
struct Method {
    /// Name of the row and of its folders.
    name: &'static str,
    label: &'static str,
    /// The training rule.
    rule: &'static str,
    /// Assignments of the row. `$half` and `$quarter` stand for these shares of the epochs of the preset.
    set: &'static [&'static str],
    /// Assignments of the row with the preset `full`: the published number of epochs and what else differs between the methods.
    full: &'static [&'static str],
    /// A published accuracy on CIFAR-10 of the architecture that the method found on NAS-Bench-201, and where it is printed.
    published: Option<(&'static str, &'static str)>,
}

const NATS_BENCH: &str = "the three cells in the README of D-X-Y/NATS-Bench @1d4a304, looked up";
const GENIUS: &str = "reprinted in arXiv 2304.10970, which names no code";

const METHODS: [Method; 15] = [
    Method {
        name: "darts",
        label: "DARTS, first order",
        rule: "darts",
        set: &["order=first"],
        full: &["train.epochs=50"],
        published: Some(("54.30 ± 0.00", NATS_BENCH)),
    },
    Method {
        name: "darts-second",
        label: "DARTS, second order",
        rule: "darts",
        set: &["order=second"],
        full: &["train.epochs=50"],
        published: Some(("54.30 ± 0.00", NATS_BENCH)),
    },
    Method {
        name: "pc-darts",
        label: "PC-DARTS",
        rule: "pc-darts",
        set: &[],
        full: &[
            "train.epochs=50",
            "train.batch=256",
            "train.lr=0.1",
            "train.min_lr=0.0",
            "train.optimizer=sgd",
            "train.weight_decay=0.0003",
        ],
        published: Some(("93.41 ± 0.30", GENIUS)),
    },
    Method {
        name: "darts-pt",
        label: "DARTS-PT",
        rule: "darts-pt",
        set: &[],
        full: &["train.epochs=125", "train.optimizer=sgd", "train.weight_decay=0.0003"],
        published: Some(("88.11", "11.89 % error in arXiv 2108.04392, Table 4")),
    },
    Method {
        name: "gdas",
        label: "GDAS",
        rule: "gdas",
        set: &[],
        full: &["train.epochs=250"],
        published: Some(("93.23 ± 0.71", NATS_BENCH)),
    },
    Method {
        name: "gdas-nsas",
        label: "GDAS-NSAS",
        rule: "gdas-nsas",
        set: &[],
        full: &["train.epochs=250"],
        published: None,
    },
    Method {
        name: "snas",
        label: "SNAS",
        rule: "snas",
        set: &[],
        full: &["train.epochs=150", "train.optimizer=sgd", "train.weight_decay=0.0003", "data.train=all"],
        published: Some(("92.77 ± 0.83", GENIUS)),
    },
    Method {
        name: "proxyless-nas",
        label: "ProxylessNAS, binary gates",
        rule: "proxyless-nas",
        set: &[],
        full: &["train.epochs=160", "train.batch=256", "train.weight_decay=0.00004", "train.min_lr=0.0"],
        published: None,
    },
    Method {
        name: "fbnet",
        label: "FBNet, without a latency term",
        rule: "fbnet",
        set: &["cost_weight=0.0"],
        full: &["train.epochs=90", "train.optimizer=sgd", "train.lr=0.1", "train.weight_decay=0.0001"],
        published: None,
    },
    Method {
        name: "zarts",
        label: "ZARTS",
        rule: "zarts",
        set: &[],
        full: &["train.epochs=50", "train.optimizer=sgd", "train.weight_decay=0.0003"],
        published: None,
    },
    Method {
        name: "balenas",
        label: "BaLeNAS, by the rule of Vadam",
        rule: "balenas",
        set: &[],
        full: &["train.epochs=50"],
        published: Some((
            "94.33",
            "the variant TF, paperswithcode.com/paper/balenas-differentiable-architecture-search",
        )),
    },
    Method {
        name: "agnas",
        label: "AGNAS",
        rule: "agnas",
        set: &[],
        full: &["train.epochs=50", "train.optimizer=sgd", "train.weight_decay=0.0003"],
        published: None,
    },
    Method {
        name: "enas",
        label: "ENAS",
        rule: "enas",
        set: &[],
        full: &[
            "train.epochs=250",
            "train.batch=128",
            "train.lr=0.05",
            "train.min_lr=0.0005",
            "train.weight_decay=0.00025",
            "arch_lr=0.001",
            "controller_steps=50",
            "controller_batch=20",
        ],
        published: Some(("53.89 ± 0.58", "the benchmark's paper, reprinted in ReLIZO")),
    },
    Method {
        name: "few-shot-darts",
        label: "Few-Shot, DARTS",
        rule: "darts",
        set: &["split={rule=\"few-shot\", positions=[0], leaf_epochs=$quarter}"],
        full: &["train.epochs=50"],
        published: None,
    },
    Method {
        name: "gm-darts",
        label: "GM, DARTS",
        rule: "darts",
        set: &[
            "split={rule=\"gradient-matching\", splits=1, samples=20, between_epochs=$quarter, leaf_epochs=$half, last=\"inherit\"}",
        ],
        full: &["train.epochs=50"],
        published: None,
    },
];

impl Method {
    /// Returns the config of a search, from that of the preset and the assignments of the plan.
    fn config(&self, preset: Preset, start: &RunConfig, set: &[String]) -> Result<RunConfig, ConfigError> {
        let full = if preset == Preset::Full { self.full } else { &[] };
        let own = self.set.iter().chain(full).map(|set| (*set).to_owned());
        let mut settings: Vec<String> = own.chain(set.iter().cloned()).collect();
        let of_epochs: Vec<&String> =
            settings.iter().filter(|set| set.starts_with("train.epochs=")).collect();
        let epochs = start.with_all(&of_epochs)?.train.epochs;
        for (name, share) in [("$half", 2), ("$quarter", 4)] {
            let number = epochs.div_ceil(share).to_string();
            settings.iter_mut().for_each(|set| *set = set.replace(name, &number));
        }
        differentiable_config(self.rule, start, &settings)
    }
}

/// The tables of NAS-Bench-201 in which architectures are looked up, if they were downloaded: data set, heading.
const TABLES: [(Nb201Dataset, &str); 3] = [
    (Nb201Dataset::Cifar10, "CIFAR-10, %"),
    (Nb201Dataset::Cifar100, "CIFAR-100, %"),
    (Nb201Dataset::Imagenet16, "ImageNet16-120, %"),
];

/// One finished search.
struct Trial {
    seed: u64,
    arch: String,
    text: String,
    /// The accuracies of [`TABLES`], then that of the main table of the config.
    looked_up: Vec<Option<f64>>,
    skips: usize,
    seconds: f64,
}

/// Runs the unfinished searches and writes the table after each. Returns the path of its Markdown file.
///
/// A search that was stopped continues from its last checkpoint.
///
/// # Errors
/// Returns [`ReproduceError::Usage`] for an unknown method, another preset or no seed, [`ReproduceError::Stopped`] if the user asked to stop, and
/// the errors of a search.
pub fn reproduce_differentiable(
    plan: &DifferentiablePlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let file = match plan.preset {
        Preset::Mini => "mini/darts.toml",
        Preset::Short => "nb201/darts-short.toml",
        Preset::Full => "nb201/darts.toml",
        Preset::Medium => {
            let text = "--preset: differentiable has the presets mini, short and full";
            return Err(ReproduceError::Usage(text.to_owned()));
        }
    };
    if plan.seeds == 0 {
        return Err(ReproduceError::Usage("--seeds must be at least 1".to_owned()));
    }
    let methods = chosen(&plan.methods)?;
    let start = RunConfig::read(&environment.config(file)?)?;
    let out =
        environment.out_folder(plan.out.as_deref(), format!("differentiable-{}", plan.preset.name()))?;
    let table = out.join("differentiable.md");
    let session = Session { data_dir: environment.data.clone(), ..Session::default() };
    let tables = tables(&environment.data)?;
    let mut rows: Vec<(&Method, Vec<Trial>)> = methods.iter().map(|method| (*method, vec![])).collect();
    for seed in 0..plan.seeds {
        for (place, method) in methods.iter().enumerate() {
            let mut config = method.config(plan.preset, &start, &plan.set)?;
            (config.name, config.seed) = (method.name.to_owned(), seed);
            let name = format!("{}-s{seed}", method.name);
            let job = DifferentiableJob { config, truth: None, out: out.join(&name) };
            let mut observer = Lines { environment, trial: &name };
            let found = search_differentiable(&job, &session, &mut observer);
            if found.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
                return Err(ReproduceError::Stopped { place: out });
            }
            rows[place].1.push(trial(seed, &found?, &tables)?);
            write(&table, plan, &start, &rows, environment)?;
        }
    }
    Ok(table)
}

/// Reads the tables of NAS-Bench-201, or none if they were not downloaded.
fn tables(data: &Path) -> Result<Vec<BenchmarkTable>, ReproduceError> {
    let file = Download::Nb201.path(data);
    if !file.is_file() {
        return Ok(vec![]);
    }
    let all = Nb201Table::load(file).map_err(pada::PadaError::from)?;
    Ok(TABLES.iter().map(|(dataset, _)| all.test_accuracy(*dataset, Nb201Epochs::Epochs200)).collect())
}

fn trial(
    seed: u64,
    result: &DifferentiableResult,
    tables: &[BenchmarkTable],
) -> Result<Trial, ReproduceError> {
    let found = &result.found;
    let arch = Nb201::new().parse(&found.arch).map_err(pada::PadaError::from)?;
    let mut looked_up: Vec<Option<f64>> = tables.iter().map(|table| table.accuracy(&arch)).collect();
    looked_up.resize(TABLES.len(), None);
    looked_up.push(found.truth);
    let skips = found.text.matches("skip_connect").count();
    let (arch, text) = (found.arch.clone(), found.text.clone());
    Ok(Trial { seed, arch, text, looked_up, skips, seconds: result.train_seconds })
}

/// Returns the methods of the plan in the order of the table.
fn chosen(names: &[String]) -> Result<Vec<&'static Method>, ReproduceError> {
    let known = || METHODS.iter().map(|method| method.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|name| METHODS.iter().all(|method| method.name != *name)) {
        return Err(ReproduceError::Usage(format!("--methods: there is no {name}; there are {}", known())));
    }
    Ok(METHODS
        .iter()
        .filter(|method| names.is_empty() || names.iter().any(|name| name == method.name))
        .collect())
}

/// Passes epochs to the environment, and its stops to the search.
struct Lines<'a> {
    environment: &'a Environment<'a>,
    trial: &'a str,
}

impl Observer for Lines<'_> {
    fn on_step(&mut self, progress: &StepProgress) {
        if progress.step + 1 == progress.steps {
            let line = format!("epoch {} of {}", progress.epoch + 1, progress.epochs);
            (self.environment.events)(Event::Line { trial: self.trial, line: &line });
        }
    }

    fn stop_requested(&self) -> bool {
        self.environment.stop_requested()
    }
}

fn write(
    file: &Path,
    plan: &DifferentiablePlan,
    start: &RunConfig,
    rows: &[(&Method, Vec<Trial>)],
    environment: &Environment<'_>,
) -> Result<(), ReproduceError> {
    let (preset, seeds) = (plan.preset.name(), plan.seeds);
    let own_epochs = |set: &String| set.strip_prefix("train.epochs=").map(str::to_owned);
    let epochs = plan.set.iter().rev().find_map(own_epochs).unwrap_or_else(|| start.train.epochs.to_string());
    let mut text = format!("# Differentiable searches on NAS-Bench-201, preset {preset}\n\n");
    let size = start.supernet.size_text();
    text += &format!(
        "- Each search trains a supernet ({size}) on one half of the training images of {} and architecture parameters on the other; SNAS trains both on the same images.\n",
        start.data.source
    );
    match plan.preset {
        Preset::Full => {
            text += "- Epochs, learning rate and weight decay are those of each method's public code, as far as it is public; docs/searchers.md lists what differs.\n";
        }
        _ => {
            text += &format!(
                "- **Quick preset `{preset}`, not the published recipe**: {epochs} epochs for every method. It neither confirms nor contradicts the published numbers.\n"
            );
        }
    }
    text += &format!(
        "- Seeds: {seeds}. Accuracies are those of the found architectures in the tables, trained from scratch: mean ± standard deviation over seeds. –: the table was not downloaded (`pada download nb201`), or does not have the architecture.\n"
    );
    text += "- *skips*: the mean number of skip connections among the six edges. Search cost: wall-clock hours of the training, without validation afterwards.\n";
    text += "- *published*: test accuracy on CIFAR-10 of what the method found with the published recipe.\n";
    if !plan.set.is_empty() {
        text += &format!("- Changed in every search: {}.\n", plan.set.join(", "));
    }
    if let Some(commit) = &environment.commit {
        text += &format!("- Written by pada {}, commit {commit}.\n", env!("CARGO_PKG_VERSION"));
    }
    let mut headings: Vec<&str> = TABLES.iter().map(|(_, heading)| *heading).collect();
    if plan.preset == Preset::Mini {
        headings.push("embedded table, %");
    }
    text += &format!(
        "\n| method | {} | skips | search cost, h | published | source |\n|---|{}--:|--:|--:|---|\n",
        headings.join(" | "),
        "--:|".repeat(headings.len())
    );
    let mut csv = csv::Writer::from_writer(vec![]);
    let head =
        ["method", "seed", "arch", "text", "cifar10", "cifar100", "imagenet16", "mini", "skips", "seconds"];
    csv.write_record(head).expect(MEMORY);
    for (method, trials) in rows {
        let column = |place: usize| Spread::of(trials.iter().filter_map(|trial| trial.looked_up[place]));
        let last = TABLES.len() - usize::from(plan.preset != Preset::Mini);
        let cells: String = (0..=last).map(|place| format!(" {} |", cell(column(place)))).collect();
        let mean = |of: &dyn Fn(&Trial) -> f64| Spread::of(trials.iter().map(of)).map(|spread| spread.mean);
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let skips = number(mean(&|trial| trial.skips as f64), 1);
        let hours = number(mean(&|trial| trial.seconds / 3600.0), 3);
        let (published, source) = method.published.unwrap_or(("–", ""));
        text += &format!("| {} |{cells} {skips} | {hours} | {published} | {source} |\n", method.label);
        for trial in trials {
            let looked_up =
                trial.looked_up.iter().map(|value| value.map_or_else(String::new, |v| v.to_string()));
            let start =
                [method.name.to_owned(), trial.seed.to_string(), trial.arch.clone(), trial.text.clone()];
            let end = [trial.skips.to_string(), trial.seconds.to_string()];
            csv.write_record(start.into_iter().chain(looked_up).chain(end)).expect(MEMORY);
        }
    }
    text += "\n| method | seed | found | cell |\n|---|--:|---|---|\n";
    for (method, trials) in rows {
        for Trial { seed, arch, text: cell, .. } in trials {
            text += &format!("| {} | {seed} | {arch} | `{}` |\n", method.label, cell.replace('|', "\\|"));
        }
    }
    write_whole(file, text.as_bytes())?;
    write_whole(&file.with_extension("csv"), &csv_bytes(csv))
}

fn cell(spread: Option<Spread>) -> String {
    match spread.map(|spread| (spread.mean, spread.sd)) {
        None => "–".to_owned(),
        Some((mean, None)) => format!("{mean:.2}"),
        Some((mean, Some(sd))) => format!("{mean:.2} ± {sd:.2}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::configs;

    fn run(plan: &DifferentiablePlan, data: &str) -> Result<PathBuf, ReproduceError> {
        let stops = AtomicUsize::new(0);
        let environment = Environment {
            program: "pada".into(),
            configs: configs(),
            runs: "runs".into(),
            data: data.into(),
            commit: None,
            stops: &stops,
            events: &|_| (),
        };
        reproduce_differentiable(plan, &environment)
    }

    #[test]
    fn the_table_has_its_methods_and_a_second_run_computes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = DifferentiablePlan::new(Preset::Mini);
        (plan.seeds, plan.out) = (1, Some(folder.path().to_owned()));
        plan.methods = vec!["gdas".to_owned(), "darts".to_owned()];
        plan.set = ["train.epochs=2", "data.train_images=64", "supernet.channels=4", "rank.images=20"]
            .map(str::to_owned)
            .to_vec();
        let file = run(&plan, "no-data").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let csv = std::fs::read_to_string(file.with_extension("csv")).unwrap();
        let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 2, "{csv}");
        for (row, method) in rows.iter().zip([&METHODS[0], &METHODS[4]]) {
            assert_eq!((row[0], row[1], row[2].len()), (method.name, "0", 6), "{row:?}");
            // The tables of the benchmark were not downloaded.
            assert_eq!([row[4], row[5], row[6]], [""; 3], "{row:?}");
            assert!(text.contains(method.label), "{text}");
        }
        assert!(text.contains("Changed in every search: train.epochs=2"), "{text}");
        // The times of the training are read from the records.
        run(&plan, "no-data").unwrap();
        assert_eq!(std::fs::read_to_string(file.with_extension("csv")).unwrap(), csv);
    }

    #[test]
    fn wrong_plans_are_refused_with_the_reason() {
        let refused = |change: &dyn Fn(&mut DifferentiablePlan)| {
            let mut plan = DifferentiablePlan::new(Preset::Mini);
            change(&mut plan);
            run(&plan, "no-data").unwrap_err().to_string()
        };
        assert!(refused(&|plan| plan.methods = vec!["nasnet".into()]).contains("proxyless-nas"));
        assert!(refused(&|plan| plan.preset = Preset::Medium).contains("mini, short and full"));
        assert!(refused(&|plan| plan.seeds = 0).contains("--seeds"));
    }

    /// Every method accepts its own settings with every preset.
    #[test]
    fn all_plans_have_valid_configs() {
        for file in ["mini/darts.toml", "nb201/darts-short.toml", "nb201/darts.toml"] {
            let start = RunConfig::read(&configs().join(file)).unwrap();
            for method in &METHODS {
                for preset in [Preset::Mini, Preset::Full] {
                    method.config(preset, &start, &[]).unwrap().check().unwrap();
                }
            }
        }
    }
}
