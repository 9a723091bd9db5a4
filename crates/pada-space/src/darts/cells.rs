use std::fmt;
use std::str::FromStr;

use super::genotype::{CellGenotype, Edges, Genotype};
use super::named::{AGNAS, AGNAS_NETWORK, DARTS_NAMED};
use super::notation;
use crate::{SpaceError, find_named};

/// The number of stages with a cell of their own: the layers before, at, between, at and after the two reductions.
const STAGES: usize = 5;

/// The cells of a stand-alone DARTS network: a genotype, or one cell for every stage.
///
/// Such networks need not be architectures of [`Darts`](super::Darts). [`FromStr`] reads the name of one of [`DARTS_NAMED`] or of
/// [`AGNAS_NETWORK`], a genotype in Python notation or JSON, or `stages=[[('sep_conv_3x3', 0), …], …]` with five cells.
///
/// ```
/// use pada_space::DartsCells;
///
/// let cells: DartsCells = "AGNAS".parse()?;
/// assert_eq!(cells.layers(20).len(), 20);
/// assert_eq!(cells.to_string().parse::<DartsCells>()?, cells);
/// # Ok::<_, pada_space::SpaceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DartsCells {
    /// A normal and a reduction cell.
    Genotype(Genotype),
    /// The cells before, at, and after the first reduction, at the second reduction, and after it. Each concatenates all its intermediate
    /// nodes.
    Stages([CellGenotype; STAGES]),
}

impl DartsCells {
    /// Returns the cell of each layer of a network of `layers` layers. The layers that [`is_reduction`](super::is_reduction) names are
    /// reduction cells.
    ///
    /// # Source
    /// For stages: `NetworkCIFAR` in <https://github.com/Sunzh1996/AGNAS/blob/bbeb8a5/Darts_Search_Space/model.py>
    pub fn layers(&self, layers: usize) -> Vec<&CellGenotype> {
        match self {
            Self::Genotype(genotype) => genotype.cells(layers),
            Self::Stages(cells) => {
                let reductions = [layers / 3, 2 * layers / 3];
                let stage = |layer: usize| {
                    let passed = reductions.iter().filter(|&&r| layer > r).count();
                    2 * passed + usize::from(reductions.contains(&layer))
                };
                (0..layers).map(|layer| &cells[stage(layer)]).collect()
            }
        }
    }
}

impl FromStr for DartsCells {
    type Err = SpaceError;

    fn from_str(text: &str) -> Result<Self, SpaceError> {
        let text = text.trim();
        if text == AGNAS_NETWORK.name {
            return Ok(Self::Stages(
                AGNAS.map(|cell| notation::parse_cell(cell.text).expect("a test reads all named cells")),
            ));
        }
        if let Some(named) = find_named(DARTS_NAMED, text) {
            return Genotype::parse(named.text).map(Self::Genotype);
        }
        let stages = text.strip_prefix("stages").map(str::trim_start).and_then(|rest| rest.strip_prefix('='));
        let Some(stages) = stages else { return Genotype::parse(text).map(Self::Genotype) };
        let cells = notation::parse_cells(stages)?;
        let found = cells.len();
        let cells: [CellGenotype; STAGES] = cells.try_into().map_err(|_| {
            let reason = format!("it has {found} cells, but a network of stages has {STAGES}");
            notation::malformed(text, reason)
        })?;
        for (stage, cell) in cells.iter().enumerate() {
            if let Some(reason) = cell.fault(&format!("cell {stage}")) {
                return Err(notation::malformed(text, reason));
            }
        }
        Ok(Self::Stages(cells))
    }
}

impl fmt::Display for DartsCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genotype(genotype) => genotype.fmt(f),
            Self::Stages(cells) => {
                let cells: Vec<String> = cells.iter().map(|cell| Edges(cell).to_string()).collect();
                write!(f, "stages=[{}]", cells.join(", "))
            }
        }
    }
}
