//! Rankings by rounds: all architectures on few images, and the promising ones on more.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pada::dist::{ProcessGroup, threads};
use pada::report::{RaceRound, RankRecord};
use pada::trainer::Observer;
use pada::{Device, ErrorKind, PadaError, Run, RunConfig, RunFolder, Session};

fn config(budget: Option<&str>) -> RunConfig {
    let tiny = [
        "train.epochs=1",
        "data.train_images=64",
        "train.batch=32",
        "rank.images=80",
        "rank.batch=10",
        "rank.archs=random:24",
        "supernet.channels=2",
        "rank.compare=[]",
        "rank.fuse=[\"supernet\", \"conv-depth\"]",
        "rank.zero_cost=[\"nwot\"]",
        "rank.zero_cost_images=8",
    ];
    let config = tiny.iter().fold(RunConfig::mini(), |config, setting| config.with(setting).unwrap());
    match budget {
        Some(budget) => config.with(&format!("rank.budget=\"{budget}\"")).unwrap(),
        None => config,
    }
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
    budget: Option<&str>,
    folder: &Path,
    worlds: Vec<ProcessGroup>,
    scores: usize,
) -> Result<RankRecord, PadaError> {
    let config = config(budget);
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
    let [whole, raced, ample] = ["whole", "raced", "ample"].map(|name| folder.path().join(name));
    assert_eq!(run(None, &whole, single(), TO_THE_END).unwrap().race, None);
    let record = run(Some("10 images"), &raced, single(), TO_THE_END).unwrap();
    let race = record.race.as_ref().unwrap();
    assert_eq!((race.budget.as_str(), race.controls), ("10 images", 3));
    let [first, second, last] = race.rounds[..] else { panic!("{race:?}") };
    assert_eq!(first, RaceRound { archs: 24, images: 10 });
    assert!(second.images == 40 && (6..=9).contains(&second.archs), "{second:?}");
    assert!(last.images == 80 && (3..=6).contains(&last.archs), "{last:?}");
    assert_eq!(race.images(), 24 * 10 + second.archs * 30 + last.archs * 40);
    assert_eq!(record.scored_images(), race.images());

    let (all, some) = (scores(&whole), scores(&raced));
    assert_eq!(some.len(), 24);
    let mut by_round = BTreeMap::new();
    for (arch, &(correct, images)) in &some {
        *by_round.entry(images).or_insert(0) += 1;
        if images == 80 {
            assert_eq!(all[arch], (correct, 80), "{arch}");
        }
    }
    let expected =
        BTreeMap::from([(10, 24 - second.archs), (40, second.archs - last.archs), (80, last.archs)]);
    assert_eq!(by_round, expected);
    for best in &record.best[..2] {
        assert_eq!(some[&best.arch].1, 80, "{}", best.arch);
    }
    for estimate in [race.tau_b_with_all, race.top_5_with_all] {
        let estimate = estimate.unwrap();
        assert!(estimate.interval.low <= estimate.mean && estimate.mean <= estimate.interval.high);
    }
    let text = pada::report::ranking_summary(&record);
    assert!(text.contains("budget     10 images: architectures on images: 24 on 10, "), "{text}");

    // With enough time, all architectures are scored on all images.
    let record = run(Some("1h"), &ample, single(), TO_THE_END).unwrap();
    assert_eq!(record.race.unwrap().rounds, [RaceRound { archs: 24, images: 80 }]);
    assert_eq!(scores(&ample), all);
}

#[test]
fn a_stopped_ranking_goes_on_with_its_rounds_and_several_processes_find_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped, shared] = ["whole", "stopped", "shared"].map(|name| folder.path().join(name));
    let budget = Some("20 images");
    let record = run(budget, &whole, single(), TO_THE_END).unwrap();
    let file = |folder: &Path| std::fs::read_to_string(folder.join("ranking.csv")).unwrap();
    // Every start computes a few scores: zero-cost scores, then those of the first round and of the second.
    let mut stops = 0;
    let resumed = loop {
        match run(budget, &stopped, single(), 5) {
            Ok(record) => break record,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Stopped, "{error}"),
        }
        stops += 1;
        assert!(stops < 20, "every start must go on where the last one stopped");
    };
    assert!(stops >= 6, "{stops}");
    assert_eq!(file(&stopped), file(&whole));
    assert_eq!(resumed.race, record.race);
    let found = run(budget, &shared, threads(2, Duration::from_secs(60)), TO_THE_END).unwrap();
    assert_eq!((found.race, file(&shared)), (record.race, file(&whole)));
    for folder in [&whole, &stopped, &shared] {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let parts: Vec<_> = names.filter(|name| name.to_string_lossy().contains("-part")).collect();
        assert!(parts.is_empty(), "{parts:?}");
    }
}
