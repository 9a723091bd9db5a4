use std::path::{Path, PathBuf};

use pada::{ErrorKind, RankArchs, RankJob, check_output, check_scores_file, rank_weights, write_scores};
use serde_json::json;

use super::train::ended;
use super::{Common, TruthArg, WeightsArgs};
use crate::progress::{Progress, Show};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint of a run, a .safetensors file, or a .pt file of the released PyTorch code.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout.
    #[arg(long)]
    data: String,
    #[command(flatten)]
    scoring: WeightsArgs,
    /// `all`, `truth` (those of --truth), `random:100`, or a file with one architecture a line.
    #[arg(long, default_value = "all")]
    archs: RankArchs,
    /// Where to write arch,correct,total,accuracy.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    /// Compare with this table.
    #[arg(long, value_enum)]
    truth: Option<TruthArg>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let place = args.common.shared_place()?;
    let job = RankJob {
        weights: args.scoring.file(args.weights.clone(), args.data.clone()),
        archs: args.archs.clone(),
        truth: args.truth.map(Into::into),
    };
    let leads = place.world.index() == 0;
    if leads {
        let mut inputs = vec![args.weights.as_path()];
        if let RankArchs::File(file) = &args.archs {
            inputs.push(Path::new(file));
        }
        check_output(&args.out, &["csv"], &inputs)?;
        check_scores_file(&args.out)?;
    }
    let mut progress = if leads { args.common.progress() } else { Progress::new(Show::Nothing) };
    let ranked = rank_weights(&job, &place, &mut progress);
    if leads && ranked.as_ref().is_err_and(|error| error.kind() == ErrorKind::Stopped) {
        note!("no scores were written; the same command starts them again");
    }
    let (scores, record) = ended(&place.world, ranked)?;
    if !leads {
        return Ok(());
    }
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
