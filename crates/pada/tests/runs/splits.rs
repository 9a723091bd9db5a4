//! Runs that split their supernet: parts hold the space once, start from what they should, and go on after a stop.
use std::path::Path;

use pada::dist::ProcessGroup;
use pada::report::{EpochRecord, RunRecord};
use pada::space::{Arch, Nb201, SearchSpace};
use pada::trainer::Observer;
use pada::{Device, ErrorKind, PadaError, Run, RunConfig, RunFolder, Session};

use crate::tiny::tiny;

/// Returns a tiny run with these settings on top.
fn config(settings: &[&str]) -> RunConfig {
    let module = ["paths.rule=uniform", "images.rule=uniform"];
    tiny(&module, settings)
}

const FEW_SHOT: &str = "split={ rule = \"few-shot\", positions = [0, 1], leaf_epochs = 1 }";
const MATCHING: &str = "split={ rule = \"gradient-matching\", splits = 2, samples = 2, between_epochs = 1, \
                        leaf_epochs = 1, last = \"reinitialise\" }";

/// Stops after so many epochs.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn on_epoch(&mut self, _: &EpochRecord) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop_requested(&self) -> bool {
        self.0 == 0
    }
}

fn place() -> Session {
    let checkpoint_every = std::time::Duration::ZERO;
    Session {
        data_dir: "no data".into(),
        device: Device::Cpu,
        checkpoint_every,
        world: ProcessGroup::single(),
    }
}

/// Runs to the end; returns the record and the scores.
fn run(config: &RunConfig, folder: &Path) -> (RunRecord, String) {
    let folder = match folder.is_dir() {
        true => RunFolder::open(folder).unwrap().0,
        false => RunFolder::create(folder, config).unwrap(),
    };
    let record = Run::prepare(config, &place()).unwrap().execute(&folder, &mut ()).unwrap();
    (record, std::fs::read_to_string(folder.ranking()).unwrap())
}

fn holds(part: &[String], arch: &Arch) -> bool {
    arch.to_string().chars().zip(part).all(|(digit, allowed)| allowed.contains(digit))
}

/// Every architecture of the space is in exactly one part.
fn assert_partition(parts: &[Vec<String>]) {
    for arch in Nb201::new().archs() {
        let found = parts.iter().filter(|part| holds(part, &arch)).count();
        assert_eq!(found, 1, "{arch} is in {found} parts");
    }
}

#[test]
fn few_shot_parts_hold_the_space_once_and_start_from_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, scores) = run(&config(&[]), &folder.path().join("plain"));
    // Parts that train no epoch score as the supernet they come from.
    let untrained = FEW_SHOT.replace("leaf_epochs = 1", "leaf_epochs = 0");
    let (record, same) = run(&config(&[&untrained]), &folder.path().join("untrained"));
    assert_eq!((plain.sub_supernets.len(), record.sub_supernets.len()), (0, 25));
    assert_eq!(scores, same);
    assert_partition(&record.sub_supernets);

    let (record, other) = run(&config(&[FEW_SHOT]), &folder.path().join("trained"));
    assert_eq!(record.epochs.iter().map(|e| e.stage).collect::<Vec<_>>(), (0..26).collect::<Vec<_>>());
    assert_ne!(scores, other);
}

#[test]
fn gradient_matching_halves_every_supernet_at_every_split() {
    let folder = tempfile::tempdir().unwrap();
    let (record, scores) = run(&config(&[MATCHING]), &folder.path().join("a"));
    assert_eq!(record.sub_supernets.len(), 4);
    assert_partition(&record.sub_supernets);
    for part in &record.sub_supernets {
        let mut sizes: Vec<usize> = part.iter().map(String::len).filter(|&n| n < 5).collect();
        sizes.sort_unstable();
        assert_eq!(sizes.len(), 2, "two positions are split in {part:?}");
        assert!(sizes.iter().all(|n| [2, 3].contains(n)), "{part:?}");
    }
    let (again, same) = run(&config(&[MATCHING]), &folder.path().join("b"));
    assert_eq!((record.sub_supernets, scores), (again.sub_supernets, same));
}

/// The learning rate of the first step of every epoch, by stage.
fn rates(record: &RunRecord) -> Vec<(usize, f64)> {
    record.epochs.iter().map(|epoch| (epoch.stage, epoch.lr)).collect()
}

/// Half a cosine from .05 at this share of a schedule.
fn cosine(share: f64) -> f64 {
    0.025 * (1.0 + (std::f64::consts::PI * share).cos())
}

/// GM's public code: one cosine over all epochs, inherited at every split but the last, after which training starts anew.
#[test]
fn one_schedule_spans_a_run_of_gradient_matching_and_starts_anew_after_the_last_split() {
    let folder = tempfile::tempdir().unwrap();
    // One epoch, one between the splits, two after the last: four in all. Two sub-supernets after the first split, four after the last.
    let base = MATCHING.replace("leaf_epochs = 1", "leaf_epochs = 2");
    let whole = base.replace(" }", ", schedule = \"whole-run\" }");
    let (long, inherit) =
        (whole.replace(" }", ", last_schedule = \"whole-run\" }"), whole.replace("reinitialise", "inherit"));
    let before = [(0, cosine(0.0)), (1, cosine(0.25)), (2, cosine(0.25))];
    let cases: [(&str, &str, [f64; 3], [f64; 2]); 4] = [
        ("per-stage", &base, [cosine(0.0); 3], [cosine(0.0), cosine(0.5)]),
        ("leaf", &whole, before.map(|(_, lr)| lr), [cosine(0.0), cosine(0.5)]),
        ("long", &long, before.map(|(_, lr)| lr), [cosine(0.0), cosine(0.25)]),
        ("inherit", &inherit, before.map(|(_, lr)| lr), [cosine(0.5), cosine(0.75)]),
    ];
    for (name, split, first, last) in cases {
        let (record, _) = run(&config(&[split, "train.lr=0.05"]), &folder.path().join(name));
        let mut expected: Vec<(usize, f64)> = first.into_iter().enumerate().collect();
        expected.extend((3..7).flat_map(|stage| last.map(|lr| (stage, lr))));
        let found = rates(&record);
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-12,
                "{name}: {found:?} {expected:?}"
            );
        }
    }
    let refused = config(&[&base.replace(" }", ", last_schedule = \"whole-run\" }")]).check().unwrap_err();
    assert!(refused.to_string().contains("split.last_schedule"), "{refused}");
}

/// At a constant learning rate, the two schedules differ in the momentum alone.
#[test]
fn sub_supernets_inherit_the_momentum_with_one_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let inherit = MATCHING.replace("reinitialise", "inherit");
    let whole = inherit.replace(" }", ", schedule = \"whole-run\" }");
    let losses = |name: &str, split: &str, momentum: &str| {
        let settings = [split, "train.schedule=constant", momentum];
        let (record, _) = run(&config(&settings), &folder.path().join(name));
        record.epochs.iter().map(|epoch| epoch.loss).collect::<Vec<_>>()
    };
    let without = losses("a", &inherit, "train.momentum=0.0");
    assert_eq!(losses("b", &whole, "train.momentum=0.0"), without);
    let [own, inherited] =
        [("c", &inherit), ("d", &whole)].map(|(name, split)| losses(name, split, "train.momentum=0.9"));
    assert_eq!(own[0], inherited[0]);
    assert_ne!(own[1], inherited[1]);
}

/// PA&DA shares one p among all decisions. In a sub-supernet, the decision that was split draws from its operations in proportion to p.
#[test]
fn importance_sampling_works_in_sub_supernets() {
    let folder = tempfile::tempdir().unwrap();
    let split = "split={ rule = \"few-shot\", positions = [0], leaf_epochs = 1 }";
    let settings = [split, "paths.rule=importance", "images.rule=importance", "paths.smoothing.first=1.0"];
    let (record, _) = run(&config(&settings), &folder.path().join("run"));
    assert_eq!(record.sub_supernets.len(), 5);
    assert_partition(&record.sub_supernets);
    assert!(record.epochs.iter().all(|epoch| epoch.path_distribution.len() == 1));
    assert_eq!(record.epochs.len(), 6);
}

/// Stopped in the first supernet, in a part, and between two of them.
#[test]
fn a_split_run_goes_on_bit_for_bit() {
    let inherited = MATCHING.replace("reinitialise", "inherit").replace(" }", ", schedule = \"whole-run\" }");
    for split in [FEW_SHOT, MATCHING, &inherited] {
        let (folder, config) = (tempfile::tempdir().unwrap(), config(&[split]));
        let (whole, scores) = run(&config, &folder.path().join("whole"));
        let stopped = folder.path().join("stopped");
        RunFolder::create(&stopped, &config).unwrap();
        for epochs in [1, 2, 2] {
            let (folder, _) = RunFolder::open(&stopped).unwrap();
            let error = Run::prepare(&config, &place()).unwrap().execute(&folder, &mut StopAfter(epochs));
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Stopped);
        }
        let (record, same) = run(&config, &stopped);
        assert_eq!(scores, same);
        assert_eq!(record.sub_supernets, whole.sub_supernets);
        let losses = |record: &RunRecord| record.epochs.iter().map(|e| e.loss).collect::<Vec<_>>();
        assert_eq!(losses(&record), losses(&whole));
    }
}

#[test]
fn a_position_that_the_space_does_not_have_is_refused() {
    let bad = FEW_SHOT.replace("[0, 1]", "[0, 6]");
    let Err(error) = Run::prepare(config(&[&bad]), &place()) else { panic!("position 6 does not exist") };
    assert!(matches!(error, PadaError::Config(_)), "{error}");
    assert!(error.to_string().contains("split.positions"), "{error}");
}

#[test]
fn a_sampler_that_needs_the_same_operations_everywhere_is_refused_before_anything_is_trained() {
    let bad = config(&[FEW_SHOT, "paths.rule=fair"]);
    let Err(error) = Run::prepare(&bad, &place()) else { panic!("a step cannot be fair to parts") };
    assert!(
        error.to_string().contains("paths.rule") && error.to_string().contains("strict fairness"),
        "{error}"
    );
}

#[test]
fn a_run_with_fewer_operations_trains_and_ranks_only_those() {
    let folder = tempfile::tempdir().unwrap();
    let ops = "supernet.ops=[\"skip_connect\", \"nor_conv_3x3\"]";
    let (record, scores) = run(&config(&[ops, "rank.archs=all"]), &folder.path().join("run"));
    assert_eq!(record.ranking.unwrap().archs, 64);
    assert!(scores.lines().skip(1).all(|line| line[..6].chars().all(|c| "13".contains(c))));
    let p = &record.epochs[0].path_distribution[0];
    assert_eq!(p, &[0.0, 0.5, 0.0, 0.5]);
}
