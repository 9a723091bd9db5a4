use std::path::PathBuf;

use anyhow::Context;
use pada::{RunFolder, RunReader, check_output, run_folders, write_page};
use serde_json::json;

/// The default file of a page about several runs, in the current folder.
const PAGE: &str = "report.html";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run folders, finished or running; or folders that contain run folders, such as those of `pada reproduce`.
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// Output file; report.html in the folder of one run, or in the current folder for several runs.
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Folder of a file store of MLflow, such as mlruns, to which the runs are logged too. It is created if it does not exist.
    #[arg(long, value_name = "DIR")]
    mlflow: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

/// Writes the page of a finished run into its folder. The run is complete without it.
pub(crate) fn write_for(folder: &RunFolder) -> anyhow::Result<PathBuf> {
    let page = folder.page();
    let run = RunReader::new(&super::data_dir()).read(folder.path());
    let written = run.and_then(|run| write_page(&page, &[run]));
    written.with_context(|| {
        let folder = folder.path().display();
        format!("the run is complete, but its report was not written; to write it: pada report {folder}")
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
    for run in runs.iter().filter(|run| !run.is_finished()) {
        note!("{} is not finished; the report shows its current state", run.folder);
    }
    say!("{}", file.display());
    if let Some(store) = &args.mlflow {
        for folder in &folders {
            RunFolder::unlocked(folder).write_mlflow(store)?;
        }
        say!("runs of MLflow: {}", store.display());
    }
    if args.json {
        say!("{}", json!({"file": file, "runs": runs.len()}));
    }
    Ok(())
}
