use std::path::Path;

use pada_graph::{Cost, Lower, Shape};
use pada_models::{DartsModel, DartsSize, MacroNet, MobileModel, Nb201Net, Norms};
use pada_space::{
    DARTS_NAMED, Darts, Genotype, MobileSpec, NamedArch, NasBenchMacro, Nb201, PROXYLESS_NAMED, Proxyless,
    ProxylessWidths, SearchSpace, find_named,
};

use crate::error::PadaError;
use crate::eval::arch_files::read_arch_lines;

/// The networks of one space as they stand alone: what is counted. Each field is the size that the space is published with unless
/// another is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AloneNet {
    /// NAS-Bench-201.
    Nb201 {
        /// C, channels of the first stage.
        channels: usize,
        /// N, cells per stage.
        cells: usize,
        /// An image.
        input: Shape,
        /// K
        classes: usize,
    },
    /// Networks of DARTS cells.
    Darts(DartsSize),
    /// Networks of MobileNet blocks.
    Proxyless {
        /// An image.
        input: Shape,
        /// K
        classes: usize,
    },
    /// NAS-Bench-Macro.
    Macro {
        /// An image.
        input: Shape,
        /// K
        classes: usize,
    },
}

impl AloneNet {
    /// Weights and multiply-adds of an architecture in any text form of its space, and its short form where there is one.
    ///
    /// # Errors
    /// [`PadaError::Space`] or [`PadaError::Graph`]
    pub fn cost(&self, text: &str) -> Result<(String, Cost), PadaError> {
        let text = text.trim();
        let mut short = text.to_owned();
        let cost = match *self {
            Self::Nb201 { channels, cells, input, classes } => {
                let arch = Nb201::new().parse(text)?;
                short = arch.to_string();
                let net = Nb201Net::new(channels, cells, input, classes, Norms::Affine);
                Cost::of(&net.lower(&arch)?, net.weights())
            }
            Self::Darts(size) => {
                let genotype = match text.contains(['(', '{']) {
                    true => Genotype::parse(text)?,
                    false => Darts::genotype(&Darts.parse(text)?)?,
                };
                let model = DartsModel::new(&genotype, size);
                Cost::of(&model.graph()?, model.weights())
            }
            Self::Proxyless { input, classes } => {
                let space = Proxyless::new(ProxylessWidths::SEARCH);
                let spec: MobileSpec = match text.contains(';') {
                    true => text.parse()?,
                    false => space.spec(&space.parse(text)?)?,
                };
                let model = MobileModel::new(&spec, input, classes);
                Cost::of(&model.graph()?, model.weights())
            }
            Self::Macro { input, classes } => {
                let arch = NasBenchMacro.parse(text)?;
                short = arch.to_string();
                let net = MacroNet::new(input, classes, Norms::Running);
                Cost::of(&net.lower(&arch)?, net.weights())
            }
        };
        Ok((short, cost))
    }

    /// The same for every line of a file; empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// [`PadaError::Read`]; [`PadaError::ArchList`] or [`PadaError::ArchTwice`] with the line; [`PadaError::NoArchs`];
    /// [`PadaError::Graph`]
    pub fn costs(&self, path: &Path) -> Result<Vec<(String, Cost)>, PadaError> {
        read_arch_lines(path, |text| self.cost(text))
    }

    /// The published architecture with this name.
    ///
    /// # Errors
    /// [`PadaError::UnknownName`] with the names there are.
    pub fn named(&self, name: &str) -> Result<&'static NamedArch, PadaError> {
        let table = match self {
            Self::Darts(_) => DARTS_NAMED,
            Self::Proxyless { .. } => PROXYLESS_NAMED,
            Self::Nb201 { .. } | Self::Macro { .. } => &[],
        };
        find_named(table, name).ok_or_else(|| PadaError::UnknownName {
            name: name.to_owned(),
            known: match table {
                [] => "none in this space".to_owned(),
                table => table.iter().map(|named| named.name).collect::<Vec<_>>().join(", "),
            },
        })
    }
}
