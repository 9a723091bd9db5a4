use pada_space::{Arch, MbConv, MobileActivation, MobileLayer, MobileSpec};

use super::{Residual, conv_norm_act};
use crate::nb201::Norms;
use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{Graph, GraphBuilder, GraphError, Lower, Shape, WeightId, WeightLayout};

/// The stand-alone network of one architecture of inverted residual blocks.
///
/// As a [`Lower`] it has a single architecture, whatever its decisions are. A block with squeeze-and-excitation reduces the channels of its
/// depthwise convolution to a fraction of the block's input channels, with a ReLU between its two 1×1 convolutions.
#[derive(Clone, Debug)]
pub struct MobileModel {
    input: Shape,
    layout: WeightLayout,
    stem: Steps,
    blocks: Vec<Residual>,
    head: Steps,
    classifier: (WeightId, WeightId),
}

impl MobileModel {
    /// Creates the network for images of shape `input`. Norms have scale, shift and running statistics.
    pub fn new(spec: &MobileSpec, input: Shape, classes: usize) -> Self {
        let act = match spec.activation {
            MobileActivation::Relu6 => Step::Relu6,
            MobileActivation::Relu => Step::Relu,
        };
        let mut m = Modules::new(Norms::Running, spec.eps);
        let stem = conv_norm_act(&mut m, "stem", [input.channels, spec.stem], 3, 2, act.clone());
        let first = spec.first.map(|(kernel, out)| {
            let block = MbConv { out, kernel, stride: 1, expansion: 1, squeeze: None };
            ("stem.3".to_owned(), block)
        });
        let layers = spec.layers.iter().enumerate().filter_map(|(i, layer)| match layer {
            MobileLayer::Block(block) => Some((format!("blocks.{i}"), *block)),
            MobileLayer::Skip => None,
        });
        let mut c_in = spec.stem;
        let blocks = first.into_iter().chain(layers).map(|(name, block)| {
            let residual = Residual::new(&mut m, &name, c_in, &block, &act, None);
            c_in = block.out;
            residual
        });
        let blocks = blocks.collect();
        let head = conv_norm_act(&mut m, "head", [c_in, spec.head], 1, 1, act.clone());
        let classifier = m.linear("classifier", spec.head, classes);
        Self { input, layout: m.layout, stem, blocks, head, classifier }
    }

    /// Returns the op graph.
    ///
    /// # Errors
    /// Returns [`GraphError::TooSmall`] if the image is too small.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.input);
        let mut x = apply(&mut g, x, &self.stem)?;
        for block in &self.blocks {
            x = block.apply(&mut g, x)?;
        }
        let x = apply(&mut g, x, &self.head)?;
        g.classified(x, self.classifier)
    }
}

impl Lower for MobileModel {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn lower(&self, _: &Arch) -> Result<Graph, GraphError> {
        self.graph()
    }
}
