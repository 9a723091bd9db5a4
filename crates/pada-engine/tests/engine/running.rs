//! Norms with running statistics, and the networks of the other spaces, against the readable executor.

use pada_engine::Isa;
use pada_exec::{Batch, Decayed, Executor, Images, LossSpec, Precision, SgdStep, State, UnusedWeights};
use pada_graph::{Graph, Lower, Shape};
use pada_models::{DartsModel, DartsNet, DartsSize, MacroNet, MobileModel, Nb201Net, Norms, ProxylessNet};
use pada_space::{
    DARTS_NAMED, Darts, Genotype, NasBenchMacro, Nb201, Proxyless, ProxylessWidths, SearchSpace, find_named,
};

use crate::case::{Case, ISAS, distance, noise};

const SHAPE: Shape = Shape { channels: 3, height: 16, width: 16 };

/// The layers of FBNet-C, each once, with fewer channels in the last ones, which have most of the weights.
const MOBILE: &str = "stem 16; (16,3,1,1) (24,3,2,6) skip (24,3,1,1) (32,5,2,6) (32,5,1,3) (64,5,2,6) (64,5,1,3) (72,5,2,6) (88,3,1,6); 224; \
                      relu eps 1e-5";

/// The supernet of the search with about a third of its channels. Most of the time would be spent on weights that no image meets.
fn narrow() -> ProxylessWidths {
    let mut widths = ProxylessWidths { head: 160, ..ProxylessWidths::SEARCH };
    widths.stages.iter_mut().for_each(|stage| stage.width = (stage.width / 3).next_multiple_of(8));
    widths
}

/// A network with running statistics, which begin at mean 0 and variance 1.
fn setup(net: &dyn Lower, images: usize) -> Case {
    let mut case = Case::new(net.weights(), net.input(), images, 10, 3);
    for (id, spec) in net.weights().iter().filter(|(id, _)| !net.weights().is_trained(*id)) {
        let value = if spec.name.ends_with("var") { 1.0 } else { 0.0 };
        case.weights[case.layout.range(id)].fill(value);
    }
    case
}

pub(crate) fn paths() -> Vec<(Case, Graph)> {
    let nb201 = Nb201Net::new(16, 1, SHAPE, 10, Norms::Running);
    let layers = MacroNet::new(SHAPE, 10, Norms::Running);
    let widths = narrow();
    let space = Proxyless::new(widths);
    let proxyless = ProxylessNet::new(&widths, Shape::new(3, 64, 32), 10, Norms::Running);
    let genotype = Genotype::parse(find_named(DARTS_NAMED, "NASNet").unwrap().text).unwrap();
    let size = DartsSize { channels: 8, layers: 3, input: SHAPE, classes: 10, ..DartsSize::CIFAR };
    let alone = DartsModel::new(&genotype, size);
    let mobile = MobileModel::new(&MOBILE.parse().unwrap(), Shape::new(3, 64, 64), 10);
    vec![
        (setup(&alone, 9), alone.graph().unwrap()),
        (setup(&mobile, 3), mobile.graph().unwrap()),
        (setup(&nb201, 19), nb201.lower(&Nb201::new().parse("323412").unwrap()).unwrap().simplified()),
        // Dead edges: behind a norm with running statistics zeros are a constant.
        (setup(&nb201, 9), nb201.lower(&Nb201::new().parse("033230").unwrap()).unwrap().simplified()),
        (setup(&layers, 17), layers.lower(&NasBenchMacro.parse("02101201").unwrap()).unwrap()),
        (setup(&proxyless, 6), proxyless.lower(&space.parse("016233460661262616005").unwrap()).unwrap()),
    ]
}

/// Returns the results of a pass of each kind: logits, gradient and buffers of a step, logits of an evaluation, buffers after recalibration.
pub(crate) fn all_passes(case: &Case, executor: &mut dyn Executor, graph: &Graph) -> [Vec<f32>; 6] {
    let images = Images::given(&case.pixels, case.shape);
    let others = noise(case.pixels.len(), 77);
    let others = Images::given(&others, case.shape);
    let buffers = |executor: &dyn Executor| {
        let weights = executor.read(State::Weights);
        let buffers = case.layout.iter().filter(|(id, _)| !case.layout.is_trained(*id));
        buffers.flat_map(|(id, _)| weights[case.layout.range(id)].to_vec()).collect::<Vec<f32>>()
    };
    executor.zero_gradient();
    let batch = Batch { images, labels: &case.labels };
    let logits = executor.gradients(graph, &batch, &LossSpec::default()).unwrap().logits.values;
    let gradient = case.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect();
    let trained = buffers(executor);
    // Neither decay nor momentum touches a buffer.
    let sgd = SgdStep {
        lr: 0.0,
        momentum: 0.9,
        weight_decay: 0.1,
        decayed: Decayed::All,
        gradient_scale: 1.0,
        unused: UnusedWeights::Decay,
        ..SgdStep::default()
    };
    executor.update(&SgdStep { lr: 1e-3, weight_decay: 0.0, ..sgd });
    executor.update(&sgd);
    assert_eq!(buffers(executor), trained);
    executor.write(State::Weights, &{
        let mut weights = case.weights.clone();
        let now = executor.read(State::Weights);
        for (id, _) in case.layout.iter().filter(|(id, _)| !case.layout.is_trained(*id)) {
            weights[case.layout.range(id)].copy_from_slice(&now[case.layout.range(id)]);
        }
        weights
    });
    let evaluated = executor.logits(graph, &others).unwrap().values;
    assert_eq!(buffers(executor), trained, "an evaluation moves nothing");
    executor.recalibrate(graph, &others, 1.0).unwrap();
    executor.recalibrate(graph, &images, 0.5).unwrap();
    let recalibrated = buffers(executor);
    let again = executor.logits(graph, &others).unwrap().values;
    [logits, gradient, trained, evaluated, recalibrated, again]
}

pub(crate) const NAMES: [&str; 6] =
    ["logits", "gradient", "buffers", "evaluated", "recalibrated", "evaluated again"];

#[test]
fn passes_with_running_statistics_equal_candle() {
    for (case, graph) in paths() {
        let theirs = all_passes(&case, &mut case.candle(), &graph);
        let ours = all_passes(&case, &mut case.engine(Precision::F64, Isa::Portable), &graph);
        for ((name, ours), theirs) in NAMES.iter().zip(&ours).zip(&theirs) {
            let off = distance(ours, theirs);
            assert!(off < 1e-5, "{name} off by {off} in f64");
        }
        for isa in ISAS {
            let ours = all_passes(&case, &mut case.engine(Precision::F32, isa), &graph);
            for ((name, ours), theirs) in
                NAMES.iter().zip(&ours).zip(&theirs).filter(|((name, _), _)| **name != "gradient")
            {
                let off = distance(ours, theirs);
                assert!(off < 2e-3, "{name} off by {off}, {isa}");
            }
        }
    }
}

#[test]
fn running_statistics_have_the_same_bits_for_any_number_of_threads() {
    for (case, graph) in paths() {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let found = all_passes(&case, &mut case.engine(Precision::F32, Isa::Avx512), &graph);
                found.map(|list| list.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            })
        };
        let one = bits(1);
        for threads in [2, 3, 7] {
            assert!(bits(threads) == one, "{threads} threads give other bits");
        }
    }
}

#[test]
fn darts_steps_equal_candle() {
    let size = DartsSize { channels: 8, layers: 4, input: SHAPE, classes: 10, ..DartsSize::CIFAR };
    let net = DartsNet::new(size, Norms::Plain);
    let case = Case::new(net.weights(), SHAPE, 9, 10, 1);
    for name in ["DARTS_V1", "GDAS_V1", "Random_NSAS", "darts_pt_s5_2"] {
        let graph = net.lower(&Darts.parse(name).unwrap()).unwrap();
        case.check_both(&graph, name);
    }
}
