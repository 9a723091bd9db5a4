use std::collections::BTreeMap;

use pada_space::{Arch, Nb201, Nb201Op, SearchSpace};

const EDGES: [(usize, usize); 6] = Nb201::EDGES;
const N_NODES: usize = Nb201::NODES;

use pada_graph::{
    Conv, Graph, GraphBuilder, GraphError, Init, Lower, MixedDecision, Mixtures, NodeId, Norm, Owner, Pool,
    Shape, Statistics, WeightId, WeightLayout, WeightSpec,
};

use crate::mixtures::{AttentionEdge, Mixed, MixedEdge, MixtureSettings};

const EPS: f32 = 1e-5; // PyTorch's default
const STAGES: usize = 3;
/// Number of operations of an edge.
const OPS: usize = 5;

/// Bias of convolutions and kind of batch norms in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Convolutions with bias, norms without scale and shift and with batch statistics: the supernet of the released code.
    Plain,
    /// Convolutions without bias, norms with scale and shift and with batch statistics: parameters as in the benchmark's networks.
    Affine,
    /// As [`Norms::Affine`], with running statistics for evaluation, as PyTorch's `BatchNorm2d`.
    Running,
}

impl Norms {
    /// Adds the weights of a norm of `c` channels that is called `name` in PyTorch.
    pub(crate) fn push(
        self,
        layout: &mut WeightLayout,
        name: &str,
        c: usize,
        eps: f32,
        owner: Option<&Owner>,
    ) -> Norm {
        let spec = |part: &str, value: f32| WeightSpec {
            name: format!("{name}.{part}"),
            shape: vec![c],
            init: Init::Constant(value),
            owner: owner.cloned(),
        };
        let affine =
            (self != Self::Plain).then(|| (layout.push(spec("weight", 1.0)), layout.push(spec("bias", 0.0))));
        let statistics = match self {
            Self::Plain | Self::Affine => Statistics::Batch,
            Self::Running => Statistics::Running {
                mean: layout.push_buffer(spec("running_mean", 0.0)),
                var: layout.push_buffer(spec("running_var", 1.0)),
                momentum: Norm::MOMENTUM,
            },
        };
        Norm { affine, eps, statistics }
    }
}

/// The supernet of NAS-Bench-201: stem, three stages of cells with a residual block of stride 2 before the second and third, global average
/// pooling, and a linear classifier. Weights are named as in the released PA-DA checkpoints.
///
/// # Source
/// Dong & Yang, NAS-Bench-201, ICLR 2020; weight sharing as in <https://github.com/ShunLu91/PA-DA>.
#[derive(Clone, Debug)]
pub struct Nb201Net {
    channels: usize,
    input: Shape,
    layout: WeightLayout,
    stem: ConvNorm,
    cells: Vec<Cell>,
    last: Norm,
    classifier: (WeightId, WeightId),
    mixed: Option<Mixed>,
}

#[derive(Clone, Debug)]
struct ConvNorm {
    weight: WeightId,
    bias: Option<WeightId>,
    norm: Norm,
    out: usize,
    kernel: usize,
}

#[derive(Clone, Debug)]
enum Cell {
    /// `edges[e]` has the 1×1 and the 3×3 convolution of edge e.
    Search {
        edges: Vec<[ConvNorm; 2]>,
    },
    Reduction {
        a: ConvNorm,
        b: ConvNorm,
        downsample: WeightId,
    },
}

impl Nb201Net {
    /// Creates the network with `channels` channels in the first stage and `cells` cells per stage.
    pub fn new(channels: usize, cells: usize, input: Shape, classes: usize, norms: Norms) -> Self {
        Self::build(channels, cells, input, classes, norms, None)
    }

    /// Creates the network as [`Nb201Net::new`] does, with mixtures of operations on all edges.
    ///
    /// # Panics
    /// Panics if `channels` is not a multiple of [`MixtureSettings::channel_parts`].
    pub fn with_mixtures(
        channels: usize,
        cells: usize,
        input: Shape,
        classes: usize,
        norms: Norms,
        settings: MixtureSettings,
    ) -> Self {
        assert!(channels.is_multiple_of(settings.channel_parts()), "every part has equally many channels");
        Self::build(channels, cells, input, classes, norms, Some(settings))
    }

    fn build(
        channels: usize,
        cells: usize,
        input: Shape,
        classes: usize,
        norms: Norms,
        settings: Option<MixtureSettings>,
    ) -> Self {
        let mut w = Weights { layout: WeightLayout::new(), norms };
        let stem = {
            let weight = w.conv("stem.0.weight".to_owned(), channels, input.channels, 3, None);
            let norm = w.norm("stem.1", channels, None);
            ConvNorm { weight, bias: None, norm, out: channels, kernel: 3 }
        };
        let (mut all, mut attention) = (Vec::new(), Vec::new());
        for stage in 0..STAGES {
            let c = channels << stage;
            if stage > 0 {
                let name = format!("cells.{}", all.len());
                let a = w.conv_norm(&format!("{name}.conv_a"), c, c / 2, 3, None);
                let b = w.conv_norm(&format!("{name}.conv_b"), c, c, 3, None);
                let downsample = w.conv(format!("{name}.downsample.1.weight"), c, c / 2, 1, None);
                all.push(Cell::Reduction { a, b, downsample });
            }
            for _ in 0..cells {
                let cell = all.len();
                let mut edge = |(position, &(from, to)): (usize, &(usize, usize))| {
                    let name = format!("cells.{cell}.edges.{to}<-{from}");
                    attention.push(AttentionEdge {
                        cell,
                        decision: position,
                        name: name.clone(),
                        channels: c,
                    });
                    [(Nb201Op::Conv1x1, 1), (Nb201Op::Conv3x3, 3)].map(|(op, kernel)| {
                        let op = op as usize;
                        let name = format!("{name}.{op}");
                        let c = Mixed::seen(c, settings);
                        w.conv_norm(&name, c, c, kernel, Some(Owner { cell, position, op }))
                    })
                };
                let edges = EDGES.iter().enumerate().map(&mut edge).collect();
                all.push(Cell::Search { edges });
            }
        }
        let c = channels << (STAGES - 1);
        let last = w.norm("lastact.0", c, None);
        let uniform = Init::Uniform { fan_in: c };
        let weight = w.push("classifier.weight".to_owned(), vec![classes, c], uniform, None);
        let bias = w.push("classifier.bias".to_owned(), vec![classes], uniform, None);
        let mut layout = w.layout;
        let edges = EDGES.iter().enumerate();
        let decisions = edges.map(|(decision, &(_, node))| MixedDecision { decision, node }).collect();
        let mixed = settings.map(|s| Mixed::new(&mut layout, s, [EDGES.len(), OPS], decisions, attention));
        Self { channels, input, layout, stem, cells: all, last, classifier: (weight, bias), mixed }
    }

    /// ReLU, convolution, norm.
    fn conv_norm(
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        conv: &ConvNorm,
        stride: usize,
    ) -> Result<NodeId, GraphError> {
        let x = g.relu(x);
        let same = Conv::same(conv.weight, conv.out, conv.kernel, stride);
        let x = g.conv(x, Conv { bias: conv.bias, ..same })?;
        g.norm(x, conv.norm)
    }

    /// Adds an operation of an edge with these convolutions.
    fn operation(
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        op: Nb201Op,
        convs: &[ConvNorm; 2],
    ) -> Result<NodeId, GraphError> {
        Ok(match op {
            Nb201Op::None => g.zero(g.shape(x)),
            Nb201Op::Skip => x,
            Nb201Op::Conv1x1 => Self::conv_norm(g, x, &convs[0], 1)?,
            Nb201Op::Conv3x3 => Self::conv_norm(g, x, &convs[1], 1)?,
            Nb201Op::AvgPool3x3 => g.avg_pool(x, Pool { kernel: 3, stride: 1, padding: 1 })?,
        })
    }

    /// Adds an edge: the operation of an architecture, or a mixture.
    fn edge(
        &self,
        g: &mut GraphBuilder<'_>,
        x: NodeId,
        [cell, e]: [usize; 2],
        ops: &EdgeOps<'_>,
        convs: &[ConvNorm; 2],
    ) -> Result<NodeId, GraphError> {
        match (ops, &self.mixed) {
            (EdgeOps::Single(ops), None) => Self::operation(g, x, ops[e], convs),
            (EdgeOps::Single(ops), Some(mixed)) => {
                mixed.around(g, x, 1, |g, x| Self::operation(g, x, ops[e], convs))
            }
            (EdgeOps::Mixed(_), None) => Err(GraphError::NoMixture),
            (EdgeOps::Mixed(computed), Some(mixed)) => {
                let edge = MixedEdge { cell, decision: e, ops: &computed[e], stride: 1, shape: g.shape(x) };
                mixed.edge(g, x, &edge, &self.layout, |g, x, op| {
                    Self::operation(g, x, Nb201Op::ALL[usize::from(op)], convs)
                })
            }
        }
    }

    fn search_cell(
        &self,
        g: &mut GraphBuilder<'_>,
        input: NodeId,
        cell: usize,
        ops: &EdgeOps<'_>,
        edges: &[[ConvNorm; 2]],
    ) -> Result<CellNodes, GraphError> {
        let (mut nodes, mut edge_values) = (vec![input], Vec::new());
        for to in 1..N_NODES {
            let mut terms = Vec::new();
            for (e, &(from, _)) in EDGES.iter().enumerate().filter(|(_, edge)| edge.1 == to) {
                terms.push(self.edge(g, nodes[from], [cell, e], ops, &edges[e])?);
            }
            nodes.push(g.add(&terms)?);
            edge_values.extend(terms);
        }
        Ok(CellNodes { nodes, edges: edge_values })
    }

    fn stem(&self, g: &mut GraphBuilder<'_>) -> Result<NodeId, GraphError> {
        const HALVED: usize = 1 << (STAGES - 1);
        let Shape { height, width, .. } = self.input;
        let fits = |size: usize| size > 0 && size.is_multiple_of(HALVED);
        if !fits(height) || !fits(width) {
            return Err(GraphError::ImageSize { input: self.input, by: HALVED });
        }
        let x = g.input(self.input);
        let x = g.conv(x, Conv::same(self.stem.weight, self.channels, self.stem.kernel, 1))?;
        g.norm(x, self.stem.norm)
    }

    /// Adds all cells. Returns the outputs of all cells and the values of the searched cells.
    fn cells(
        &self,
        g: &mut GraphBuilder<'_>,
        mut x: NodeId,
        ops: &EdgeOps<'_>,
    ) -> Result<(Vec<NodeId>, Vec<CellNodes>), GraphError> {
        let (mut outputs, mut searched) = (vec![], vec![]);
        for (index, cell) in self.cells.iter().enumerate() {
            match cell {
                Cell::Search { edges } => {
                    let cell = self.search_cell(g, x, index, ops, edges)?;
                    x = cell.nodes[N_NODES - 1];
                    searched.push(cell);
                }
                Cell::Reduction { a, b, downsample } => {
                    let residual = Self::conv_norm(g, x, a, 2)?;
                    let residual = Self::conv_norm(g, residual, b, 1)?;
                    let short = g.avg_pool(x, Pool { kernel: 2, stride: 2, padding: 0 })?;
                    let short = g.conv(short, Conv::same(*downsample, a.out, 1, 1))?;
                    x = g.add(&[short, residual])?;
                }
            }
            outputs.push(x);
        }
        Ok((outputs, searched))
    }

    fn head(&self, mut g: GraphBuilder<'_>, x: NodeId) -> Result<Graph, GraphError> {
        let x = g.norm(x, self.last)?;
        let x = g.relu(x);
        g.classified(x, self.classifier)
    }
}

/// The operations of the edges of a cell.
enum EdgeOps<'a> {
    /// One operation per edge.
    Single([Nb201Op; EDGES.len()]),
    /// The computed operations of the mixture of each edge.
    Mixed(&'a [Vec<u8>]),
}

/// The nodes of the graph that belong to a searched cell.
struct CellNodes {
    /// The values of the cell's nodes.
    nodes: Vec<NodeId>,
    /// The outputs of the operations on its edges, in the order of [`Nb201::EDGES`].
    edges: Vec<NodeId>,
}

impl Lower for Nb201Net {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        Nb201::new().check(arch)?;
        let mut g = GraphBuilder::new(&self.layout);
        let stem = self.stem(&mut g)?;
        let (outputs, _) = self.cells(&mut g, stem, &EdgeOps::Single(Nb201::ops(arch)?))?;
        g.end_block(stem);
        outputs.iter().for_each(|&output| g.end_block(output));
        self.head(g, outputs.last().copied().unwrap_or(stem))
    }

    fn mixtures(&self) -> Option<&Mixtures> {
        self.mixed.as_ref().map(|mixed| &mixed.mixtures)
    }

    fn lower_mixture(&self, computed: &[Vec<u8>]) -> Result<Graph, GraphError> {
        if computed.len() != EDGES.len() {
            return Err(GraphError::NoMixture);
        }
        let mut g = GraphBuilder::new(&self.layout);
        let stem = self.stem(&mut g)?;
        let (outputs, _) = self.cells(&mut g, stem, &EdgeOps::Mixed(computed))?;
        self.head(g, outputs.last().copied().unwrap_or(stem))
    }

    fn lower_aligned(&self, path: &Arch, anchor: &Arch, weight: f64) -> Result<Graph, GraphError> {
        if path == anchor {
            return self.lower(path); // the alignment loss is zero
        }
        Nb201::new().check(path)?;
        Nb201::new().check(anchor)?;
        let mut g = GraphBuilder::new(&self.layout);
        let stem = self.stem(&mut g)?;
        let (_, anchors) = self.cells(&mut g, stem, &EdgeOps::Single(Nb201::ops(anchor)?))?;
        let (outputs, values) = self.cells(&mut g, stem, &EdgeOps::Single(Nb201::ops(path)?))?;
        // A node is the input of several edges, and with a skip connection also an output. Each pair is aligned once.
        let mut shares: BTreeMap<(NodeId, NodeId), f64> = BTreeMap::new();
        let share = weight / (values.len() * EDGES.len()) as f64;
        for (anchor, value) in anchors.iter().zip(&values) {
            for (e, &(from, _)) in EDGES.iter().enumerate() {
                *shares.entry((anchor.nodes[from], value.nodes[from])).or_default() += share;
                *shares.entry((anchor.edges[e], value.edges[e])).or_default() += share;
            }
        }
        for ((anchor, value), share) in shares {
            g.align(anchor, value, share as f32)?;
        }
        self.head(g, outputs.last().copied().unwrap_or(stem))
    }
}

/// Collects the weights in the order of PyTorch's `state_dict`.
struct Weights {
    layout: WeightLayout,
    norms: Norms,
}

impl Weights {
    fn push(&mut self, name: String, shape: Vec<usize>, init: Init, owner: Option<Owner>) -> WeightId {
        self.layout.push(WeightSpec { name, shape, init, owner })
    }

    fn conv(&mut self, name: String, c_out: usize, c_in: usize, k: usize, owner: Option<Owner>) -> WeightId {
        self.push(name, vec![c_out, c_in, k, k], Init::Uniform { fan_in: c_in * k * k }, owner)
    }

    fn norm(&mut self, name: &str, c: usize, owner: Option<&Owner>) -> Norm {
        self.norms.push(&mut self.layout, name, c, EPS, owner)
    }

    /// The convolution is entry 1 and the norm entry 2 of a PyTorch `Sequential` called `op`.
    fn conv_norm(
        &mut self,
        name: &str,
        c_out: usize,
        c_in: usize,
        kernel: usize,
        owner: Option<Owner>,
    ) -> ConvNorm {
        let weight = self.conv(format!("{name}.op.1.weight"), c_out, c_in, kernel, owner.clone());
        let uniform = Init::Uniform { fan_in: c_in * kernel * kernel };
        let bias = (self.norms == Norms::Plain)
            .then(|| self.push(format!("{name}.op.1.bias"), vec![c_out], uniform, owner.clone()));
        let norm = self.norm(&format!("{name}.op.2"), c_out, owner.as_ref());
        ConvNorm { weight, bias, norm, out: c_out, kernel }
    }
}
