//! `pada reproduce`: tables of few and short trials.

use std::path::Path;

use crate::program::{Call, call, program};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn networks_are_counted_without_any_trial() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("table3");
    let args =
        ["reproduce", "table3", "--seeds", "0", "--methods", "fairnas-a", "--json", "--out", text(&out)];
    let done = call(&args);
    let file = out.join("table.md");
    assert_eq!(done.json()["table"].as_str(), file.to_str());
    let table = std::fs::read_to_string(file).unwrap();
    assert!(table.contains("FairNAS-A") && table.contains("4651352"), "{table}");
    assert!(done.stdout.contains(&table), "the table is printed");
}

#[test]
fn shards_and_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let settings = ["train.epochs=1", "data.train_images=64", "rank.images=50", "rank.batch=50"];
    let settings: Vec<&str> = settings.iter().flat_map(|set| ["--set", *set]).collect();
    let plan = [&["--preset", "mini", "--methods", "spos,pada", "--seeds", "1"], &settings[..]].concat();
    let shard = |index: &str, out: &Path| {
        let args = ["reproduce", "table1", "--device", "cpu", "--shard", index, "--json", "--out", text(out)];
        let done = call(&[&args[..], &plan].concat());
        assert!(done.json()["table"].is_null(), "a shard writes no table");
        assert!(!out.join("table.md").exists());
    };
    shard("0/2", &first);
    shard("1/2", &second);
    let merge = ["reproduce", "merge", "table1", "--json", "--from", text(&second), "--out", text(&first)];
    let merged = call(&[&merge[..], &plan].concat());
    let table = std::fs::read_to_string(merged.json()["table"].as_str().unwrap()).unwrap();
    for part in ["| SPOS | 1 |", "| PA&DA (released) | 1 |", "changed: train.epochs=1"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    // The folder holds the trials of another config.
    let other = ["reproduce", "table1", "--out", text(&first), "--set", "train.lr=0.1"];
    call(&[&other[..], &plan].concat()).fails(2, &["contains another run", "train.lr is 0.05, would be 0.1"]);
}

#[test]
fn outside_of_a_clone_the_configs_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let output = program().args(["reproduce", "table1"]).current_dir(folder.path()).output().unwrap();
    Call::from(output).fails(2, &["configs/mini/pada.toml", "a clone of the repository"]);
    call(&["reproduce", "table1", "--methods", "spas"]).fails(2, &["spas", "spos"]);
    call(&["reproduce", "table3", "--methods", "darts"]).fails(2, &["there is no darts", "fairnas-a"]);
    call(&["reproduce", "table1", "--shard", "2/2"]).fails(2, &["0/2"]);
}

/// The request to stop reaches the trial, which writes a checkpoint; the same command continues it.
#[test]
#[cfg(unix)]
fn a_stopped_table_says_how_to_continue() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("table");
    let mut command = program();
    command.args(["reproduce", "table1", "--methods", "spos", "--seeds", "1", "--device", "cpu"]);
    command.args(["--set", "train.epochs=5000", "--set", "data.train_images=64", "--threads", "1", "--out"]);
    command.arg(&out).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let started = Instant::now();
    let is_checkpoint = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|ending| ending == "safetensors"))
    };
    let has_checkpoint = |trial: &Path| trial.read_dir().is_ok_and(|mut files| files.any(is_checkpoint));
    while !has_checkpoint(&out.join("spos-s0")) {
        assert!(started.elapsed() < Duration::from_secs(60), "the trial does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let stopped = Call::from(child.wait_with_output().unwrap());
    stopped.fails(130, &["stopped; ", "contains the finished trials; the same command continues"]);
    assert!(has_checkpoint(&out.join("spos-s0")), "the trial wrote a checkpoint");
}
