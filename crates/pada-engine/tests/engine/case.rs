//! The same graph, the same weights, the same images, on both executors.

use pada_candle::CandleExecutor;
use pada_engine::{Engine, Isa};
use pada_exec::{Batch, Executor, Images, LossSpec, Precision};
use pada_graph::{Graph, Shape, WeightLayout};

pub(crate) const ISAS: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

/// Numbers in −1..1 that look random and are the same every time.
pub(crate) fn noise(n: usize, seed: u64) -> Vec<f32> {
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
pub(crate) fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(1e-3_f64, |m, v| m.max(f64::from(v.abs())));
    ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max) / largest
}

/// Weights and a batch.
pub(crate) struct Case {
    pub(crate) layout: WeightLayout,
    pub(crate) weights: Vec<f32>,
    pub(crate) shape: Shape,
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    /// The number of gradients that are added up.
    pub(crate) passes: usize,
}

/// The results of a step.
#[derive(Debug, PartialEq)]
pub(crate) struct StepResult {
    pub(crate) logits: Vec<f32>,
    pub(crate) loss: f64,
    pub(crate) alignment: f64,
    /// Of all weights, in the layout's order.
    pub(crate) gradient: Vec<f32>,
}

impl Case {
    pub(crate) fn new(layout: &WeightLayout, shape: Shape, images: usize, classes: usize, seed: u64) -> Self {
        let mut weights = noise(layout.numel(), seed);
        for (id, spec) in layout.iter() {
            let fan = spec.shape.iter().skip(1).product::<usize>().max(1) as f32;
            weights[layout.range(id)].iter_mut().for_each(|w| *w *= 1.5 / fan.sqrt());
        }
        Self {
            layout: layout.clone(),
            weights,
            shape,
            pixels: noise(images * shape.numel(), seed + 1),
            labels: (0..images).map(|i| (i * 7 % classes) as u32).collect(),
            passes: 1,
        }
    }

    /// A step whose gradient is the sum of all passes, each with other factors on the images.
    pub(crate) fn step(&self, executor: &mut dyn Executor, graph: &Graph) -> StepResult {
        let images = Images::given(&self.pixels, self.shape);
        let batch = Batch { images, labels: &self.labels };
        executor.zero_gradient();
        let mut last = None;
        for pass in 0..self.passes {
            let factor = |&label: &u32| 0.5 + label as f32 * 0.1 - pass as f32;
            let weights: Vec<f32> = self.labels.iter().map(factor).collect();
            let loss =
                LossSpec { scale: 1.5 + pass as f32, image_weights: Some(&weights), ..LossSpec::default() };
            last = Some(executor.gradients(graph, &batch, &loss).unwrap());
        }
        let stats = last.expect("there is a pass");
        let gradient = self.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect();
        let forward = executor.logits(graph, &images).unwrap();
        let off = distance(&forward.values, &stats.logits.values);
        assert!(off < 1e-5, "{}: forward alone is another plan, off by {off}", executor.name());
        StepResult { logits: stats.logits.values, loss: stats.loss, alignment: stats.alignment, gradient }
    }

    pub(crate) fn engine(&self, precision: Precision, isa: Isa) -> Engine {
        Engine::with_isa(self.layout.clone(), self.weights.clone(), precision, isa)
    }

    pub(crate) fn candle(&self) -> CandleExecutor {
        CandleExecutor::new(self.layout.clone(), self.weights.clone(), Precision::F64)
    }

    /// Compares the engine, in f64 and in f32 with every instruction set, with candle in f64.
    pub(crate) fn check(&self, graph: &Graph, what: &str) {
        self.check_against(&self.step(&mut self.candle(), graph), graph, what);
    }

    /// Compares a graph and its simplified form with candle's result for the graph.
    pub(crate) fn check_both(&self, graph: &Graph, what: &str) {
        let theirs = self.step(&mut self.candle(), graph);
        self.check_against(&theirs, graph, what);
        self.check_against(&theirs, &graph.simplified(), &format!("{what} simplified"));
    }

    fn check_against(&self, theirs: &StepResult, graph: &Graph, what: &str) {
        let ours = self.step(&mut self.engine(Precision::F64, Isa::Portable), graph);
        let off = distance(&ours.logits, &theirs.logits);
        assert!(off < 1e-6, "{what}: logits off by {off}");
        let off = (ours.loss - theirs.loss).abs() / theirs.loss.abs().max(1.0);
        assert!(off < 1e-6, "{what}: loss {} {}", ours.loss, theirs.loss);
        let off = (ours.alignment - theirs.alignment).abs() / theirs.alignment.max(1.0);
        assert!(off < 1e-6, "{what}: alignment {} {}", ours.alignment, theirs.alignment);
        // Both add up the gradients of the passes in f32. Where those cancel, what is left may differ by the last bit of a summand.
        let last_bit = f32::EPSILON * theirs.gradient.iter().fold(0.0, |most: f32, g| most.max(g.abs()));
        for (id, spec) in self.layout.iter() {
            let range = self.layout.range(id);
            let [ours, theirs] = [&ours.gradient[range.clone()], &theirs.gradient[range]];
            let off = distance(ours, theirs);
            let rounded = self.passes > 1 && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() <= last_bit);
            assert!(off < 1e-5 || rounded, "{what}: gradient of {} off by {off}", spec.name);
        }
        for isa in ISAS {
            let ours = self.step(&mut self.engine(Precision::F32, isa), graph);
            let off = distance(&ours.logits, &theirs.logits);
            assert!(off < 1e-3, "{what}, {isa}: logits off by {off}");
            let off = (ours.alignment - theirs.alignment).abs() / theirs.alignment.max(1.0);
            assert!(off < 1e-3, "{what}, {isa}: alignment {} {}", ours.alignment, theirs.alignment);
            // A value near zero may fall on the other side of a ReLU.
            let square =
                |list: &mut dyn Iterator<Item = f32>| list.map(|v| f64::from(v).powi(2)).sum::<f64>();
            let difference = square(&mut ours.gradient.iter().zip(&theirs.gradient).map(|(a, b)| a - b));
            let all = square(&mut theirs.gradient.iter().copied());
            assert!(
                difference.sqrt() <= 0.03 * all.sqrt() + 1e-6,
                "{what}, {isa}: gradient off by {} of {}",
                difference.sqrt(),
                all.sqrt()
            );
        }
    }
}
