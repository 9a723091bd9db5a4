use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use pada::{
    ConfigError, DifferentiableJob, DifferentiableResult, ErrorKind, FoundArch, PadaError, RunConfig,
    SearchCost, SearchJob, SearchLimits, SearchMethod, SearchResult, TableScores, TrainedRun, TruthName,
    differentiable_config, differentiable_mini, search_differentiable, search_method, search_run,
    search_table, search_weights,
};
use serde_json::json;

use super::{Common, FuseArgs, WeightsArgs, data_dir};

/// Options that are only valid without a run folder, because a run records these settings itself.
const OF_A_FILE: [&str; 8] =
    ["weights", "NetArgs", "ComputeArgs", "image_size", "split", "limit", "batch", "recalibrate"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of a finished run. Candidates are scored with the images and settings of this run.
    #[arg(value_name = "RUN_DIR", conflicts_with_all = OF_A_FILE)]
    run: Option<PathBuf>,
    /// Config of the training of a differentiable search as a TOML file. The default is the embedded mini images.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "weights", "scores"])]
    config: Option<PathBuf>,
    /// Weights instead of a run: a checkpoint, a .safetensors file, or a .pt file of the released PyTorch code.
    #[arg(long, value_name = "FILE", requires_all = ["data", "out"])]
    weights: Option<PathBuf>,
    /// Scores from a benchmark table instead of a supernet, which takes seconds: `mini`, `nb201`, `nas-bench-macro`, …, or a column of NAS-Bench-201
    /// such as `nb201:cifar10_valid_12`. Architectures that the table does not have are skipped.
    #[arg(
        long,
        value_name = "TABLE[:COLUMN]",
        conflicts_with_all = ["run", "weights", "fuse", "data", "NetArgs", "ComputeArgs", "image_size", "split", "limit", "batch", "recalibrate"]
    )]
    scores: Option<String>,
    /// Benchmark table in which the result is looked up; by default the main table of the run, or the table of --scores.
    #[arg(long, value_enum, ignore_case = true)]
    truth: Option<TruthName>,
    /// With --weights: mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout. With a run
    /// folder: the place of its images if they were moved.
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    scoring: WeightsArgs,
    /// Search method.
    #[arg(long, value_enum, default_value = "evolution")]
    method: Method,
    /// Change a setting of the method, such as samples=500 or predictor.trees.depth=3; may be repeated. A differentiable search also takes keys of
    /// its config, such as train.epochs=50. docs/searchers.md lists the settings.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Cost of an architecture: the second objective of pareto, the tie-breaker between equal scores in the other methods.
    #[arg(long, value_enum)]
    cost: Option<SearchCost>,
    /// CSV file of latencies: the table of operations of `pada latency measure`, or the columns arch and latency, where architectures that
    /// are not in the file are skipped. The latency is then the default of --cost.
    #[arg(long, value_name = "FILE.csv")]
    latency: Option<PathBuf>,
    /// Largest number of multiply-adds, for example 400M.
    #[arg(long, value_name = "N")]
    max_macs: Option<Count>,
    /// Largest number of parameters, for example 5.3M.
    #[arg(long, value_name = "N")]
    max_params: Option<Count>,
    /// Largest latency, in the unit of the --latency file.
    #[arg(long, value_name = "T", requires = "latency")]
    max_latency: Option<f64>,
    /// Population size of evolution, pareto (50 if not given) and ageing-evolution (10).
    #[arg(long, value_name = "N")]
    population: Option<usize>,
    /// Evolution and pareto: generations after the initial population; 20 if not given. Random search scores as many architectures as evolution
    /// does.
    #[arg(long, value_name = "N")]
    generations: Option<usize>,
    /// Number of the best architectures that are changed, in evolution and predictor; 10 if not given.
    #[arg(long, value_name = "N")]
    parents: Option<usize>,
    /// Evolution: children per generation that are made by crossover; half of the population if not given. The others are mutations.
    #[arg(long, value_name = "N")]
    crossover: Option<usize>,
    /// Evolution and pareto: mutation probability of each decision of a child; 0.1 if not given.
    #[arg(long)]
    rate: Option<f64>,
    /// Number of the best architectures to print; a Pareto front is printed in full.
    #[arg(long, value_name = "N", default_value = "10")]
    top: usize,
    /// Seed of the random choices; 0 if not given, or the seed of --config.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    fused: FuseArgs,
    /// Output folder for scores and results; RUN_DIR/search or runs/search-TABLE if not given. A differentiable search creates it as a run folder,
    /// runs/search-METHOD-s0 if not given, or continues the same search in it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum Method {
    /// Distinct random architectures
    Random,
    /// Evolutionary search with crossover and mutation
    Evolution,
    /// NSGA-II: the Pareto front of score and cost
    Pareto,
    /// Ageing evolution (AmoebaNet): the best of a tournament is mutated, the oldest dies
    AgeingEvolution,
    /// Controller with independent choices that learns by REINFORCE (NATS-Bench)
    Reinforce,
    /// LSTM controller that learns by REINFORCE (ENAS). Without RUN_DIR, --weights and --scores it trains a supernet in turn with the controller
    Enas,
    /// Progressive search, one decision after the other (PNAS)
    Pnas,
    /// Search guided by a predictor of scores
    Predictor,
    /// Random architectures on few images, then the best on all (RandomNAS)
    RandomNas,
    /// Differentiable search (DARTS); like the following methods it trains a supernet of its own
    Darts,
    /// DARTS on a part of the channels, with edge weights (PC-DARTS)
    PcDarts,
    /// DARTS, with operations chosen by the accuracy without them (DARTS-PT)
    DartsPt,
    /// Differentiable search with hard draws (GDAS)
    Gdas,
    /// GDAS, whose weights are also trained on an archive of other paths (GDAS-NSAS)
    GdasNsas,
    /// Differentiable search with soft draws and one loss (SNAS)
    Snas,
    /// Differentiable search with binary gates (ProxylessNAS)
    ProxylessNas,
    /// Differentiable search with soft draws and a loss of costs (FBNet)
    #[value(name = "fbnet")]
    FbNet,
    /// Differentiable search that samples displacements and trains after each (ZARTS)
    Zarts,
    /// Differentiable search over a normal distribution of logits (BaLeNAS)
    #[value(name = "balenas")]
    BaleNas,
    /// Search by the attention of the network to its operations (AGNAS)
    Agnas,
}

impl Method {
    fn name(self) -> String {
        self.to_possible_value().expect("no method is skipped").get_name().to_owned()
    }
}

/// A number that may end in K, M or G.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count(u64);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.char_indices().last() {
            Some((at, 'K' | 'k')) => (&text[..at], 1e3),
            Some((at, 'M' | 'm')) => (&text[..at], 1e6),
            Some((at, 'G' | 'g')) => (&text[..at], 1e9),
            _ => (text, 1.0),
        };
        let count = number.parse::<f64>().ok().map(|n| (n * unit).round());
        let valid = count.filter(|count| (1.0..1e18).contains(count));
        valid
            .map(|count| Self(count as u64))
            .ok_or_else(|| "expected a number such as 400M or 5300000".into())
    }
}

impl Args {
    /// Returns the settings of the method that options of their own change.
    fn settings(&self) -> Result<Vec<String>, ConfigError> {
        let method = self.method;
        let (is_classic, is_ageing) = (
            matches!(method, Method::Random | Method::Evolution | Method::Pareto),
            matches!(method, Method::AgeingEvolution),
        );
        for (key, is_given, is_valid) in [
            ("--population", self.population.is_some(), is_classic || is_ageing),
            ("--generations", self.generations.is_some(), is_classic),
            ("--parents", self.parents.is_some(), is_classic || matches!(method, Method::Predictor)),
            ("--crossover", self.crossover.is_some(), is_classic),
            ("--rate", self.rate.is_some(), is_classic),
        ] {
            if is_given && !is_valid {
                let range =
                    "left out with this --method, which has other settings; change them with --set KEY=VALUE";
                return Err(ConfigError::Range { key, value: "given".into(), range });
            }
        }
        let (population, generations) = (self.population.unwrap_or(50), self.generations.unwrap_or(20));
        let crossover = self.crossover.unwrap_or(population / 2);
        let mutation = population.saturating_sub(crossover);
        let (rate, parents) = (self.rate.unwrap_or(0.1), self.parents.unwrap_or(10));
        let given = |key: &str, value: Option<usize>| {
            value.map(|value| format!("{key}={value}")).into_iter().collect()
        };
        Ok(match method {
            Method::Random => {
                vec![format!("samples={}", population.saturating_mul(generations.saturating_add(1)))]
            }
            Method::Evolution => vec![
                format!("population={population}"),
                format!("generations={generations}"),
                format!("crossover={crossover}"),
                format!("mutation={mutation}"),
                format!("mutation_rate={rate:?}"),
                format!("parents={parents}"),
            ],
            Method::Pareto => vec![
                format!("population={population}"),
                format!("generations={generations}"),
                format!("mutation_rate={rate:?}"),
            ],
            Method::AgeingEvolution => given("population", self.population),
            Method::Predictor => given("parents", self.parents),
            _ => vec![],
        })
    }

    fn search_method(&self) -> Result<SearchMethod, ConfigError> {
        search_method(&self.method.name(), &[self.settings()?, self.set.clone()].concat())
    }

    fn job(&self, out: PathBuf) -> Result<SearchJob, PadaError> {
        let method = self.search_method()?;
        let usual = if self.latency.is_some() { SearchCost::Latency } else { SearchCost::Macs };
        let limits = SearchLimits {
            macs: self.max_macs.map(|count| count.0),
            params: self.max_params.map(|count| count.0),
            latency: self.max_latency,
        };
        Ok(SearchJob {
            method,
            cost: self.cost.unwrap_or(usual),
            limits,
            latency: self.latency.clone(),
            seed: self.seed.unwrap_or(0),
            top: self.top,
            fuse: self.fused.fuse.clone(),
            fusion: self.fused.fusion,
            truth: self.truth,
            out,
        })
    }
}

impl Args {
    /// Returns whether the search trains a supernet of its own. ENAS does so if it is given neither a supernet nor a table.
    fn trains_supernet(&self) -> bool {
        let is_given = self.run.is_some() || self.weights.is_some() || self.scores.is_some();
        pada::SEARCH_RULES.contains(&self.method.name().as_str())
            && !(is_given && matches!(self.method, Method::Enas))
    }

    /// Returns the job of a differentiable search. Options of other methods are errors.
    fn differentiable_job(&self) -> Result<DifferentiableJob, PadaError> {
        for (key, is_given) in [
            ("RUN_DIR", self.run.is_some()),
            ("--weights", self.weights.is_some()),
            ("--data", self.data.is_some()),
            ("--limit", self.scoring.is_limited()),
            (self.scoring.net.given().unwrap_or("--space"), self.scoring.net.given().is_some()),
            ("--scores", self.scores.is_some()),
            ("--fuse", !self.fused.fuse.is_empty()),
            ("--latency", self.latency.is_some()),
            ("--max-macs", self.max_macs.is_some()),
            ("--max-params", self.max_params.is_some()),
            ("--cost", self.cost.is_some()),
        ] {
            if is_given {
                let range = "left out with a search that trains a supernet of its own and returns one architecture; its config has data \
                             and network (--set data.source=cifar10, --set supernet.space=darts), and --set cost_target=N of proxyless-nas and \
                             fbnet prefers cheap architectures";
                return Err(ConfigError::Range { key, value: "given".into(), range }.into());
            }
        }
        self.settings()?;
        let method = self.method.name();
        let start = match &self.config {
            Some(path) => RunConfig::read(path)?,
            None => differentiable_mini(),
        };
        let config = differentiable_config(&method, &start, &self.set);
        if let (Err(_), Method::Enas) = (&config, self.method) {
            note!(
                "without RUN_DIR, --weights and --scores, --method enas trains a supernet, and --set takes keys of [update] and train.epochs"
            );
        }
        let mut config = config?;
        config.seed = self.seed.unwrap_or(config.seed);
        let usual = || format!("runs/search-{}-s{}", config.name, config.seed).into();
        let out = self.out.clone().unwrap_or_else(usual);
        Ok(DifferentiableJob { config, truth: self.truth, out })
    }
}

fn run_differentiable(args: &Args) -> anyhow::Result<()> {
    let (session, mut progress) = (args.common.session()?, args.common.progress());
    let result = search_differentiable(&args.differentiable_job()?, &session, &mut progress);
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("the last checkpoint is kept; the same command continues from it");
    }
    let result = result?;
    print_differentiable(&result)?;
    if args.common.json {
        let found = entry(&result.found);
        let epochs: Vec<_> = result.epochs.iter().map(|epoch| json!(epoch)).collect();
        say!(
            "{}",
            json!({
                "found": found,
                "epochs": epochs,
                "sub_supernet": result.leaf.map(|(_, leaf)| leaf),
                "ceiling": result.ceiling,
                "selected_on": result.scored_on,
                "tested_on": result.tested_on,
                "train_seconds": result.train_seconds,
                "folder": result.folder,
            })
        );
    }
    Ok(())
}

fn print_differentiable(result: &DifferentiableResult) -> anyhow::Result<()> {
    let DifferentiableResult { found, epochs, ops, .. } = result;
    if let Some((leaves, leaf)) = result.leaf {
        say!("sub-supernet {} of {leaves}, whose validation accuracy is the highest", leaf + 1);
    }
    let names: String = ops.iter().map(|name| format!(" {name:>13}")).collect();
    // The share of the attention in AGNAS, and of the drawn architectures in ENAS.
    say!("mean probability or share of each operation over all decisions");
    say!("epoch  validation %{names}  strongest");
    for (epoch, mixture) in epochs.iter().enumerate() {
        let shown = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |n| format!("{n:.2}"));
        let shares: String = (0..ops.len())
            .map(|op| {
                mixture.share_of(op as u8).map_or_else(|| format!(" {:>13}", "-"), |p| format!(" {p:>13.4}"))
            })
            .collect();
        say!("{:>5}  {:>12}{shares}  {}", epoch + 1, shown(mixture.validation_accuracy), mixture.arch);
    }
    say!("");
    table_of(std::slice::from_ref(found))?;
    say!("\n{}", found.text);
    if let Some(ceiling) = result.ceiling {
        let absent = if found.truth.is_none() { "; it does not have the cell that was found" } else { "" };
        say!("best of the benchmark table: {ceiling:.2} %{absent}");
    }
    say!("scored     with shared weights, on {}", result.scored_on);
    if let Some(test) = &result.tested_on {
        say!("tested     with shared weights, on {test}");
    }
    say!("training   {:.1} s", result.train_seconds);
    say!("run folder {}", result.folder.display());
    Ok(())
}

fn entry(found: &FoundArch) -> serde_json::Value {
    let FoundArch { arch, text, score, test, fused, params, macs, latency, truth } = found;
    json!({
        "arch": arch, "text": text, "score": score, "test": test, "fused": fused, "params": params,
        "macs": macs, "latency": latency, "truth": truth,
    })
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.trains_supernet() {
        return run_differentiable(args);
    }
    if args.config.is_some() {
        let range = "left out with this --method, which searches with a trained supernet or a table";
        return Err(
            PadaError::from(ConfigError::Range { key: "--config", value: "given".into(), range }).into()
        );
    }
    if args.run.is_none() && args.weights.is_none() && args.scores.is_none() {
        let key = "RUN_DIR";
        let range = "the folder of a finished run, or --weights FILE, or --scores TABLE; only searches that train a supernet, such as --method darts and --method enas, need none";
        return Err(PadaError::from(ConfigError::Range { key, value: "missing".into(), range }).into());
    }
    let found = match (&args.scores, &args.run) {
        (Some(scores), _) => {
            let scores: TableScores = scores.parse()?;
            let usual = || format!("runs/search-{scores}").replace(':', "-").into();
            let job = args.job(args.out.clone().unwrap_or_else(usual))?;
            search_table(&scores, &job, &data_dir())
        }
        (None, Some(run)) => {
            let (session, mut progress) = (args.common.session()?, args.common.progress());
            let job = args.job(args.out.clone().unwrap_or_else(|| run.join("search")))?;
            match &args.data {
                Some(data) => {
                    let run = TrainedRun::load_with_data(run, data, &session);
                    run.and_then(|mut run| run.search(&job, &mut progress))
                }
                None => search_run(run, &job, &session, &mut progress),
            }
        }
        (None, None) => {
            let (session, mut progress) = (args.common.session()?, args.common.progress());
            let (weights, data) =
                (args.weights.clone().unwrap_or_default(), args.data.clone().unwrap_or_default());
            let job = args.job(args.out.clone().unwrap_or_default())?;
            search_weights(&args.scoring.weights(weights, data)?, &job, &session, &mut progress)
        }
    };
    if found.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("the scores so far are kept; the same command continues with them");
    }
    let found = found?;
    print(&found, args.run.as_deref())?;
    if args.common.json {
        let archs: Vec<_> = found.archs.iter().map(entry).collect();
        say!(
            "{}",
            json!({
                "archs": archs,
                "ceiling": found.ceiling,
                "asked": found.asked,
                "visited": found.visited,
                "scored": found.scored,
                "seconds": found.seconds,
                "selected_on": found.selected_on,
                "tested_on": found.tested_on,
                "file": found.file,
            })
        );
    }
    Ok(())
}

/// Prints architectures with their scores and costs.
fn table_of(archs: &[FoundArch]) -> anyhow::Result<()> {
    let widest = archs.iter().map(|found| found.arch.len()).max().unwrap_or(0).max(4);
    // A column that no architecture has is left out.
    type Column = fn(&FoundArch) -> Option<f64>;
    let columns: [(&str, Column); 4] = [
        ("fused", |found| found.fused),
        ("latency", |found| found.latency),
        ("test %", |found| found.test),
        ("truth %", |found| found.truth),
    ];
    let has = |(_, column): &(&str, Column)| archs.iter().any(|found| column(found).is_some());
    let columns: Vec<(&str, Column)> = columns.into_iter().filter(has).collect();
    let names: String = columns.iter().map(|(name, _)| format!(" {name:>10}")).collect();
    say!("{:<widest$} {:>8} {:>10} {:>12}{names}", "arch", "score %", "#params", "MACs");
    for row in archs {
        let FoundArch { arch, score, params, macs, .. } = row;
        let shown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"));
        let numbers: String =
            columns.iter().map(|(_, column)| format!(" {:>10}", shown(column(row)))).collect();
        say!("{arch:<widest$} {score:>8.2} {params:>10} {macs:>12}{numbers}");
    }
    Ok(())
}

fn print(found: &SearchResult, run: Option<&Path>) -> anyhow::Result<()> {
    table_of(&found.archs)?;
    let (visited, scored, seconds) = (found.visited, found.scored, found.seconds);
    say!("\n{visited} architectures visited, {scored} new scores, in {seconds:.1} s");
    if let Some(ceiling) = found.ceiling {
        say!("best of the benchmark table: {ceiling:.2} %");
    }
    say!("selected   on {}", found.selected_on);
    if let Some(test) = &found.tested_on {
        say!("tested     on {test}");
    } else if found.on_test_images {
        say!(
            "           These are test images, so the scores of the selected architectures are optimistic. A run with\n           data.train = \"half\" leaves validation images for the selection, and is tested on the test images."
        );
    }
    say!("found      {}", found.file.display());
    if let (Some(run), Some(best)) = (run, found.archs.first()) {
        say!("export     pada export --weights {} --arch {} --out best.onnx", run.display(), best.arch);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units() {
        for (text, count) in [("400M", 400_000_000), ("5.3m", 5_300_000), ("1.5G", 1_500_000_000), ("7", 7)] {
            assert_eq!(text.parse::<Count>().unwrap(), Count(count));
        }
        for bad in ["", "M", "-3M", "0", "nan", "4T", "1e30"] {
            assert!(bad.parse::<Count>().is_err(), "{bad}");
        }
    }
}
