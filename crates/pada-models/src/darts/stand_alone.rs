use pada_space::{Arch, CellGenotype, DartsCells, Genotype};

use super::auxiliary::AuxiliaryHead;
use super::ops::{Naming, factorized_reduce, operation, relu_conv_norm};
use super::{Channels, DartsSize, EPS, Stem, cell_nodes, stride};
use crate::nb201::Norms;
use crate::steps::{Modules, Steps, apply};
use pada_graph::{Graph, GraphBuilder, GraphError, Lower, Shape, WeightId, WeightLayout};

/// The stand-alone network of one genotype: the evaluation network of DARTS, with weights named as in `quark0/darts`.
///
/// Cells may have any number of nodes and may differ from layer to layer. As a [`Lower`] it has a single architecture, whatever its decisions
/// are.
///
/// # Source
/// `NetworkCIFAR` and `NetworkImageNet` in <https://github.com/quark0/darts>, `cnn/model.py`.
#[derive(Clone, Debug)]
pub struct DartsModel {
    size: DartsSize,
    layout: WeightLayout,
    stem: Stem,
    cells: Vec<Cell>,
    classifier: (WeightId, WeightId),
    training: DartsTraining,
    auxiliary: Option<AuxiliaryHead>,
}

/// Parts of a stand-alone network that exist in training only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DartsTraining {
    /// Weight of the auxiliary head's loss, 0.4 in the published recipe. `None` for no head. The head reads the cell at two thirds. It needs 8×8
    /// pixels there, or 7×7 in the network for ImageNet, which images of 32×32 and 224×224 pixels have.
    pub auxiliary: Option<f32>,
    /// Drop-path.
    pub drop_path: DropPath,
}

/// Which edges drop-path applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DropPath {
    /// No drop-path.
    #[default]
    None,
    /// All edges that are not a plain skip, independently for each image.
    Edges,
}

#[derive(Clone, Debug)]
struct Cell {
    before: [Steps; 2],
    /// Source node and operation of each edge, two edges per node.
    edges: Vec<(usize, Steps)>,
    concat: Vec<usize>,
}

impl DartsModel {
    /// Creates the network of a genotype. Norms have scale, shift and running statistics.
    ///
    /// # Panics
    /// Panics if an edge starts at a later node, which [`Genotype::check`] reports as an error.
    pub fn new(genotype: &Genotype, size: DartsSize) -> Self {
        Self::to_train(genotype, size, DartsTraining::default())
    }

    /// Creates the network of a genotype with auxiliary head and drop-path.
    ///
    /// # Panics
    /// Panics in the same case as [`DartsModel::new`].
    pub fn to_train(genotype: &Genotype, size: DartsSize, training: DartsTraining) -> Self {
        Self::build(&genotype.cells(size.layers), size, training)
    }

    /// Creates the network of a genotype or of one cell per stage, with auxiliary head and drop-path.
    ///
    /// # Panics
    /// Panics in the same case as [`DartsModel::new`].
    pub fn of_cells(cells: &DartsCells, size: DartsSize, training: DartsTraining) -> Self {
        Self::build(&cells.layers(size.layers), size, training)
    }

    fn build(cells: &[&CellGenotype], size: DartsSize, training: DartsTraining) -> Self {
        let head_at = auxiliary_cell(size.layers);
        let mut head_channels = 0;
        let mut m = Modules::new(Norms::Running, EPS);
        let stem = Stem::new(&mut m, &size);
        let mut channels = Channels::new(&size);
        let cells = cells.iter().enumerate().map(|(layer, genotype)| {
            let (kind, [c_pp, c_p, c], halved) = channels.next(layer, genotype.concat.len());
            let name = format!("cells.{layer}");
            let first = format!("{name}.preprocess0");
            let before = [
                match halved {
                    true => factorized_reduce(&mut m, &first, [c_pp, c], None),
                    false => relu_conv_norm(&mut m, &first, [c_pp, c], Naming::Field),
                },
                relu_conv_norm(&mut m, &format!("{name}.preprocess1"), [c_p, c], Naming::Field),
            ];
            let edge = |(i, &(op, from)): (usize, &(_, usize))| {
                let name = format!("{name}._ops.{i}");
                (from, operation(&mut m, &name, op, [c, stride(kind, from)], Naming::Field, None))
            };
            let edges = genotype.edges.iter().enumerate().map(edge).collect();
            if layer == head_at {
                head_channels = channels.last();
            }
            Cell { before, edges, concat: genotype.concat.clone() }
        });
        let cells = cells.collect();
        let (skeleton, classes) = (size.skeleton, size.classes);
        let head = |share| AuxiliaryHead::new(&mut m, skeleton, head_channels, classes, share);
        let auxiliary = training.auxiliary.map(head);
        let classifier = m.linear("classifier", channels.last(), size.classes);
        Self { size, layout: m.layout, stem, cells, classifier, training, auxiliary }
    }

    /// Returns the op graph without the parts that exist in training only.
    ///
    /// # Errors
    /// Returns [`GraphError::ImageSize`] if height or width is not divisible by the stride of all layers, 4 or for ImageNet 32.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        self.lowered(DropPath::None, None)
    }

    fn lowered(&self, drop_path: DropPath, head: Option<&AuxiliaryHead>) -> Result<Graph, GraphError> {
        self.size.check()?;
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.size.input);
        let mut last = self.stem.apply(&mut g, x)?;
        let mut slots = 0;
        for (layer, cell) in self.cells.iter().enumerate() {
            let edges: Vec<_> = cell.edges.iter().map(|(from, steps)| (*from, steps)).collect();
            let first_slot = slots;
            slots += edges.len();
            // Every edge that is not a plain skip has a slot of drop-path.
            let nodes = cell_nodes(&mut g, last, &cell.before, &edges, |g, [edge, _], x, steps| {
                let value = apply(g, x, steps)?;
                Ok(match drop_path {
                    DropPath::Edges if !steps.is_empty() => g.drop_path(value, first_slot + edge),
                    _ => value,
                })
            })?;
            let joined: Vec<_> = cell.concat.iter().map(|&node| nodes[node]).collect();
            last = [last[1], g.concat(&joined)?];
            if let Some(head) = head.filter(|_| layer == auxiliary_cell(self.size.layers)) {
                head.read(&mut g, last[1])?;
            }
        }
        g.classified(last[1], self.classifier)
    }
}

impl Lower for DartsModel {
    fn weights(&self) -> &WeightLayout {
        &self.layout
    }

    fn input(&self) -> Shape {
        self.size.input
    }

    fn lower(&self, _: &Arch) -> Result<Graph, GraphError> {
        self.graph()
    }

    fn lower_to_train(&self, _: &Arch) -> Result<Graph, GraphError> {
        self.lowered(self.training.drop_path, self.auxiliary.as_ref())
    }
}

/// Index of the cell that the auxiliary head reads.
fn auxiliary_cell(layers: usize) -> usize {
    2 * layers / 3
}
