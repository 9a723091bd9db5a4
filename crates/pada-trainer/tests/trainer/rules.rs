//! One step of each training rule against the same step done by hand.
use pada_candle::CandleExecutor;
use pada_exec::{
    Batch, Decayed, Executor, Images, LossSpec, Optimizer, Precision, SgdStep, State, UnusedWeights,
};
use pada_graph::{Lower, Shape};
use pada_models::init_weights;
use pada_models::{Nb201Net, Norms};
use pada_sampler::{FairPaths, FixedPath, PathSampler, Variant};
use pada_space::{Arch, SubSpace};
use pada_trainer::rules::{
    ConstraintLoss, Constraints, Nsas, NsasConfig, SummedPaths, Sumnas, SumnasConfig, SumnasState,
};
use pada_trainer::{RngStream, StepContext, StepOutcome, TrainRule, clip_factor, global_norm};

const CLIP: f64 = 0.8;

fn net() -> Nb201Net {
    Nb201Net::new(2, 1, Shape::new(3, 8, 8), 4, Norms::Plain)
}

fn executor() -> CandleExecutor {
    let net = net();
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(2));
    CandleExecutor::new(net.weights().clone(), weights, Precision::F64)
}

/// Six images of four classes.
fn pixels() -> Vec<f32> {
    (0..6 * 3 * 64).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect()
}

const LABELS: [u32; 6] = [0, 1, 2, 3, 0, 1];

fn batch(pixels: &[f32]) -> Batch<'_> {
    Batch { images: Images::given(pixels, Shape::new(3, 8, 8)), labels: &LABELS }
}

const SGD: SgdStep = SgdStep {
    optimizer: Optimizer::Sgd,
    lr: 0.1,
    momentum: 0.9,
    weight_decay: 1e-3,
    decayed: Decayed::All,
    gradient_scale: 1.0,
    unused: UnusedWeights::Decay,
};

fn step(
    rule: &mut dyn TrainRule,
    executor: &mut dyn Executor,
    paths: &mut dyn PathSampler,
    sgd: SgdStep,
) -> StepOutcome {
    let (net, pixels) = (net(), pixels());
    let mut ctx = StepContext {
        executor,
        net: &net,
        paths,
        path_rng: &mut RngStream::Paths.stream(0),
        rule_rng: &mut RngStream::Rule.stream(0),
        sgd,
        clip_norm: CLIP,
        image_weights: None,
        label_smoothing: 0.0,
        drop_path: None,
        on_gradient: &mut |_, _| {},
    };
    rule.step(&mut ctx, &batch(&pixels)).unwrap()
}

/// The gradient of `Σ scale · loss(path)`, clipped, then one update.
fn by_hand(executor: &mut dyn Executor, paths: &[(f32, Arch)], sgd: SgdStep) {
    let (net, pixels) = (net(), pixels());
    executor.zero_gradient();
    for (scale, path) in paths {
        let loss = LossSpec { scale: *scale, ..LossSpec::default() };
        executor.gradients(&net.lower(path).unwrap().simplified(), &batch(&pixels), &loss).unwrap();
    }
    let factor = clip_factor(global_norm(&executor.gradient_norms()), CLIP);
    executor.update(&SgdStep { gradient_scale: factor as f32, ..sgd });
}

fn fair(variant: Variant) -> FairPaths {
    FairPaths::new(SubSpace::from_op_counts(&[5; 6]).unwrap(), variant).unwrap()
}

fn weights(executor: &dyn Executor) -> Vec<f32> {
    executor.read(State::Weights)
}

#[test]
fn fairnas_sums_five_gradients_clips_once_and_moves_once() {
    let paths = fair(Variant::Paper).next_paths(&mut RngStream::Paths.stream(0));
    let (mut ours, mut theirs) = (executor(), executor());
    let outcome = step(&mut SummedPaths, &mut ours, &mut fair(Variant::Paper), SGD);
    assert_eq!(outcome.paths.iter().map(|p| p.path.clone()).collect::<Vec<_>>(), paths);
    by_hand(&mut theirs, &paths.into_iter().map(|path| (1.0, path)).collect::<Vec<_>>(), SGD);
    assert_eq!(weights(&ours), weights(&theirs));
}

/// The inner loop written out: two clipped SGD steps for each path, all from the same weights; then one step along the mean way.
#[test]
fn sumnas_equals_its_inner_loop_by_hand() {
    for variant in [Variant::Paper, Variant::Released] {
        let config = SumnasConfig { variant, inner_steps: 2, inner_lr: 0.05, inner_momentum: 0.9 };
        let outer = SgdStep { lr: 0.7, momentum: 0.0, weight_decay: 4e-2, ..SGD };
        let (mut rule, mut ours, mut theirs) = (Sumnas::new(config), executor(), executor());
        let inner = SgdStep { lr: 0.05, momentum: 0.9, weight_decay: 0.0, ..SGD };
        let mut carried = vec![0.0; net().weights().numel()];
        // Two steps, so that momentum that is never reset shows.
        for _ in 0..2 {
            step(&mut rule, &mut ours, &mut fair(Variant::Paper), outer);
            let start = weights(&theirs);
            let paths = fair(Variant::Paper).next_paths(&mut RngStream::Paths.stream(0));
            let mut ways: Vec<Vec<f64>> = Vec::new();
            for path in paths {
                theirs.write(State::Weights, &start);
                if variant == Variant::Paper {
                    carried.fill(0.0);
                }
                theirs.write(State::Momentum, &carried);
                for _ in 0..2 {
                    by_hand(&mut theirs, &[(1.0, path.clone())], inner);
                }
                carried = theirs.read(State::Momentum);
                let way = start.iter().zip(weights(&theirs)).map(|(a, b)| f64::from(*a) - f64::from(b));
                ways.push(way.collect());
            }
            let moved: Vec<f32> = (0..start.len())
                .map(|i| {
                    let mean = ways.iter().map(|way| way[i]).sum::<f64>() / 5.0;
                    let w = f64::from(start[i]);
                    (w - 0.7 * (mean + 4e-2 * w)) as f32
                })
                .collect();
            theirs.write(State::Weights, &moved);
            let off = moved.iter().zip(weights(&ours)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "{variant:?}: off by {off}");
            ours.write(State::Weights, &moved);
        }
    }
}

#[test]
fn sumnas_goes_on_with_its_inner_momentum() {
    let config =
        SumnasConfig { variant: Variant::Released, inner_steps: 2, inner_lr: 0.05, inner_momentum: 0.9 };
    let (mut whole, mut executor) = (Sumnas::new(config), executor());
    step(&mut whole, &mut executor, &mut fair(Variant::Paper), SGD);
    let mut restored = Sumnas::new(config);
    restored.restore(&whole.state()).unwrap();
    assert_eq!(restored.state(), whole.state());
    let state: SumnasState = whole.state().read(SumnasState::KIND).unwrap();
    assert!(state.inner_momentum.iter().any(|&v| v != 0.0));
}

fn nsas(beta: f64, constraints: Constraints, constraint_loss: ConstraintLoss) -> Nsas {
    let config = NsasConfig { beta, constraints, constraint_loss };
    Nsas::new(config, SubSpace::from_op_counts(&[5; 6]).unwrap())
}

/// The public notebook for NAS-Bench-201: .2 · L(path) + .4 · L(random) + .4 · L(diverse), all with gradients.
#[test]
fn nsas_adds_the_gradients_of_its_constraint_paths() {
    let mut rule = nsas(0.8, Constraints::RandomAndDiverse, ConstraintLoss::Trained);
    let path = Arch::new(vec![3, 2, 1, 3, 0, 2]);
    let (mut ours, mut theirs) = (executor(), executor());
    let outcome = step(&mut rule, &mut ours, &mut FixedPath::new(path.clone()).unwrap(), SGD);
    let [own, random, diverse] = &outcome.paths[..] else { panic!("three paths") };
    assert_eq!(own.path, path);
    assert_eq!(random.path.distance(&diverse.path), Ok(6));
    let scaled = [(0.2, path), (0.4, random.path.clone()), (0.4, diverse.path.clone())];
    by_hand(&mut theirs, &scaled, SGD);
    let off = weights(&ours).iter().zip(weights(&theirs)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-7, "off by {off}");
}

/// The archive changes before its loss is computed, so the first step has one constraint path and the second two.
#[test]
fn nsas_with_an_archive_trains_the_members_that_the_step_has_chosen() {
    let mut rule = nsas(0.5, Constraints::Archive(2), ConstraintLoss::Trained);
    let path = Arch::new(vec![3, 2, 1, 3, 0, 2]);
    let (mut ours, mut theirs) = (executor(), executor());
    for members in 1..=2 {
        step(&mut rule, &mut ours, &mut FixedPath::new(path.clone()).unwrap(), SGD);
        assert_eq!(rule.archive().len(), members);
        let share = 0.5 / members as f32;
        let constraints = rule.archive().iter().map(|member| (share, member.clone()));
        by_hand(&mut theirs, &[(0.5, path.clone())].into_iter().chain(constraints).collect::<Vec<_>>(), SGD);
        assert_eq!(weights(&ours), weights(&theirs));
    }
}

/// The public demo adds `loss.item()` of its archive: only half of the path's own gradient is left.
#[test]
fn nsas_as_the_demo_runs_it_takes_a_step_with_a_share_of_the_gradient() {
    let mut rule = nsas(0.5, Constraints::Archive(8), ConstraintLoss::Constant);
    let path = Arch::new(vec![3, 2, 1, 3, 0, 2]);
    let (mut ours, mut theirs, mut trained) = (executor(), executor(), executor());
    let mut one_path = FixedPath::new(path.clone()).unwrap();
    for _ in 0..2 {
        let outcome = step(&mut rule, &mut ours, &mut one_path, SGD);
        assert_eq!(outcome.paths.len(), 1);
        by_hand(&mut theirs, &[(0.5, path.clone())], SGD);
    }
    assert_eq!((weights(&ours), rule.archive().len()), (weights(&theirs), 2));
    let mut with_gradient = nsas(0.5, Constraints::Archive(8), ConstraintLoss::Trained);
    (0..2).for_each(|_| drop(step(&mut with_gradient, &mut trained, &mut one_path, SGD)));
    assert_eq!(with_gradient.archive(), rule.archive());
    assert_ne!(weights(&trained), weights(&ours));
}
