use std::path::PathBuf;

use anyhow::Context;
use pada::{RunFolder, RunReader, check_output, run_folders, write_page};
use serde_json::json;

/// Where the page of several runs goes, in the current folder.
const PAGE: &str = "report.html";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders of runs, finished or under way; or folders that hold such folders, as `pada reproduce` makes them.
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// Where to write; report.html in the folder of one run, or in the current folder for several.
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

/// Writes the page of a run that has just ended into its folder. The run is whole without it.
pub(crate) fn write_for(folder: &RunFolder) -> anyhow::Result<PathBuf> {
    let page = folder.page();
    let run = RunReader::new(&super::data_dir()).read(folder.path());
    let written = run.and_then(|run| write_page(&page, &[run]));
    written.with_context(|| {
        let folder = folder.path().display();
        format!("the run is whole, its page is not; to write it: pada report {folder}")
    })?;
    Ok(page)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut folders = Vec::new();
    for path in &args.runs {
        folders.extend(run_folders(path)?);
    }
    let file = match (&args.out, &folders[..]) {
        (Some(file), _) => file.clone(),
        (None, [folder]) => RunFolder::page_of(folder),
        (None, _) => PathBuf::from(PAGE),
    };
    check_output(&file, &["html", "htm"], &[])?;
    let mut reader = RunReader::new(&super::data_dir());
    let runs = folders.iter().map(|folder| reader.read(folder)).collect::<Result<Vec<_>, _>>()?;
    write_page(&file, &runs)?;
    for run in runs.iter().filter(|run| run.record.as_ref().is_none_or(|record| record.ranking.is_none())) {
        note!("{} is not finished; the page shows it as far as it is", run.folder);
    }
    say!("{}", file.display());
    if args.json {
        say!("{}", json!({"file": file, "runs": runs.len()}));
    }
    Ok(())
}
