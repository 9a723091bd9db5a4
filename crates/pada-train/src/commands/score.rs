use std::path::PathBuf;

use pada::metrics::Fusion;
use pada::zero_cost::{Score, ScoreValue};
use pada::{ErrorKind, ScoreJob, report, write_zero_cost, zero_cost_scores};
use serde_json::json;

use super::{Common, ListArgs, NetArgs, photographs};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Zero-cost scores, separated by commas: params, flops, active-conv-params, conv-depth, pools, synflow, jacov, epe, nwot, swap,
    /// grad-norm, snip, plain, fisher, l2-norm, zen, zico, grasp, az-nas, az-nas-expressivity, az-nas-progressivity, az-nas-trainability.
    #[arg(
        long,
        value_name = "SCORE,…",
        value_delimiter = ',',
        default_value = "active-conv-params,jacov,synflow"
    )]
    proxies: Vec<Score>,
    /// Data set: mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout.
    #[arg(long, default_value = "mini")]
    data: String,
    #[command(flatten)]
    net: NetArgs,
    /// Height and width that photographs are resized to.
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<std::num::NonZeroUsize>,
    /// Take the images from the test images instead of the training images.
    #[arg(long)]
    test_images: bool,
    /// Number of images: the first ones, without augmentation.
    #[arg(long, value_name = "N", default_value = "64")]
    images: std::num::NonZeroUsize,
    /// Seed of the initial weights, and of the list `random:N`.
    #[arg(long, default_value = "0")]
    seed: u64,
    /// Weights of a supernet in place of initial ones: a checkpoint, a .safetensors file, or a .pt file of the released PyTorch code.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Add the column `fused`, which fuses the ranks of all these scores: `log-ranks` or `ranks`.
    #[arg(long, value_name = "FUSION")]
    fusion: Option<Fusion>,
    #[command(flatten)]
    list: ListArgs,
    /// Output CSV file with the column arch and one column per score. Until all scores are known, they are in a file with `.part` behind
    /// this name, from which the same command continues.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let session = args.common.session()?;
    args.list.check_output(&args.out, args.weights.as_deref())?;
    let mut log = args.out.clone().into_os_string();
    log.push(".part");
    let log = PathBuf::from(log);
    let job = ScoreJob {
        supernet: args.net.config(),
        data: args.data.clone(),
        photographs: photographs(args.image_size),
        test_images: args.test_images,
        images: args.images.get(),
        seed: args.seed,
        weights: args.weights.clone(),
        scores: args.proxies.clone(),
        fusion: args.fusion,
        archs: args.list.archs.clone(),
        truth: args.list.truth,
        log: Some(log.clone()),
    };
    let mut progress = args.common.progress();
    let scored = zero_cost_scores(&job, &session, &mut progress);
    if scored.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("the scores so far are kept; the same command continues");
    }
    let scored = scored?;
    write_zero_cost(&args.out, &scored)?;
    // The result is written, so that the scores so far are not needed any more.
    std::fs::remove_file(&log).ok();
    let seconds: f64 = scored.scores.iter().map(|(.., seconds)| seconds).sum();
    let archs = report::architectures(scored.archs.len());
    say!("{archs}, distinct networks: {}, {seconds:.1} s", scored.networks);
    for (score, values, seconds) in &scored.scores {
        say!("{score:<28} {seconds:>8.1} s");
        for (reason, count) in ScoreValue::reasons(values) {
            say!("{:<28} not defined for {}: {reason}", "", report::architectures(count));
        }
    }
    if let Some(truth) = args.list.truth {
        let table = truth.to_string();
        match scored.rows.is_empty() {
            true => say!(
                "\nfewer than two of the architectures are in the table {table}, so that nothing is compared"
            ),
            false => say!("\n{}", report::zero_cost_summary(&table, &scored.rows).trim_end()),
        }
    }
    say!("\nscores     {}", args.out.display());
    if args.common.json {
        let rows = scored.rows.iter().map(|row| (row.name.clone(), json!(row.metrics)));
        let names: Vec<&str> = args.proxies.iter().map(|score| score.name()).collect();
        let seconds_of = scored.scores.iter().map(|(score, _, s)| (score.name().to_owned(), json!(s)));
        say!(
            "{}",
            json!({
                "archs": scored.archs.len(),
                "networks": scored.networks,
                "proxies": names,
                "seconds": seconds,
                "seconds_of": seconds_of.collect::<serde_json::Map<_, _>>(),
                "metrics": rows.collect::<serde_json::Map<_, _>>(),
            })
        );
    }
    Ok(())
}
