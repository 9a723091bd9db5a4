//! Runs in the stores of other programs.

use std::path::Path;

use crate::program::{call, small_run};

/// The only run of the experiment `Default`.
fn only_run(store: &Path) -> std::path::PathBuf {
    let entries = store.join("0").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let runs: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

#[test]
fn a_run_is_logged_to_mlflow_while_it_trains_or_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let [out, store, later] = ["run", "mlruns", "later"].map(|name| folder.path().join(name));
    let [out_text, store_text, later_text] = [&out, &store, &later].map(|path| path.display().to_string());
    let mut args = small_run(folder.path());
    args.extend(["--out", &out_text, "--mlflow", &store_text].map(str::to_owned));
    let done = call(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let run = only_run(&store);
    let read = |file: &str| std::fs::read_to_string(run.join(file)).unwrap();
    assert_eq!(read("params/train.epochs"), "3");
    assert_eq!(read("params/update.rule"), "summed-paths");
    assert_eq!(read("tags/mlflow.runName"), "run");
    assert_eq!(read("metrics/train/loss").lines().count(), 3);
    assert!(read("meta.yaml").contains("status: 3\n"));
    let written = (read("meta.yaml"), read("metrics/train/loss"));
    // The same run is replaced, also in another store.
    let args = ["report", &out_text, "--mlflow", &store_text];
    assert_eq!(call(&args).code, 0);
    assert_eq!((only_run(&store), read("metrics/train/loss")), (run.clone(), written.1));
    assert_eq!(call(&["report", &out_text, "--mlflow", &later_text]).code, 0);
    assert_eq!(only_run(&later).file_name(), run.file_name());
    let file = folder.path().join("archs.txt").display().to_string();
    call(&["report", &out_text, "--mlflow", &file]).fails(1, &["archs.txt"]);
    let none = folder.path().join("none").display().to_string();
    let mut args = small_run(folder.path());
    args.extend(["--out", &none, "--mlflow", &file].map(str::to_owned));
    call(&args).fails(1, &["archs.txt"]);
    assert!(!Path::new(&none).exists(), "a run that cannot be logged leaves no folder");
}
