use std::path::{Path, PathBuf};

use pada::metrics::Fusion;
use pada::{
    ErrorKind, FusePart, RankArchs, RankJob, check_output, check_scores_file, rank_weights, write_ranking,
};
use serde_json::json;

use super::train::ended;
use super::{Common, TruthArg, WeightsArgs};
use crate::progress::{Progress, Show};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Weights: a checkpoint of a run, a .safetensors file, or a .pt file of the released PyTorch code.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Data set: mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout.
    #[arg(long)]
    data: String,
    #[command(flatten)]
    scoring: WeightsArgs,
    /// Architectures to score: `all`, `truth` (all of the --truth table), `random:100`, or a file with one architecture per line.
    #[arg(long, default_value = "all")]
    archs: RankArchs,
    /// Output CSV file with the columns arch, correct, total and accuracy; with --fuse also the zero-cost scores and the fused score.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    /// Benchmark table to compare with.
    #[arg(long, value_enum)]
    truth: Option<TruthArg>,
    /// Scores whose ranks are fused to one ranking, separated by commas: `supernet`, and zero-cost scores such as `active-conv-params`,
    /// `jacov` and `synflow`.
    #[arg(long, value_name = "SCORE,…", value_delimiter = ',')]
    fuse: Vec<FusePart>,
    /// How ranks are fused: `log-ranks` or `ranks`.
    #[arg(long, default_value = "log-ranks")]
    fusion: Fusion,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let session = args.common.shared_session()?;
    let job = RankJob {
        weights: args.scoring.file(args.weights.clone(), args.data.clone()),
        archs: args.archs.clone(),
        truth: args.truth.map(Into::into),
        fuse: args.fuse.clone(),
        fusion: args.fusion,
        zero_cost: vec![],
    };
    let is_first = session.world.index() == 0;
    if is_first {
        let mut inputs = vec![args.weights.as_path()];
        if let RankArchs::File(file) = &args.archs {
            inputs.push(Path::new(file));
        }
        check_output(&args.out, &["csv"], &inputs)?;
        check_scores_file(&args.out)?;
    }
    let mut progress = if is_first { args.common.progress() } else { Progress::new(Show::Nothing) };
    let ranked = rank_weights(&job, &session, &mut progress);
    if is_first && ranked.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("no scores were written; the same command starts them again");
    }
    let ranked = ended(&session.world, ranked)?;
    if !is_first {
        return Ok(());
    }
    write_ranking(&args.out, &ranked)?;
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
                "images_per_s": (record.archs * record.images.images) as f64 / record.seconds,
                "tau_b": metrics.map(|m| m.tau_b),
                "p_at_top5": metrics.and_then(|m| m.p_at_top_5),
                "fused_tau_b": fused.map(|m| m.tau_b),
                "fused_p_at_top5": fused.and_then(|m| m.p_at_top_5),
            })
        );
    }
    Ok(())
}
