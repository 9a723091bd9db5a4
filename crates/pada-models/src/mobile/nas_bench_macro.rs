use pada_space::{Arch, MbConv, NasBenchMacro, SearchSpace};

use super::{Residual, Shortcut, conv_norm_act, mixed_layers};
use crate::mixtures::Mixed;
use crate::nb201::Norms;
use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{Graph, GraphBuilder, GraphError, Lower, Mixtures, Owner, Shape, WeightId, WeightLayout};

const EPS: f32 = 1e-5; // PyTorch's default
const STEM: usize = 32;
const HEAD: usize = 1280;
const OPS: u8 = 3;

/// The supernet of NAS-Bench-Macro: every layer has its three candidate operations. Weights are named as in the benchmark's code, with the
/// operation's digit after the layer: `features.0.1.conv.0.weight`.
///
/// # Source
/// <https://github.com/xiusu/NAS-Bench-Macro>, `train/model.py`
#[derive(Clone, Debug)]
pub struct MacroNet {
    input: Shape,
    layout: WeightLayout,
    stem: Steps,
    /// `layers[layer][operation]`
    layers: Vec<Vec<Residual>>,
    head: Steps,
    classifier: (WeightId, WeightId),
    mixed: Option<Mixed>,
}

impl MacroNet {
    /// Creates the network for images of shape `input`. The benchmark has 3 × 32 × 32 and 10 classes.
    pub fn new(input: Shape, classes: usize, norms: Norms) -> Self {
        let mut m = Modules::new(norms, EPS);
        let stem = conv_norm_act(&mut m, "stem", [input.channels, STEM], 3, 1, Step::Relu);
        let mut c_in = STEM;
        let cells = NasBenchMacro::STAGES.into_iter().flat_map(|layers| 0..layers);
        let layers = cells.enumerate().map(|(position, cell)| {
            let (out, stride) = if cell == 0 { (2 * c_in, 2) } else { (c_in, 1) };
            let ops = (0..OPS).map(|op| {
                let owner = Owner { cell: position, position, op: usize::from(op) };
                let name = format!("features.{position}.{op}");
                match NasBenchMacro::block(op) {
                    Some((kernel, expansion)) => {
                        let block = MbConv { out, kernel, stride, expansion, squeeze: None };
                        let name = format!("{name}.conv");
                        Residual::new(&mut m, &name, c_in, &block, &Step::Relu, Some(&owner))
                    }
                    None => Residual {
                        steps: identity(&mut m, &name, [c_in, out], stride, &owner),
                        shortcut: Shortcut::None,
                    },
                }
            });
            let ops = ops.collect();
            c_in = out;
            ops
        });
        let layers = layers.collect();
        let head = conv_norm_act(&mut m, "out", [c_in, HEAD], 1, 1, Step::Relu);
        let classifier = m.linear("classifier", HEAD, classes);
        Self { input, layout: m.layout, stem, layers, head, classifier, mixed: None }
    }

    /// Creates the network as [`MacroNet::new`] does, with a mixture of the operations of every layer.
    pub fn with_mixtures(input: Shape, classes: usize, norms: Norms) -> Self {
        let net = Self::new(input, classes, norms);
        let mut layout = net.layout;
        let mixed = Some(Mixed::of_layers(&mut layout, net.layers.len(), usize::from(OPS)));
        Self { layout, mixed, ..net }
    }
}

/// The identity, or a 1×1 convolution and a norm if size or channels change.
fn identity(m: &mut Modules, name: &str, [c_in, out]: [usize; 2], stride: usize, owner: &Owner) -> Steps {
    if stride == 1 && c_in == out {
        return vec![];
    }
    let conv = m.conv(&format!("{name}.downsample.0"), [c_in, out], 1, stride, Some(owner));
    vec![Step::Conv(conv), Step::Norm(m.norm(&format!("{name}.downsample.1"), out, Some(owner)))]
}

impl Lower for MacroNet {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        NasBenchMacro.check(arch)?;
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.input);
        let mut x = apply(&mut g, x, &self.stem)?;
        g.end_block(x);
        for (ops, &op) in self.layers.iter().zip(arch.choices()) {
            x = ops[usize::from(op)].apply(&mut g, x)?;
            g.end_block(x);
        }
        let x = apply(&mut g, x, &self.head)?;
        g.classified(x, self.classifier)
    }

    fn mixtures(&self) -> Option<&Mixtures> {
        self.mixed.as_ref().map(|mixed| &mixed.mixtures)
    }

    fn lower_mixture(&self, computed: &[Vec<u8>]) -> Result<Graph, GraphError> {
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.input);
        let x = apply(&mut g, x, &self.stem)?;
        let x = mixed_layers(&mut g, x, self.mixed.as_ref(), &self.layers, computed, &self.layout)?;
        let x = apply(&mut g, x, &self.head)?;
        g.classified(x, self.classifier)
    }
}
