//! The system refuses a call in the middle of a run: whatever is refused, the file is named, earlier work is whole, and the run
//! goes on to the result it would have had. `strace` puts the faults below the calls; without it the test says that it is skipped.
#![allow(clippy::print_stdout, reason = "a test that may be skipped")]

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Call, call, small_run};

/// Calls that a run changes files with, and how each can fail.
const FAULTS: [(&str, &str); 6] = [
    ("write", "ENOSPC"),
    ("write", "EIO"),
    ("fsync", "EIO"),
    ("renameat", "EIO"),
    ("renameat", "ENOSPC"),
    ("openat", "ENOSPC"),
];

/// One in so many faults is tried, all where `$PADA_FAULTS` is `all`.
const SAMPLE: usize = 7;

fn strace(log: &Path, options: &[&str], args: &[String]) -> Call {
    let mut command = Command::new("strace");
    command.env("PADA_DATA", "no-such-folder").env_remove("RUST_LOG");
    command.args(["-y", "-e", "trace=write,fsync,renameat,openat", "-o"]).arg(log).args(options);
    command.arg(env!("CARGO_BIN_EXE_pada")).args(args).args(["--threads", "1"]);
    Call::from(command.output().unwrap())
}

/// Which calls of the main thread, counted from 1 for each name, change a file in `run`.
fn calls(log: &Path, run: &Path) -> Vec<(String, usize)> {
    let mut counts = std::collections::HashMap::new();
    let mut found = Vec::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        let opens_to_read = name == "openat" && !rest.contains("O_CREAT");
        if rest.contains(run.to_str().unwrap()) && !opens_to_read {
            found.push((name.to_owned(), *count));
        }
    }
    found
}

#[test]
fn whatever_call_is_refused_the_run_names_a_file_and_goes_on() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let new = |run: &Path| {
        let settings = ["--set", "train.epochs=2", "--out", run.to_str().unwrap()].map(str::to_owned);
        [small_run(folder.path()), settings.to_vec()].concat()
    };
    let ranking = |run: &Path| std::fs::read_to_string(run.join("ranking.csv")).unwrap();
    let (log, whole) = (at("log"), at("run-whole"));
    let plain = strace(&log, &[], &new(&whole));
    assert_eq!(plain.code, 0);
    let calls = calls(&log, &whole);
    for name in ["write", "fsync", "renameat", "openat"] {
        assert!(calls.iter().filter(|(n, _)| n == name).count() >= 6, "{calls:?}");
    }
    let all = std::env::var("PADA_FAULTS").is_ok_and(|faults| faults == "all");
    let faults = FAULTS.iter().flat_map(|&(name, error)| {
        calls.iter().filter(move |(n, _)| n == name).map(move |(_, count)| (name, error, *count))
    });
    for (i, (name, error, count)) in faults.enumerate().filter(|(i, _)| all || i % SAMPLE == 0) {
        let (run, what) = (at(&format!("run-{i}")), format!("{name} number {count}: {error}"));
        let inject = format!("inject={name}:error={error}:when={count}");
        let refused = strace(&log, &["-e", &inject], &new(&run));
        let said = refused.stderr;
        assert_ne!(refused.code, 0, "{what}: the run did not notice");
        assert!(said.contains(run.to_str().unwrap()), "{what}: no file is named: {said}");
        let again = match run.join("config.toml").is_file() {
            true => call(&["--resume", run.to_str().unwrap()]),
            false => {
                let _ = std::fs::remove_dir_all(&run);
                call(&new(&run))
            }
        };
        assert_eq!(again.code, 0, "{what}: {}", again.stderr);
        assert_eq!(ranking(&run), ranking(&whole), "{what}");
    }
}
