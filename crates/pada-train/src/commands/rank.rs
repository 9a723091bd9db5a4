use std::path::PathBuf;

use pada::{ErrorKind, RankBudget, RankJob, rank_weights, write_ranking};
use serde_json::json;

use super::train::ended;
use super::{Common, FuseArgs, ListArgs, WeightsArgs};
use crate::progress::{Progress, Show};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Weights: a run folder, whose newest checkpoint is taken, a checkpoint, a .safetensors file, or a .pt file of the released PyTorch
    /// code.
    #[arg(long, value_name = "FILE|RUN_DIR")]
    weights: PathBuf,
    /// Data set: mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout.
    #[arg(long)]
    data: String,
    #[command(flatten)]
    scoring: WeightsArgs,
    #[command(flatten)]
    list: ListArgs,
    /// Output CSV file with the columns arch, correct, total and accuracy; with --fuse also the zero-cost scores and the fused score. Until all
    /// scores are known, they are in a folder with `.ranking` behind this name, from which the same command continues.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    #[command(flatten)]
    fused: FuseArgs,
    /// Limit on the cost of scoring: a time such as `10m`, or `"128 images"`. All architectures are scored on few images, and the best
    /// quarter on 4 times as many, up to all of them. The result says what that costs. [default: all architectures on all images]
    #[arg(long, value_name = "TIME|N images")]
    budget: Option<RankBudget>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let session = args.common.shared_session()?;
    let mut part = args.out.clone().into_os_string();
    part.push(".ranking");
    let part = PathBuf::from(part);
    let job = RankJob {
        part: Some(part.clone()),
        weights: args.scoring.weights(args.weights.clone(), args.data.clone())?,
        archs: args.list.archs.clone(),
        truth: args.list.truth,
        fuse: args.fused.fuse.clone(),
        fusion: args.fused.fusion,
        budget: args.budget,
    };
    let is_first = session.world.index() == 0;
    if is_first {
        args.list.check_output(&args.out, Some(&args.weights))?;
    }
    let mut progress = if is_first { args.common.progress() } else { Progress::new(Show::Nothing) };
    let ranked = rank_weights(&job, &session, &mut progress);
    if is_first && ranked.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("the scores so far are kept in {}; the same command continues", part.display());
    }
    let ranked = ended(&session.world, ranked)?;
    if !is_first {
        return Ok(());
    }
    write_ranking(&args.out, &ranked)?;
    job.remove_part(&session)?;
    let record = ranked.record;
    say!("{}", pada::report::ranking_summary(&record).trim_end());
    say!("\nscores     {}", args.out.display());
    if args.common.json {
        let metrics = record.main_metrics();
        let fused = record.fused_metrics();
        say!(
            "{}",
            json!({
                "archs": record.archs,
                "images": record.images.images,
                "seconds": record.seconds,
                "images_per_s": record.scored_images() as f64 / record.seconds,
                "tau_b": metrics.map(|m| m.tau_b),
                "p_at_top5": metrics.and_then(|m| m.p_at_top_5),
                "rounds": record.halving.as_ref().map(|halving| &halving.rounds),
                "fused_tau_b": fused.map(|m| m.tau_b),
                "fused_p_at_top5": fused.and_then(|m| m.p_at_top_5),
            })
        );
    }
    Ok(())
}
