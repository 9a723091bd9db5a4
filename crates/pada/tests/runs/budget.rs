//! Rankings by rounds: all architectures on few images, and the promising ones on more.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pada::dist::{ProcessGroup, threads};
use pada::report::{HalvingRound, RankRecord};
use pada::trainer::Observer;
use pada::{Device, ErrorKind, PadaError, Run, RunConfig, RunFolder, Session};

use crate::tiny::tiny;

/// Returns a tiny run with these settings on top.
fn config(settings: &[&str]) -> RunConfig {
    let module = [
        "rank.images=80",
        "rank.batch=10",
        "rank.archs=random:60",
        "rank.fuse=[\"supernet\", \"conv-depth\"]",
        "rank.zero_cost=[\"nwot\"]",
        "rank.zero_cost_images=8",
    ];
    tiny(&module, settings)
}

/// Asks to stop after a number of messages about scores.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn on_scored(&mut self, _: usize, _: usize) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop_requested(&self) -> bool {
        self.0 == 0
    }
}

/// Starts or resumes a run, whose processes are threads.
fn run(
    settings: &[&str],
    folder: &Path,
    worlds: Vec<ProcessGroup>,
    scores: usize,
) -> Result<RankRecord, PadaError> {
    let config = config(settings);
    let process = |world: ProcessGroup| {
        let leads = world.index() == 0;
        // Scores are saved after every architecture.
        let checkpoint_every = Duration::ZERO;
        let session = Session { data_dir: "no data".into(), device: Device::Cpu, checkpoint_every, world };
        let run = Run::prepare(&config, &session)?;
        let mut observer = StopAfter(scores);
        if !leads {
            return run.run_worker(&mut observer).map(|()| None);
        }
        let folder = match folder.is_dir() {
            true => RunFolder::open(folder)?.0,
            false => RunFolder::create(folder, &config)?,
        };
        run.execute(&folder, &mut observer).map(Some)
    };
    std::thread::scope(|scope| {
        let processes: Vec<_> = worlds.into_iter().map(|world| scope.spawn(|| process(world))).collect();
        let mut found: Vec<_> = processes.into_iter().map(|process| process.join().unwrap()).collect();
        found.swap_remove(0).map(|record| record.unwrap().ranking.unwrap())
    })
}

fn single() -> Vec<ProcessGroup> {
    vec![ProcessGroup::single()]
}

const TO_THE_END: usize = usize::MAX;
const TEN: &str = "rank.budget=\"10 images\"";

/// Number of correct images and of images by architecture.
fn scores(folder: &Path) -> BTreeMap<String, (usize, usize)> {
    let csv = std::fs::read_to_string(folder.join("ranking.csv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), (cells[1].parse().unwrap(), cells[2].parse().unwrap()))
    };
    csv.lines().skip(1).map(row).collect()
}

#[test]
fn the_promising_quarter_is_scored_on_all_images_as_without_a_budget() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, halved, ample] = ["whole", "halved", "ample"].map(|name| folder.path().join(name));
    assert_eq!(run(&[], &whole, single(), TO_THE_END).unwrap().halving, None);
    let record = run(&[TEN], &halved, single(), TO_THE_END).unwrap();
    let halving = record.halving.as_ref().unwrap();
    assert_eq!((halving.budget.as_str(), halving.controls), ("10 images", 16));
    let [first, second, last] = halving.rounds[..] else { panic!("{halving:?}") };
    assert_eq!(first, HalvingRound { archs: 60, images: 10 });
    assert!(second.images == 40 && (15..=31).contains(&second.archs), "{second:?}");
    assert!(last.images == 80 && (16..=20).contains(&last.archs), "{last:?}");
    assert_eq!(halving.images(), 60 * 10 + second.archs * 30 + last.archs * 40);
    assert_eq!(record.scored_images(), halving.images());

    let (all, some) = (scores(&whole), scores(&halved));
    assert_eq!(some.len(), 60);
    let mut by_round = BTreeMap::new();
    for (arch, &(correct, images)) in &some {
        *by_round.entry(images).or_insert(0) += 1;
        if images == 80 {
            assert_eq!(all[arch], (correct, 80), "{arch}");
        }
    }
    let expected =
        BTreeMap::from([(10, 60 - second.archs), (40, second.archs - last.archs), (80, last.archs)]);
    assert_eq!(by_round, expected);
    assert_eq!(some[&record.best[0].arch].1, 80, "{}", record.best[0].arch);
    let (tau_b, interval) = (halving.tau_b_with_all.unwrap(), halving.tau_b_with_all_interval.unwrap());
    assert!(interval.contains(tau_b), "{tau_b}, {interval}");
    let text = pada::report::ranking_summary(&record);
    assert!(text.contains("budget     10 images; rounds: 60 architectures on 10 images, "), "{text}");

    // With enough time, all architectures are scored on all images.
    let record = run(&["rank.budget=\"1h\""], &ample, single(), TO_THE_END).unwrap();
    assert_eq!(record.halving.unwrap().rounds, [HalvingRound { archs: 60, images: 80 }]);
    assert_eq!(scores(&ample), all);
}

#[test]
fn without_fusion_the_promising_quarter_is_that_of_the_supernet() {
    let folder = tempfile::tempdir().unwrap();
    let [halved, few] = ["halved", "few"].map(|name| folder.path().join(name));
    let plain = ["rank.fuse=[]", "rank.zero_cost=[]", TEN];
    let record = run(&plain, &halved, single(), TO_THE_END).unwrap();
    let halving = record.halving.unwrap();
    assert_eq!((halving.rounds.len(), halving.controls), (3, 16));
    // The column of accuracies has what the architectures were ranked by.
    let csv = std::fs::read_to_string(halved.join("ranking.csv")).unwrap();
    let mut rows: Vec<(f64, &str)> = csv
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[3].parse().unwrap(), cells[0])
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert_eq!((record.best[0].score, record.best[0].arch.as_str()), rows[0]);
    let record = run(&[&plain[..], &["rank.archs=random:1"]].concat(), &few, single(), TO_THE_END).unwrap();
    assert_eq!(record.halving.unwrap().controls, 1);
}

#[test]
fn a_budget_that_is_none_is_refused_with_its_key() {
    for wrong in ["5", "0m", "0 images", "10 minutes"] {
        let error = RunConfig::mini().with(&format!("rank.budget=\"{wrong}\"")).unwrap_err().to_string();
        assert!(error.contains("rank.budget") && error.contains("128 images"), "{error}");
    }
    let mut filled = RunConfig::mini();
    filled.rank.budget = Some(pada::RankBudget::FirstImages(0));
    let error = filled.check().unwrap_err().to_string();
    assert!(error.contains("rank.budget"), "{error}");
}

#[test]
fn a_stopped_ranking_goes_on_with_its_rounds_and_several_processes_find_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped, shared] = ["whole", "stopped", "shared"].map(|name| folder.path().join(name));
    let budget = &["rank.budget=\"20 images\""];
    let record = run(budget, &whole, single(), TO_THE_END).unwrap();
    let file = |folder: &Path| std::fs::read_to_string(folder.join("ranking.csv")).unwrap();
    // Every start computes a few scores: zero-cost scores, then those of the first round and of the second. Each has another number of
    // processes.
    let mut stops = 0;
    let resumed = loop {
        match run(budget, &stopped, threads([2, 1, 4][stops % 3], Duration::from_secs(60)), 12) {
            Ok(record) => break record,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Stopped, "{error}"),
        }
        stops += 1;
        assert!(stops < 30, "every start must go on where the last one stopped");
    };
    assert!(stops >= 4, "{stops}");
    assert_eq!(file(&stopped), file(&whole));
    assert_eq!(resumed.halving, record.halving);
    let found = run(budget, &shared, threads(2, Duration::from_secs(60)), TO_THE_END).unwrap();
    assert_eq!((found.halving, file(&shared)), (record.halving, file(&whole)));
    for folder in [&whole, &stopped, &shared] {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let parts: Vec<_> = names.filter(|name| name.to_string_lossy().contains("-part")).collect();
        assert!(parts.is_empty(), "{parts:?}");
    }
}
