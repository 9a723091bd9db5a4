use std::collections::HashMap;

use pada_space::Arch;

use crate::op::{Norm, Op, Shape, Statistics};
use crate::{Graph, GraphError, Init, Lower, WeightId, WeightLayout, WeightSpec};

/// One architecture as a network that answers for each image alone: what can stand in a file without this program.
///
/// It is the simplified graph without what only adds to a loss, over a layout of only the weights that this graph reads. Every norm uses
/// running statistics; those that used the statistics of the batch get tensors for them, named `running_mean` and `running_var` behind the norm's name
/// ([`Graph::names`]), which [`Executor::recalibrate`](crate::Executor::recalibrate) fills.
///
/// As a [`Lower`] it has a single architecture, the one without positions, so every executor runs it.
#[derive(Clone, Debug)]
pub struct Frozen {
    graph: Graph,
    layout: WeightLayout,
    input: Shape,
    /// Per tensor of `layout`: which tensor of the supernet it is; none for new statistics.
    sources: Vec<Option<WeightId>>,
    batch_norms: usize,
}

impl Frozen {
    /// An architecture of a supernet.
    ///
    /// # Errors
    /// As [`Lower::lower`] and [`Frozen::from_graph`].
    ///
    /// # Panics
    /// If `arch` is of another space.
    pub fn new(net: &dyn Lower, arch: &Arch) -> Result<Self, GraphError> {
        Self::from_graph(&net.lower(arch)?, net.weights(), net.input())
    }

    /// A graph over weights of `layout`, for images of `input`.
    ///
    /// # Errors
    /// [`GraphError::NotAlone`] for what can be counted and not computed.
    pub fn from_graph(graph: &Graph, layout: &WeightLayout, input: Shape) -> Result<Self, GraphError> {
        if let Some(op) = graph.uncomputed() {
            return Err(GraphError::NotAlone { op });
        }
        let mut graph = graph.simplified().only(|_| false);
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
        Ok(Self { graph, layout: kept.layout, input, sources: kept.sources, batch_norms })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many norms used the statistics of the batch, and have none of their own before a calibration.
    pub fn batch_norms(&self) -> usize {
        self.batch_norms
    }

    /// How many norms it has.
    pub fn norms(&self) -> usize {
        self.graph.nodes.iter().filter(|node| matches!(node.op, Op::Norm(_))).count()
    }

    /// The values of its own layout out of all those of the supernet; new statistics are 0 and 1.
    ///
    /// # Panics
    /// If `supernet` is not the layout it was frozen from, or there are not as many values as that has.
    pub fn values(&self, supernet: &WeightLayout, values: &[f32]) -> Vec<f32> {
        assert_eq!(values.len(), supernet.numel(), "one value for every weight of the layout");
        let mut own = Vec::with_capacity(self.layout.numel());
        for ((_, spec), source) in self.layout.iter().zip(&self.sources) {
            match (source, spec.init) {
                (Some(id), _) => {
                    assert_eq!(supernet.spec(*id).name, spec.name, "the layout it was frozen from");
                    own.extend_from_slice(&values[supernet.range(*id)]);
                }
                (None, Init::Constant(value)) => own.extend(std::iter::repeat_n(value, spec.numel())),
                (None, Init::Uniform { .. }) => unreachable!("statistics start as a constant"),
            }
        }
        own
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

/// Collects the tensors that a graph reads, each once.
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
        // An owner is a position of the supernet's architectures, which this network does not have.
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
