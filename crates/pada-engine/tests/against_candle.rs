//! The engine against the readable executor: the same graph, the same weights, the same images.
#![allow(clippy::unwrap_used, reason = "a test")]

use pada_engine::{Engine, Level};
use pada_graph::{
    Batch, Executor, Graph, Images, LossSpec, Lower, Nb201Net, Norms, Precision, Shape, WeightLayout,
};
use pada_space::{Nb201, SearchSpace};
use pada_supernet::CandleExecutor;

/// Numbers in −1..1 that look random and are the same every time.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Largest distance, relative to the largest number.
fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(1e-3_f64, |m, v| m.max(f64::from(v.abs())));
    ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max) / largest
}

struct Case {
    layout: WeightLayout,
    weights: Vec<f32>,
    shape: Shape,
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

impl Case {
    fn new(layout: &WeightLayout, shape: Shape, images: usize, classes: usize, seed: u64) -> Self {
        let mut weights = noise(layout.numel(), seed);
        for (id, spec) in layout.iter() {
            let fan = spec.shape.iter().skip(1).product::<usize>().max(1) as f32;
            weights[layout.range(id)].iter_mut().for_each(|w| *w *= 1.5 / fan.sqrt());
        }
        let labels = (0..images).map(|i| (i * 7 % classes) as u32).collect();
        Self {
            layout: layout.clone(),
            weights,
            shape,
            pixels: noise(images * shape.numel(), seed + 1),
            labels,
        }
    }

    /// Logits, loss and the whole gradient.
    fn step(&self, executor: &mut dyn Executor, graph: &Graph) -> (Vec<f32>, f64, Vec<f32>) {
        let images = Images { pixels: &self.pixels, shape: self.shape };
        let weights: Vec<f32> = self.labels.iter().map(|&label| 0.5 + label as f32 * 0.1).collect();
        let loss = LossSpec { scale: 1.5, image_weights: Some(&weights) };
        executor.zero_gradient();
        let stats = executor.gradients(graph, &Batch { images, labels: &self.labels }, &loss).unwrap();
        let gradient = self.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect();
        let forward = executor.logits(graph, &images).unwrap();
        assert!(distance(&forward.values, &stats.logits.values) < 1e-5, "forward alone is another plan");
        (stats.logits.values, stats.loss, gradient)
    }

    fn engine(&self, precision: Precision, level: Level) -> Engine {
        Engine::with_level(self.layout.clone(), self.weights.clone(), precision, level)
    }

    fn check(&self, graph: &Graph, what: &str) {
        let mut candle = CandleExecutor::new(self.layout.clone(), self.weights.clone(), Precision::Double);
        let (logits, loss, gradient) = self.step(&mut candle, graph);
        let ours = self.step(&mut self.engine(Precision::Double, Level::Portable), graph);
        assert!(distance(&ours.0, &logits) < 1e-5, "{what}: logits off by {}", distance(&ours.0, &logits));
        assert!((ours.1 - loss).abs() < 1e-6 * loss.abs().max(1.0), "{what}: loss {} {loss}", ours.1);
        for (id, spec) in self.layout.iter() {
            let range = self.layout.range(id);
            let off = distance(&ours.2[range.clone()], &gradient[range]);
            assert!(off < 1e-4, "{what}: gradient of {} off by {off}", spec.name);
        }
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            let ours = self.step(&mut self.engine(Precision::Single, level), graph);
            let off = distance(&ours.0, &logits);
            assert!(off < 1e-3, "{what}, {level}: logits off by {off}");
            // A value near zero may fall on the other side of a ReLU.
            let square =
                |list: &mut dyn Iterator<Item = f32>| list.map(|v| f64::from(v).powi(2)).sum::<f64>();
            let difference = square(&mut ours.2.iter().zip(&gradient).map(|(a, b)| a - b));
            let all = square(&mut gradient.iter().copied());
            assert!(
                difference.sqrt() <= 0.03 * all.sqrt() + 1e-6,
                "{what}, {level}: gradient off by {difference}"
            );
        }
    }
}

#[test]
fn nb201_steps_equal_candle() {
    let space = Nb201::new();
    for (i, (channels, cells, shape, images, norms)) in [
        (16, 1, Shape::new(3, 16, 16), 10, Norms::Plain),
        (8, 2, Shape::new(3, 8, 12), 5, Norms::Plain),
        (6, 1, Shape::new(1, 12, 8), 17, Norms::Plain),
        (16, 1, Shape::new(3, 16, 8), 9, Norms::Affine),
        (20, 1, Shape::new(4, 8, 8), 8, Norms::Plain),
    ]
    .into_iter()
    .enumerate()
    {
        let net = Nb201Net::new(channels, cells, shape, 10, norms);
        let case = Case::new(net.weights(), shape, images, 10, i as u64 + 1);
        for arch in [
            "333333", "323412", "130224", "434141", "000000", "111111", "444444", "300000", "000300",
            "212121",
        ] {
            let arch = space.parse(arch).unwrap();
            let graph = net.lower(&arch).unwrap();
            case.check(&graph.simplified(), &format!("{channels} {arch} simplified"));
            case.check(&graph, &format!("{channels} {arch}"));
        }
    }
}

/// bf16 numbers have 8 bits: logits and gradients are near those of f64, and the name says what was computed with.
#[test]
fn bf16_is_near_and_says_so() {
    let (space, shape) = (Nb201::new(), Shape::new(3, 16, 16));
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Plain);
    let case = Case::new(net.weights(), shape, 24, 10, 7);
    for arch in ["333333", "323412", "212121", "444444"] {
        let graph = net.lower(&space.parse(arch).unwrap()).unwrap().simplified();
        let mut candle = CandleExecutor::new(case.layout.clone(), case.weights.clone(), Precision::Double);
        let (logits, loss, gradient) = case.step(&mut candle, &graph);
        let mut engine = case.engine(Precision::Half, Level::Avx512);
        assert!(engine.name().contains("bf16"), "{}", engine.name());
        let ours = case.step(&mut engine, &graph);
        assert!(distance(&ours.0, &logits) < 0.1, "{arch}: logits off by {}", distance(&ours.0, &logits));
        assert!((ours.1 - loss).abs() < 0.02 * loss, "{arch}: loss {} {loss}", ours.1);
        let product: f64 = ours.2.iter().zip(&gradient).map(|(a, b)| f64::from(a * b)).sum();
        let norm = |list: &[f32]| list.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let cosine = product / norm(&ours.2) / norm(&gradient);
        assert!(cosine > 0.95, "{arch}: the gradient points elsewhere, cosine {cosine}");
        let single = case.step(&mut case.engine(Precision::Single, Level::Avx512), &graph);
        assert!(engine.name().contains("f32") || single.0 != ours.0, "{arch}: it computed in f32");
    }
}
