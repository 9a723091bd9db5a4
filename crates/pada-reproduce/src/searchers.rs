//! Search methods on NAS-Bench-201's space, judged by look-ups in a benchmark table.

use std::path::{Path, PathBuf};

use pada::report::Spread;
use pada::{
    SearchCost, SearchJob, SearchLimits, SearchResult, TableScores, TableSearch, TruthName, search_method,
};

use crate::environment::{MEMORY, csv_bytes, write_whole};
use crate::{Environment, Preset, ReproduceError};

/// The searches of a table of search methods.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SearcherPlan {
    /// `Mini` searches the embedded table, `Full` the published one of NAS-Bench-201. The others are errors.
    pub preset: Preset,
    /// Only these methods; all if it is empty.
    pub methods: Vec<String>,
    /// Seeds 0 to N - 1.
    pub seeds: u64,
    /// The number of architectures that each search may ask for, at least 20.
    pub evaluations: usize,
    /// Output folder; `searchers-<preset>` in [`Environment::runs`] if it is `None`.
    pub out: Option<PathBuf>,
}

impl SearcherPlan {
    /// Returns a plan with all methods, 20 seeds and 100 architectures for each search.
    pub fn new(preset: Preset) -> Self {
        Self { preset, methods: vec![], seeds: 20, evaluations: 100, out: None }
    }
}

/// The least number of architectures of a search, so that every method has several steps.
const LEAST: usize = 20;

/// The methods of the table: name, printed name, and the source of the rule.
const METHODS: [(&str, &str, &str); 8] = [
    ("random", "RS", "Li & Talwalkar, 2019"),
    ("evolution", "evolution of SPOS", "Guo et al., 2020"),
    ("pareto", "NSGA-II, best score of the front", "Deb et al., 2002"),
    ("ageing-evolution", "REA (AmoebaNet)", "Real et al., 2019"),
    ("reinforce", "REINFORCE, independent choices", "AutoDL-Projects, exps/NATS-algos/reinforce.py"),
    ("enas", "REINFORCE, LSTM of ENAS", "Pham et al., 2018"),
    ("pnas", "PNAS", "Liu et al., 2018"),
    ("predictor", "predictor (ridge)", "Wen et al., 2020"),
];

/// A finished row.
struct Row {
    label: &'static str,
    name: &'static str,
    source: &'static str,
    found: Vec<f64>,
    asked: Vec<f64>,
    evaluated: Vec<f64>,
}

/// Runs every method with every seed and writes the table. Returns the path of its Markdown file.
///
/// A search takes seconds at most, so nothing is resumed: the command starts from the beginning and overwrites its files.
///
/// # Errors
/// Returns [`ReproduceError::Usage`] for an unknown method, another preset, or too few architectures or seeds, and the errors of the table's
/// file.
pub fn reproduce_searchers(
    plan: &SearcherPlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let (scores, truth, protocol) = match plan.preset {
        Preset::Mini => (
            "mini",
            None,
            "Searched and judged on the embedded table of 300 architectures (preset `mini`): the accuracy that a method maximises is the one \
             that is reported, so the noise of training does not mislead it. The other architectures of the space are infeasible.",
        ),
        Preset::Full => (
            "nb201:cifar10_valid_12",
            Some(TruthName::Nb201),
            "The protocol of NATS-Bench's look-ups, but for the budget: the score is the accuracy on the validation half of CIFAR-10 after 12 epochs, \
             and the reported value the test accuracy after 200 epochs of the architecture with the best score. The public code stops after a \
             simulated time; here every method asks for the same number of architectures.",
        ),
        Preset::Short | Preset::Medium => {
            let text = "--preset: searchers has the presets mini and full, because a look-up costs nothing";
            return Err(ReproduceError::Usage(text.to_owned()));
        }
    };
    if plan.seeds == 0 || plan.evaluations < LEAST {
        let text = format!("--seeds must be at least 1, and --evaluations at least {LEAST}");
        return Err(ReproduceError::Usage(text));
    }
    let scores: TableScores = scores.parse()?;
    let out = environment.out_folder(plan.out.as_deref(), format!("searchers-{}", plan.preset.name()))?;
    let file = out.join("searchers.md");
    let (mut rows, mut ceiling) = (Vec::new(), None);
    let methods = chosen(&plan.methods)?;
    let table = TableSearch::open(&scores, truth, &environment.data)?;
    for (name, label, source) in methods {
        let mut row = Row { label, name, source, found: vec![], asked: vec![], evaluated: vec![] };
        for seed in 0..plan.seeds {
            if environment.stop_requested() {
                return Err(ReproduceError::Stopped { place: out });
            }
            let job = SearchJob {
                method: search_method(name, &settings(name, plan.evaluations))?,
                cost: SearchCost::Macs,
                limits: SearchLimits::default(),
                latency: None,
                seed,
                top: 1,
                fuse: vec![],
                fusion: Default::default(),
                truth,
                out: out.join("searches"),
            };
            let result = table.search(&job)?;
            row.found.extend(best_truth(&result));
            row.asked.push(result.asked as f64);
            row.evaluated.push(result.visited as f64);
            ceiling = result.ceiling;
        }
        rows.push(row);
    }
    write(&file, plan, &scores, protocol, &rows, ceiling, environment)?;
    Ok(file)
}

/// Returns the methods of the plan in the order of the table.
fn chosen(names: &[String]) -> Result<Vec<(&'static str, &'static str, &'static str)>, ReproduceError> {
    let known = || METHODS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|name| METHODS.iter().all(|(known, ..)| known != name)) {
        return Err(ReproduceError::Usage(format!("--methods: there is no {name}; there are {}", known())));
    }
    let is_chosen = |(name, ..): &&(&str, _, _)| names.is_empty() || names.iter().any(|n| n == name);
    Ok(METHODS.iter().filter(is_chosen).copied().collect())
}

/// Returns the settings with which a method asks for at most `n` architectures.
fn settings(name: &str, n: usize) -> Vec<String> {
    let numbers: Vec<(&str, usize)> = match name {
        // A start and four generations of equal size.
        "evolution" => vec![
            ("population", n / 5),
            ("generations", 4),
            ("crossover", n / 10),
            ("mutation", n / 5 - n / 10),
        ],
        "pareto" => vec![("population", n / 5), ("generations", 4)],
        // Five choices of the first edge, then five steps.
        "pnas" => vec![("beam", (n - 5) / 5)],
        // One half at random, the other in five rounds.
        "predictor" => vec![("initial", n / 2), ("rounds", 5), ("per_round", n / 10)],
        _ => vec![("samples", n)],
    };
    numbers.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// Returns the stand-alone accuracy of the architecture with the best score of a result.
fn best_truth(result: &SearchResult) -> Option<f64> {
    result.archs.iter().max_by(|a, b| a.score.total_cmp(&b.score))?.truth
}

fn write(
    file: &Path,
    plan: &SearcherPlan,
    scores: &TableScores,
    protocol: &str,
    rows: &[Row],
    ceiling: Option<f64>,
    environment: &Environment<'_>,
) -> Result<(), ReproduceError> {
    let (preset, seeds, evaluations) = (plan.preset.name(), plan.seeds, plan.evaluations);
    let mut text = format!("# Search methods by look-up, preset {preset}\n\n- {protocol}\n");
    text += &format!(
        "- Scores: `{scores}`. Seeds: {seeds}. At most {evaluations} architectures for each search. Mean ± standard deviation over seeds.\n"
    );
    text += "- *asked* counts requests, *evaluated* different networks of the table. Methods that repeat architectures evaluate fewer.\n";
    text += "- RandomNAS is left out: a table has no score on few images.\n";
    if let Some(commit) = &environment.commit {
        text += &format!("- Written by pada {}, commit {commit}.\n", env!("CARGO_PKG_VERSION"));
    }
    text +=
        "\n| method | name | found: accuracy, % | asked | evaluated | source |\n|---|---|--:|--:|--:|---|\n";
    let mut csv = csv::Writer::from_writer(vec![]);
    let head = ["method", "seeds", "found_mean", "found_sd", "asked_mean", "evaluated_mean"];
    csv.write_record(head).expect(MEMORY);
    for Row { label, name, source, found, asked, evaluated } in rows {
        let spread = Spread::of(found.iter().copied());
        let [asked, evaluated] = [asked, evaluated].map(|list| list.iter().sum::<f64>() / list.len() as f64);
        let cell = |value: Option<f64>, sd: Option<f64>| match (value, sd) {
            (None, _) => "–".to_owned(),
            (Some(value), None) => format!("{value:.2}"),
            (Some(value), Some(sd)) => format!("{value:.2} ± {sd:.2}"),
        };
        let found = cell(spread.map(|s| s.mean), spread.and_then(|s| s.sd));
        text += &format!("| {label} | `{name}` | {found} | {asked:.0} | {evaluated:.0} | {source} |\n");
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let [mean, sd] = [spread.map(|s| s.mean), spread.and_then(|s| s.sd)].map(number);
        let row = [(*name).to_owned(), seeds.to_string(), mean, sd, asked.to_string(), evaluated.to_string()];
        csv.write_record(row).expect(MEMORY);
    }
    if let Some(ceiling) = ceiling {
        text += &format!("| best of the table | | {ceiling:.2} | | | |\n");
        let row = ["ceiling".to_owned(), String::new(), ceiling.to_string()];
        csv.write_record(row.into_iter().chain([const { String::new() }; 3])).expect(MEMORY);
    }
    write_whole(file, text.as_bytes())?;
    write_whole(&file.with_extension("csv"), &csv_bytes(csv))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::configs;

    fn run(plan: &SearcherPlan) -> Result<PathBuf, ReproduceError> {
        let stops = AtomicUsize::new(0);
        let environment = Environment {
            program: "pada".into(),
            configs: configs(),
            runs: "runs".into(),
            data: "no-data".into(),
            commit: None,
            stops: &stops,
            events: &|_| (),
        };
        reproduce_searchers(plan, &environment)
    }

    #[test]
    fn the_table_has_every_method_within_its_budget_and_below_the_ceiling() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = SearcherPlan::new(Preset::Mini);
        (plan.seeds, plan.evaluations, plan.out) = (2, 30, Some(folder.path().to_owned()));
        let file = run(&plan).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let csv = std::fs::read_to_string(file.with_extension("csv")).unwrap();
        let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), METHODS.len() + 1, "{csv}");
        let number = |cell: &str| cell.parse::<f64>().unwrap();
        let ceiling = number(rows[METHODS.len()][2]);
        for (row, (name, label, _)) in rows.iter().zip(METHODS) {
            assert_eq!(row[0], name);
            assert!(number(row[2]) <= ceiling && number(row[2]) > 40.0, "{row:?}");
            assert!(number(row[4]) <= 30.0 && number(row[5]) <= number(row[4]), "{row:?}");
            assert!(text.contains(label), "{text}");
        }
        assert!(text.contains(&format!("{ceiling:.2}")), "{text}");
        // The same seeds give the same table.
        run(&plan).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }

    #[test]
    fn wrong_plans_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |change: &dyn Fn(&mut SearcherPlan)| {
            let mut plan = SearcherPlan::new(Preset::Mini);
            change(&mut plan);
            run(&plan).unwrap_err().to_string()
        };
        assert!(refused(&|plan| plan.methods = vec!["bohb".into()]).contains("ageing-evolution"));
        assert!(refused(&|plan| plan.preset = Preset::Short).contains("mini and full"));
        assert!(refused(&|plan| plan.evaluations = 3).contains("--evaluations"));
        let missing = refused(&|plan| {
            plan.preset = Preset::Full;
            plan.out = Some(folder.path().to_owned());
        });
        assert!(missing.contains("pada download nb201"), "{missing}");
    }
}
