//! The metrics command on the real table against scipy.

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

#[test]
fn accuracies_on_the_other_data_sets_of_nas_bench_201_are_truths_too() {
    for (column, truth) in
        [("cifar100_test_200", "nb201-cifar100"), ("imagenet16_test_200", "nb201-imagenet16")]
    {
        let Some(found) = measure(column, truth) else { return };
        assert_eq!(found["tau_b"].as_f64(), Some(1.0), "{truth}");
    }
}
