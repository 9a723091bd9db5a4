//! Networks of the spaces against their twins in PyTorch: logits, gradients, running statistics. `data/make_spaces.py` wrote the
//! numbers, in float64, with weights that are a formula of their names. `data/make_networks.py` did so for published networks that are no
//! architectures of a space.
use pada_candle::CandleExecutor;
use pada_exec::{Batch, Executor, Images, LossSpec, Precision, State};
use pada_graph::{Graph, Lower, Shape, WeightLayout};
use pada_models::{
    DartsModel, DartsNet, DartsSize, DartsSkeleton, DartsTraining, DropPath, MobileModel, Norms, ProxylessNet,
};
use pada_space::{
    Arch, Darts, DartsCells, Equivalence, Genotype, PROXYLESS_NAMED, Proxyless, ProxylessWidths, SearchSpace,
    find_named,
};
use rand::{RngExt, SeedableRng};
use serde_json::Value;

fn golden(network: &str) -> Value {
    serde_json::from_str::<Value>(include_str!("../data/spaces.json")).unwrap()[network].take()
}

fn wave(n: usize, phase: f64) -> Vec<f32> {
    (0..n).map(|i| (0.7 * i as f64 + phase).sin() as f32).collect()
}

/// The formula of `fill` in the script; running statistics start at 0 and 1.
fn weights(layout: &WeightLayout) -> Vec<f32> {
    let mut weights = vec![0.0; layout.numel()];
    for (id, spec) in layout.iter() {
        let phase = spec.name.bytes().map(f64::from).sum();
        let value = wave(spec.numel(), phase).into_iter().map(f64::from);
        let value: Vec<f32> = if spec.name.ends_with("running_mean") {
            vec![0.0; spec.numel()]
        } else if spec.name.ends_with("running_var") {
            vec![1.0; spec.numel()]
        } else if spec.shape.len() > 1 {
            let scale = 1.5 / (spec.shape[1..].iter().product::<usize>() as f64).sqrt();
            value.map(|v| (v * scale) as f32).collect()
        } else if spec.name.ends_with("weight") {
            value.map(|v| (1.0 + 0.25 * v) as f32).collect()
        } else {
            value.map(|v| (0.25 * v) as f32).collect()
        };
        weights[layout.range(id)].copy_from_slice(&value);
    }
    weights
}

/// |ours − theirs| ≤ 1e-4 · max|theirs|; weights and images are rounded to f32 on both sides, and 20 norms enlarge that.
fn assert_close(what: &str, ours: &[f32], theirs: &Value) {
    let theirs: Vec<f64> = theirs.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let bound = 1e-4 * theirs.iter().fold(1e-3_f64, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst <= bound, "{what}: off by {worst:e}, allowed {bound:e}");
}

/// Every weight that has a gradient there has the same here, and no other has one.
fn assert_gradient(executor: &CandleExecutor, theirs: &Value) {
    let theirs = theirs.as_object().unwrap();
    let largest = theirs.values().map(|v| v.as_f64().unwrap()).fold(0.0, f64::max);
    let norms = executor.gradient_norms();
    for (id, spec) in executor.layout().iter() {
        let (ours, theirs) = (norms[id.0], theirs.get(&spec.name).map_or(0.0, |v| v.as_f64().unwrap()));
        assert!((ours - theirs).abs() <= 1e-5 * theirs + 1e-7 * largest, "{}: {ours} {theirs}", spec.name);
    }
    assert!(theirs.keys().all(|name| executor.layout().find(name).is_some()));
}

struct Run {
    executor: CandleExecutor,
    graph: Graph,
    shape: Shape,
}

impl Run {
    fn new(net: &dyn Lower, graph: Graph) -> Self {
        let layout = net.weights().clone();
        let executor = CandleExecutor::new(layout.clone(), weights(&layout), Precision::F64);
        Self { executor, graph, shape: net.input() }
    }

    fn with_images<T>(
        &mut self,
        phase: f64,
        f: impl FnOnce(&mut CandleExecutor, &Graph, Images<'_>) -> T,
    ) -> T {
        let pixels = wave(4 * self.shape.numel(), phase);
        f(&mut self.executor, &self.graph, Images::given(&pixels, self.shape))
    }

    /// Logits of a training pass; its gradient replaces the one that is there.
    fn train(&mut self, phase: f64) -> Vec<f32> {
        self.train_on(phase, &LossSpec::default())
    }

    fn train_on(&mut self, phase: f64, loss: &LossSpec<'_>) -> Vec<f32> {
        self.with_images(phase, |executor, graph, images| {
            executor.zero_gradient();
            let batch = Batch { images, labels: &[0, 1, 2, 3] };
            executor.gradients(graph, &batch, loss).unwrap().logits.values
        })
    }

    fn evaluate(&mut self, phase: f64) -> Vec<f32> {
        self.with_images(phase, |executor, graph, images| executor.logits(graph, &images).unwrap().values)
    }

    /// The first numbers of every buffer that the golden file has.
    fn assert_running(&self, theirs: &Value) {
        let weights = self.executor.read(State::Weights);
        for (name, theirs) in theirs.as_object().unwrap() {
            let place = self.executor.layout().range(self.executor.layout().find(name).unwrap());
            assert_close(name, &weights[place][..8], theirs);
        }
    }
}

fn trained_numel(layout: &WeightLayout) -> usize {
    layout.iter().filter(|(id, _)| layout.is_trained(*id)).map(|(_, spec)| spec.numel()).sum()
}

#[test]
fn golden_darts_path() {
    let golden = golden("darts");
    let size =
        DartsSize { channels: 4, layers: 6, input: Shape::new(3, 16, 16), classes: 10, ..DartsSize::CIFAR };
    let net = DartsNet::new(size, Norms::Plain);
    assert_eq!(net.weights().numel() as u64, golden["weights"].as_u64().unwrap());
    let graph = net.lower(&Darts.parse(golden["genotype"].as_str().unwrap()).unwrap()).unwrap();
    for graph in [graph.simplified(), graph] {
        let mut run = Run::new(&net, graph);
        assert_close("logits", &run.train(0.5), &golden["logits"]);
        assert_gradient(&run.executor, &golden["gradient"]);
    }
}

#[test]
fn golden_proxyless_path_and_its_running_statistics() {
    let golden = golden("proxyless");
    let net = ProxylessNet::new(&ProxylessWidths::SEARCH, Shape::new(3, 64, 64), 10, Norms::Running);
    assert_eq!(trained_numel(net.weights()) as u64, golden["weights"].as_u64().unwrap());
    let space = Proxyless::new(ProxylessWidths::SEARCH);
    let graph = net.lower(&space.parse(golden["path"].as_str().unwrap()).unwrap()).unwrap();
    let mut run = Run::new(&net, graph);
    assert_close("logits", &run.train(0.5), &golden["logits"]);
    assert_gradient(&run.executor, &golden["gradient"]);
    run.train(1.5);
    run.assert_running(&golden["running"]);
    assert_close("evaluated", &run.evaluate(2.5), &golden["evaluated"]);
    run.assert_running(&golden["running"]);
    for (batch, phase) in [3.5, 4.5, 5.5].into_iter().enumerate() {
        run.with_images(phase, |executor, graph, images| {
            executor.recalibrate(graph, &images, 1.0 / (batch + 1) as f64).unwrap()
        });
    }
    run.assert_running(&golden["recalibrated"]);
    assert_close("evaluated again", &run.evaluate(2.5), &golden["evaluated_again"]);
}

/// Auxiliary head, drop-path and smoothed labels, as the published recipe trains a genotype alone.
#[test]
fn golden_darts_genotype_alone() {
    let golden = golden("darts_alone");
    let size =
        DartsSize { channels: 4, layers: 3, input: Shape::new(3, 32, 32), classes: 10, ..DartsSize::CIFAR };
    let genotype = Genotype::parse(golden["genotype"].as_str().unwrap()).unwrap();
    let training = DartsTraining { auxiliary: Some(0.4), drop_path: DropPath::Edges };
    let net = DartsModel::to_train(&genotype, size, training);
    assert_eq!(trained_numel(net.weights()) as u64, golden["weights"].as_u64().unwrap());
    let graph = net.lower_to_train(&Arch::new([])).unwrap();
    let kept = |i: usize| if (3 * (i / 4) + 5 * (i % 4)).is_multiple_of(4) { 0.0 } else { 1.0 / 0.75 };
    let drop_path: Vec<f32> = (0..4 * graph.drop_path_slots()).map(kept).collect();
    for graph in [graph.simplified(), graph] {
        let mut run = Run::new(&net, graph);
        let loss = LossSpec { label_smoothing: 0.1, drop_path: &drop_path, ..LossSpec::default() };
        assert_close("logits", &run.train_on(0.5, &loss), &golden["logits"]);
        assert_gradient(&run.executor, &golden["gradient"]);
    }
    // What is there only in training changes no evaluation.
    let mut plain = Run::new(&net, net.graph().unwrap());
    let whole = net.lower_to_train(&Arch::new([])).unwrap();
    let mut whole = Run::new(&net, whole);
    assert_eq!(plain.evaluate(0.5), whole.evaluate(0.5));
}

/// Compares logits, and norm and direction of the gradient of every weight, with those of a network in `networks.json`.
fn assert_network(name: &str, net: &dyn Lower) {
    let golden = serde_json::from_str::<Value>(include_str!("../data/networks.json")).unwrap()[name].take();
    assert_eq!(trained_numel(net.weights()) as u64, golden["weights"].as_u64().unwrap(), "{name}");
    let graph = net.lower_to_train(&Arch::new([])).unwrap();
    let kept = |i: usize| if (3 * (i / 4) + 5 * (i % 4)).is_multiple_of(4) { 0.0 } else { 1.0 / 0.75 };
    let drop_path: Vec<f32> = (0..4 * graph.drop_path_slots()).map(kept).collect();
    // The networks of DARTS cells are trained with the published recipe, which has smoothed labels and drop-path.
    let label_smoothing = if drop_path.is_empty() { 0.0 } else { 0.1 };
    let mut run = Run::new(net, graph);
    let loss = LossSpec { label_smoothing, drop_path: &drop_path, ..LossSpec::default() };
    assert_close(name, &run.train_on(0.5, &loss), &golden["logits"]);
    let theirs = golden["gradient"].as_object().unwrap();
    let numbers = |pair: &Value| [0, 1].map(|i| pair[i].as_f64().unwrap());
    let largest = theirs.values().map(|pair| numbers(pair)[0]).fold(0.0, f64::max);
    for (id, spec) in net.weights().iter() {
        let [norm, along] = theirs.get(&spec.name).map_or([0.0; 2], numbers);
        let ours = run.executor.gradient(id);
        let direction = wave(spec.numel(), spec.name.bytes().map(f64::from).sum::<f64>() + 1.0);
        let product: f64 = ours.iter().zip(direction).map(|(g, d)| f64::from(*g) * f64::from(d)).sum();
        let length = ours.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let bound = 1e-5 * norm + 1e-7 * largest;
        assert!((length - norm).abs() <= bound, "{name}, {}: norm {length}, not {norm}", spec.name);
        // A wave is at most 1, so the rounding of a gradient moves the product by √n times that of the norm.
        let bound = bound * (spec.numel() as f64).sqrt();
        assert!(
            (product - along).abs() <= bound,
            "{name}, {}: along a wave {product}, not {along}",
            spec.name
        );
    }
    assert!(theirs.keys().all(|weight| net.weights().find(weight).is_some()), "{name}");
}

#[test]
fn golden_networks_with_five_nodes_or_a_cell_per_stage() {
    let training = DartsTraining { auxiliary: Some(0.4), drop_path: DropPath::Edges };
    for (name, layers) in [("NASNet", 4), ("AmoebaNet", 4), ("PNASNet", 4), ("ENAS", 4), ("AGNAS", 6)] {
        let size = DartsSize { channels: 4, layers, ..DartsSize::CIFAR };
        let cells: DartsCells = name.parse().unwrap();
        assert_network(name, &DartsModel::of_cells(&cells, size, training));
    }
}

#[test]
fn golden_darts_network_for_imagenet() {
    let training = DartsTraining { auxiliary: Some(0.4), drop_path: DropPath::Edges };
    let size = DartsSize { channels: 4, layers: 4, classes: 10, ..DartsSize::IMAGENET };
    assert_eq!(size.skeleton, DartsSkeleton::ImageNet);
    let cells: DartsCells = "DARTS_V2".parse().unwrap();
    assert_network("DARTS_V2 for ImageNet", &DartsModel::of_cells(&cells, size, training));
}

#[test]
fn golden_squeeze_and_excitation() {
    let spec = find_named(PROXYLESS_NAMED, "MnasNet_A1").unwrap().text.parse().unwrap();
    assert_network("MnasNet_A1", &MobileModel::new(&spec, Shape::new(3, 64, 64), 10));
}

/// Cells with many skips and zeros, so that many of them can be written in another way.
#[test]
fn canonical_darts_architectures_compute_the_same() {
    let size =
        DartsSize { channels: 4, layers: 4, input: Shape::new(3, 8, 8), classes: 10, ..DartsSize::CIFAR };
    let net = DartsNet::new(size, Norms::Plain);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut moved = 0;
    for _ in 0..25 {
        let arch = Darts.sample(&mut rng);
        let ops = arch.choices().iter().zip(Darts.n_ops());
        let ops = ops.map(|(&op, &n)| if n == 8 { [0, 1, 3, 3, 3, 4][rng.random_range(0..6)] } else { op });
        let arch = Darts.parse(&Darts.format(&Arch::new(ops.collect::<Vec<u8>>())).unwrap()).unwrap();
        let canonical = Darts.canonical(&arch, Equivalence::SharedWeights).unwrap();
        moved += usize::from(canonical != arch);
        let [ours, theirs] = [&arch, &canonical].map(|arch| {
            let graph = net.lower(arch).unwrap();
            Run::new(&net, graph).evaluate(0.5)
        });
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{arch} and {canonical}: {worst}");
    }
    assert!(moved > 10, "{moved}");
}
