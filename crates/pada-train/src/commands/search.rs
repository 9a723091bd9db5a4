use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use pada::search_methods::{EvolutionConfig, Nsga2Config};
use pada::{
    ErrorKind, FoundArch, SearchCost, SearchJob, SearchLimits, SearchMethod, SearchResult, search_run,
    search_weights,
};
use serde_json::json;

use super::{Common, FuseArgs, WeightsArgs};

/// Options that are only valid without a run folder, because a run records these settings itself.
const OF_A_FILE: [&str; 8] =
    ["weights", "NetArgs", "ComputeArgs", "image_size", "split", "limit", "batch", "recalibrate"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of a finished run. Candidates are scored with the images and settings of this run.
    #[arg(
        value_name = "RUN_DIR",
        required_unless_present = "weights",
        conflicts_with_all = OF_A_FILE
    )]
    run: Option<PathBuf>,
    /// Weights instead of a run: a checkpoint, a .safetensors file, or a .pt file of the released PyTorch code.
    #[arg(long, value_name = "FILE", requires_all = ["data", "out"])]
    weights: Option<PathBuf>,
    /// With --weights: mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout.
    #[arg(long, requires = "weights")]
    data: Option<String>,
    #[command(flatten)]
    scoring: WeightsArgs,
    /// Search method.
    #[arg(long, value_enum, default_value = "evolution")]
    method: Method,
    /// Cost of an architecture: the second objective of pareto, the tie-breaker between equal scores in the other methods.
    #[arg(long, value_enum)]
    cost: Option<SearchCost>,
    /// CSV file with the columns arch and latency. The latency is then the default of --cost. Architectures that are not in the file are
    /// skipped.
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
    /// Population size: architectures in the initial population and in each generation.
    #[arg(long, value_name = "N", default_value = "50")]
    population: usize,
    /// Generations after the initial population. Random search scores as many architectures as evolution does.
    #[arg(long, value_name = "N", default_value = "20")]
    generations: usize,
    /// Evolution: number of the best architectures that become parents.
    #[arg(long, value_name = "N", default_value = "10")]
    parents: usize,
    /// Evolution: children per generation that are made by crossover; half of the population if not given. The others are mutations.
    #[arg(long, value_name = "N")]
    crossover: Option<usize>,
    /// Mutation probability of each decision of a child.
    #[arg(long, default_value = "0.1")]
    rate: f64,
    /// Number of the best architectures to print; a Pareto front is printed in full.
    #[arg(long, value_name = "N", default_value = "10")]
    top: usize,
    /// Seed of the random choices.
    #[arg(long, default_value = "0")]
    seed: u64,
    #[command(flatten)]
    fused: FuseArgs,
    /// Output folder for scores and results; RUN_DIR/search if not given.
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
    fn job(&self, out: PathBuf) -> SearchJob {
        let (population, generations, rate) = (self.population, self.generations, self.rate);
        let crossover = self.crossover.unwrap_or(population / 2);
        let mutation = population.saturating_sub(crossover);
        let method = match self.method {
            Method::Random => SearchMethod::Random(population.saturating_mul(generations.saturating_add(1))),
            Method::Evolution => {
                let parents = self.parents;
                SearchMethod::Evolution(EvolutionConfig {
                    population,
                    generations,
                    crossover,
                    mutation,
                    mutation_rate: rate,
                    parents,
                })
            }
            Method::Pareto => {
                SearchMethod::Pareto(Nsga2Config { population, generations, mutation_rate: rate })
            }
        };
        let usual = if self.latency.is_some() { SearchCost::Latency } else { SearchCost::Macs };
        let limits = SearchLimits {
            macs: self.max_macs.map(|count| count.0),
            params: self.max_params.map(|count| count.0),
            latency: self.max_latency,
        };
        SearchJob {
            method,
            cost: self.cost.unwrap_or(usual),
            limits,
            latency: self.latency.clone(),
            seed: self.seed,
            top: self.top,
            fuse: self.fused.fuse.clone(),
            fusion: self.fused.fusion,
            out,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let session = args.common.session()?;
    let mut progress = args.common.progress();
    let found = match (&args.run, &args.weights) {
        (Some(run), _) => {
            let job = args.job(args.out.clone().unwrap_or_else(|| run.join("search")));
            search_run(run, &job, &session, &mut progress)
        }
        (None, weights) => {
            let (weights, data) =
                (weights.clone().unwrap_or_default(), args.data.clone().unwrap_or_default());
            let job = args.job(args.out.clone().unwrap_or_default());
            search_weights(&args.scoring.weights(weights, data)?, &job, &session, &mut progress)
        }
    };
    if found.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("the scores so far are kept; the same command continues with them");
    }
    let found = found?;
    print(&found)?;
    if args.common.json {
        let entry = |found: &FoundArch| {
            let FoundArch { arch, text, score, fused, params, macs, latency } = found;
            json!({
                "arch": arch, "text": text, "score": score, "fused": fused, "params": params, "macs": macs,
                "latency": latency,
            })
        };
        let archs: Vec<_> = found.archs.iter().map(entry).collect();
        say!(
            "{}",
            json!({
                "archs": archs,
                "visited": found.visited,
                "scored": found.scored,
                "seconds": found.seconds,
                "file": found.file,
            })
        );
    }
    Ok(())
}

fn print(found: &SearchResult) -> anyhow::Result<()> {
    let widest = found.archs.iter().map(|found| found.arch.len()).max().unwrap_or(0).max(4);
    say!(
        "{:<widest$} {:>8} {:>8} {:>10} {:>12} {:>10}",
        "arch",
        "score %",
        "fused",
        "#params",
        "MACs",
        "latency"
    );
    for FoundArch { arch, score, fused, params, macs, latency, .. } in &found.archs {
        let [fused, latency] = [fused, latency]
            .map(|number| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}")));
        say!("{arch:<widest$} {score:>8.2} {fused:>8} {params:>10} {macs:>12} {latency:>10}");
    }
    let (visited, scored, seconds) = (found.visited, found.scored, found.seconds);
    say!("\n{visited} architectures visited, {scored} new scores, in {seconds:.1} s");
    say!("found      {}", found.file.display());
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
