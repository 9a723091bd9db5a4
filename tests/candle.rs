//! The candle executor in the program. Only a build with the feature `candle` has it.

use std::path::Path;

use crate::program::{Call, call, small_run};

const PT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pada-models/tests/data/plain.pt");

fn run(folder: &Path, executor: &str) -> Call {
    let mut args = small_run(folder);
    let out = folder.join(executor).display().to_string();
    let executor = format!("compute.executor={executor}");
    args.extend(["--json", "--out", &out, "--set", &executor].map(str::to_owned));
    call(&args)
}

fn rank(folder: &Path) -> Call {
    let out = folder.join("scores.csv").display().to_string();
    let net = ["rank", "--weights", PT, "--channels", "2", "--cells", "1", "--data", "mini", "--limit", "30"];
    call(&[&net[..], &["--archs", "random:2", "--executor", "candle", "--out", &out]].concat())
}

#[cfg(feature = "candle")]
#[test]
fn a_run_with_candle_trains_as_with_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let losses = ["engine", "candle"].map(|executor| {
        let done = run(folder.path(), executor);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let record = std::fs::read(folder.path().join(executor).join("record.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        record["epochs"][0]["loss"].as_f64().unwrap()
    });
    assert!((losses[0] - losses[1]).abs() < 0.01 * losses[0], "{losses:?}");
    assert_eq!(rank(folder.path()).code, 0);
}

#[cfg(not(feature = "candle"))]
#[test]
fn without_the_feature_the_error_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["compute.executor", "cargo build --release -p pada-train --features candle"];
    run(folder.path(), "candle").fails(2, &words);
    rank(folder.path()).fails(2, &words);
    assert!(!folder.path().join("candle").exists(), "it left a folder");
    assert!(!folder.path().join("scores.csv").exists(), "it left a file");
}
