//! Networks of the DARTS search space.

mod auxiliary;
mod ops;
mod stand_alone;

use pada_space::{Arch, Darts, DartsCell, DartsEdge, DartsOp, SearchSpace, is_reduction};

use self::ops::{Naming, factorized_reduce, operation, relu_conv_norm};
pub use self::stand_alone::{DartsModel, DartsTraining, DropPath};
use crate::mixtures::{AttentionEdge, Mixed, MixedEdge, MixtureSettings};
use crate::nb201::Norms;
use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{
    Graph, GraphBuilder, GraphError, Lower, MixedDecision, Mixtures, NodeId, Owner, Shape, WeightId,
    WeightLayout,
};

const EPS: f32 = 1e-5; // PyTorch's default
/// Channels of the stem for small images as a multiple of those of the first cell.
const STEM: usize = 3;
/// Number of intermediate nodes of a cell, which are concatenated.
const NODES: usize = 4;
/// Total stride of the two reduction cells.
const HALVED: usize = 4;
/// Total stride of the three convolutions of the stem for ImageNet.
const IMAGENET_STEM: usize = 8;

/// Size of a network of DARTS cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DartsSize {
    /// Channels of a node of the first cell. Every reduction cell doubles them.
    pub channels: usize,
    /// Number of cells. The cells at one and two thirds are reduction cells.
    pub layers: usize,
    /// Shape of an image.
    pub input: Shape,
    /// K, number of classes.
    pub classes: usize,
    /// The layers before the first cell.
    pub skeleton: DartsSkeleton,
}

/// The layers around the cells of a DARTS network: its stem and its auxiliary head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DartsSkeleton {
    /// The network for images of 32×32 pixels, such as CIFAR-10: a 3×3 convolution to three times the channels.
    ///
    /// Source: `NetworkCIFAR` in <https://github.com/quark0/darts>, `cnn/model.py`.
    #[default]
    Cifar,
    /// The network for images of 224×224 pixels, such as ImageNet: three 3×3 convolutions of stride 2. The first cell reads the outputs of the
    /// second and of the third one, and halves the former.
    ///
    /// Source: `NetworkImageNet` in <https://github.com/quark0/darts>, `cnn/model.py`.
    ImageNet,
}

impl DartsSize {
    /// The search network on CIFAR-10.
    pub const SEARCH: Self = Self {
        channels: 16,
        layers: 8,
        input: Shape { channels: 3, height: 32, width: 32 },
        classes: 10,
        skeleton: DartsSkeleton::Cifar,
    };
    /// The evaluation network on CIFAR-10, in which a genotype is trained from scratch.
    pub const CIFAR: Self = Self { channels: 36, layers: 20, ..Self::SEARCH };
    /// The evaluation network on ImageNet, with images of 224×224 pixels and 1,000 classes.
    ///
    /// Source: defaults of <https://github.com/quark0/darts>, `cnn/train_imagenet.py`.
    pub const IMAGENET: Self = Self {
        channels: 48,
        layers: 14,
        input: Shape { channels: 3, height: 224, width: 224 },
        classes: 1000,
        skeleton: DartsSkeleton::ImageNet,
    };

    fn check(&self) -> Result<(), GraphError> {
        let by = HALVED
            * match self.skeleton {
                DartsSkeleton::Cifar => 1,
                DartsSkeleton::ImageNet => IMAGENET_STEM,
            };
        let fits = |size: usize| size > 0 && size.is_multiple_of(by);
        if fits(self.input.height) && fits(self.input.width) {
            return Ok(());
        }
        Err(GraphError::ImageSize { input: self.input, by })
    }
}

/// The supernet of the DARTS search space: every edge of every cell has all operations.
///
/// With [`Norms::Plain`] it is the search network, with a norm after every pooling. Otherwise it is the evaluation network without these
/// norms.
///
/// # Source
/// <https://github.com/quark0/darts>, `cnn/model.py` and `cnn/model_search.py`
#[derive(Clone, Debug)]
pub struct DartsNet {
    size: DartsSize,
    layout: WeightLayout,
    stem: Stem,
    cells: Vec<Cell>,
    classifier: (WeightId, WeightId),
    mixed: Option<Mixed>,
}

#[derive(Clone, Debug)]
struct Cell {
    kind: DartsCell,
    before: [Steps; 2],
    /// `edges[edge][operation]`, edges in the order of their decisions.
    edges: Vec<Vec<Steps>>,
}

impl DartsNet {
    /// Creates the network.
    pub fn new(size: DartsSize, norms: Norms) -> Self {
        Self::build(size, norms, None)
    }

    /// Creates the network with mixtures of operations on all edges.
    ///
    /// # Panics
    /// Panics if the channels are not a multiple of [`MixtureSettings::channel_parts`].
    pub fn with_mixtures(size: DartsSize, norms: Norms, settings: MixtureSettings) -> Self {
        assert!(
            size.channels.is_multiple_of(settings.channel_parts()),
            "every part has equally many channels"
        );
        Self::build(size, norms, Some(settings))
    }

    fn build(size: DartsSize, norms: Norms, settings: Option<MixtureSettings>) -> Self {
        let mut m = Modules::new(norms, EPS);
        let stem = Stem::new(&mut m, &size);
        let mut channels = Channels::new(&size);
        let mut attention = vec![];
        let cells = (0..size.layers).map(|layer| {
            let (kind, [c_pp, c_p, c], halved) = channels.next(layer, NODES);
            let name = format!("cells.{layer}");
            let before = [
                match halved {
                    true => factorized_reduce(&mut m, &format!("{name}.pre0"), [c_pp, c], None),
                    false => relu_conv_norm(&mut m, &format!("{name}.pre0"), [c_pp, c], Naming::Plain),
                },
                relu_conv_norm(&mut m, &format!("{name}.pre1"), [c_p, c], Naming::Plain),
            ];
            let edges = (2..2 + NODES).flat_map(|to| (0..to).map(move |from| (from, to)));
            let mut edge = |(from, to): (usize, usize)| {
                attention.push(AttentionEdge {
                    cell: layer,
                    decision: decision_of(kind, from, to),
                    name: format!("{name}.edges.{to}<-{from}"),
                    channels: c,
                });
                let ops = DartsOp::ALL.into_iter().take(8).map(|op| {
                    let position = decision_of(kind, from, to);
                    let owner = Owner { cell: layer, position, op: op as usize };
                    let name = format!("{name}.edges.{to}<-{from}.{}", op.name());
                    let c = Mixed::seen(c, settings);
                    operation(&mut m, &name, op, [c, stride(kind, from)], Naming::Plain, Some(&owner))
                });
                ops.collect()
            };
            Cell { kind, before, edges: edges.map(&mut edge).collect() }
        });
        let cells: Vec<Cell> = cells.collect();
        let classifier = m.linear("classifier", channels.last(), size.classes);
        let mut layout = m.layout;
        let mixed = settings.map(|settings| {
            let decisions = mixed_edges().map(|(kind, from, to)| MixedDecision {
                decision: decision_of(kind, from, to),
                // Nodes of the two cells have different numbers.
                node: kind as usize * (2 + NODES) + to,
            });
            let decisions = decisions.collect();
            Mixed::new(&mut layout, settings, [Darts.n_ops().len(), SEARCHED_OPS], decisions, attention)
        });
        Self { size, layout, stem, cells, classifier, mixed }
    }

    /// Adds the nodes of a cell in which each edge of each node is the sum of its computed operations.
    fn mixed_nodes(
        &self,
        g: &mut GraphBuilder<'_>,
        last: [NodeId; 2],
        index: usize,
        mixed: &Mixed,
        computed: &[Vec<u8>],
    ) -> Result<Vec<NodeId>, GraphError> {
        let cell = &self.cells[index];
        let mut nodes = cell_inputs(g, last, &cell.before)?;
        for to in 2..2 + NODES {
            let mut terms = Vec::with_capacity(to);
            for (from, &x) in nodes.iter().enumerate() {
                let decision = decision_of(cell.kind, from, to);
                let edge_of_cell = decision - decision_of(cell.kind, 0, 2);
                let (steps, place) =
                    (&cell.edges[edge_of_cell], cell.kind as usize * cell.edges.len() + edge_of_cell);
                let (stride, input) = (stride(cell.kind, from), g.shape(x));
                let [height, width] = [input.height, input.width].map(|size| size.div_ceil(stride));
                let shape = Shape { height, width, ..input };
                let edge = MixedEdge { cell: index, decision, ops: &computed[place], stride, shape };
                terms.push(
                    mixed.edge(g, x, &edge, &self.layout, |g, x, op| apply(g, x, &steps[usize::from(op)]))?,
                );
            }
            nodes.push(g.add(&terms)?);
        }
        Ok(nodes)
    }
}

/// Number of operations of an edge.
const SEARCHED_OPS: usize = 8;

/// The edges of both cells, in the order of their decisions: cell, source and target.
fn mixed_edges() -> impl Iterator<Item = (DartsCell, usize, usize)> {
    [DartsCell::Normal, DartsCell::Reduce]
        .into_iter()
        .flat_map(|kind| (2..2 + NODES).flat_map(move |to| (0..to).map(move |from| (kind, from, to))))
}

fn decision_of(kind: DartsCell, from: usize, to: usize) -> usize {
    Darts::edge_decision(kind, from, to).expect("the edge exists")
}

impl Lower for DartsNet {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.size.input
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        Darts.check(arch)?;
        self.size.check()?;
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.size.input);
        let mut last = self.stem.apply(&mut g, x)?;
        for cell in &self.cells {
            let edge = |edge: &DartsEdge| {
                let first = Darts::edge_decision(cell.kind, 0, 2).expect("the edge exists");
                (edge.from, &cell.edges[edge.decision - first][edge.op as usize])
            };
            let edges: Vec<_> = Darts::edges(arch, cell.kind)?.iter().map(edge).collect();
            let nodes =
                cell_nodes(&mut g, last, &cell.before, &edges, |g, [_, from], x, steps| match &self.mixed {
                    None => apply(g, x, steps),
                    Some(mixed) => mixed.around(g, x, stride(cell.kind, from), |g, x| apply(g, x, steps)),
                })?;
            last = [last[1], g.concat(&nodes[2..])?];
        }
        g.classified(last[1], self.classifier)
    }

    fn mixtures(&self) -> Option<&Mixtures> {
        self.mixed.as_ref().map(|mixed| &mixed.mixtures)
    }

    fn lower_mixture(&self, computed: &[Vec<u8>]) -> Result<Graph, GraphError> {
        let mixed = self.mixed.as_ref().filter(|mixed| mixed.mixtures.decisions.len() == computed.len());
        let mixed = mixed.ok_or(GraphError::NoMixture)?;
        self.size.check()?;
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.size.input);
        let mut last = self.stem.apply(&mut g, x)?;
        for cell in 0..self.cells.len() {
            let nodes = self.mixed_nodes(&mut g, last, cell, mixed, computed)?;
            last = [last[1], g.concat(&nodes[2..])?];
        }
        g.classified(last[1], self.classifier)
    }

    /// Edges that no node of `arch` keeps have no operation.
    fn on_path(&self, arch: &Arch) -> Vec<WeightId> {
        // An architecture of another space has no weights here.
        let edges = |cell| Darts::edges(arch, cell).unwrap_or_default();
        let edges = [DartsCell::Normal, DartsCell::Reduce].map(edges).concat();
        let is_chosen = |owner: &Owner| {
            edges.iter().any(|edge| edge.decision == owner.position && edge.op as usize == owner.op)
        };
        let owned = self.layout.iter().filter(|(_, spec)| spec.owner.as_ref().is_some_and(is_chosen));
        let owned = owned.filter(|(id, _)| self.layout.is_trained(*id));
        owned.map(|(id, _)| id).collect()
    }
}

/// Adds the two preprocessed inputs of a cell.
fn cell_inputs(
    g: &mut GraphBuilder<'_>,
    last: [NodeId; 2],
    before: &[Steps; 2],
) -> Result<Vec<NodeId>, GraphError> {
    last.into_iter().zip(before).map(|(x, steps)| apply(g, x, steps)).collect()
}

/// Adds the nodes of a cell: its two preprocessed inputs, then the sum of two edges each. An edge is a source node and an operation. `value` adds
/// the value of an edge, given its index, its source node, and the value and the operation.
fn cell_nodes(
    g: &mut GraphBuilder<'_>,
    last: [NodeId; 2],
    before: &[Steps; 2],
    edges: &[(usize, &Steps)],
    value: impl Fn(&mut GraphBuilder<'_>, [usize; 2], NodeId, &Steps) -> Result<NodeId, GraphError>,
) -> Result<Vec<NodeId>, GraphError> {
    let mut nodes = cell_inputs(g, last, before)?;
    for (node, pair) in edges.chunks_exact(2).enumerate() {
        let mut terms = Vec::with_capacity(2);
        for (i, &(from, steps)) in pair.iter().enumerate() {
            terms.push(value(g, [2 * node + i, from], nodes[from], steps)?);
        }
        nodes.push(g.add(&terms)?);
    }
    Ok(nodes)
}

/// The layers before the first cell.
#[derive(Clone, Debug)]
struct Stem {
    first: Steps,
    /// The layers from the first to the second input of the first cell. Without any, both inputs are the same.
    second: Steps,
}

impl Stem {
    fn new(m: &mut Modules, size: &DartsSize) -> Self {
        let (images, c) = (size.input.channels, size.channels);
        let mut entry = |name: &str, place: usize, [c_in, c_out]: [usize; 2], stride| {
            let conv = m.conv(&format!("{name}.{place}"), [c_in, c_out], 3, stride, None);
            [Step::Conv(conv), Step::Norm(m.norm(&format!("{name}.{}", place + 1), c_out, None))]
        };
        match size.skeleton {
            DartsSkeleton::Cifar => {
                Self { first: entry("stem", 0, [images, STEM * c], 1).to_vec(), second: vec![] }
            }
            DartsSkeleton::ImageNet => {
                let mut first = entry("stem0", 0, [images, c / 2], 2).to_vec();
                first.push(Step::Relu);
                first.extend(entry("stem0", 3, [c / 2, c], 2));
                let mut second = vec![Step::Relu];
                second.extend(entry("stem1", 1, [c, c], 2));
                Self { first, second }
            }
        }
    }

    /// Returns the two inputs of the first cell.
    fn apply(&self, g: &mut GraphBuilder<'_>, x: NodeId) -> Result<[NodeId; 2], GraphError> {
        let first = apply(g, x, &self.first)?;
        Ok([first, apply(g, first, &self.second)?])
    }
}

/// Edges from the inputs of a reduction cell have stride 2.
fn stride(cell: DartsCell, from: usize) -> usize {
    if cell == DartsCell::Reduce && from < 2 { 2 } else { 1 }
}

/// Tracks the channels from cell to cell.
struct Channels {
    layers: usize,
    before: [usize; 2],
    here: usize,
    halved: bool,
}

impl Channels {
    fn new(size: &DartsSize) -> Self {
        let (stem, halved) = match size.skeleton {
            DartsSkeleton::Cifar => (STEM * size.channels, false),
            DartsSkeleton::ImageNet => (size.channels, true),
        };
        Self { layers: size.layers, before: [stem; 2], here: size.channels, halved }
    }

    /// Returns the kind of the next cell, the channels of the two previous cells and of its own nodes, and whether the first of its inputs is
    /// twice as large as the second. The next cell concatenates `joined` nodes.
    fn next(&mut self, layer: usize, joined: usize) -> (DartsCell, [usize; 3], bool) {
        let kind = if is_reduction(layer, self.layers) { DartsCell::Reduce } else { DartsCell::Normal };
        if kind == DartsCell::Reduce {
            self.here *= 2;
        }
        let channels = [self.before[0], self.before[1], self.here];
        let halved = std::mem::replace(&mut self.halved, kind == DartsCell::Reduce);
        self.before = [self.before[1], joined * self.here];
        (kind, channels, halved)
    }

    fn last(&self) -> usize {
        self.before[1]
    }
}
