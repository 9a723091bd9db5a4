use std::path::PathBuf;

use clap::ValueEnum;
use pada::data::{Damaged, Photographs};
use pada::{Blame, RankJob, RankSplit, check_scores_file, rank_weights, write_scores};
use serde_json::json;

use super::{Common, ComputeArgs, NetArgs, TruthArg};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint of a run, a .safetensors file, or a .pt file of the released PyTorch code.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    #[command(flatten)]
    net: NetArgs,
    /// mini, cifar10, or a folder with the official binary files or with photographs in ImageNet's layout.
    #[arg(long)]
    data: String,
    /// For photographs: height and width of the images that they become.
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<std::num::NonZeroUsize>,
    /// Which images to score on.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// At most the first N images.
    #[arg(long, value_name = "N")]
    limit: Option<std::num::NonZeroUsize>,
    /// Images per batch; norms use the statistics of the batch, so it changes the scores.
    #[arg(long, default_value = "512")]
    batch: std::num::NonZeroUsize,
    /// `all`, or a file with one architecture a line.
    #[arg(long, default_value = "all")]
    archs: String,
    /// Where to write arch,correct,total,accuracy.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    /// Compare with this table.
    #[arg(long, value_enum)]
    truth: Option<TruthArg>,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    /// The test images
    Test,
    /// The half of the training images that a supernet with `data.train = "half"` does not see
    Valid,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let place = args.common.place()?;
    let job = RankJob {
        weights: args.weights.clone(),
        supernet: args.net.config(),
        compute: args.compute.config(),
        data: args.data.clone(),
        photographs: args.image_size.map(|size| Photographs { size: size.get(), damaged: Damaged::Stop }),
        split: match args.split {
            Split::Test => RankSplit::Test,
            Split::Valid => RankSplit::Valid,
        },
        limit: args.limit.map(Into::into),
        batch: args.batch.get(),
        archs: (args.archs != "all").then(|| PathBuf::from(&args.archs)),
        truth: args.truth.map(Into::into),
    };
    check_scores_file(&args.out)?;
    let ranked = rank_weights(&job, &place, &mut args.common.progress());
    if ranked.as_ref().is_err_and(|error| error.blame() == Blame::Stopped) {
        eprintln!("no scores were written; the same command starts them again");
    }
    let (scores, record) = ranked?;
    write_scores(&args.out, &scores)?;
    say!("{}", pada::report::ranking_summary(&record).trim_end());
    say!("\nscores     {}", args.out.display());
    if args.common.json {
        let metrics = record.main_metrics();
        say!(
            "{}",
            json!({
                "archs": record.archs,
                "images": record.images.images,
                "seconds": record.seconds,
                "images_per_s": (record.archs * record.images.images) as f64 / record.seconds,
                "tau_b": metrics.map(|m| m.tau_b),
                "p_at_top5": metrics.and_then(|m| m.p_at_top_5),
            })
        );
    }
    Ok(())
}
