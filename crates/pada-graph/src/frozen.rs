use std::collections::HashMap;

use pada_space::Arch;

use crate::op::{Norm, Op, Shape, Statistics};
use crate::{Graph, GraphError, Init, Lower, WeightId, WeightLayout, WeightSpec};

/// One architecture as an inference network, whose output for an image does not depend on other images: the form that is exported.
///
/// It contains the simplified graph without side nodes, over a layout of only the weights that this graph reads. Every norm uses running
/// statistics. Norms that used batch statistics in the supernet get new tensors for them, called `running_mean` and `running_var` after the
/// norm's name ([`Graph::names`]). They start as mean 0 and variance 1, and `Executor::recalibrate` of pada-exec has to fill them before
/// the network is used.
///
/// As a [`Lower`] it has a single architecture, the one without decisions, so every executor can run it.
#[derive(Clone, Debug)]
pub struct Frozen {
    graph: Graph,
    layout: WeightLayout,
    input: Shape,
    /// For each tensor of `layout` the tensor of the supernet that it is taken from. `None` for new running statistics.
    sources: Vec<Option<WeightId>>,
    batch_norms: usize,
}

impl Frozen {
    /// Freezes an architecture of a supernet.
    ///
    /// # Errors
    /// Returns the errors of [`Lower::lower`].
    pub fn new(net: &dyn Lower, arch: &Arch) -> Result<Self, GraphError> {
        Ok(Self::from_graph(&net.lower(arch)?, net.weights(), net.input()))
    }

    /// Freezes a graph over the weights of `layout`, for images of shape `input`.
    pub fn from_graph(graph: &Graph, layout: &WeightLayout, input: Shape) -> Self {
        let mut graph = graph.simplified().restricted_to(|_| false);
        let names = graph.names(layout, &[]);
        let mut kept =
            Kept { from: layout, layout: WeightLayout::new(), sources: vec![], moved: HashMap::new() };
        let mut batch_norms = 0;
        for (node, name) in graph.nodes.iter_mut().zip(&names) {
            match &mut node.op {
                Op::Conv(conv) => {
                    conv.weight = kept.take(conv.weight);
                    conv.bias = conv.bias.map(|bias| kept.take(bias));
                }
                Op::Linear { weight, bias, .. } => {
                    [*weight, *bias] = [*weight, *bias].map(|id| kept.take(id))
                }
                Op::Norm(norm) => {
                    batch_norms += usize::from(norm.statistics == Statistics::Batch);
                    *norm = kept.norm(norm, name, node.shape.channels);
                }
                _ => {}
            }
        }
        Self { graph, layout: kept.layout, input, sources: kept.sources, batch_norms }
    }

    /// Returns the graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the number of norms that used batch statistics in the supernet. Their running statistics must be recalibrated.
    pub fn batch_norms(&self) -> usize {
        self.batch_norms
    }

    /// Returns the number of batch norms.
    pub fn norms(&self) -> usize {
        self.graph.nodes.iter().filter(|node| matches!(node.op, Op::Norm(_))).count()
    }

    /// Selects the values of this network from those of the supernet. New running statistics are mean 0 and variance 1.
    ///
    /// # Errors
    /// Returns [`GraphError::ValueCount`] or [`GraphError::OtherLayout`] if `supernet` is not the layout that the network was frozen from.
    pub fn values(&self, supernet: &WeightLayout, values: &[f32]) -> Result<Vec<f32>, GraphError> {
        check_count(values, supernet)?;
        let mut own = Vec::with_capacity(self.layout.numel());
        for ((_, spec), source) in self.layout.iter().zip(&self.sources) {
            match (source, spec.init) {
                (Some(id), _) => {
                    if id.0 >= supernet.len()
                        || (&supernet.spec(*id).name, &supernet.spec(*id).shape) != (&spec.name, &spec.shape)
                    {
                        return Err(GraphError::OtherLayout { name: spec.name.clone() });
                    }
                    own.extend_from_slice(&values[supernet.range(*id)]);
                }
                (None, Init::Constant(value)) => own.extend(std::iter::repeat_n(value, spec.numel())),
                (None, Init::Uniform { .. }) => unreachable!("statistics start as a constant"),
            }
        }
        Ok(own)
    }

    /// Checks that the running statistics of all norms have been calibrated.
    ///
    /// A norm counts as uncalibrated if it used batch statistics in the supernet and all of its running statistics still have their initial
    /// values.
    ///
    /// # Errors
    /// Returns [`GraphError::UncalibratedNorms`] with the number of uncalibrated norms, and [`GraphError::ValueCount`].
    pub fn check_calibrated(&self, values: &[f32]) -> Result<(), GraphError> {
        check_count(values, &self.layout)?;
        let uncalibrated = |id: WeightId| {
            let Init::Constant(initial) = self.layout.spec(id).init else { return false };
            self.sources[id.0].is_none()
                && values[self.layout.range(id)].iter().all(|&value| value == initial)
        };
        let mut norms = self.graph.nodes.iter().filter_map(|node| match &node.op {
            Op::Norm(Norm { statistics: Statistics::Running { mean, var, .. }, .. }) => Some((*mean, *var)),
            _ => None,
        });
        let Some((first, _)) = norms.find(|&(mean, var)| uncalibrated(mean) && uncalibrated(var)) else {
            return Ok(());
        };
        let count = 1 + norms.filter(|&(mean, var)| uncalibrated(mean) && uncalibrated(var)).count();
        let name = self.layout.spec(first).name.trim_end_matches(".running_mean").to_owned();
        Err(GraphError::UncalibratedNorms { count, name })
    }
}

fn check_count(values: &[f32], layout: &WeightLayout) -> Result<(), GraphError> {
    match values.len() == layout.numel() {
        true => Ok(()),
        false => Err(GraphError::ValueCount { found: values.len(), expected: layout.numel() }),
    }
}

impl Lower for Frozen {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn lower(&self, _: &Arch) -> Result<Graph, GraphError> {
        Ok(self.graph.clone())
    }
}

/// Collects the tensors that a graph reads, each of them once.
struct Kept<'a> {
    from: &'a WeightLayout,
    layout: WeightLayout,
    sources: Vec<Option<WeightId>>,
    moved: HashMap<WeightId, WeightId>,
}

impl Kept<'_> {
    fn take(&mut self, id: WeightId) -> WeightId {
        if let Some(&moved) = self.moved.get(&id) {
            return moved;
        }
        // An owner is a decision of the supernet's architectures, which this network does not have.
        let spec = WeightSpec { owner: None, ..self.from.spec(id).clone() };
        let moved = match self.from.is_trained(id) {
            true => self.layout.push(spec),
            false => self.layout.push_buffer(spec),
        };
        self.sources.push(Some(id));
        self.moved.insert(id, moved);
        moved
    }

    fn norm(&mut self, norm: &Norm, name: &str, channels: usize) -> Norm {
        let affine = norm.affine.map(|(scale, shift)| (self.take(scale), self.take(shift)));
        let statistics = match norm.statistics {
            Statistics::Running { mean, var, momentum } => {
                Statistics::Running { mean: self.take(mean), var: self.take(var), momentum }
            }
            Statistics::Batch => Statistics::Running {
                mean: self.statistic(format!("{name}.running_mean"), channels, 0.0),
                var: self.statistic(format!("{name}.running_var"), channels, 1.0),
                momentum: Norm::MOMENTUM,
            },
        };
        Norm { affine, statistics, eps: norm.eps }
    }

    fn statistic(&mut self, name: String, channels: usize, start: f32) -> WeightId {
        self.sources.push(None);
        let init = Init::Constant(start);
        self.layout.push_buffer(WeightSpec { name, shape: vec![channels], init, owner: None })
    }
}
