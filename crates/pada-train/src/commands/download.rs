use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use pada_fetch::{Event, Origin, Resource};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data set or benchmark table.
    #[arg(value_enum)]
    name: Resource,
    /// Copy the files from this folder if it has them; needed for darts-214.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let resource = args.name;
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
