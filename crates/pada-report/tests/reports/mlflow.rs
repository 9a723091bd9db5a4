//! Runs in a file store of MLflow. `mlflow-skinny` 3.17 reads such a store with `MlflowClient(tracking_uri=…).get_run` and `get_metric_history`.
use std::path::Path;

use pada_report::{EpochRecord, MlflowRun, MlflowStore, RunRecord};

use crate::method_table::epoch;
use crate::record::record;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn write(store: &Path, record: &RunRecord, is_finished: bool) {
    let params = [("train.epochs", "2"), ("rank.archs", "all"), ("long", &"x".repeat(6001))];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let op_names = &["none", "conv"];
    let run = MlflowRun { id: ID, name: "a \"run\"", params: &params, record, op_names, is_finished };
    MlflowStore::open(store).unwrap().write(&run).unwrap();
}

/// The words of a file, which a store has at a path.
fn words(store: &Path, file: &str) -> Vec<String> {
    let path = store.join("0").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split_whitespace().map(str::to_owned).collect()
}

fn value_of<'a>(meta: &'a [String], key: &str) -> &'a str {
    let place = meta.iter().position(|word| word == key).unwrap();
    &meta[place + 1]
}

#[test]
fn a_run_has_params_metrics_and_tags_as_mlflow_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ml runs");
    let epochs: Vec<EpochRecord> = (0..2).map(|n| epoch(n, &[[0, 1]], &[0, 1])).collect();
    write(&store, &RunRecord { epochs, ..record() }, true);
    let experiment = words(&store, "meta.yaml");
    assert_eq!((value_of(&experiment, "experiment_id:"), value_of(&experiment, "name:")), ("'0'", "Default"));
    assert!(value_of(&experiment, "artifact_location:").ends_with("/ml%20runs/0\""), "{experiment:?}");
    assert_eq!(words(&store, &format!("{ID}/params/train.epochs")), ["2"]);
    assert!(!store.join("0").join(ID).join("params/long").exists(), "MLflow refuses long values");
    assert_eq!(words(&store, &format!("{ID}/tags/pada.method")), ["pada", "released"]);
    let meta = words(&store, &format!("{ID}/meta.yaml"));
    assert_eq!([value_of(&meta, "run_id:"), value_of(&meta, "status:")], [ID, "3"]);
    let started: u64 = value_of(&meta, "start_time:").parse().unwrap();
    assert!(value_of(&meta, "end_time:").parse::<u64>().unwrap() >= started);
    // One line per epoch: milliseconds, value and step. An epoch of this record takes a second.
    let loss = words(&store, &format!("{ID}/metrics/train/loss"));
    let times = [started + 1000, started + 2000].map(|time| time.to_string());
    assert_eq!(loss, [&times[0], "2", "0", &times[1], "2", "1"]);
    assert_eq!(words(&store, &format!("{ID}/metrics/gradient_variance/raw"))[4..], ["0.5", "1"]);
    assert_eq!(words(&store, &format!("{ID}/metrics/paths/p/conv"))[1], "0.5");
    let tau = words(&store, &format!("{ID}/metrics/ranking/tau_b/table"));
    assert_eq!((tau.len(), tau[2].as_str()), (3, "2"));
}

#[test]
fn a_run_that_is_written_again_keeps_its_start_and_replaces_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path();
    let running = RunRecord { epochs: vec![epoch(0, &[[0, 1]], &[0])], ranking: None, ..record() };
    write(store, &running, false);
    let meta = words(store, &format!("{ID}/meta.yaml"));
    assert_eq!([value_of(&meta, "status:"), value_of(&meta, "end_time:")], ["1", "null"]);
    let started = value_of(&meta, "start_time:").to_owned();
    write(store, &running, true);
    let meta = words(store, &format!("{ID}/meta.yaml"));
    assert_eq!([value_of(&meta, "status:"), value_of(&meta, "start_time:")], ["3", &started]);
    assert_eq!(words(store, &format!("{ID}/metrics/train/loss")).len(), 3);
    assert_eq!(store.join("0").read_dir().unwrap().count(), 2, "one run and meta.yaml");
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mlruns");
    std::fs::write(&file, "a file").unwrap();
    let error = MlflowStore::open(&file).unwrap_err().to_string();
    assert!(error.contains("mlruns"), "{error}");
}
