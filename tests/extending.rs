//! Runs that train longer than they were planned to.

use std::path::Path;

use crate::program::{Call, call, small_retrain, small_run};

/// Settings under which nothing in an epoch depends on the number of all epochs.
const CONSTANT: [&str; 3] = ["train.schedule=constant", "paths.rule=uniform", "images.rule=uniform"];

fn run(folder: &Path, name: &str, settings: &[&str]) -> String {
    let out = folder.join(name).display().to_string();
    let mut args = small_run(folder);
    args.extend(settings.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    args.extend(["--out".to_owned(), out.clone()]);
    let done = call(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    out
}

fn extend(run: &str, epochs: &str) -> Call {
    call(&["--resume", run, "--extend-to", epochs])
}

fn read(run: &str, file: &str) -> Vec<u8> {
    std::fs::read(Path::new(run).join(file)).unwrap()
}

fn with_epochs(run: &str, epochs: usize) {
    let file = Path::new(run).join("config.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let is_epochs = |line: &str| line.starts_with("epochs = ");
    let lines: Vec<String> = config
        .lines()
        .map(|line| if is_epochs(line) { format!("epochs = {epochs}") } else { line.to_owned() })
        .collect();
    std::fs::write(file, lines.join("\n")).unwrap();
}

#[test]
fn an_extended_run_equals_a_longer_run() {
    let folder = tempfile::tempdir().unwrap();
    for schedule in ["train.schedule=constant", "train={schedule=\"step\",lr_decay_epochs=2.0}"] {
        let settings = [&CONSTANT[1..], &[schedule, "train.epochs=2"]].concat();
        let short = run(folder.path(), "short", &settings);
        let long = run(folder.path(), "long", &[&settings[..], &["train.epochs=4"]].concat());
        let done = extend(&short, "4");
        assert_eq!(done.code, 0, "{}", done.stderr);
        for file in ["ranking.csv", "config.toml"] {
            assert_eq!(read(&short, file), read(&long, file), "{schedule}, {file}");
        }
        let weights = |run: &str| {
            let bytes = read(run, "epoch-0004.safetensors");
            let head = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            bytes[head..].to_vec()
        };
        assert_eq!(weights(&short), weights(&long), "{schedule}");
        // The number of epochs of the config counts as well.
        with_epochs(&short, 5);
        assert_eq!(call(&["--resume", &short]).code, 0);
        assert!(Path::new(&short).join("epoch-0005.safetensors").is_file());
        for run in [short, long] {
            std::fs::remove_dir_all(run).unwrap();
        }
    }
}

#[test]
fn a_run_whose_numbers_depend_on_its_epochs_is_not_extended() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, word) in [
        (&["train.schedule=cosine"][..], "train.schedule = \"cosine\" ends"),
        (&["train.schedule=constant"], "paths.smoothing rises"),
        (&["train.schedule=constant", "paths.rule=uniform"], "images.smoothing rises"),
    ] {
        let run = run(folder.path(), "run", &[settings, &["train.epochs=1"]].concat());
        let config = read(&run, "config.toml");
        extend(&run, "2").fails(2, &["cannot be extended to 2 epochs", word, "start a new run"]);
        assert_eq!(read(&run, "config.toml"), config);
        with_epochs(&run, 2);
        let done = call(&["--resume", &run]);
        done.fails(2, &["`train.epochs` is 1 in the checkpoint and 2 in this run", word, "start a new run"]);
        assert!(done.stderr.len() < 400, "{}", done.stderr);
        std::fs::remove_dir_all(run).unwrap();
    }
    let constant = run(folder.path(), "run", &[&CONSTANT[..], &["train.epochs=2"]].concat());
    extend(&constant, "1").fails(2, &["`--extend-to` is 1, but the run has 2 epochs", "at least"]);
    extend(&constant, "0").fails(2, &["--extend-to"]);
    call(&["--extend-to", "3"]).fails(2, &["--resume"]);
    // Fewer epochs than the checkpoint was planned for are another run.
    with_epochs(&constant, 1);
    call(&["--resume", &constant]).fails(2, &["`train.epochs` is 2 in the checkpoint and 1 in this run"]);
}

#[test]
fn a_retrained_network_is_extended_or_becomes_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let train = |name: &str, schedule: &str| {
        let mut args =
            vec!["retrain".to_owned(), "--arch".into(), "333333".into(), "--out".into(), out(name)];
        args.extend(small_retrain());
        args.extend(["--set".to_owned(), format!("train.schedule={schedule}")]);
        assert_eq!(call(&args).code, 0);
    };
    train("constant", "constant");
    let done = call(&["retrain", "--resume", &out("constant"), "--extend-to", "4", "--json"]);
    assert_eq!(done.json()["epochs"], 4);
    train("cosine", "cosine");
    let refused = call(&["retrain", "--resume", &out("cosine"), "--extend-to", "4"]);
    refused.fails(2, &["train.schedule = \"cosine\"", "pada retrain --init RUN_DIR"]);
}
