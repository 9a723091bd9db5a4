//! Tests of a kit's script with fake programs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::results::{Outcome, Results, Stage};
use super::{build, manifest, parts};

const PADA: &str = include_str!("fakes/pada.sh");
const BENCH: &str = include_str!("fakes/pada-bench.sh");
const KIT: &str = include_str!("fakes/pada-gpu-kit.sh");
const TEST: &str = include_str!("fakes/test.sh");
const SANITIZER: &str = include_str!("fakes/compute-sanitizer.sh");
const NCU: &str = include_str!("fakes/ncu.sh");
const SMI: &str = include_str!("fakes/nvidia-smi.sh");
const PEER: &str = include_str!("fakes/peer_device.py");

/// A kit of fake programs, tools for `$PATH`, and a package for Python.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        for (name, text) in build::FILES {
            fake.write(&format!("kit/{name}"), text);
        }
        for (name, text) in [
            ("pada", PADA),
            ("pada-bench", BENCH),
            ("pada-gpu-kit", KIT),
            ("test-engine", TEST),
            ("pada-candle", PADA),
        ] {
            let packed = parts::gzip(text.as_bytes()).unwrap();
            fake.write(&format!("kit/bin/{name}.gz"), packed);
        }
        fake.write("kit/tests.txt", "engine cuda golden\n");
        fake.write("kit/parts.txt", "");
        fake.write("kit/golden/ops.safetensors", "numbers");
        fake.write("kit/paths/nb201.json", "[]");
        fake.write("kit/peer/peer_device.py", PEER);
        for config in ["short.toml", "pada.toml"] {
            fake.write(&format!("kit/configs/nb201/{config}"), "");
        }
        fake.list();
        for (name, text) in [("nvidia-smi", SMI), ("compute-sanitizer", SANITIZER), ("ncu", NCU)] {
            fake.write(&format!("tools/{name}"), text);
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(fake.path().join("tools").join(name), mode).unwrap();
        }
        fake.write("python/torch/__init__.py", "");
        fake
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn list(&self) {
        manifest::write(&self.path().join("kit"), &build::PARTS, Some("0123abc")).unwrap();
    }

    /// Runs the script in another folder than the kit's.
    fn run(&self, args: &[&str], environment: &[(&str, &str)]) -> Output {
        let tools = self.path().join("tools").display().to_string();
        let mut command = Command::new("bash");
        command.arg(self.path().join("kit/run.sh")).args(args).current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PADA_") {
                command.env_remove(name);
            }
        }
        command.env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap()));
        command.env("PYTHONPATH", self.path().join("python")).env("OUT", self.path().join("results"));
        command.envs(environment.iter().copied()).output().unwrap()
    }

    fn results(&self) -> Results {
        Results::read(&self.path().join("results")).unwrap()
    }
}

fn stage<'a>(results: &'a Results, name: &str) -> &'a Stage {
    results.stages.iter().find(|stage| stage.name == name).unwrap_or_else(|| panic!("no stage {name}"))
}

fn failed(results: &Results) -> Vec<&str> {
    let failed = results.stages.iter().filter(|stage| matches!(stage.outcome(), Outcome::Failed(_)));
    failed.map(|stage| stage.name.as_str()).collect()
}

#[test]
fn where_everything_works_every_stage_passes() {
    let fake = Fake::new();
    let output = fake.run(&["check"], &[]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let results = fake.results();
    assert_eq!((results.command.as_str(), results.commit.as_str()), ("check", "0123abc"));
    assert_eq!(results.card().unwrap(), "Fake H1");
    assert_eq!(results.fact("driver"), Some("1.2.3"));
    let mut names: Vec<_> = results.stages.iter().map(|stage| stage.name.as_str()).collect();
    // These four run at the same time.
    names[3..7].sort_unstable();
    assert_eq!(
        names,
        [
            "environment",
            "doctor",
            "tests-engine",
            "sanitizer-initcheck",
            "sanitizer-memcheck",
            "sanitizer-racecheck",
            "sanitizer-synccheck",
            "mini-cpu",
            "mini-gpu",
            "mini-compare",
            "candle",
            "engine-f32",
            "engine-tf32",
            "engine-bf16",
            "ops",
            "torch",
            "ncu",
            "torch-compile"
        ]
    );
    for stage in &results.stages {
        let expected = if stage.name == "engine-tf32" { Outcome::Skipped } else { Outcome::Passed };
        assert_eq!(
            stage.outcome(),
            expected,
            "{}: {}\n{}",
            stage.name,
            stage.text,
            results.logs[&stage.name]
        );
    }
    let log = |name: &str| &results.logs[name];
    assert!(
        log("tests-engine")
            .contains("device 0, golden KIT/golden, cache KIT/kernels, required 1, filters cuda golden")
    );
    let common = "--space nb201 --paths KIT/paths/nb201.json --steps 40 --sweeps 5 --device cuda:0 --precision bf16 --json";
    for call in ["step {}\"", "step {} --gradient-variance --kernels\"", "rank {} --kernels\""] {
        let call = call.replace("{}", common);
        assert!(log("engine-bf16").contains(&call), "{call} is not in\n{}", log("engine-bf16"));
    }
    assert!(
        log("torch")
            .contains(r#""--task", "train,rank", "--modes", "eager,bf16,channels_last", "--steps", "40""#)
    );
    assert!(log("torch-compile").contains(r#""--compile-paths", "1""#));
    assert_eq!(std::fs::read_to_string(fake.path().join("results/summary.md")).unwrap(), "# shown\n");
    assert!(shown.contains("17 passed, 0 failed, 1 skipped"), "{shown}");
}

#[test]
fn failures_are_told_apart_and_stop_nothing() {
    let fake = Fake::new();
    let settings = [
        ("FAKE_FAULT", "1"),
        ("FAKE_FAILURE", "1"),
        ("FAKE_ERRORS", "2"),
        ("FAKE_LOSS", "2.1"),
        ("FAKE_LOG", "1"),
    ];
    let output = fake.run(&["check"], &settings);
    assert_eq!(output.status.code(), Some(1));
    let results = fake.results();
    assert_eq!(
        failed(&results),
        [
            "tests-engine",
            "sanitizer-racecheck",
            "mini-compare",
            "candle",
            "engine-bf16",
            "engine-bf16-blocking"
        ]
    );
    let text = |name: &str| stage(&results, name).text.as_str();
    let failure = "error: test result: FAILED. 3 passed; 1 failed First failure: off by 0.5";
    assert_eq!(text("tests-engine"), failure);
    assert!(
        text("sanitizer-racecheck").contains("ERROR SUMMARY: 2 errors"),
        "{}",
        text("sanitizer-racecheck")
    );
    assert!(
        text("mini-compare").contains("the losses of epoch 0 are 5.00% apart, at most 1%"),
        "{}",
        text("mini-compare")
    );
    assert!(text("engine-bf16").contains("illegal memory access"));
    assert!(text("engine-bf16-blocking").contains("the kernel dense_forward_16"), "the kernel is named");
    // The beginning and the end of a long log are kept.
    let log = &results.logs["tests-engine"];
    assert!(log.len() < 600_000 && log.contains("bytes are left out here"), "{} bytes", log.len());
    assert!(log.starts_with("device 0") && log.ends_with(&format!("{failure}\n")));
}

#[test]
fn without_a_gpu_the_doctor_s_stage_fails() {
    let fake = Fake::new();
    fake.run(&["check"], &[("FAKE_GPU", "false")]);
    let results = fake.results();
    let names =
        ["doctor", "sanitizer-initcheck", "sanitizer-memcheck", "sanitizer-racecheck", "sanitizer-synccheck"];
    let mut found = failed(&results);
    found.sort_unstable();
    assert_eq!(found, names);
    assert_eq!(stage(&results, "doctor").text, "error: no GPU can be used: cuda:0 a card");
}

#[test]
fn a_stage_that_hangs_ends_at_its_limit_and_what_no_time_is_left_for_is_skipped() {
    let fake = Fake::new();
    let output = fake.run(&["check"], &[("FAKE_HANG", "1"), ("PADA_KIT_LIMIT", "2")]);
    assert_eq!(output.status.code(), Some(1));
    let results = fake.results();
    assert_eq!(failed(&results), ["tests-engine"]);
    let text = &stage(&results, "tests-engine").text;
    assert!(text.starts_with("stopped at its limit of 2 s"), "{text}");
    // The whole time limit is reserved.
    let output = fake.run(&["check"], &[("PADA_KIT_TOTAL", "5")]);
    assert_eq!(output.status.code(), Some(0));
    let results = fake.results();
    assert!(results.stages.iter().all(|stage| stage.text == "skipped: no time was left"));
    assert_eq!(results.stages.len(), 18);
}

#[test]
fn a_damaged_kit_and_one_that_is_incomplete_are_found() {
    let fake = Fake::new();
    fake.write("kit/golden/ops.safetensors", "other numbers");
    fake.run(&["check"], &[("PADA_KIT_LIMIT", "9")]);
    let results = fake.results();
    assert_eq!(failed(&results), ["environment"]);
    assert!(stage(&results, "environment").text.contains("copy the kit again"));
    std::fs::remove_file(fake.path().join("kit/MANIFEST")).unwrap();
    let output = fake.run(&["check"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the kit is incomplete"));
}

#[test]
fn full_brings_the_newest_checkpoint_home_and_goes_on_the_next_time() {
    let fake = Fake::new();
    let full = || fake.run(&["full", "600"], &[("PADA_KIT_LIMIT", "3")]);
    let output = full();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let results = fake.results();
    let names: Vec<_> = results.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["data", "short-s0", "short-s1", "short-s2", "pada"]);
    assert!(
        stage(&results, "pada").text.contains("newest checkpoint: epoch-0003-step-00020.safetensors"),
        "{shown}"
    );
    assert!(results.logs["pada"].contains("resumed: 0"));
    let folder = fake.path().join("results");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "config.toml",
            "epoch-0003-step-00020.safetensors",
            "logs.tar.gz",
            "record.json",
            "summary.md",
            "summary.txt"
        ]
    );

    // The results alone are enough to resume on another machine.
    let runs = fake.path().join("kit/runs");
    std::fs::remove_dir_all(&runs).unwrap();
    for file in ["config.toml", "record.json", "epoch-0003-step-00020.safetensors"] {
        fake.write(&format!("kit/runs/nb201-pada/{file}"), std::fs::read(folder.join(file)).unwrap());
    }
    fake.write("kit/runs/nb201-short-s0/record.json", r#"{"ranking": {"archs": 400}}"#);
    full();
    let results = fake.results();
    assert!(results.logs["pada"].contains("resumed: 1"));
    assert_eq!(stage(&results, "short-s0").text, "nb201-short-s0 was finished by an earlier call");
    assert!(
        results.logs["short-s1"].contains("trained on cuda:0 KIT/configs/nb201/short.toml"),
        "{:?}",
        results.logs
    );
}

#[test]
fn wrong_usage_ends_with_two() {
    let fake = Fake::new();
    for args in [&["check-all"][..], &["full"], &["full", "an hour"], &["stage"], &["stage", "unknown"]] {
        assert_eq!(fake.run(args, &[]).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(fake.run(&["help"], &[]).status.code(), Some(0));
}

#[test]
fn losses_that_are_no_numbers_do_not_agree() {
    let fake = Fake::new();
    let record = |losses: &str, tau: &str| {
        format!(
            r#"{{"device":"d","epochs":[{losses}],"ranking":{{"agreements":[{{"metrics":{{"tau_b":{tau}}}}}]}}}}"#
        )
    };
    let two = r#"{"loss":2.0},{"loss":1.5}"#;
    fake.write("cpu.json", record(two, "0.40"));
    for (gpu, part) in [
        (record(r#"{"loss":2.01},{"loss":1.56}"#, "0.45"), None),
        (record(r#"{"loss":NaN},{"loss":1.5}"#, "0.40"), Some("epoch 0 are nan% apart")),
        (record(r#"{"loss":2.03},{"loss":1.5}"#, "0.40"), Some("epoch 0 are 1.50% apart, at most 1%")),
        (record(r#"{"loss":2.0},{"loss":1.6}"#, "0.40"), Some("epoch 1 are 6.67% apart, at most 5%")),
        (record(two, "0.55"), Some("tau-b is 0.400 on the CPU and 0.550 on the GPU")),
        (record(two, "null"), Some("has no tau-b")),
        (record(r#"{"loss":2.0}"#, "0.40"), Some("2 epochs on the CPU, 1 on the GPU")),
    ] {
        fake.write("gpu.json", &gpu);
        let mut python = Command::new("python3");
        python.arg(fake.path().join("kit/checks.py")).args(["runs", "cpu.json", "gpu.json"]);
        let output = python.current_dir(fake.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), part.is_none(), "{gpu}: {said}");
        assert!(said.contains(part.unwrap_or("trains and ranks as the CPU does")), "{gpu}: {said}");
    }
}
