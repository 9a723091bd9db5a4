//! Training and scoring by an executor that holds the images equal those by one that is given them, bit for bit.

use holding::Holding;
use pada_data::{Augment, AutoAugment, DataLoader, Flip, InMemoryDataset, Normalize};
use pada_engine::Engine;
use pada_exec::{Executor, Precision, State};
use pada_graph::{Lower, Shape};
use pada_models::init_weights;
use pada_models::{MacroNet, Norms};
use pada_sampler::{UniformData, UniformPaths};
use pada_space::{Arch, NasBenchMacro, SearchSpace, SubSpace};
use pada_trainer::rules::SummedPaths;
use pada_trainer::{ArchScore, Calibration, EvalSet, RngStream, Scorer, Trainer, TrainerParts};
use recipe::recipe;

use crate::{holding, recipe};

const SHAPE: Shape = Shape { channels: 3, height: 16, width: 12 };
const CLASSES: usize = 4;

fn images() -> InMemoryDataset {
    let labels: Vec<u16> = (0..21).map(|i| i % CLASSES as u16).collect();
    let pixels = (0..21 * SHAPE.numel()).map(|i| (i * 89 % 251) as u8).collect();
    InMemoryDataset {
        name: "tiny".into(),
        channels: SHAPE.channels,
        height: SHAPE.height,
        width: SHAPE.width,
        classes: CLASSES,
        pixels,
        labels,
        normalize: Normalize { mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.3] },
    }
}

fn net() -> MacroNet {
    MacroNet::new(SHAPE, CLASSES, Norms::Running)
}

fn engine() -> Box<dyn Executor> {
    let weights = init_weights(net().weights(), &mut RngStream::Init.stream(0));
    Box::new(Engine::new(net().weights().clone(), weights, Precision::F32))
}

/// Two epochs with every change that images in memory know.
fn trained(executor: Box<dyn Executor>, policy: Option<AutoAugment>) -> Vec<u32> {
    let (crop_padding, flip, cutout) = (3, Flip::Horizontal, Some(6));
    let augment = Augment { crop_padding, flip, cutout, auto_augment: policy, ..Augment::NONE };
    let space = SubSpace::full(&NasBenchMacro);
    let parts = TrainerParts {
        executor,
        net: Box::new(net()),
        space: space.clone(),
        n_ops: 3,
        paths: Box::new(UniformPaths::new(space).unwrap()),
        data: Box::new(UniformData::new(21).unwrap()),
        rule: Box::new(SummedPaths),
        images: DataLoader::new(images()),
    };
    let mut trainer = Trainer::new(recipe(2, 8, 1, 5).with_augment(augment), parts).unwrap();
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
    }
    trainer.parts().executor.read(State::Weights).into_iter().map(f32::to_bits).collect()
}

#[test]
fn training_on_held_images_equals_training_on_given_ones() {
    let (holding, used) = Holding::new(engine());
    let plain = trained(engine(), None);
    assert!(trained(Box::new(holding), None) == plain, "other weights");
    assert_eq!((used.named.get(), used.given.get()), (6, 0), "3 steps in each of 2 epochs");
    // A policy needs the pixels on the host.
    let (holding, used) = Holding::new(engine());
    let policy = Some(AutoAugment::Cifar10);
    let changed = trained(Box::new(holding), policy);
    assert!(changed == trained(engine(), policy) && changed != plain);
    assert_eq!((used.named.get(), used.given.get()), (0, 6));
}

fn with_scorer<T>(executor: &mut dyn Executor, score: impl FnOnce(&mut Scorer<'_, '_>) -> T) -> T {
    let set = images();
    let (eval, calibration) =
        (EvalSet::new(&set, 20, 8), Calibration::new(&set.clone().into(), 16, 6).unwrap());
    let net = net();
    let mut scorer = Scorer {
        executor,
        place: &mut |_: &Arch, _: &mut dyn Executor| Ok(vec![]),
        net: &net,
        space: &NasBenchMacro,
        images: &eval,
        calibration: Some(&calibration),
        known: Default::default(),
    };
    score(&mut scorer)
}

#[test]
fn scores_that_are_asked_for_together_equal_those_of_one_after_the_other() {
    let archs =
        ["20212012", "11111111", "20212012", "12120000"].map(|text| NasBenchMacro.parse(text).unwrap());
    let expected: Vec<ArchScore> = with_scorer(engine().as_mut(), |scorer| {
        archs.iter().map(|arch| scorer.score(arch).unwrap()).collect()
    });
    let (mut holding, used) = Holding::new(engine());
    with_scorer(&mut holding, |scorer| {
        let asked = archs.iter().map(|arch| scorer.ask(arch).unwrap()).collect();
        assert!(scorer.is_under_way() && scorer.known.is_empty());
        assert_eq!(scorer.scores(asked).unwrap(), expected);
        assert!(!scorer.is_under_way());
        assert_eq!(scorer.known.len(), 3, "what is the same is computed once");
        assert_eq!(scorer.score(&archs[1]).unwrap(), expected[1]);
    });
    // Three architectures: three batches to take statistics from, three to score.
    assert_eq!((used.named.get(), used.given.get(), used.asked.get()), (18, 0, 1));
}
