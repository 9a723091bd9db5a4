//! Frozen networks of every space: both executors agree on them, and so does onnxruntime on their ONNX files.
//!
//! `tests/onnx/check.py` runs where `$PADA_ONNX_PYTHON` names a Python with the packages of `tests/onnx/requirements.txt`; `cargo xtask ci` sets
//! it up.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use pada::engine::Engine;
use pada::exec::{Executor, Images, Precision, State};
use pada::graph::onnx::ModelProto;
use pada::graph::{
    Conv, Frozen, Graph, GraphBuilder, Init, Lower, NodeId, Norm, Pool, Shape, Statistics, WeightLayout,
    WeightSpec,
};
use pada::models::init_weights;
use pada::models::{
    DartsModel, DartsNet, DartsSize, DartsTraining, MacroNet, MobileModel, Nb201Net, Norms, ProxylessNet,
};
use pada::space::{
    Arch, DARTS_NAMED, Darts, Genotype, MobileSpec, NasBenchMacro, Nb201, PROXYLESS_NAMED, Proxyless,
    ProxylessWidths, SearchSpace, find_named,
};
use pada::trainer::RngStream;
use pada_candle::CandleExecutor;
use serde_json::json;

/// Of the largest logit, where that is above 1.
const ALLOWED: f32 = 1e-4;
const SMALL: Shape = Shape { channels: 3, height: 16, width: 16 };

#[test]
fn executors_and_onnxruntime_agree_on_frozen_networks_of_every_space() {
    let folder = tempfile::tempdir().unwrap();
    for (name, frozen, values) in networks() {
        let file = folder.path().join(name);
        write_and_compare(&file, &frozen, values);
    }
    let Some(python) = std::env::var_os("PADA_ONNX_PYTHON") else {
        println!("skipped: onnxruntime was not asked, PADA_ONNX_PYTHON is not set; `cargo xtask ci` sets it");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/check.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    print!("{stdout}");
}

/// Name, network and weights; one with inherited weights for each space, and networks that stand alone.
fn networks() -> Vec<(&'static str, Frozen, Vec<f32>)> {
    let plain = Nb201Net::new(8, 2, SMALL, 10, Norms::Plain);
    let affine = Nb201Net::new(4, 1, SMALL, 10, Norms::Affine);
    let size = DartsSize { channels: 4, layers: 6, input: SMALL, classes: 10, ..DartsSize::CIFAR };
    let darts = DartsNet::new(size, Norms::Plain);
    let genotype = Genotype::parse(find_named(DARTS_NAMED, "DARTS_V2").unwrap().text).unwrap();
    let model = DartsModel::new(&genotype, size);
    let image = Shape::new(3, 64, 64);
    let proxyless = ProxylessNet::new(&ProxylessWidths::SEARCH, image, 10, Norms::Running);
    let spec: MobileSpec = find_named(PROXYLESS_NAMED, "FairNAS_A").unwrap().text.parse().unwrap();
    let mobile = MobileModel::new(&spec, image, 10);
    let spec: MobileSpec = find_named(PROXYLESS_NAMED, "MnasNet_A1").unwrap().text.parse().unwrap();
    let squeezed = MobileModel::new(&spec, image, 10);
    let amoeba = DartsModel::of_cells(&"AmoebaNet".parse().unwrap(), size, DartsTraining::default());
    let macro_net = MacroNet::new(SMALL, 10, Norms::Running);
    let space = Proxyless::new(ProxylessWidths::SEARCH);
    let alone = Arch::new(&[0; 0][..]);
    let nets: [(&str, &dyn Lower, Arch); 11] = [
        ("nb201", &plain, Nb201::new().parse("421323").unwrap()),
        ("nb201-dead-edges", &plain, Nb201::new().parse("043012").unwrap()),
        ("nb201-dead", &plain, Nb201::new().parse("000000").unwrap()),
        ("nb201-affine", &affine, Nb201::new().parse("243321").unwrap()),
        ("darts", &darts, Darts::arch(&genotype).unwrap()),
        ("darts-alone", &model, alone.clone()),
        ("proxyless", &proxyless, space.parse("012345012345012340123").unwrap()),
        ("amoebanet-alone", &amoeba, alone.clone()),
        ("mnasnet-alone", &squeezed, alone.clone()),
        ("proxyless-alone", &mobile, alone),
        ("macro", &macro_net, NasBenchMacro.parse("01210212").unwrap()),
    ];
    let mut all: Vec<_> = nets
        .into_iter()
        .map(|(name, net, arch)| {
            let frozen = Frozen::new(net, &arch).unwrap();
            let values = frozen.values(net.weights(), &seeded(net.weights())).unwrap();
            (name, frozen, values)
        })
        .collect();
    let (graph, layout) = everything();
    let frozen = Frozen::from_graph(&graph, &layout, SMALL);
    let values = frozen.values(&layout, &seeded(&layout)).unwrap();
    all.push(("everything", frozen, values));
    all
}

/// Starting weights; norms get a scale and shift that can be seen.
fn seeded(layout: &WeightLayout) -> Vec<f32> {
    let mut values = init_weights(layout, &mut RngStream::Init.stage_stream(7, 0));
    for (id, spec) in layout.iter() {
        if matches!(spec.init, Init::Constant(_)) && layout.is_trained(id) {
            let place = layout.range(id);
            let wave = wave(place.len(), id.0 as f64);
            values[place].iter_mut().zip(wave).for_each(|(v, wave)| *v += 0.3 * wave);
        }
    }
    values
}

fn wave(n: usize, phase: f64) -> Vec<f32> {
    (0..n).map(|i| (0.7 * i as f64 + phase).sin() as f32).collect()
}

/// A graph with parts that no network of the spaces has: convolutions that begin inside and outside of the image, with padding and with bias, groups
/// that are not depthwise, zeros in a concatenation, sums of three, all poolings, a linear layer in the middle.
fn everything() -> (Graph, WeightLayout) {
    let mut layout = WeightLayout::new();
    let mut weight = |name: &str, shape: &[usize]| {
        let init = Init::Uniform { fan_in: shape[1..].iter().product::<usize>().max(1) };
        layout.push(WeightSpec { name: name.into(), shape: shape.into(), init, owner: None })
    };
    let [a, b] = [weight("a.weight", &[6, 3, 3, 3]), weight("b.weight", &[6, 3, 1, 1])];
    let (c, bias) = (weight("c.weight", &[6, 2, 3, 3]), weight("c.bias", &[6]));
    // Not called as PyTorch would, and one that an operation is called.
    let [linear, last] = [("relu_9", 12, 10), ("last.weight", 10, 4)];
    let linear = (weight(linear.0, &[linear.2, linear.1]), weight("shift", &[linear.2]));
    let last = (weight(last.0, &[last.2, last.1]), weight("last.bias", &[last.2]));
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(SMALL);
    // One pixel of the border left is before the image: (16 − 1 + 4 − 3) / 2 + 1 = 9. Two pixels of the image cut: (16 − 3 + 2 − 1) / 2 + 1 = 8.
    let outside = g.conv(x, Conv { offset: 1, padding: 2, stride: 2, ..Conv::same(a, 6, 3, 1) }).unwrap();
    let inside = g.conv(x, Conv { offset: 3, padding: 1, ..Conv::same(b, 6, 1, 2) }).unwrap();
    let norm = |g: &mut GraphBuilder<'_>, x: NodeId| {
        g.norm(x, Norm { affine: None, eps: 1e-3, statistics: Statistics::Batch }).unwrap()
    };
    let outside = norm(&mut g, outside);
    let inside = norm(&mut g, inside);
    let shape = g.shape(outside);
    assert_eq!((shape, g.shape(inside)), (Shape::new(6, 9, 9), Shape::new(6, 8, 8)));
    let window = |kernel, stride, padding| Pool { kernel, stride, padding };
    let inside = g.relu6(inside);
    let mean = g.avg_pool(outside, window(4, 1, 1)).unwrap();
    let largest = g.max_pool(inside, window(3, 1, 1)).unwrap();
    let grouped = Conv { groups: 3, dilation: 2, padding: 2, bias: Some(bias), ..Conv::same(c, 6, 3, 1) };
    let grouped = g.conv(inside, grouped).unwrap();
    let sum = g.add(&[mean, largest, grouped]).unwrap();
    let zero = g.zero(g.shape(sum));
    let both = g.concat(&[zero, sum]).unwrap();
    let both = g.avg_pool(both, window(3, 2, 1)).unwrap();
    let vector = g.global_avg_pool(both);
    let hidden = g.linear(vector, linear.0, linear.1).unwrap();
    let hidden = g.relu(hidden);
    g.linear(hidden, last.0, last.1).unwrap();
    (g.finish(), layout)
}

fn write_and_compare(file: &Path, frozen: &Frozen, values: Vec<f32>) {
    let (graph, shape, layout) = (frozen.graph(), frozen.input(), frozen.weights());
    let mut engine = Engine::new(layout.clone(), values.clone(), Precision::F32);
    let mut candle = CandleExecutor::new(layout.clone(), values, Precision::F32);
    // As good as random: of smooth images some channels would hardly vary, and norms enlarge rounding there.
    let images = |n: usize, phase: f64| -> Vec<f32> {
        (0..n * shape.numel()).map(|i| (0.37 * (i * i) as f64 + phase).sin() as f32).collect()
    };
    for batch in 0..2 {
        let pixels = images(12, batch as f64);
        let images = Images::given(&pixels, shape);
        engine.recalibrate(graph, &images, 1.0 / (batch + 1) as f64).unwrap();
        candle.recalibrate(graph, &images, 1.0 / (batch + 1) as f64).unwrap();
    }
    let name = file.file_name().unwrap().to_str().unwrap();
    let values = engine.read(State::Weights);
    assert_close(&format!("{name}, weights and statistics"), &values, &candle.read(State::Weights));
    candle.write(State::Weights, &values);

    let mut first = Vec::new();
    let mut batches = Vec::new();
    for n in [1, 7] {
        let pixels = images(n, 0.25);
        let images = Images::given(&pixels, shape);
        let [ours, theirs] =
            [engine.logits(graph, &images), candle.logits(graph, &images)].map(Result::unwrap);
        assert_close(&format!("{name}, batch {n}"), &ours.values, &theirs.values);
        // Nothing of a frozen network depends on the other images of a batch.
        first.push(ours.row(0).to_vec());
        batches.push(json!({"images": pixels, "logits": ours.values}));
    }
    assert_close(&format!("{name}, alone and among others"), &first[0], &first[1]);

    let model = frozen.to_onnx(name, &values, &BTreeMap::from([("arch".into(), name.into())])).unwrap();
    let bytes = model.to_bytes();
    assert_eq!(ModelProto::from_bytes(&bytes).unwrap(), model);
    std::fs::write(file.with_extension("onnx"), bytes).unwrap();
    let read = graph.nodes().iter().filter(|node| node.op.name() != "input").count();
    let shape = [shape.channels, shape.height, shape.width];
    let expected = json!({"shape": shape, "values": read, "batches": batches});
    std::fs::write(file.with_extension("json"), expected.to_string()).unwrap();
}

#[track_caller]
fn assert_close(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let bound = ALLOWED * b.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off <= bound, "{what}: off by {off:e}, allowed {bound:e}");
}
