//! Runs of several ranks, here threads of one process: norms with the statistics of a rank's own images, and what records say.
use std::path::Path;
use std::time::Duration;

use pada::dist::{ProcessGroup, threads};
use pada::report::RunRecord;
use pada::trainer::{Observer, StepProgress};
use pada::{Device, PadaError, Run, RunConfig, RunFolder, Session};

use crate::tiny::tiny;

/// Returns a tiny run with these settings on top.
fn config(settings: &[&str]) -> RunConfig {
    let module = ["train.epochs=2", "data.train_images=96", "rank.archs=random:6"];
    tiny(&module, settings)
}

/// Asks to stop once so many steps are over.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn on_step(&mut self, _: &StepProgress) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop_requested(&self) -> bool {
        self.0 == 0
    }
}

/// Returns the result of process 0 of a run that starts or resumes in `folder`. All processes stop after `steps` steps.
fn run(
    config: &RunConfig,
    folder: &Path,
    worlds: Vec<ProcessGroup>,
    steps: usize,
) -> Result<RunRecord, PadaError> {
    let rank = |world: ProcessGroup| {
        let leads = world.index() == 0;
        let checkpoint_every = Duration::from_secs(60);
        let place = Session { data_dir: "no data".into(), device: Device::Cpu, checkpoint_every, world };
        let run = Run::prepare(config, &place)?;
        let mut observer = StopAfter(steps);
        if !leads {
            return run.run_worker(&mut observer).map(|()| None);
        }
        let folder = match folder.is_dir() {
            true => RunFolder::open(folder)?.0,
            false => RunFolder::create(folder, config)?,
        };
        run.execute(&folder, &mut observer).map(Some)
    };
    std::thread::scope(|scope| {
        let ranks: Vec<_> = worlds.into_iter().map(|world| scope.spawn(|| rank(world))).collect();
        let mut found: Vec<_> = ranks.into_iter().map(|rank| rank.join().unwrap()).collect();
        found.swap_remove(0).map(|record| record.expect("rank 0 has the record"))
    })
}

fn patient(size: usize) -> Vec<ProcessGroup> {
    threads(size, Duration::from_secs(60))
}

/// Of an epoch of [`config`].
const STEPS: usize = 3;
/// More steps than any run has.
const TO_THE_END: usize = 99;

fn weights(folder: &Path, config: &RunConfig) -> Vec<u32> {
    let layout = pada::weight_layout(&config.supernet, 10).unwrap();
    let weights = pada::models::read_weights(&folder.join("epoch-0002.safetensors"), &layout).unwrap();
    weights.into_iter().map(f32::to_bits).collect()
}

#[test]
fn local_norms_train_otherwise_and_alike_on_one_rank() {
    let folder = tempfile::tempdir().unwrap();
    let trained = |name: &str, settings: &[&str], size: usize| {
        let (config, folder) = (config(settings), folder.path().join(name));
        run(&config, &folder, patient(size), TO_THE_END).unwrap();
        weights(&folder, &config)
    };
    let sync = trained("sync", &[], 1);
    assert!(trained("two", &[], 2) == sync);
    assert!(trained("local", &["compute.norms=local"], 1) == sync);
    assert!(trained("two-local", &["compute.norms=local"], 2) != sync);
}

#[test]
fn a_run_with_local_norms_goes_on_with_as_many_ranks_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["compute.norms=local"]);
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    run(&config, &whole, patient(2), TO_THE_END).unwrap();
    let error = run(&config, &stopped, patient(2), STEPS).unwrap_err();
    assert_eq!(error.kind(), pada::ErrorKind::Stopped);
    for (worlds, size) in [(vec![ProcessGroup::single()], "1"), (patient(4), "4")] {
        let error = run(&config, &stopped, worlds, TO_THE_END).unwrap_err();
        assert_eq!(error.kind(), pada::ErrorKind::Input);
        let said = error.to_string();
        for words in
            ["number of processes", "compute.norms = \"local\"", "is 2", &format!("and {size} in this run")]
        {
            assert!(said.contains(words), "{said}");
        }
    }
    run(&config, &stopped, patient(2), TO_THE_END).unwrap();
    assert!(weights(&stopped, &config) == weights(&whole, &config));
}

#[test]
fn the_statistics_of_norms_are_a_key_of_the_config() {
    let config = RunConfig::mini();
    assert!(config.to_toml().contains("norms = \"sync\""));
    let local = config.with("compute.norms=local").unwrap();
    assert!(local.to_toml().contains("norms = \"local\""));
    assert_eq!(local.with("compute.norms=sync").unwrap(), config);
    let error = config.with("compute.norms=mine").unwrap_err().to_string();
    assert!(error.contains("sync") && error.contains("local"), "{error}");
}

#[test]
fn a_record_says_which_ranks_there_were_and_what_they_sent() {
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str, settings: &[&str], steps: &[(usize, usize)]| {
        let (config, folder) = (config(settings), folder.path().join(name));
        let mut last = None;
        for &(size, steps) in steps {
            last = Some(run(&config, &folder, patient(size), steps));
        }
        last.unwrap().unwrap()
    };
    let alone = record("alone", &[], &[(1, TO_THE_END)]);
    assert!(alone.epochs.iter().all(|epoch| epoch.communication.is_none()));
    assert_eq!(alone.ranking.unwrap().communication, None);

    let sync = record("sync", &[], &[(2, TO_THE_END)]);
    let [first, second] = [0, 1].map(|epoch| sync.epochs[epoch].communication.unwrap());
    assert_eq!((first.processes, sync.ranking.as_ref().unwrap().communication.unwrap().processes), (2, 2));
    assert!(first.messages >= (2 * STEPS) as u64 && first.bytes > first.messages && first.seconds > 0.0);
    assert!(first.seconds < sync.epochs[0].seconds);

    let local =
        record("local", &["compute.norms=local"], &[(2, TO_THE_END)]).epochs[0].communication.unwrap();
    assert!(5 * local.messages < first.messages, "{} and {}", local.messages, first.messages);

    // An epoch that is stopped between two steps keeps what it sent; what says so is one message more. Another number of ranks goes on.
    let stopped = record("stopped", &[], &[(2, 1), (2, STEPS - 1), (4, TO_THE_END)]);
    assert_eq!(stopped.epochs[0].communication.unwrap().messages, first.messages + 1);
    let four = stopped.epochs[1].communication.unwrap();
    assert_eq!(four.processes, 4);
    assert!(four.messages > second.messages);
    assert_eq!(stopped.epochs[1].loss, sync.epochs[1].loss);
}

/// A differentiable search has the same logits, choices and attention for any number of processes.
#[test]
fn differentiable_searches_do_not_depend_on_the_number_of_ranks() {
    let rules: [&[&str]; 5] = [
        &["update.rule=darts", "update.order=second"],
        &["update.rule=gdas-nsas", "update.archive=2"],
        &["update.rule=zarts", "update.start=0.0", "update.every=2", "update.inner_steps=1"],
        &["update.rule=agnas"],
        &[
            "update.rule=enas",
            "update.controller_steps=1",
            "update.controller_batch=2",
            "update.candidates=2",
        ],
    ];
    for rule in rules {
        let uniform = ["data.train=half", "paths.rule=uniform", "images.rule=uniform"];
        let few = ["data.train_images=48", "rank.archs=random:1"];
        let config = config(&[rule, &uniform, &few].concat());
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [1, 2].map(|size| {
            let record = run(&config, &folder.path().join(size.to_string()), patient(size), TO_THE_END);
            record.unwrap().epochs.into_iter().map(|epoch| epoch.mixture.unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(one, two, "{rule:?}");
    }
}
