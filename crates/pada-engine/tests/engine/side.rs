//! Auxiliary heads, drop-path, smoothed labels, and the modules of published networks, against the readable executor.

use pada_engine::Isa;
use pada_exec::{Batch, ExecError, Executor, Images, LossSpec, Precision};
use pada_graph::{Conv, Graph, GraphBuilder, Init, Lower, Norm, Shape, Statistics, WeightLayout, WeightSpec};
use pada_models::{DartsModel, DartsSize, DartsTraining, DropPath, MobileModel};
use pada_space::Arch;

use crate::case::{Case, ISAS, distance};

const IMAGES: usize = 11; // more than a chunk of the engine
const CLASSES: usize = 4;

/// Drop-path behind a norm, behind an activation, on what is read plainly too, and on zeros; dropout of channels of images, and of
/// a vector that a head reads too; heads on a vector, on the logits
/// themselves, and two on the same logits.
fn small() -> (WeightLayout, Graph) {
    let shape = Shape::new(3, 5, 4);
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None })
    };
    let (a, b) = (push("a", vec![5, 3, 3, 3]), push("b", vec![5, 5, 3, 3]));
    let (scale, shift) = (push("scale", vec![5]), push("shift", vec![5]));
    let mut linear = |name: &str| {
        (push(&format!("{name}.weight"), vec![CLASSES, 5]), push(&format!("{name}.bias"), vec![CLASSES]))
    };
    let (head, last) = (linear("head"), linear("last"));
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(shape);
    let y = g.conv(x, Conv::same(a, 5, 3, 1)).unwrap();
    let norm = Norm { affine: Some((scale, shift)), eps: 1e-3, statistics: Statistics::Batch };
    let normed = g.norm(y, norm).unwrap();
    let dropped = g.drop_path(normed, 2);
    let relu = g.relu(y);
    let active = g.drop_path(relu, 0);
    let zero = g.zero(g.shape(y));
    let nothing = g.drop_path(zero, 1);
    let sum = g.add(&[dropped, active, nothing, y]).unwrap();
    let pooled = g.global_avg_pool(sum);
    let logits = g.linear(pooled, head.0, head.1).unwrap();
    g.auxiliary(logits, 0.4);
    g.auxiliary(logits, 0.3);
    let sum = g.dropout(sum, 8);
    let z = g.conv(sum, Conv::same(b, 5, 3, 1)).unwrap();
    let z = g.global_avg_pool(z);
    let zeros = g.linear(z, head.0, head.1).unwrap();
    g.auxiliary(zeros, 0.2);
    let z = g.dropout(z, 3);
    g.linear(z, last.0, last.1).unwrap();
    (layout.clone(), g.finish())
}

/// Returns logits and gradient of a pass in which each image has a weight of its own.
pub(crate) fn pass(case: &Case, executor: &mut dyn Executor, graph: &Graph) -> [Vec<f32>; 2] {
    let batch = Batch { images: Images::given(&case.pixels, case.shape), labels: &case.labels };
    let n = case.labels.len();
    let drop_path: Vec<f32> =
        (0..n * graph.drop_path_slots()).map(|i| if i * 7 % 5 == 0 { 0.0 } else { 1.25 }).collect();
    let weights: Vec<f32> = (0..n).map(|i| 0.5 + i as f32 * 0.1).collect();
    let loss =
        LossSpec { scale: 1.5, image_weights: Some(&weights), label_smoothing: 0.1, drop_path: &drop_path };
    executor.zero_gradient();
    let logits = executor.gradients(graph, &batch, &loss).unwrap().logits.values;
    [logits, case.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect()]
}

/// A training step of a network with running statistics.
fn of_net(net: &dyn Lower, images: usize, seed: u64) -> (Case, Graph) {
    let mut case = Case::new(net.weights(), net.input(), images, CLASSES, seed);
    for (id, spec) in net.weights().iter().filter(|(id, _)| !net.weights().is_trained(*id)) {
        let value = if spec.name.ends_with("var") { 1.0 } else { 0.0 };
        case.weights[case.layout.range(id)].fill(value);
    }
    (case, net.lower_to_train(&Arch::new([])).unwrap().simplified())
}

pub(crate) fn cases() -> Vec<(Case, Graph)> {
    let (layout, graph) = small();
    let case = Case::new(&layout, Shape::new(3, 5, 4), IMAGES, CLASSES, 2);
    let training = DartsTraining { auxiliary: Some(0.4), drop_path: DropPath::Edges };
    let size = DartsSize {
        channels: 8,
        layers: 3,
        input: Shape::new(3, 32, 32),
        classes: CLASSES,
        ..DartsSize::CIFAR
    };
    let darts = DartsModel::of_cells(&"DARTS_V1".parse().unwrap(), size, training);
    // Convolutions along one direction, 7×7 kernels, five nodes.
    let size = DartsSize { channels: 4, ..size };
    let amoeba = DartsModel::of_cells(&"AmoebaNet".parse().unwrap(), size, training);
    // Squeeze-and-excitation, with ReLU and with ReLU6.
    let blocks = "stem 8; MB1 k3 ->8; (8,3,2,6) (12,5,2,3,0.25) (12,5,1,3,0.25) (16,3,1,6,0.25)x2; 24";
    let squeezed = ["relu eps 1e-2", "relu6 eps 1e-2"].map(|modules| {
        let spec = format!("{blocks}; {modules}").parse().unwrap();
        MobileModel::new(&spec, Shape::new(3, 24, 32), CLASSES)
    });
    let [relu, relu6] = &squeezed;
    let nets = [of_net(&darts, 9, 4), of_net(&amoeba, 5, 5), of_net(relu, 9, 6), of_net(relu6, 9, 7)];
    std::iter::once((case, graph.simplified())).chain(nets).collect()
}

#[test]
fn side_losses_and_dropped_paths_equal_candle() {
    for (case, graph) in cases() {
        let [logits, gradient] = pass(&case, &mut case.candle(), &graph);
        let ours = pass(&case, &mut case.engine(Precision::F64, Isa::Portable), &graph);
        assert!(distance(&ours[0], &logits) < 1e-6);
        assert!(distance(&ours[1], &gradient) < 1e-5);
        for isa in ISAS {
            let ours = pass(&case, &mut case.engine(Precision::F32, isa), &graph);
            let off = [distance(&ours[0], &logits), distance(&ours[1], &gradient)];
            assert!(off[0] < 1e-3 && off[1] < 0.03, "{isa}: {off:?}");
        }
    }
}

#[test]
fn dropped_paths_and_heads_move_the_gradient() {
    let (case, graph) = &cases()[0];
    let whole = pass(case, &mut case.engine(Precision::F64, Isa::Portable), graph)[1].clone();
    let batch = Batch { images: Images::given(&case.pixels, case.shape), labels: &case.labels };
    let kept = vec![1.0; case.labels.len() * graph.drop_path_slots()];
    let mut engine = case.engine(Precision::F64, Isa::Portable);
    engine.zero_gradient();
    engine.gradients(graph, &batch, &LossSpec { drop_path: &kept, ..LossSpec::default() }).unwrap();
    let id = case.layout.find("head.weight").unwrap();
    assert!(engine.gradient(id).iter().any(|&g| g != 0.0), "a head is trained");
    assert_ne!(engine.gradient(id).to_vec(), whole[case.layout.range(id)].to_vec());
    // A pass for logits needs no numbers.
    engine.logits(graph, &batch.images).unwrap();
}

#[test]
fn too_few_numbers_for_drop_path_are_an_error() {
    let (case, graph) = &cases()[0];
    let batch = Batch { images: Images::given(&case.pixels, case.shape), labels: &case.labels };
    let loss = LossSpec { drop_path: &[1.0], ..LossSpec::default() };
    for executor in [&mut case.engine(Precision::F32, Isa::detect()) as &mut dyn Executor, &mut case.candle()]
    {
        let error = executor.gradients(graph, &batch, &loss).unwrap_err();
        assert!(matches!(error, ExecError::DropPath { found: 1, slots: 13, images: IMAGES }), "{error}");
    }
}

/// `torch.nn.Dropout`: `y = x · mask / (1 − p)`, so that the gradient of a weight is that of the masked input. Evaluation is the
/// identity.
#[test]
fn dropout_multiplies_the_inputs_of_the_classifier() {
    let input = Shape::new(CHANNELS, 2, 2);
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None })
    };
    let (weight, bias) = (push("weight", vec![CLASSES, CHANNELS]), push("bias", vec![CLASSES]));
    const CHANNELS: usize = 13; // padded to the width of a vector
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(input);
    let plain = g.classified(x, (weight, bias)).unwrap();
    let graph = plain.with_dropout().unwrap().simplified();
    assert_eq!(graph.drop_path_slots(), CHANNELS);
    let case = Case::new(&layout, input, IMAGES, CLASSES, 3);
    let batch = Batch { images: Images::given(&case.pixels, case.shape), labels: &case.labels };
    // p = .5, `[C, B]`.
    let factors: Vec<f32> = (0..CHANNELS * IMAGES).map(|i| if i * 7 % 5 < 2 { 0.0 } else { 2.0 }).collect();
    let loss = LossSpec { drop_path: &factors, ..LossSpec::default() };
    let features = |image: usize, c: usize| {
        let pixels = &case.pixels[(image * CHANNELS + c) * 4..][..4];
        f64::from(pixels.iter().sum::<f32>()) / 4.0
    };
    let kept = |image: usize, c: usize| features(image, c) * f64::from(factors[c * IMAGES + image]);
    let weight = |k: usize, c: usize| f64::from(case.weights[k * CHANNELS + c]);
    let logits = |of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        let bias = |k: usize| f64::from(case.weights[CLASSES * CHANNELS + k]);
        let logit = |image, k| bias(k) + (0..CHANNELS).map(|c| weight(k, c) * of(image, c)).sum::<f64>();
        (0..IMAGES)
            .flat_map(|image| (0..CLASSES).map(move |k| (image, k)))
            .map(|(i, k)| logit(i, k))
            .collect()
    };
    let expected = logits(&kept);
    let mut gradient = vec![0.0; CLASSES * CHANNELS];
    for (image, logits) in expected.chunks(CLASSES).enumerate() {
        let sum: f64 = logits.iter().map(|l| l.exp()).sum();
        for (k, logit) in logits.iter().enumerate() {
            let hit = if case.labels[image] as usize == k { 1.0 } else { 0.0 };
            let slope = (logit.exp() / sum - hit) / IMAGES as f64;
            (0..CHANNELS).for_each(|c| gradient[k * CHANNELS + c] += slope * kept(image, c));
        }
    }
    let close = |ours: &[f32], expected: &[f64]| {
        assert_eq!(ours.len(), expected.len());
        ours.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5)
    };
    let engines = [&mut case.engine(Precision::F32, Isa::detect()) as &mut dyn Executor, &mut case.candle()];
    for executor in engines {
        executor.zero_gradient();
        let found = executor.gradients(&graph, &batch, &loss).unwrap().logits.values;
        assert!(close(&found, &expected));
        assert!(close(&executor.gradient(layout.find("weight").unwrap()), &gradient));
        let found = executor.logits(&graph, &batch.images).unwrap().values;
        assert!(close(&found, &logits(&features)));
        assert_eq!(found, executor.logits(&plain, &batch.images).unwrap().values);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (case, graph) in cases() {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| pass(&case, &mut case.engine(Precision::F32, Isa::detect()), &graph))
        };
        assert_eq!(bits(1), bits(3));
    }
}
