use std::path::Path;

use pada_graph::{Cost, Lower, Shape};
use pada_models::{DartsModel, DartsSize, DartsTraining, MacroNet, MobileModel, Nb201Net, Norms};
use pada_space::{
    AGNAS_NETWORK, DARTS_NAMED, Darts, DartsCells, MobileSpec, NamedArch, NasBenchMacro, Nb201,
    PROXYLESS_NAMED, Proxyless, ProxylessWidths, SearchSpace, find_named, nearest_names,
};

use crate::error::PadaError;
use crate::eval::arch_files::read_arch_lines;

/// A stand-alone network of a search space, for the computation of costs. The variants are the spaces, their fields the size of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandAloneNet {
    /// NAS-Bench-201.
    Nb201 {
        /// C, the number of channels of the first stage.
        channels: usize,
        /// N, the number of cells per stage.
        cells: usize,
        /// Shape of an image.
        input: Shape,
        /// K, the number of classes.
        classes: usize,
    },
    /// DARTS cells.
    Darts(DartsSize),
    /// MobileNet blocks of ProxylessNAS.
    Proxyless {
        /// Shape of an image.
        input: Shape,
        /// K, the number of classes.
        classes: usize,
    },
    /// NAS-Bench-Macro.
    Macro {
        /// Shape of an image.
        input: Shape,
        /// K, the number of classes.
        classes: usize,
    },
}

impl StandAloneNet {
    /// Computes the number of parameters and multiply-adds of an architecture, given in any text form of its space. Also returns its short
    /// form, if it has one.
    ///
    /// # Errors
    /// Returns [`PadaError::Space`] if the text is not an architecture, and [`PadaError::Graph`] if the images are too small.
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
                let cells = match self.named(text).is_ok() || text.contains(['(', '{']) {
                    true => text.parse::<DartsCells>()?,
                    false => DartsCells::Genotype(Darts::genotype(&Darts.parse(text)?)?),
                };
                let model = DartsModel::of_cells(&cells, size, DartsTraining::default());
                Cost::of(&model.graph()?, model.weights())
            }
            Self::Proxyless { input, classes } => {
                let space = Proxyless::new(ProxylessWidths::SEARCH);
                let text = find_named(PROXYLESS_NAMED, text).map_or(text, |named| named.text);
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

    /// Computes the costs of every architecture of a file, one per line. Empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// Returns the errors of [`StandAloneNet::cost`], [`PadaError::Read`] if the file cannot be read, [`PadaError::ArchList`] or
    /// [`PadaError::ArchTwice`] with the line of an invalid or duplicate architecture, and [`PadaError::NoArchs`] for an empty file.
    pub fn costs(&self, path: &Path) -> Result<Vec<(String, Cost)>, PadaError> {
        read_arch_lines(path, |text| self.cost(text))
    }

    /// Returns the published architecture with a name.
    ///
    /// # Errors
    /// Returns [`PadaError::UnknownName`] with the nearest names.
    pub fn named(&self, name: &str) -> Result<&'static NamedArch, PadaError> {
        let tables: [&'static [NamedArch]; 2] = match self {
            Self::Darts(_) => [DARTS_NAMED, std::slice::from_ref(&AGNAS_NETWORK)],
            Self::Proxyless { .. } => [PROXYLESS_NAMED, &[]],
            Self::Nb201 { .. } | Self::Macro { .. } => [&[], &[]],
        };
        tables.into_iter().find_map(|table| find_named(table, name)).ok_or_else(|| PadaError::UnknownName {
            name: name.to_owned(),
            known: match tables[0] {
                [] => "this space has no published names".to_owned(),
                _ => format!("the nearest names are {}", nearest_names(&tables.concat(), name).join(", ")),
            },
        })
    }
}
