use pada_space::{Arch, MbConv, MobileSpec, Proxyless, ProxylessWidths, SearchSpace};

use super::{Residual, conv_norm_act, mixed_layers};
use crate::mixtures::Mixed;
use crate::nb201::Norms;
use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{Graph, GraphBuilder, GraphError, Lower, Mixtures, Owner, Shape, WeightId, WeightLayout};

/// ε of batch norms in the published networks and their search.
const EPS: f32 = MobileSpec::EPS;

/// The supernet of the ProxylessNAS search space: every layer has all six candidate blocks.
///
/// # Source
/// Cai, Zhu & Han, ProxylessNAS, ICLR 2019
#[derive(Clone, Debug)]
pub struct ProxylessNet {
    space: Proxyless,
    input: Shape,
    layout: WeightLayout,
    stem: Steps,
    first: Residual,
    /// `layers[layer][operation]`, without skips.
    layers: Vec<Vec<Residual>>,
    head: Steps,
    classifier: (WeightId, WeightId),
    mixed: Option<Mixed>,
}

impl ProxylessNet {
    /// Creates the network for images of shape `input`.
    pub fn new(widths: &ProxylessWidths, input: Shape, classes: usize, norms: Norms) -> Self {
        let mut m = Modules::new(norms, EPS);
        let stem = conv_norm_act(&mut m, "stem", [input.channels, widths.stem], 3, 2, Step::Relu6);
        let block = MbConv { out: widths.first, kernel: 3, stride: 1, expansion: 1, squeeze: None };
        let first = Residual::new(&mut m, "stem.3", widths.stem, &block, &Step::Relu6, None);
        let mut c_in = widths.first;
        let layers = widths.layers().enumerate().map(|(position, (stage, cell))| {
            let stride = if cell == 0 { stage.stride } else { 1 };
            let ops = (0..6).filter_map(|op| Some((op, Proxyless::block(op)?)));
            let ops = ops.map(|(op, (kernel, expansion))| {
                let op = usize::from(op);
                let owner = Owner { cell: position, position, op };
                let block = MbConv { out: stage.width, kernel, stride, expansion, squeeze: None };
                let name = format!("blocks.{position}.{op}");
                Residual::new(&mut m, &name, c_in, &block, &Step::Relu6, Some(&owner))
            });
            let ops = ops.collect();
            c_in = stage.width;
            ops
        });
        let layers = layers.collect();
        let head = conv_norm_act(&mut m, "head", [c_in, widths.head], 1, 1, Step::Relu6);
        let classifier = m.linear("classifier", widths.head, classes);
        Self {
            space: Proxyless::new(*widths),
            input,
            layout: m.layout,
            stem,
            first,
            layers,
            head,
            classifier,
            mixed: None,
        }
    }

    /// Creates the network as [`ProxylessNet::new`] does, with a mixture of the operations of every layer. A skip is the identity.
    pub fn with_mixtures(widths: &ProxylessWidths, input: Shape, classes: usize, norms: Norms) -> Self {
        let net = Self::new(widths, input, classes, norms);
        let mut layout = net.layout;
        let mixed = Some(Mixed::of_layers(&mut layout, net.layers.len(), net.space.op_names().len()));
        Self { layout, mixed, ..net }
    }
}

impl Lower for ProxylessNet {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        self.space.check(arch)?;
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.input);
        let x = apply(&mut g, x, &self.stem)?;
        g.end_block(x);
        let mut x = self.first.apply(&mut g, x)?;
        g.end_block(x);
        for (ops, &op) in self.layers.iter().zip(arch.choices()) {
            // A digit without a block is a skip.
            if let Some(block) = ops.get(usize::from(op)) {
                x = block.apply(&mut g, x)?;
            }
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
        let x = self.first.apply(&mut g, x)?;
        let x = mixed_layers(&mut g, x, self.mixed.as_ref(), &self.layers, computed, &self.layout)?;
        let x = apply(&mut g, x, &self.head)?;
        g.classified(x, self.classifier)
    }
}
