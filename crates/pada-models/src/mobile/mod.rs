//! Networks of inverted residual blocks (MobileNetV2).

mod nas_bench_macro;
mod proxyless;
mod stand_alone;

pub use nas_bench_macro::MacroNet;
use pada_space::MbConv;
pub use proxyless::ProxylessNet;
pub use stand_alone::MobileModel;

use crate::mixtures::Mixed;
use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{GraphBuilder, GraphError, NodeId, Owner, WeightLayout};

/// The modules of a layer, with an optional residual connection.
#[derive(Clone, Debug)]
struct Residual {
    steps: Steps,
    shortcut: Shortcut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shortcut {
    Add,
    None,
}

impl Residual {
    /// An inverted residual block. It has a residual connection if size and channels do not change.
    fn new(
        m: &mut Modules,
        name: &str,
        c_in: usize,
        block: &MbConv,
        act: &Step,
        owner: Option<&Owner>,
    ) -> Self {
        let mut steps = Vec::new();
        let mut place = 0;
        let mut entry = || {
            place += 1;
            format!("{name}.{}", place - 1)
        };
        let mid = c_in * block.expansion;
        if block.expansion != 1 {
            steps.push(Step::Conv(m.conv(&entry(), [c_in, mid], 1, 1, owner)));
            steps.push(Step::Norm(m.norm(&entry(), mid, owner)));
            steps.push(act.clone());
            entry();
        }
        steps.push(Step::Conv(m.depthwise(&entry(), mid, block.kernel, block.stride, owner)));
        steps.push(Step::Norm(m.norm(&entry(), mid, owner)));
        steps.push(act.clone());
        entry();
        if let Some(share) = block.squeeze {
            let few = ((c_in as f64 * share).round() as usize).max(1);
            let part = entry();
            let reduce = m.with_bias(&format!("{part}.reduce"), [mid, few]);
            steps.push(Step::Squeeze(reduce, m.with_bias(&format!("{part}.expand"), [few, mid])));
        }
        steps.push(Step::Conv(m.conv(&entry(), [mid, block.out], 1, 1, owner)));
        steps.push(Step::Norm(m.norm(&entry(), block.out, owner)));
        let same = block.stride == 1 && c_in == block.out;
        Self { steps, shortcut: if same { Shortcut::Add } else { Shortcut::None } }
    }

    fn apply(&self, g: &mut GraphBuilder<'_>, x: NodeId) -> Result<NodeId, GraphError> {
        let y = apply(g, x, &self.steps)?;
        match self.shortcut {
            Shortcut::Add => g.add(&[x, y]),
            Shortcut::None => Ok(y),
        }
    }
}

/// Convolution, norm, activation: entries 0, 1 and 2 of `name`.
fn conv_norm_act(
    m: &mut Modules,
    name: &str,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    act: Step,
) -> Steps {
    let conv = m.conv(&format!("{name}.0"), channels, kernel, stride, None);
    vec![Step::Conv(conv), Step::Norm(m.norm(&format!("{name}.1"), channels[1], None)), act]
}

/// Adds layers whose operations are mixed. An operation without a block is a skip.
///
/// # Errors
/// Returns [`GraphError::NoMixture`] if the network has no mixtures, or if there is not one list of operations for every layer.
fn mixed_layers(
    g: &mut GraphBuilder<'_>,
    mut x: NodeId,
    mixed: Option<&Mixed>,
    layers: &[Vec<Residual>],
    computed: &[Vec<u8>],
    layout: &WeightLayout,
) -> Result<NodeId, GraphError> {
    let mixed = mixed.filter(|_| computed.len() == layers.len()).ok_or(GraphError::NoMixture)?;
    for (decision, (blocks, ops)) in layers.iter().zip(computed).enumerate() {
        let op = |g: &mut GraphBuilder<'_>, x, op: u8| match blocks.get(usize::from(op)) {
            Some(block) => block.apply(g, x),
            None => Ok(x),
        };
        x = mixed.layer(g, x, decision, ops, layout, op)?;
    }
    Ok(x)
}
