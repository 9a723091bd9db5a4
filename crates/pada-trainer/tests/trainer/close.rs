//! CLOSE on a tiny problem: when blocks open, what they share, where gradients go, and that a run goes on bit for bit.

use pada_candle::CandleExecutor;
use pada_data::{DataLoader, InMemoryDataset};
use pada_exec::{Batch, Decayed, Executor, Images, LossSpec, Precision, SgdStep, State, UnusedWeights};
use pada_graph::{Lower, Shape, WeightId};
use pada_models::init_weights;
use pada_models::{DartsNet, DartsSize, Nb201Net, Norms};
use pada_sampler::{PathSampler, SamplerError, SavedState, UniformData, UniformPaths};
use pada_space::{Arch, Darts, DartsCell, Nb201, SearchSpace, SubSpace};
use pada_trainer::rules::{CellShape, Close, CloseConfig, CloseState, GateConfig};
use pada_trainer::{RngStream, StepContext, StepOutcome, TrainRule, Trainer, TrainerParts};
use recipe::recipe;

use crate::resuming::{finished, resumes_bit_for_bit};
use crate::{bright, recipe};

const EPOCHS: usize = 5;

/// 24 images of 8×8 whose classes differ in brightness.
fn images() -> InMemoryDataset {
    bright::images(24, 8)
}

fn net() -> Nb201Net {
    Nb201Net::new(2, 1, Shape::new(3, 8, 8), 4, Norms::Plain)
}

fn weights() -> Vec<f32> {
    init_weights(net().weights(), &mut RngStream::Init.stream(7))
}

fn executor() -> CandleExecutor {
    executor_with(&weights())
}

fn executor_with(weights: &[f32]) -> CandleExecutor {
    CandleExecutor::new(net().weights().clone(), weights.to_vec(), Precision::F32)
}

/// Blocks open before epochs 0, 1, 2 and 3; the learning rate starts anew before epoch 2.
fn close() -> Close {
    let gate = GateConfig { embedding: 8, hidden: 32, temperature: 5.0 };
    let config = CloseConfig { openings: vec![0.0, 0.2, 0.4, 0.6], restart: Some(0.4), gate };
    Close::new(config, CellShape::nb201(), net().weights(), &weights(), &mut RngStream::RuleStart.stream(7))
}

fn trainer() -> Trainer {
    let parts = TrainerParts {
        executor: Box::new(executor()),
        net: Box::new(net()),
        space: SubSpace::from_op_counts(&[5; 6]).unwrap(),
        n_ops: 5,
        paths: Box::new(UniformPaths::new(SubSpace::from_op_counts(Nb201::new().n_ops()).unwrap()).unwrap()),
        data: Box::new(UniformData::new(24).unwrap()),
        rule: Box::new(close()),
        images: DataLoader::new(images()),
    };
    Trainer::new(recipe(EPOCHS, 6, 1, 7), parts).unwrap()
}

fn arch(text: &str) -> Arch {
    Nb201::new().parse(text).unwrap()
}

/// The blocks of a rule's state, and the tensors of a block: those of position 0, one behind the other.
fn blocks(rule: &dyn TrainRule) -> Vec<Vec<f32>> {
    rule.state().read::<CloseState>(CloseState::KIND).unwrap().blocks.weights
}

/// A position's tensors, of one operation or of all.
fn slots_of(position: usize, op: Option<usize>) -> Vec<WeightId> {
    let of = |owner: &pada_graph::Owner| owner.position == position && op.is_none_or(|op| owner.op == op);
    let net = net();
    net.weights().iter().filter(|(_, s)| s.owner.as_ref().is_some_and(of)).map(|(id, _)| id).collect()
}

/// Always these paths.
struct Given(Vec<Arch>);

impl PathSampler for Given {
    fn next_paths(&mut self, _: &mut dyn rand::Rng) -> Vec<Arch> {
        self.0.clone()
    }
    fn distribution(&self) -> Vec<Vec<f64>> {
        vec![]
    }
}

fn with_batch<T>(f: impl FnOnce(&Batch<'_>) -> T) -> T {
    let places: Vec<u32> = (0..24).collect();
    let pixels = pada_data::normalised(&images(), &places).unwrap();
    let labels: Vec<u32> = places.iter().map(|i| i % 4).collect();
    f(&Batch { images: Images::given(&pixels, net().input()), labels: &labels })
}

/// One step on all images, without momentum or decay.
fn step(
    rule: &mut Close,
    executor: &mut CandleExecutor,
    paths: &[&str],
    clip_norm: f64,
    rng: &mut dyn rand::Rng,
) -> StepOutcome {
    let paths = paths.iter().map(|text| arch(text)).collect();
    step_of(&net(), rule, executor, paths, clip_norm, rng)
}

/// Takes such a step on any network.
fn step_of(
    net: &dyn Lower,
    rule: &mut Close,
    executor: &mut CandleExecutor,
    paths: Vec<Arch>,
    clip_norm: f64,
    rng: &mut dyn rand::Rng,
) -> StepOutcome {
    let sgd = SgdStep {
        lr: 0.5,
        momentum: 0.0,
        weight_decay: 0.0,
        decayed: Decayed::All,
        gradient_scale: 1.0,
        unused: UnusedWeights::Frozen,
        ..SgdStep::default()
    };
    let mut ctx = StepContext {
        executor,
        net,
        paths: &mut Given(paths),
        path_rng: &mut RngStream::Paths.stream(0),
        rule_rng: rng,
        sgd,
        clip_norm,
        image_weights: None,
        label_smoothing: 0.0,
        drop_path: None,
        on_gradient: &mut |_, _| {},
    };
    with_batch(|batch| rule.step(&mut ctx, batch)).unwrap()
}

#[test]
fn with_one_block_all_edges_have_the_same_weights() {
    let (mut rule, mut executor) = (close(), executor());
    for op in [2, 3] {
        let all = arch(&op.to_string().repeat(6));
        assert_eq!(rule.place_weights(&all, &mut executor).unwrap(), [0; 6]);
        let placed = executor.read(State::Weights);
        for position in 0..6 {
            for (first, slot) in slots_of(0, Some(op)).into_iter().zip(slots_of(position, Some(op))) {
                let range = |id| net().weights().range(id);
                assert_eq!(placed[range(slot)], weights()[range(first)], "{op} {position}");
            }
        }
    }
}

/// By hand: an executor whose slots all hold the weights of position 0 adds up the same gradients.
#[test]
fn a_block_moves_along_the_sum_of_its_slots_gradients() {
    let paths = ["233203", "313232"];
    for (open, used, clip_norm) in [(1, 1, f64::INFINITY), (1, 2, 0.5), (2, 1, f64::INFINITY), (2, 2, 0.5)] {
        let (mut rule, mut by_hand) = (close(), executor());
        rule.begin_epoch(open - 1, EPOCHS);
        for op in ["222222", "333333"] {
            rule.place_weights(&arch(op), &mut by_hand).unwrap();
        }
        by_hand.zero_gradient();
        for path in &paths[..used] {
            let graph = net().lower(&arch(path)).unwrap();
            with_batch(|batch| by_hand.gradients(&graph, batch, &LossSpec::default())).unwrap();
        }
        let mut sum = vec![];
        for (nth, &id) in slots_of(0, None).iter().enumerate() {
            let mut tensor = vec![0.0; net().weights().range(id).len()];
            for position in 0..6 {
                let slot = by_hand.gradient(slots_of(position, None)[nth]).into_owned();
                tensor.iter_mut().zip(slot).for_each(|(sum, g)| *sum += f64::from(g));
            }
            sum.extend(tensor);
        }
        let before = blocks(&rule);
        let outcome =
            step(&mut rule, &mut executor(), &paths[..used], clip_norm, &mut RngStream::Rule.stream(0));
        let after = blocks(&rule);
        assert_eq!((before.len(), after.len()), (open, open));

        if open == 1 {
            let (norms, net) = (by_hand.gradient_norms(), net());
            let others = net.weights().iter().zip(norms).filter(|((_, spec), _)| spec.owner.is_none());
            let others: f64 = others.map(|(_, norm)| norm * norm).sum();
            let norm = (sum.iter().map(|g| g * g).sum::<f64>() + others).sqrt();
            assert!((outcome.grad_norm - norm).abs() < 1e-5 * norm, "{} {norm}", outcome.grad_norm);
        }
        // Two blocks are equal when the second opens: whichever an edge was given, together they get the same gradient.
        let factor = (clip_norm / (outcome.grad_norm + 1e-6)).min(1.0);
        for (i, g) in sum.iter().enumerate() {
            let moved: f32 = (0..open).map(|b| before[b][i] - after[b][i]).sum();
            let expected = 0.5 * factor * g;
            assert!((f64::from(moved) - expected).abs() < 1e-5, "{open} {used} {i}: {moved} {expected}");
        }
        let moved = (0..open).filter(|&b| before[b] != after[b]).count();
        assert_eq!(moved, open, "each block has an edge of these paths");
    }
}

#[test]
fn blocks_open_on_schedule_as_copies_of_the_newest() {
    let mut trainer = trainer();
    for (epoch, open) in [1, 2, 3, 4, 4].into_iter().enumerate() {
        let before = blocks(trainer.parts().rule.as_ref());
        trainer.parts().rule.begin_epoch(epoch, EPOCHS);
        let opened = blocks(trainer.parts().rule.as_ref());
        assert_eq!(opened.len(), open, "epoch {epoch}");
        assert_eq!(opened[..before.len()], before);
        assert!(opened[before.len()..].iter().all(|new| *new == before[before.len() - 1]));
        trainer.epoch(&mut ()).unwrap();
    }
    let last = blocks(trainer.parts().rule.as_ref());
    assert!((1..4).all(|b| last[b] != last[b - 1]), "they went apart");
    // A run with fewer epochs than blocks opens several at once.
    let mut rule = close();
    rule.begin_epoch(1, 2);
    assert_eq!(rule.blocks().len(), 4);
}

#[test]
fn evaluation_places_the_blocks_that_it_names() {
    let mut trainer = trainer();
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
    }
    let TrainerParts { executor, rule, .. } = trainer.parts();
    let blocks = blocks(rule.as_ref());
    let mut names = std::collections::BTreeSet::new();
    for text in ["333333", "222222", "323212", "203131", "332032"] {
        let name = rule.place_weights(&arch(text), executor.as_mut()).unwrap();
        let placed = executor.read(State::Weights);
        for (position, &op) in arch(text).choices().iter().enumerate() {
            let mut start = 0;
            for (first, slot) in slots_of(0, None).into_iter().zip(slots_of(position, None)) {
                let len = net().weights().range(first).len();
                if net().weights().spec(slot).owner.as_ref().unwrap().op == usize::from(op) {
                    let block = &blocks[usize::from(name[position])][start..start + len];
                    assert_eq!(placed[net().weights().range(slot)], *block, "{text} {position}");
                }
                start += len;
            }
        }
        assert_eq!(rule.place_weights(&arch(text), executor.as_mut()).unwrap(), name);
        assert_eq!(executor.read(State::Weights), placed);
        names.insert(name);
    }
    assert!(names.len() > 1, "the gate tells architectures apart: {names:?}");
}

#[test]
fn a_resumed_run_ends_bit_for_bit_as_one_that_never_stopped() {
    resumes_bit_for_bit("CLOSE", trainer);
}

#[test]
fn a_state_of_another_rule_is_refused_and_changes_nothing() {
    let mut trained = trainer();
    trained.epoch(&mut ()).unwrap();
    let good = trained.parts().rule.state();
    let mut rule = close();
    let start = rule.state();
    let damages: [fn(&mut CloseState); 5] = [
        |state| state.gate.params.truncate(0),
        |state| state.gate.momentum.truncate(1),
        |state| state.blocks.momentum.truncate(0),
        |state| state.blocks.weights[0].truncate(7),
        |state| state.blocks.weights.clear(),
    ];
    for (i, damage) in damages.into_iter().enumerate() {
        let mut bad: CloseState = good.read(CloseState::KIND).unwrap();
        damage(&mut bad);
        let error = rule.restore(&SavedState::new(CloseState::KIND, &bad)).unwrap_err();
        assert!(matches!(&error, SamplerError::State { .. }), "{i}: {error}");
        assert_eq!(rule.state(), start, "{i}");
    }
    let error = rule.restore(&SavedState::stateless()).unwrap_err();
    assert!(matches!(&error, SamplerError::OtherKind { .. }), "{error}");
    rule.restore(&good).unwrap();
    assert_eq!(rule.state(), good);
}

#[test]
fn the_learning_rate_starts_anew_once() {
    let (records, ..) = finished(trainer());
    // Half a cosine over epochs 0 and 1, another over 2, 3 and 4.
    let expected = [0.05, 0.025, 0.05, 0.0375, 0.0125];
    for (record, lr) in records.iter().zip(expected) {
        assert!((record.lr - lr).abs() < 1e-12, "epoch {}: {}", record.epoch, record.lr);
    }
}

/// The released code creates a new optimiser at the restart, so the first step after it moves all weights by the gradient alone.
#[test]
fn the_optimiser_is_new_at_the_restart() {
    let state = |rule: &dyn TrainRule| rule.state().read::<CloseState>(CloseState::KIND).unwrap();
    let (mut rule, mut executor) = (close(), executor());
    let sizes = |rule: &Close, executor: &CandleExecutor| {
        let CloseState { blocks, gate, .. } = state(rule);
        let size = |values: &[f32]| values.iter().map(|v| v.abs()).sum::<f32>();
        let blocks: f32 = blocks.momentum.iter().map(|block| size(block)).sum();
        (blocks, gate.momentum.iter().map(|v| v.abs()).sum::<f64>(), size(&executor.read(State::Momentum)))
    };
    let train = |rule: &mut Close, executor: &mut CandleExecutor, momentum: f32| {
        let mut ctx = StepContext {
            executor,
            net: &net(),
            paths: &mut Given(vec![arch("233203")]),
            path_rng: &mut RngStream::Paths.stream(0),
            rule_rng: &mut RngStream::Rule.stream(0),
            sgd: SgdStep {
                lr: 0.01,
                momentum,
                weight_decay: 0.0,
                decayed: Decayed::All,
                gradient_scale: 1.0,
                unused: UnusedWeights::Decay,
                ..SgdStep::default()
            },
            clip_norm: 5.0,
            image_weights: None,
            label_smoothing: 0.0,
            drop_path: None,
            on_gradient: &mut |_, _| {},
        };
        with_batch(|batch| rule.step(&mut ctx, batch)).unwrap();
    };
    // The run has five epochs and restarts before epoch 2. The last step before it leaves momentum everywhere.
    for epoch in [0, 1] {
        rule.begin_epoch(epoch, EPOCHS);
        // The gate has a gradient once two blocks differ, so from the second step after one opened.
        (0..2).for_each(|_| train(&mut rule, &mut executor, 0.9));
    }
    let (blocks, gate, shared) = sizes(&rule, &executor);
    assert!(blocks > 0.0 && gate > 0.0 && shared > 0.0, "{blocks} {gate} {shared}");
    // Another rule with the same state whose momentum is 0 by hand takes the same step.
    let mut by_hand = executor_with(&executor.read(State::Weights));
    let mut fresh = close();
    let zeroed = {
        let mut state = state(&rule);
        state.blocks.momentum.iter_mut().for_each(|m| m.fill(0.0));
        state.gate.momentum.fill(0.0);
        SavedState::new(CloseState::KIND, &state)
    };
    fresh.restore(&zeroed).unwrap();
    // Its blocks open as those of the run. With a momentum factor of 0, what was there before does not matter.
    rule.begin_epoch(2, EPOCHS);
    fresh.begin_epoch(2, EPOCHS);
    assert!(state(&rule).restarts, "the executor is not there yet");
    train(&mut rule, &mut executor, 0.9);
    train(&mut fresh, &mut by_hand, 0.0);
    assert_eq!(executor.read(State::Weights), by_hand.read(State::Weights));
    assert_eq!(state(&rule).blocks.weights, state(&fresh).blocks.weights);
    assert_eq!(state(&rule).gate.params, state(&fresh).gate.params);
    assert!(!state(&rule).restarts);
}

#[test]
fn the_loss_falls_with_any_number_of_blocks() {
    for open in [1, 2, 4] {
        let (mut rule, mut executor) = (close(), executor());
        rule.begin_epoch(open - 1, EPOCHS);
        let mut rng = RngStream::Rule.stream(0);
        let mut losses = vec![];
        for _ in 0..40 {
            let outcome = step(&mut rule, &mut executor, &["333233"], 0.5, &mut rng);
            losses.push(outcome.paths[0].loss);
        }
        assert!(losses[39] < 0.5 * losses[0], "{open}: {losses:?}");
    }
}

/// By hand: an edge of a DARTS cell shares the weights of the first edge of its layer with the same stride, and moves along the sum of the
/// gradients of all edges that do.
#[test]
fn the_edges_of_a_darts_cell_share_blocks_by_stride() {
    let size = DartsSize { channels: 2, layers: 3, input: net().input(), classes: 4, ..DartsSize::SEARCH };
    let net = DartsNet::new(size, Norms::Plain);
    let layout = net.weights().clone();
    let weights = init_weights(&layout, &mut RngStream::Init.stream(7));
    let executor = |weights| CandleExecutor::new(layout.clone(), weights, Precision::F32);
    let gate = GateConfig { embedding: 8, hidden: 32, temperature: 5.0 };
    let config = CloseConfig { openings: vec![0.0, 0.5], restart: None, gate };
    let new = || {
        Close::new(config.clone(), CellShape::darts(), &layout, &weights, &mut RngStream::RuleStart.stream(7))
    };

    // Skips, which have weights at stride 2 alone, and separable convolutions.
    let ops = |n: usize| (0..n).map(|i| if i % 3 == 1 { 3 } else { 4 });
    let arch = Arch::new(ops(14).chain([1, 4, 7]).chain(ops(14)).chain([2, 0, 9]).collect::<Vec<u8>>());
    let halves = |decision| {
        (2..6)
            .any(|to| (0..2).any(|from| Darts::edge_decision(DartsCell::Reduce, from, to) == Some(decision)))
    };
    let active: Vec<usize> = [DartsCell::Normal, DartsCell::Reduce]
        .into_iter()
        .flat_map(|cell| Darts::edges(&arch, cell).unwrap())
        .map(|edge| edge.decision)
        .collect();
    // (layer, stride, operation, index of the tensor): the slots of all edges.
    let mut groups = std::collections::BTreeMap::<_, Vec<(usize, WeightId)>>::new();
    let mut tensors = std::collections::BTreeMap::new();
    for (id, spec) in layout.iter() {
        let Some(owner) = &spec.owner else { continue };
        let nth = tensors.entry((owner.cell, owner.position, owner.op)).or_insert(0);
        let group = (owner.cell, halves(owner.position), owner.op, *nth);
        groups.entry(group).or_default().push((owner.position, id));
        *nth += 1;
    }
    let is_active = |position: usize, op: usize| {
        active.contains(&position) && usize::from(arch.choices()[position]) == op
    };

    let (mut rule, mut by_hand) = (new(), executor(weights.clone()));
    rule.place_weights(&arch, &mut by_hand).unwrap();
    let placed = by_hand.read(State::Weights);
    let graph = net.lower(&arch).unwrap();
    with_batch(|batch| by_hand.gradients(&graph, batch, &LossSpec::default())).unwrap();
    step_of(
        &net,
        &mut rule,
        &mut executor(weights.clone()),
        vec![arch.clone()],
        f64::INFINITY,
        &mut RngStream::Rule.stream(0),
    );
    let mut after = executor(weights.clone());
    rule.place_weights(&arch, &mut after).unwrap();
    let after = after.read(State::Weights);

    let mut shared = 0;
    for ((_, _, op, _), slots) in &groups {
        let first = &weights[layout.range(slots[0].1)];
        let used: Vec<_> = slots.iter().filter(|(position, _)| is_active(*position, *op)).collect();
        let mut sum = vec![0.0; first.len()];
        for (_, id) in &used {
            sum.iter_mut().zip(by_hand.gradient(*id).iter()).for_each(|(sum, g)| *sum += f64::from(*g));
        }
        for (position, id) in &used {
            assert_eq!(placed[layout.range(*id)], *first, "{position}");
            for ((after, first), g) in after[layout.range(*id)].iter().zip(first).zip(&sum) {
                let expected = f64::from(*first) - 0.5 * g;
                assert!((f64::from(*after) - expected).abs() < 1e-5, "{position}: {after} {expected}");
            }
        }
        shared += usize::from(used.len() > 1);
    }
    assert!(shared > 10, "{shared}");

    // With two blocks, a state that was saved goes on with the same weights.
    let steps = |rule: &mut Close, executor: &mut CandleExecutor, n: usize| {
        let mut rng = RngStream::Rule.stream(1);
        let losses =
            (0..n).map(|_| step_of(&net, rule, executor, vec![arch.clone()], 0.5, &mut rng).paths[0].loss);
        losses.collect::<Vec<_>>()
    };
    let (mut rule, mut executor_of_rule) = (new(), executor(weights.clone()));
    rule.begin_epoch(1, 2);
    let losses = steps(&mut rule, &mut executor_of_rule, 30);
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
    let mut restored = new();
    restored.restore(&rule.state()).unwrap();
    let mut executor_of_restored = executor(executor_of_rule.read(State::Weights));
    assert_eq!(
        steps(&mut rule, &mut executor_of_rule, 2),
        steps(&mut restored, &mut executor_of_restored, 2)
    );
}

/// Two architectures can keep other edges without weights and be the same network with shared weights. Their keys differ if the edges with
/// weights have other blocks.
#[test]
fn a_key_names_the_block_of_each_decision() {
    let size = DartsSize { channels: 2, layers: 3, input: net().input(), classes: 4, ..DartsSize::SEARCH };
    let net = DartsNet::new(size, Norms::Plain);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let gate = GateConfig { embedding: 8, hidden: 32, temperature: 5.0 };
    let config = CloseConfig { openings: vec![0.0, 0.5], restart: None, gate };
    let mut start = RngStream::RuleStart.stream(7);
    let mut rule = Close::new(config, CellShape::darts(), net.weights(), &weights, &mut start);
    rule.begin_epoch(1, 2);
    let mut executor = CandleExecutor::new(net.weights().clone(), weights, Precision::F32);
    let mut rng = RngStream::Paths.stream(1);
    let space = SubSpace::full(&Darts);
    for _ in 0..50 {
        let arch = space.sample(&mut rng);
        let key = rule.place_weights(&arch, &mut executor).unwrap();
        assert_eq!(key.len(), arch.choices().len());
        let placed = executor.read(State::Weights);
        let kept: Vec<usize> = [DartsCell::Normal, DartsCell::Reduce]
            .into_iter()
            .flat_map(|cell| Darts::edges(&arch, cell).unwrap())
            .map(|edge| edge.decision)
            .collect();
        assert!((0..key.len()).all(|decision| key[decision] == 0 || kept.contains(&decision)), "{key:?}");
        assert_eq!(rule.place_weights(&arch, &mut executor).unwrap(), key);
        assert_eq!(executor.read(State::Weights), placed);
    }
}
