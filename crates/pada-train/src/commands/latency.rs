use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pada::{
    ConfigError, LatencyCheck, LatencyJob, LatencyNet, MeasuredLatencies, PadaError, RankArchs, check_output,
    check_scores_file, measure_latencies, predict_latencies,
};
use serde_json::json;

use super::{Common, ComputeArgs, NetArgs};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Measure every operation of a space at its shapes on this machine, and compare the sum of the operations with whole networks.
    ///
    /// Example: pada latency measure --space nb201 --channels 16 --cells 5 --out operations.csv
    Measure(Box<Measure>),
    /// Write the latencies of architectures as the sum of measured operations.
    ///
    /// Example: pada latency predict --table operations.csv --archs random:100 --out latencies.csv
    Predict(Predict),
}

/// Options that describe the network.
#[derive(clap::Args)]
struct Net {
    #[command(flatten)]
    net: NetArgs,
    /// Height and width of an image; 224 in proxyless and 32 otherwise if not given.
    #[arg(long, value_name = "PIXELS")]
    size: Option<NonZeroUsize>,
    /// Number of classes; 1,000 in proxyless and 10 otherwise if not given.
    #[arg(long, value_name = "K")]
    classes: Option<NonZeroUsize>,
}

impl Net {
    fn net(&self) -> LatencyNet {
        let count = |given: Option<NonZeroUsize>| given.map(NonZeroUsize::get);
        LatencyNet { supernet: self.net.config(), image_size: count(self.size), classes: count(self.classes) }
    }
}

#[derive(clap::Args)]
struct Measure {
    #[command(flatten)]
    net: Net,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Images per pass. The engine computes one image with one thread.
    #[arg(long, value_name = "B", default_value = "1")]
    batch: NonZeroUsize,
    /// Timings of each operation. The latency is their median.
    #[arg(long, value_name = "N", default_value = "9")]
    repeats: NonZeroUsize,
    /// Random architectures that are measured whole, and to which the latencies are fitted with a factor and a constant; 0 leaves the fit out.
    #[arg(long, value_name = "N", default_value = "10")]
    fit: usize,
    /// Other random architectures that are measured whole and compared with the sum of their operations; 0 leaves the comparison out.
    #[arg(long, value_name = "N", default_value = "10")]
    check: usize,
    /// Seed of these architectures.
    #[arg(long, default_value = "0")]
    seed: u64,
    /// CSV file of the operations, which `pada search --latency` reads. An existing file is replaced.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
struct Predict {
    /// Table of operations that `pada latency measure` wrote for this network.
    #[arg(long, value_name = "FILE.csv")]
    table: PathBuf,
    #[command(flatten)]
    net: Net,
    /// Architectures: `all`, `random:100`, or a file with one architecture per line.
    #[arg(long, default_value = "all")]
    archs: RankArchs,
    /// Seed of random architectures.
    #[arg(long, default_value = "0")]
    seed: u64,
    /// CSV file with the columns arch and latency, in milliseconds. An existing file is replaced.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Measure(args) => measure(args),
        Command::Predict(args) => predict(args),
    }
}

fn measure(args: &Measure) -> anyhow::Result<()> {
    let Measure { out, common, .. } = args;
    check_file(out, &[])?;
    let (session, mut progress) = (common.session()?, common.progress());
    let job = LatencyJob {
        net: args.net.net(),
        compute: args.compute.config(),
        batch: args.batch.get(),
        repeats: args.repeats.get(),
        fit: args.fit,
        check: args.check,
        seed: args.seed,
    };
    let MeasuredLatencies { table, check, seconds } = measure_latencies(&job, &session, &mut progress)?;
    table.write(out)?;
    let ops = table.rows().len();
    say!("{ops} operations, each {} times, in {seconds:.1} s", args.repeats);
    if let Some(check) = &check {
        print_check(check)?;
    }
    say!("\noperations {}", out.display());
    say!("search     pada search RUN_DIR --latency {} --max-latency MILLISECONDS", out.display());
    if common.json {
        let check = check.as_ref().map(|check| {
            let archs = check.archs.iter().map(
                |arch| json!({"arch": arch.arch, "predicted": arch.predicted, "measured": arch.measured}),
            );
            json!({
                "archs": archs.collect::<Vec<_>>(),
                "pearson": check.pearson,
                "tau_b": check.tau_b,
                "mean_relative_error": check.mean_relative_error,
            })
        });
        say!("{}", json!({"ops": ops, "seconds": seconds, "check": check, "file": out}));
    }
    Ok(())
}

fn print_check(check: &LatencyCheck) -> anyhow::Result<()> {
    let width = check.archs.iter().map(|arch| arch.arch.len()).max().unwrap_or(0).max("arch".len());
    say!("\n{:width$}  sum of operations ms  whole network ms", "arch");
    for arch in &check.archs {
        say!("{:width$}  {:>20.3}  {:>16.3}", arch.arch, arch.predicted, arch.measured);
    }
    let shown = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"));
    let (pearson, tau_b) = (shown(check.pearson), shown(check.tau_b));
    let error = 100.0 * check.mean_relative_error;
    say!("Pearson's r {pearson}, tau-b {tau_b}, mean relative error {error:.1} %");
    Ok(())
}

fn predict(args: &Predict) -> anyhow::Result<()> {
    let Predict { table, net, archs, seed, out, json } = args;
    if *archs == RankArchs::Truth {
        let (key, range) = ("--archs", "all, random:N or a file, because no benchmark table is read");
        return Err(PadaError::from(ConfigError::Range { key, value: "truth".into(), range }).into());
    }
    let mut inputs = vec![table.as_path()];
    if let RankArchs::File(file) = archs {
        inputs.push(Path::new(file));
    }
    check_file(out, &inputs)?;
    let latencies = predict_latencies(table, &net.net(), archs, *seed, out)?;
    let (first, last) = extremes(&latencies).context("a list of architectures is not empty")?;
    say!("{} architectures, {first:.3} to {last:.3} ms", latencies.len());
    say!("latencies {}", out.display());
    if *json {
        say!("{}", json!({"archs": latencies.len(), "least": first, "most": last, "file": out}));
    }
    Ok(())
}

/// Returns the smallest and the largest latency.
fn extremes<T>(latencies: &[(T, f64)]) -> Option<(f64, f64)> {
    let numbers = || latencies.iter().map(|(_, latency)| *latency);
    Some((numbers().reduce(f64::min)?, numbers().reduce(f64::max)?))
}

/// Checks before any work that a CSV file can be written.
fn check_file(out: &Path, inputs: &[&Path]) -> Result<(), PadaError> {
    check_output(out, &["csv"], inputs)?;
    check_scores_file(out)
}
