//! Sequences of PyTorch modules: the names of their weights, and their lowering to nodes.

use crate::nb201::Norms;
use pada_graph::{
    Conv, GraphBuilder, GraphError, Init, NodeId, Norm, Owner, Pool, Shape, WeightId, WeightLayout,
    WeightSpec,
};

/// A sequence of modules that is applied to one value.
pub(crate) type Steps = Vec<Step>;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Relu,
    Relu6,
    Conv(Conv),
    Norm(Norm),
    AvgPool(Pool),
    MaxPool(Pool),
    /// Zeros, with the image size divided by `stride`.
    Zero {
        stride: usize,
    },
    /// Two convolutions of the same value, concatenated along the channels.
    Both(Conv, Conv),
    /// Squeeze-and-excitation: reduce and expand convolutions and a gate.
    Squeeze(Conv, Conv),
}

/// Adds the nodes of all steps and returns the last value.
pub(crate) fn apply(g: &mut GraphBuilder<'_>, x: NodeId, steps: &[Step]) -> Result<NodeId, GraphError> {
    steps.iter().try_fold(x, |x, step| {
        Ok(match step {
            Step::Relu => g.relu(x),
            Step::Relu6 => g.relu6(x),
            Step::Conv(conv) => g.conv(x, conv.clone())?,
            Step::Norm(norm) => g.norm(x, *norm)?,
            Step::AvgPool(pool) => g.avg_pool(x, *pool)?,
            Step::MaxPool(pool) => g.max_pool(x, *pool)?,
            Step::Zero { stride } => {
                let shape = g.shape(x);
                let every = |size: usize| size.div_ceil(*stride);
                g.zero(Shape::new(shape.channels, every(shape.height), every(shape.width)))
            }
            Step::Both(a, b) => {
                let parts = [g.conv(x, a.clone())?, g.conv(x, b.clone())?];
                g.concat(&parts)?
            }
            Step::Squeeze(reduce, expand) => {
                let mean = g.global_avg_pool(x);
                let few = g.conv(mean, reduce.clone())?;
                let few = g.relu(few);
                let gate = g.conv(few, expand.clone())?;
                g.gate(x, gate)?
            }
        })
    })
}

/// Collects the weights of a network in the order of PyTorch's `state_dict`.
pub(crate) struct Modules {
    pub(crate) layout: WeightLayout,
    pub(crate) norms: Norms,
    pub(crate) eps: f32,
}

impl Modules {
    pub(crate) fn new(norms: Norms, eps: f32) -> Self {
        Self { layout: WeightLayout::new(), norms, eps }
    }

    pub(crate) fn push(
        &mut self,
        name: String,
        shape: Vec<usize>,
        init: Init,
        owner: Option<&Owner>,
    ) -> WeightId {
        self.layout.push(WeightSpec { name, shape, init, owner: owner.cloned() })
    }

    /// A dense convolution without bias and with "same" padding.
    pub(crate) fn conv(
        &mut self,
        name: &str,
        [c_in, c_out]: [usize; 2],
        kernel: usize,
        stride: usize,
        owner: Option<&Owner>,
    ) -> Conv {
        self.grouped(name, [c_in, c_out], 1, kernel, stride, owner)
    }

    pub(crate) fn depthwise(
        &mut self,
        name: &str,
        c: usize,
        kernel: usize,
        stride: usize,
        owner: Option<&Owner>,
    ) -> Conv {
        self.grouped(name, [c, c], c, kernel, stride, owner)
    }

    fn grouped(
        &mut self,
        name: &str,
        [c_in, c_out]: [usize; 2],
        groups: usize,
        kernel: usize,
        stride: usize,
        owner: Option<&Owner>,
    ) -> Conv {
        let per_group = c_in / groups;
        let init = Init::Uniform { fan_in: per_group * kernel * kernel };
        let weight = self.push(format!("{name}.weight"), vec![c_out, per_group, kernel, kernel], init, owner);
        Conv { groups, ..Conv::same(weight, c_out, kernel, stride) }
    }

    /// A 1×1 convolution with bias.
    pub(crate) fn with_bias(&mut self, name: &str, [c_in, c_out]: [usize; 2]) -> Conv {
        let conv = self.conv(name, [c_in, c_out], 1, 1, None);
        let bias = self.push(format!("{name}.bias"), vec![c_out], Init::Uniform { fan_in: c_in }, None);
        Conv { bias: Some(bias), ..conv }
    }

    pub(crate) fn norm(&mut self, name: &str, c: usize, owner: Option<&Owner>) -> Norm {
        self.norms.push(&mut self.layout, name, c, self.eps, owner)
    }

    /// Weight and bias of a linear layer.
    pub(crate) fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> (WeightId, WeightId) {
        let init = Init::Uniform { fan_in: inputs };
        let weight = self.push(format!("{name}.weight"), vec![outputs, inputs], init, None);
        (weight, self.push(format!("{name}.bias"), vec![outputs], init, None))
    }
}
