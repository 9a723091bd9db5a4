//! Supernets whose norms keep running statistics: NAS-Bench-Macro, on images of 8×8.
use pada_data::InMemoryDataset;
use pada_engine::Engine;
use pada_exec::{Batch, Decayed, Executor, Images, Precision, SgdStep, State, UnusedWeights};
use pada_graph::{Graph, Lower, Node, Norm, Op, Shape, Statistics, WeightId, WeightLayout};
use pada_models::init_weights;
use pada_models::{MacroNet, Norms};
use pada_sampler::{FixedPath, Variant};
use pada_space::{Arch, NasBenchMacro, SearchSpace};
use pada_trainer::rules::{Sumnas, SumnasConfig};
use pada_trainer::{Calibration, EvalSet, RecalibratedMean, RngStream, Scorer, StepContext, TrainRule};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const SHAPE: Shape = Shape { channels: 3, height: 8, width: 8 };

fn net() -> MacroNet {
    MacroNet::new(SHAPE, 4, Norms::Running)
}

fn executor(net: &MacroNet) -> Engine {
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(2));
    Engine::new(net.weights().clone(), weights, Precision::F32)
}

/// 24 images of four classes.
fn images() -> InMemoryDataset {
    let pixels = (0..24 * 192_usize).map(|i| (i * 37 % 251) as u8).collect();
    let labels = (0..24).map(|i| i % 4).collect();
    InMemoryDataset {
        name: "test".into(),
        pixels,
        labels,
        classes: 4,
        channels: 3,
        height: 8,
        width: 8,
        ..pada_data::mini().unwrap().test
    }
}

fn arch(text: &str) -> Arch {
    NasBenchMacro.parse(text).unwrap()
}

/// Returns the number of correct images of each architecture, scored one after the other.
fn correct(
    executor: &mut Engine,
    net: &MacroNet,
    images: &EvalSet,
    calibration: &Calibration,
    archs: &[Arch],
) -> Vec<usize> {
    let mut scorer = Scorer {
        executor,
        place: &mut |_: &Arch, _: &mut dyn Executor| Ok(vec![]),
        net,
        space: &NasBenchMacro,
        images,
        calibration: Some(calibration),
        known: Default::default(),
    };
    // Each label is among the best five of four classes.
    assert_eq!(scorer.top5(&archs[0]).unwrap(), None);
    archs.iter().map(|arch| scorer.score(arch).unwrap().correct).collect()
}

#[test]
fn a_score_depends_neither_on_the_statistics_that_training_left_nor_on_the_order() {
    let (net, set) = (net(), images());
    let (eval, calibration) =
        (EvalSet::new(&set, 24, 10), Calibration::new(&set.clone().into(), 16, 8).unwrap());
    assert_eq!(calibration.len(), 16);
    let archs = ["20212012", "11111111", "00000000", "12120000"].map(arch);
    let scores = |order: &[usize], statistics: f32| {
        let mut executor = executor(&net);
        let mut weights = executor.read(State::Weights);
        for (id, _) in net.weights().iter().filter(|(id, _)| !net.weights().is_trained(*id)) {
            weights[net.weights().range(id)].fill(statistics);
        }
        executor.write(State::Weights, &weights);
        let mut found = [0; 4];
        let in_order = order.iter().map(|&i| archs[i].clone()).collect::<Vec<_>>();
        let scored = correct(&mut executor, &net, &eval, &calibration, &in_order);
        order.iter().zip(scored).for_each(|(&i, correct)| found[i] = correct);
        found
    };
    let expected = scores(&[0, 1, 2, 3], 1.0);
    assert_eq!(scores(&[3, 1, 2, 0], 100.0), expected);

    // By hand: the mean over the batches of the same choice of images, then a plain forward pass.
    let mut executor = executor(&net);
    let graph = net.lower(&archs[0]).unwrap();
    let places: Vec<u32> = (0..24).collect();
    let pixels = pada_data::normalised(&set, &places).unwrap();
    executor.recalibrate(&graph, &Images::given(&pixels, SHAPE), 1.0).unwrap();
    let whole = Calibration::new(&set.clone().into(), 100, 24).unwrap();
    assert_eq!(whole.len(), 24);
    let logits = executor.logits(&graph, &Images::given(&pixels, SHAPE)).unwrap();
    let labels: Vec<u32> = (0..24).map(|i| i % 4).collect();
    assert_eq!(correct(&mut executor, &net, &eval, &whole, &archs[..1]), [logits.correct(&labels)]);
}

/// By hand, with a last batch of 4 images after two of 10: each batch counts by its images, whatever the statistics were before.
#[test]
fn statistics_are_the_mean_over_all_batches_by_their_images() {
    let (net, set) = (net(), images());
    let graph = net.lower(&arch("20212012")).unwrap();
    let mut order: Vec<u32> = (0..24).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(128));
    let mut expected = executor(&net);
    for (share, places) in [1.0, 10.0 / 20.0, 4.0 / 24.0].into_iter().zip(order.chunks(10)) {
        let pixels = pada_data::normalised(&set, places).unwrap();
        expected.recalibrate(&graph, &Images::given(&pixels, SHAPE), share).unwrap();
    }
    let mut ours = executor(&net);
    let mut weights = ours.read(State::Weights);
    for (id, _) in net.weights().iter().filter(|(id, _)| !net.weights().is_trained(*id)) {
        weights[net.weights().range(id)].fill(100.0);
    }
    ours.write(State::Weights, &weights);
    let calibration = Calibration::new(&set.clone().into(), 24, 10).unwrap();
    calibration.run(&graph, &mut ours).unwrap();
    let plain = statistics(&ours, &graph);
    assert_eq!(plain, statistics(&expected, &graph));

    // Exponential means of momentum .25: `.75 · (.75 · first + .25 · second) + .25 · third`.
    let batches: Vec<Vec<f32>> = order
        .chunks(10)
        .map(|places| {
            let (mut executor, pixels) = (executor(&net), pada_data::normalised(&set, places).unwrap());
            executor.recalibrate(&graph, &Images::given(&pixels, SHAPE), 1.0).unwrap();
            statistics(&executor, &graph)
        })
        .collect();
    let mut alone = executor(&net);
    alone.write(State::Weights, &weights);
    let exponential = calibration.with_mean(RecalibratedMean::Exponential(0.25));
    exponential.run(&graph, &mut alone).unwrap();
    let mut largest = 0.0_f32;
    for (i, ours) in statistics(&alone, &graph).into_iter().enumerate() {
        let [first, second, third] = [0, 1, 2].map(|batch| batches[batch][i]);
        // The statistics of later norms depend on those before only through the weights, which are the same.
        let expected = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third;
        assert!((ours - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{i}: {ours}, not {expected}");
        largest = largest.max((ours - plain[i]).abs());
    }
    assert!(largest > 1e-3, "the two means are the same");
}

/// Running means and variances that a graph's norms read, one after the other.
fn statistics(executor: &Engine, graph: &Graph) -> Vec<f32> {
    let (layout, weights) = (executor.layout(), executor.read(State::Weights));
    graph_statistics(graph, layout)
        .into_iter()
        .flat_map(|(id, _)| weights[layout.range(id)].to_vec())
        .collect()
}

/// Running means and variances that a graph's norms read, with their names.
fn graph_statistics(graph: &Graph, layout: &WeightLayout) -> Vec<(WeightId, String)> {
    let of = |node: &Node| match &node.op {
        Op::Norm(Norm { statistics: Statistics::Running { mean, var, .. }, .. }) => vec![*mean, *var],
        _ => vec![],
    };
    let ids: Vec<WeightId> = graph.nodes().iter().flat_map(of).collect();
    assert!(ids.len() > 10, "{}", ids.len());
    ids.into_iter().map(|id| (id, layout.spec(id).name.clone())).collect()
}

/// SUMNAS moves weights along what its paths travelled; running statistics are no weights.
#[test]
fn sumnas_leaves_variances_that_are_some() {
    let (net, set) = (net(), images());
    let mut executor = executor(&net);
    let places: Vec<u32> = (0..8).collect();
    let (pixels, labels) = (pada_data::normalised(&set, &places).unwrap(), [0, 1, 2, 3, 0, 1, 2, 3]);
    let config =
        SumnasConfig { variant: Variant::Paper, inner_steps: 2, inner_lr: 0.05, inner_momentum: 0.9 };
    let mut rule = Sumnas::new(config);
    let before = executor.read(State::Weights);
    for _ in 0..3 {
        let mut ctx = StepContext {
            executor: &mut executor,
            net: &net,
            paths: &mut FixedPath::new(arch("12121212")).unwrap(),
            path_rng: &mut RngStream::Paths.stream(0),
            rule_rng: &mut RngStream::Rule.stream(0),
            sgd: SgdStep {
                lr: 1.0,
                momentum: 0.9,
                weight_decay: 0.1,
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
        let batch = Batch { images: Images::given(&pixels, SHAPE), labels: &labels };
        rule.step(&mut ctx, &batch).unwrap();
    }
    let (after, momentum) = (executor.read(State::Weights), executor.read(State::Momentum));
    let mut moved = 0;
    for (id, spec) in net.weights().iter().filter(|(id, _)| !net.weights().is_trained(*id)) {
        let range = net.weights().range(id);
        assert!(momentum[range.clone()].iter().all(|m| *m == 0.0), "{} has momentum", spec.name);
        moved += usize::from(after[range.clone()] != before[range.clone()]);
        if spec.name.ends_with("running_var") {
            // Six passes at a momentum of .1 keep at least .9^6 of the variance of 1 that was there.
            assert!(after[range].iter().all(|var| *var > 0.53), "{}", spec.name);
        }
    }
    assert!(moved > 20, "{moved} statistics moved");
}
