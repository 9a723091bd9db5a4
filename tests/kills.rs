//! Runs that are killed at random moments, also while a checkpoint is written, end as runs that were never killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{call, program, small_run};

/// How often the run of each method is killed: `$PADA_KILLS`, or a few times.
fn kills() -> usize {
    std::env::var("PADA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

/// Moments that look random and are the same every time: a linear congruential generator.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(20 + (self.0 >> 33) % 250)
    }
}

/// What a run found, without what the clock says and how many ranks there were.
pub(crate) fn found(run: &Path) -> (String, String) {
    let record = std::fs::read_to_string(run.join("record.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let still = |part: &mut serde_json::Value| {
        part.as_object_mut().unwrap().retain(|key, _| !["seconds", "communication"].contains(&key.as_str()));
    };
    record["train_seconds"].take();
    still(&mut record["ranking"]);
    still(&mut record["ranking"]["fusion"]);
    record["epochs"].as_array_mut().unwrap().iter_mut().for_each(still);
    (record.to_string(), std::fs::read_to_string(run.join("ranking.csv")).unwrap())
}

/// Kills runs until there have been enough kills. A run that ends before it is killed must have found what one found that was
/// never killed; then a new one is started.
fn killed_equals_whole(method: &str, settings: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut args = small_run(folder.path());
    args.extend(settings.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]));
    let new = |out: &Path| [&args[..], &["--out".to_owned(), out.display().to_string()]].concat();
    let whole = folder.path().join("whole");
    assert_eq!(call(&new(&whole)).code, 0, "{method}");
    let expected = found(&whole);

    let (mut moments, mut killed, mut run) = (Moments(method.len() as u64), 0, 0);
    while killed < kills() || run == 0 {
        let out = folder.path().join(format!("run-{run}"));
        let args = match out.join("config.toml").is_file() {
            true => vec!["--resume".to_owned(), out.display().to_string()],
            // Killed before its config was written, a run starts in the same folder.
            false => new(&out),
        };
        // A checkpoint after every step, so that many kills hit one.
        let mut child = program()
            .args(args)
            .args(["--checkpoint-every", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if killed < kills() {
            std::thread::sleep(moments.next());
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        if status.success() {
            assert_eq!(found(&out), expected, "{method}, run {run}, after {killed} kills");
            run += 1;
        } else {
            assert_eq!(status.code(), None, "{method}: ended by something else than a kill");
            killed += 1;
        }
    }
}

#[test]
fn pada_survives_kills() {
    killed_equals_whole("PA&DA", &[]);
}

#[test]
fn fairnas_survives_kills() {
    let fair = ["paths.rule=fair", "images.rule=uniform", "train.batch=48"];
    killed_equals_whole("FairNAS", &fair);
}

#[test]
fn sumnas_survives_kills() {
    let rule =
        "update={rule=\"sumnas\", variant=\"released\", inner_steps=2, inner_lr=0.05, inner_momentum=0.9}";
    killed_equals_whole("SUMNAS", &["paths.rule=fair", "images.rule=uniform", rule, "train.momentum=0.0"]);
}

#[test]
fn gradient_matching_survives_kills() {
    let split = "split={rule=\"gradient-matching\", splits=3, samples=1, between_epochs=1, leaf_epochs=1, \
                 last=\"reinitialise\"}";
    killed_equals_whole("GM", &["paths.rule=uniform", "images.rule=uniform", "train.epochs=1", split]);
}

#[test]
fn few_shot_survives_kills() {
    let split = "split={rule=\"few-shot\", positions=[4], leaf_epochs=1}";
    killed_equals_whole("Few-Shot", &["paths.rule=uniform", "images.rule=uniform", "train.epochs=1", split]);
}

/// Blocks open, and edges move between them, in the middle of the run, which restarts once.
#[test]
fn close_survives_kills() {
    let rule = "update={rule=\"close\", openings=[0.0,0.3,0.6], restart=0.4, \
                gate={embedding=16, hidden=32, temperature=5.0}}";
    killed_equals_whole("CLOSE", &["paths.rule=uniform", "images.rule=uniform", "train.epochs=5", rule]);
}

#[test]
fn nsas_survives_kills() {
    for constraints in ["\"random-and-diverse\"", "{archive=3}"] {
        let rule = format!("update={{rule=\"nsas\", beta=0.8, constraints={constraints}}}");
        killed_equals_whole("NSAS", &["paths.rule=uniform", "images.rule=uniform", &rule]);
    }
}

#[test]
fn magic_at_survives_kills() {
    let rule = "update={rule=\"magic-at\", weight=0.5}";
    killed_equals_whole("Magic-AT", &["paths.rule=one-change", "images.rule=uniform", rule]);
}
