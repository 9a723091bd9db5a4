use pada_space::{Arch, CellGenotype, Genotype};

use super::ops::{Naming, factorized_reduce, operation, relu_conv_norm};
use super::{Channels, DartsSize, EPS, cell_nodes, stem, stride};
use crate::steps::{Modules, Steps, apply};
use crate::{Graph, GraphBuilder, GraphError, Lower, Norms, Shape, WeightId, WeightLayout};

/// One genotype as a network of its own, with only the weights that it uses, named as in `quark0/darts`. Cells may have any number
/// of nodes and may differ from layer to layer.
///
/// As a [`Lower`] it has a single architecture, the one without positions.
///
/// # Source
/// `NetworkCIFAR` in <https://github.com/quark0/darts>, `cnn/model.py`. DIFFERS: without the auxiliary head, which only training
/// uses, and without drop-path.
#[derive(Clone, Debug)]
pub struct DartsModel {
    size: DartsSize,
    layout: WeightLayout,
    stem: Steps,
    cells: Vec<Cell>,
    classifier: (WeightId, WeightId),
}

#[derive(Clone, Debug)]
struct Cell {
    before: [Steps; 2],
    /// Source and steps of each edge, two per node.
    edges: Vec<(usize, Steps)>,
    concat: Vec<usize>,
}

impl DartsModel {
    /// The network of a genotype; norms have scale, shift and running statistics.
    ///
    /// # Panics
    /// If an edge leads from a later node; [`Genotype::check`] refuses that.
    pub fn new(genotype: &Genotype, size: DartsSize) -> Self {
        Self::with_cells(&genotype.cells(size.layers), size)
    }

    /// The network of one cell per layer.
    ///
    /// # Panics
    /// If there are not as many cells as layers, or an edge leads from a later node.
    pub fn with_cells(cells: &[&CellGenotype], size: DartsSize) -> Self {
        assert_eq!(cells.len(), size.layers, "one cell for each layer");
        let mut m = Modules::new(Norms::Running, EPS);
        let stem = stem(&mut m, &size);
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
            Cell { before, edges, concat: genotype.concat.clone() }
        });
        let cells = cells.collect();
        let classifier = m.linear("classifier", channels.last(), size.classes);
        Self { size, layout: m.layout, stem, cells, classifier }
    }

    /// Its graph.
    ///
    /// # Errors
    /// [`GraphError::ImageSize`] for images that cannot be halved twice.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        self.size.check()?;
        let mut g = GraphBuilder::new(&self.layout);
        let x = g.input(self.size.input);
        let x = apply(&mut g, x, &self.stem)?;
        let mut last = [x, x];
        for cell in &self.cells {
            let edges: Vec<_> = cell.edges.iter().map(|(from, steps)| (*from, steps)).collect();
            let nodes = cell_nodes(&mut g, last, &cell.before, &edges)?;
            let joined: Vec<_> = cell.concat.iter().map(|&node| nodes[node]).collect();
            last = [last[1], g.concat(&joined)?];
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
}
