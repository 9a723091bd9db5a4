//! A search space of your own: its architectures (`SearchSpace`) and its supernet (`Lower`). Samplers, cost counting, search methods and
//! executors need nothing else.
//!
//! ```text
//! cargo run --release -p pada-graph --example new_space
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use pada_graph::{
    Conv, Cost, Graph, GraphBuilder, GraphError, Init, Lower, Norm, Shape, Statistics, WeightId,
    WeightLayout, WeightSpec,
};
use pada_space::{Arch, Equivalence, SearchSpace, SpaceError, parse_digits};
use rand::SeedableRng;

const OP_NAMES: [&str; 4] = ["skip", "conv_1x1", "conv_3x3", "conv_5x5"];
/// Kernel size of each operation; `None` for skip.
const KERNELS: [Option<usize>; 4] = [None, Some(1), Some(3), Some(5)];

/// A chain of five layers. Each is skipped, or a convolution with one of three kernel sizes.
struct Layers;

impl SearchSpace for Layers {
    fn name(&self) -> &'static str {
        "layers"
    }

    fn n_ops(&self) -> &[usize] {
        const N_OPS: [usize; 5] = [OP_NAMES.len(); 5];
        &N_OPS
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        parse_digits(self, text)
    }

    fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
        self.check(arch)?;
        Ok(arch.choices().iter().map(|&op| OP_NAMES[usize::from(op)]).collect::<Vec<_>>().join(" > "))
    }

    /// A skipped layer passes its input on, so every decision influences the output.
    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
        self.check(arch)?;
        Ok(vec![true; arch.choices().len()])
    }

    /// Trained from scratch, it does not matter which of the layers are skipped. With shared weights it does.
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        let mut choices = arch.choices().to_vec();
        if equivalence == Equivalence::OwnWeights {
            choices.sort_by_key(|&op| op != 0);
        }
        Ok(Arch::new(choices))
    }
}

/// The supernet: a stem, one convolution per layer and kernel size, and a classifier.
struct LayersNet {
    input: Shape,
    channels: usize,
    layout: WeightLayout,
    stem: WeightId,
    /// `layers[layer][operation]`
    layers: Vec<Vec<Option<WeightId>>>,
    classifier: (WeightId, WeightId),
}

impl LayersNet {
    fn new(channels: usize, input: Shape, classes: usize) -> Self {
        let mut layout = WeightLayout::new();
        let mut push = |name: String, shape: Vec<usize>, fan_in: usize| {
            layout.push(WeightSpec { name, shape, init: Init::Uniform { fan_in }, owner: None })
        };
        let mut conv = |name: String, c_in: usize, kernel: usize| {
            push(name, vec![channels, c_in, kernel, kernel], c_in * kernel * kernel)
        };
        let stem = conv("stem.weight".to_owned(), input.channels, 3);
        let mut layer = |layer: usize| {
            let mut weight = |k: usize| conv(format!("layers.{layer}.conv_{k}x{k}.weight"), channels, k);
            KERNELS.map(|kernel| kernel.map(&mut weight)).to_vec()
        };
        let layers = (0..Layers.n_ops().len()).map(&mut layer).collect();
        let weight = push("classifier.weight".to_owned(), vec![classes, channels], channels);
        let bias = push("classifier.bias".to_owned(), vec![classes], channels);
        Self { input, channels, layout, stem, layers, classifier: (weight, bias) }
    }
}

impl Lower for LayersNet {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        let mut g = GraphBuilder::new(&self.layout);
        let image = g.input(self.input);
        let mut x = g.conv(image, Conv::same(self.stem, self.channels, 3, 1))?;
        for (weights, &op) in self.layers.iter().zip(arch.choices()) {
            let op = usize::from(op);
            if let (Some(weight), Some(kernel)) = (weights[op], KERNELS[op]) {
                let y = g.relu(x);
                let y = g.conv(y, Conv::same(weight, self.channels, kernel, 1))?;
                x = g.norm(y, Norm { affine: None, eps: 1e-5, statistics: Statistics::Batch })?;
            }
        }
        g.classified(x, self.classifier)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (space, net) = (Layers, LayersNet::new(16, Shape::new(3, 32, 32), 10));
    println!("{}: {} architectures, {} shared parameters", space.name(), space.len(), net.weights().numel());

    let arch = space.parse("20130")?;
    let graph = net.lower(&arch)?;
    let cost = Cost::of(&graph, net.weights());
    println!("{arch} is {}", space.format(&arch)?);
    println!("it has {} nodes, {} parameters, {} MACs", graph.nodes().len(), cost.params, cost.macs);
    println!("trained from scratch it is equivalent to {}", space.canonical(&arch, Equivalence::OwnWeights)?);

    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    println!("a mutation of it is {}", space.mutate(&arch, 0.4, &mut rng)?);
    let macs = |arch: Arch| Ok::<_, GraphError>((Cost::of(&net.lower(&arch)?, net.weights()).macs, arch));
    let mut all = space.archs().map(macs).collect::<Result<Vec<_>, _>>()?;
    all.sort();
    let [first, .., last] = all.as_slice() else { return Ok(()) };
    println!(
        "the cheapest is {} with {} MACs, the most expensive {} with {}",
        first.1, first.0, last.1, last.0
    );
    Ok(())
}
