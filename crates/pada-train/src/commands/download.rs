use std::path::PathBuf;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use pada_fetch::{Event, Origin, Resource};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data set or benchmark table.
    #[arg(value_enum)]
    name: NameArg,
    /// Copy the files from this folder if it has them.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum NameArg {
    /// The official binary files of CIFAR-10, 184 MB
    Cifar10,
    /// The official binary files of CIFAR-100, 184 MB
    Cifar100,
    /// Accuracies, parameters and MFLOPs of the 15,625 architectures of NAS-Bench-201, 3 MB
    Nb201,
    /// Accuracies of the 6,561 networks of NAS-Bench-Macro, 0.4 MB
    NasBenchMacro,
    /// Scores of the 15,625 architectures of NAS-Bench-201 with the supernets of few-shot NAS, 0.6 MB
    FewShotScores,
    /// Accuracies of 214 genotypes of the DARTS space, 0.1 MB; needs --from
    #[value(name = "darts-214")]
    Darts214,
    /// Accuracies of 1,000 random genotypes with the operations of DARTS, 282 of them in its space, 0.4 MB
    #[value(name = "darts-1000")]
    Darts1000,
    /// 13 zero-cost scores of 9,445 architectures of NAS-Bench-201, published with NASLib, 2 MB
    Nb201Proxies,
}

impl From<NameArg> for Resource {
    fn from(name: NameArg) -> Self {
        match name {
            NameArg::Cifar10 => Self::Cifar10,
            NameArg::Cifar100 => Self::Cifar100,
            NameArg::Nb201 => Self::Nb201,
            NameArg::NasBenchMacro => Self::NasBenchMacro,
            NameArg::FewShotScores => Self::FewShotScores,
            NameArg::Darts214 => Self::Darts214,
            NameArg::Darts1000 => Self::Darts1000,
            NameArg::Nb201Proxies => Self::Nb201Proxies,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let resource = Resource::from(args.name);
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")?);
    let report = |event: Event<'_>| match event {
        Event::Trying { source } => {
            bar.reset();
            note!("{resource}: trying {source}");
        }
        Event::Received { bytes, total } => {
            bar.set_length(total.unwrap_or(bytes));
            bar.set_position(bytes);
        }
        Event::Failed { source, error } => bar.suspend(|| note!("{resource}: {source} failed: {error}")),
        _ => {}
    };
    let fetched = pada_fetch::fetch(resource, &super::data_dir(), args.from.as_deref(), &report);
    bar.finish_and_clear();
    let fetched = fetched?;
    let what = match fetched.origin {
        Origin::DataFolder => "was downloaded earlier and is verified",
        Origin::Source => "is downloaded and verified",
    };
    for file in &fetched.files {
        say!("{resource}: {} {what}", file.display());
    }
    if args.json {
        say!("{}", json!({"files": fetched.files}));
    }
    Ok(())
}
