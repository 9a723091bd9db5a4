//! Checkpoints of every format version keep loading. `tests/data/format-N` has one checkpoint of version N, written in the middle of an epoch.
//!
//! The test writes the file of the current version itself:
//!
//! ```text
//! PADA_WRITE_FORMAT=1 cargo test --release -p pada-trainer --test formats
//! ```
//!
//! Write a file only when a new version is added. Files of older versions stay as they are.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use pada_candle::CandleExecutor;
use pada_data::{DataLoader, InMemoryDataset, Normalize};
use pada_exec::Precision;
use pada_graph::{Lower, Shape};
use pada_models::init_weights;
use pada_models::{Nb201Net, Norms};
use pada_sampler::{
    DataImportance, DataImportanceConfig, DataImportanceState, PathImportance, PathImportanceConfig,
    PathImportanceState,
};
use pada_space::SubSpace;
use pada_trainer::rules::{ConstraintLoss, Constraints, Nsas, NsasConfig, NsasState};
use pada_trainer::{Checkpoint, Observer, RngStream, TrainError, Trainer, TrainerParts};

use crate::recipe;

/// The version that this version of the program writes.
const CURRENT: u64 = 1;

fn folder(version: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format-{version}"))
}

fn net() -> Nb201Net {
    Nb201Net::new(1, 1, Shape::new(3, 8, 8), 4, Norms::Plain)
}

/// 40 images, so that the states have lists that are long enough to be tensors of their own.
fn images() -> InMemoryDataset {
    let labels: Vec<u16> = (0..40).map(|i| i % 4).collect();
    let pixels = (0..40 * 3 * 8 * 8).map(|i| (i * 89 % 251) as u8).collect();
    let normalize = Normalize { mean: [0.5; 3], std: [0.25; 3] };
    InMemoryDataset {
        name: "tiny".into(),
        channels: 3,
        height: 8,
        width: 8,
        classes: 4,
        pixels,
        labels,
        normalize,
    }
}

fn trainer() -> Trainer {
    let (net, space) = (net(), SubSpace::from_op_counts(&[5; 6]).unwrap());
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(3));
    let nsas = NsasConfig {
        beta: 0.5,
        constraints: Constraints::Archive(2),
        constraint_loss: ConstraintLoss::Trained,
    };
    let parts = TrainerParts {
        executor: Box::new(CandleExecutor::new(net.weights().clone(), weights, Precision::F32)),
        net: Box::new(net),
        space: space.clone(),
        n_ops: 5,
        paths: Box::new(PathImportance::new(space.clone(), PathImportanceConfig::released()).unwrap()),
        data: Box::new(DataImportance::new(40, DataImportanceConfig::released()).unwrap()),
        rule: Box::new(Nsas::new(nsas, space)),
        images: DataLoader::new(images()),
    };
    let identity = serde_json::json!({"sampler": {"path": "importance"}});
    Trainer::new(recipe::recipe(3, 10, 1, 3).with_identity(identity), parts).unwrap()
}

/// Stops after a number of steps.
struct StopAfter(Cell<usize>);

impl Observer for StopAfter {
    fn stop_requested(&self) -> bool {
        self.0.replace(self.0.get().saturating_sub(1)) == 0
    }
}

/// One epoch and two steps.
fn interrupted() -> Trainer {
    let mut trainer = trainer();
    trainer.epoch(&mut ()).unwrap();
    assert!(matches!(trainer.epoch(&mut StopAfter(Cell::new(2))), Err(TrainError::Stopped)));
    trainer
}

#[test]
fn checkpoints_of_all_versions_load_and_training_continues() {
    if std::env::var_os("PADA_WRITE_FORMAT").is_some_and(|version| version == *CURRENT.to_string()) {
        std::fs::create_dir_all(folder(CURRENT)).unwrap();
        interrupted().save(&folder(CURRENT)).unwrap();
    }
    for version in 1..=CURRENT {
        let path = folder(version).join("epoch-0001-step-00002.safetensors");
        let checkpoint = Checkpoint::read(&path, net().weights()).unwrap();
        assert_eq!((checkpoint.epoch(), checkpoint.step(), checkpoint.epochs().len()), (1, 2, 1));
        assert_eq!(checkpoint.identity()["config"]["sampler"]["path"], "importance");
        assert_eq!(checkpoint.identity_sha256().len(), 64);
        let data: DataImportanceState = checkpoint.data().read(DataImportanceState::KIND).unwrap();
        assert_eq!((data.importance.len(), data.epochs), (40, 1));
        let paths: PathImportanceState = checkpoint.paths().read(PathImportanceState::KIND).unwrap();
        assert!((paths.probability[0].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let rule: NsasState = checkpoint.rule().read(NsasState::KIND).unwrap();
        assert_eq!((rule.archive.len(), rule.recent.len()), (2, 6));
        assert!(checkpoint.weights.iter().all(|w| w.is_finite()));

        // A copy, because a folder in the source tree must not change.
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        let mut resumed = trainer();
        resumed.resume(copy.path()).unwrap();
        let record = resumed.epoch(&mut ()).unwrap();
        assert_eq!((record.epoch, record.images.drawn), (1, 40));
    }
}

/// All parts of a checkpoint survive a file bit for bit, with the state of a whole epoch in progress.
#[test]
fn a_checkpoint_survives_its_file_bit_for_bit() {
    let (trainer, folder) = (interrupted(), tempfile::tempdir().unwrap());
    let before = trainer.checkpoint();
    let path = before.save(folder.path(), net().weights()).unwrap();
    let first = std::fs::read(&path).unwrap();
    let after = Checkpoint::read(&path, net().weights()).unwrap();
    assert_eq!((&after.weights, &after.momentum), (&before.weights, &before.momentum));
    assert_eq!((after.paths(), after.data(), after.rule()), (before.paths(), before.data(), before.rule()));
    assert_eq!((after.identity(), after.epochs()), (before.identity(), before.epochs()));
    after.save(folder.path(), net().weights()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first, "the same state gives the same file");
}
