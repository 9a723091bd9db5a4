use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;
use pada::graph::Lower;
use pada::graph::onnx::{BATCH, INPUT, OUTPUT};
use pada::{
    ConfigError, Existing, ExportFiles, ExportFormat, ExportJob, ExportWeights, PadaError, Recalibration,
    StatisticsFrom, export,
};
use serde_json::json;

use super::{Common, ComputeArgs, NetArgs, photographs};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Weights: a checkpoint of a run, a .safetensors file, or a .pt file of the released PyTorch code; or the folder of a finished run,
    /// which records its network and images.
    #[arg(long, value_name = "FILE|DIR")]
    weights: PathBuf,
    /// The architecture in any text form of its space. Not needed for the folder of a run of `retrain`.
    #[arg(long, value_name = "TEXT")]
    arch: Option<String>,
    #[command(flatten)]
    net: NetArgs,
    /// Data set: mini, cifar10, cifar100, or a folder with the official binary files or with photographs in ImageNet's layout. Required with a
    /// weights file. With a run folder, the place of its images if they were moved.
    #[arg(long)]
    data: Option<String>,
    /// Height and width that photographs are resized to.
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<NonZeroUsize>,
    /// Output format; by default that of the ending of --out.
    #[arg(long, value_enum)]
    format: Option<ExportFormat>,
    /// Output file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    overwrite: bool,
    /// Source of the means and variances of batch norms.
    #[arg(long, value_enum, default_value = "auto")]
    statistics: Statistics,
    /// Number of training images for the statistics: a fixed random choice, the same as for scores. If not given, the number that the run
    /// used for its scores, or 2,048.
    #[arg(long, value_name = "N")]
    recalibrate: Option<NonZeroUsize>,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum Statistics {
    /// Stored running statistics for a stand-alone network, statistics of training images for a supernet
    Auto,
    /// Statistics of a forward pass over training images
    Images,
    /// Running statistics of the weights file, if it has them
    Stored,
}

impl Args {
    fn source(&self) -> Result<ExportWeights, ConfigError> {
        let path = self.weights.clone();
        let about = std::fs::metadata(&path);
        if about.map_err(|source| ConfigError::Io { path: path.clone(), source })?.is_dir() {
            return match self.net.given().or(self.image_size.map(|_| "--image-size")) {
                None => Ok(match self.data.clone() {
                    Some(data) => ExportWeights::RunWithData { folder: path, data },
                    None => ExportWeights::Run(path),
                }),
                Some(key) => {
                    let (value, range) = (
                        "given".to_owned(),
                        "left out if --weights is a run folder, because the run records its own",
                    );
                    Err(ConfigError::Range { key, value, range })
                }
            };
        }
        let range = "mini, cifar10, cifar100 or a folder, unless --weights is a run folder";
        let missing = || ConfigError::Range { key: "--data", value: "not given".to_owned(), range };
        Ok(ExportWeights::File {
            path,
            supernet: self.net.config(),
            data: self.data.clone().ok_or_else(missing)?,
            photographs: photographs(self.image_size),
            compute: self.compute.config(),
        })
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let format = args.format.map_or_else(|| ExportFormat::of(&args.out), Ok)?;
    let existing = if args.overwrite { Existing::Replace } else { Existing::Refuse };
    let files = ExportFiles::new(&args.out, format, &[&args.weights], existing)?;
    let session = args.common.session()?;
    let images = args.recalibrate.map(Recalibration::over);
    let job = ExportJob {
        weights: args.source().map_err(PadaError::from)?,
        arch: args.arch.clone(),
        statistics: match args.statistics {
            Statistics::Auto => StatisticsFrom::Score(images),
            Statistics::Images => StatisticsFrom::Images(images),
            Statistics::Stored => StatisticsFrom::Stored,
        },
    };
    let net = export(&job, &session)?;
    let (arch, statistics) = (&net.about["arch"], &net.about["norms"]);
    if !args.common.is_quiet() {
        note!("{} norms frozen: {statistics}", net.frozen.norms());
        if net.frozen.batch_norms() > 0 {
            note!(
                "the accuracy can differ slightly from that of `pada rank`, which uses the statistics of each batch"
            );
        }
    }
    let size = files.write(&net)?;
    let (cost, input) = (net.cost(), net.frozen.input());
    let classes = net.frozen.graph().output().shape.channels;
    let (stored, out) = (net.stored(), args.out.display());
    say!("{arch}: {} parameters, {} MACs; {stored} numbers, {size} bytes in {out}", cost.params, cost.macs);
    if let Some(module) = files.module() {
        say!("module     {}", module.display());
        if module.file_stem() != args.out.file_stem() {
            note!(
                "Python cannot import a module with the name {:?}, so the module has another name than the weights",
                args.out.file_stem().unwrap_or_default()
            );
        }
    }
    say!(
        "{INPUT} [{BATCH}, {}, {}, {}] -> {OUTPUT} [{BATCH}, {classes}]",
        input.channels,
        input.height,
        input.width
    );
    if args.common.json {
        let value =
            |name: &str, shape: serde_json::Value| json!([{"name": name, "type": "f32", "shape": shape}]);
        say!(
            "{}",
            json!({
                "file": args.out,
                "bytes": size,
                "arch": arch,
                "inputs": value(INPUT, json!([BATCH, input.channels, input.height, input.width])),
                "outputs": value(OUTPUT, json!([BATCH, classes])),
                "params": cost.params,
                "macs": cost.macs,
                "stored": net.stored(),
                "norms": {
                    "count": net.frozen.norms(),
                    "used_batch_statistics": net.frozen.batch_norms(),
                    "statistics": statistics,
                },
            })
        );
    }
    Ok(())
}
