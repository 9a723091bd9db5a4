//! The metrics command on the real table against scipy.

#![allow(clippy::print_stdout, reason = "a test that says why it is skipped")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Call, program};
use crate::shared;

/// Writes a column of the table as a file of scores and compares it with a truth.
fn measure(column: &str, truth: &str) -> Option<Value> {
    let data = shared::tables()?;
    let table = std::fs::read_to_string(data.join("nasbench201/nasbench201.csv")).unwrap();
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name| names.iter().position(|n| *n == name).unwrap();
    let (ops, score) = (place("ops"), place(column));
    let mut csv = "arch,accuracy\n".to_owned();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        csv.push_str(&format!("{},{}\n", cells[ops], cells[score]));
    }
    let folder = tempfile::tempdir().unwrap();
    let pred = folder.path().join("pred.csv");
    std::fs::write(&pred, csv).unwrap();
    let output = program()
        .args(["metrics", "--truth", truth, "--resamples", "40", "--json", "--pred"])
        .arg(&pred)
        .env("PADA_DATA", &data)
        .output()
        .unwrap();
    Some(Call::from(output).json())
}

#[test]
fn golden_metrics_of_the_command_equal_scipy() {
    let Some(golden) = shared::golden_file("metrics.json") else { return };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    for column in ["cifar10_test_12", "cifar100_test_200"] {
        let Some(ours) = measure(column, "nb201") else { return };
        for (name, value) in golden[column].as_object().unwrap().iter().filter(|(name, _)| *name != "against")
        {
            let (a, b) = (ours[name].as_f64().unwrap(), value.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-12, "{column} {name}: {a} against {b}");
        }
    }
}

/// Runs `pada metrics` on two lists of scores.
fn compare(pred: &Path, truth: &Path) -> Value {
    let mut command = program();
    command.args(["metrics", "--space", "nb201", "--resamples", "40", "--json", "--pred"]).arg(pred);
    Call::from(command.arg("--truth").arg(truth).output().unwrap()).json()
}

#[track_caller]
fn assert_metrics(found: &Value, golden: &Value) {
    assert_eq!(found["n"], golden["n"]);
    for name in ["tau_b", "p_at_top_0.05"] {
        let (a, b) = (found[name].as_f64().unwrap(), golden[name].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-12, "{name}: {a} against {b}");
    }
}

/// Scores of the supernets of few-shot NAS; tests/data/make_few_shot_scores.py wrote the slice and its metrics by scipy.
#[test]
fn golden_metrics_of_a_slice_of_public_supernet_scores_equal_scipy() {
    let golden: Value = serde_json::from_str(include_str!("data/few_shot_scores.json")).unwrap();
    let lines: Vec<Vec<&str>> =
        include_str!("data/few_shot_scores.csv").lines().map(|line| line.split(',').collect()).collect();
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &str| {
        let column = lines[0].iter().position(|head| *head == name).unwrap();
        let rows = lines[1..].iter().map(|line| format!("{},{}\n", line[0], line[column]));
        let file = folder.path().join(name).with_extension("csv");
        std::fs::write(&file, "arch,accuracy\n".to_owned() + &rows.collect::<String>()).unwrap();
        file
    };
    let truth = list("stand_alone");
    for name in ["one_shot", "few_shot_5"] {
        assert_metrics(&compare(&list(name), &truth), &golden["slice"][name]);
    }
}

/// All scores, if they were downloaded into `$PADA_DATA` or the folder `data` of the workspace.
#[test]
fn golden_metrics_of_all_public_supernet_scores_equal_scipy() {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let folder = std::env::var_os("PADA_DATA").map_or(usual, PathBuf::from).join("few_shot_scores");
    let truth = folder.join("stand-alone.csv");
    if !truth.is_file() {
        println!("skipped: {} is not there; `pada download few-shot-scores` brings it", truth.display());
        return;
    }
    let golden: Value = serde_json::from_str(include_str!("data/few_shot_scores.json")).unwrap();
    for (file, name) in [("one-shot.csv", "one_shot"), ("few-shot-5.csv", "few_shot_5")] {
        assert_metrics(&compare(&folder.join(file), &truth), &golden["all"][name]);
    }
}

#[test]
fn accuracies_on_the_other_data_sets_of_nas_bench_201_are_truths_too() {
    for (column, truth) in
        [("cifar100_test_200", "nb201-cifar100"), ("imagenet16_test_200", "nb201-imagenet16")]
    {
        let Some(found) = measure(column, truth) else { return };
        assert_eq!(found["tau_b"].as_f64(), Some(1.0), "{truth}");
    }
}
