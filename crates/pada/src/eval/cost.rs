use std::path::Path;

use pada_graph::{Cost, Lower, Shape};
use pada_models::{DartsModel, DartsSize, DartsTraining, MacroNet, MobileModel, Nb201Net, Norms};
use pada_space::{
    AGNAS_NETWORK, DARTS_NAMED, Darts, DartsCells, MobileSpec, NamedArch, NasBenchMacro, Nb201,
    Nb201Encoding, PROXYLESS_NAMED, Proxyless, ProxylessWidths, SearchSpace, find_named, nearest_names,
};

use crate::config::{ConfigError, SkeletonName, SpaceName};
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

/// The size of a [`StandAloneNet`]. `None` stands for the usual size of the space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetSize {
    /// The layers before the cells of a DARTS network; those for CIFAR by default.
    pub skeleton: Option<SkeletonName>,
    /// C, the number of channels of the first stage: 16 in NAS-Bench-201, 36 in DARTS and 48 with the skeleton for ImageNet by default.
    pub channels: Option<usize>,
    /// The number of cells: per stage in NAS-Bench-201 (5 by default), in total in DARTS (20, or 14 with the skeleton for ImageNet).
    pub cells: Option<usize>,
    /// Height and width of an image: 224 in ProxylessNAS and for ImageNet, otherwise 32 by default.
    pub image_size: Option<usize>,
    /// K, the number of classes: 1,000 in ProxylessNAS and for ImageNet, otherwise 10 by default.
    pub classes: Option<usize>,
}

// Limits that keep the counts from overflowing.
const MOST_CHANNELS: usize = 4096;
const MOST_CELLS: usize = 1000;

impl StandAloneNet {
    /// Creates the network of a space with the given size.
    ///
    /// # Errors
    /// Returns [`ConfigError::Range`] if the space has no such size.
    pub fn of_size(space: SpaceName, given: &NetSize) -> Result<Self, ConfigError> {
        let counts = [
            ("--channels", given.channels, MOST_CHANNELS),
            ("--cells", given.cells, MOST_CELLS),
            ("--size", given.image_size, usize::MAX),
            ("--classes", given.classes, usize::MAX),
        ];
        for (key, value, most) in counts {
            let Some(value) = value else { continue };
            let fixed = matches!(space, SpaceName::Proxyless | SpaceName::Macro) && most < usize::MAX;
            let range = match value {
                0 => "at least 1",
                _ if fixed => "left out: the network of this space has one size",
                _ if value > most => "at most 4,096 channels and 1,000 cells",
                _ => continue,
            };
            return Err(ConfigError::Range { key, value: value.to_string(), range });
        }
        if let Some(skeleton) = given.skeleton.filter(|_| space != SpaceName::Darts) {
            let (value, range) =
                (format!("{skeleton:?}"), "left out: only networks of darts have a choice of stems");
            return Err(ConfigError::Range { key: "--skeleton", value: value.to_lowercase(), range });
        }
        let usual = match given.skeleton {
            Some(SkeletonName::ImageNet) => DartsSize::IMAGENET,
            Some(SkeletonName::Cifar) | None => DartsSize::CIFAR,
        };
        let (size, classes) = match space {
            SpaceName::Proxyless => (224, 1000),
            SpaceName::Darts => (usual.input.height, usual.classes),
            SpaceName::Nb201 | SpaceName::Macro => (32, 10),
        };
        let (size, classes) = (given.image_size.unwrap_or(size), given.classes.unwrap_or(classes));
        let input = Shape::new(3, size, size);
        Ok(match space {
            SpaceName::Nb201 => {
                let (channels, cells) = (given.channels.unwrap_or(16), given.cells.unwrap_or(5));
                Self::Nb201 { channels, cells, input, classes }
            }
            SpaceName::Darts => {
                let channels = given.channels.unwrap_or(usual.channels);
                let layers = given.cells.unwrap_or(usual.layers);
                Self::Darts(DartsSize { channels, layers, input, classes, skeleton: usual.skeleton })
            }
            SpaceName::Proxyless => Self::Proxyless { input, classes },
            SpaceName::Macro => Self::Macro { input, classes },
        })
    }

    /// Computes the number of parameters and multiply-adds of an architecture, given in any text form of its space. Also returns how the text
    /// was read: the name of a published architecture, digits, or otherwise the long form of the space, without text around it.
    ///
    /// # Errors
    /// Returns [`PadaError::Space`] if the text is not an architecture, and [`PadaError::Graph`] if the images are too small.
    pub fn cost(&self, text: &str) -> Result<(String, Cost), PadaError> {
        self.cost_of(text, Nb201Encoding::Benchmark)
    }

    /// Computes the same as [`StandAloneNet::cost`] with digits of NAS-Bench-201 in an encoding.
    ///
    /// # Errors
    /// Returns the errors of [`StandAloneNet::cost`].
    pub fn cost_of(&self, text: &str, encoding: Nb201Encoding) -> Result<(String, Cost), PadaError> {
        let text = text.trim();
        let named = self.find(text);
        let text = named.map_or(text, |named| named.text);
        let (read, cost) = match *self {
            Self::Nb201 { channels, cells, input, classes } => {
                let arch = Nb201::with_encoding(encoding).parse(text)?;
                let net = Nb201Net::new(channels, cells, input, classes, Norms::Affine);
                (arch.to_string(), Cost::of(&net.lower(&arch)?, net.weights()))
            }
            Self::Darts(size) => {
                let (read, cells) = match text.contains(['(', '{', '=']) || named.is_some() {
                    true => {
                        let cells = text.parse::<DartsCells>()?;
                        (cells.to_string(), cells)
                    }
                    false => {
                        let arch = Darts.parse(text)?;
                        (arch.to_string(), DartsCells::Genotype(Darts::genotype(&arch)?))
                    }
                };
                let model = DartsModel::of_cells(&cells, size, DartsTraining::default());
                (read, Cost::of(&model.graph()?, model.weights()))
            }
            Self::Proxyless { input, classes } => {
                let space = Proxyless::new(ProxylessWidths::SEARCH);
                let (read, spec) = match text.contains(';') {
                    true => {
                        let spec: MobileSpec = text.parse()?;
                        (spec.to_string(), spec)
                    }
                    false => {
                        let arch = space.parse(text)?;
                        (arch.to_string(), space.spec(&arch)?)
                    }
                };
                let model = MobileModel::new(&spec, input, classes);
                (read, Cost::of(&model.graph()?, model.weights()))
            }
            Self::Macro { input, classes } => {
                let arch = NasBenchMacro.parse(text)?;
                let net = MacroNet::new(input, classes, Norms::Running);
                (arch.to_string(), Cost::of(&net.lower(&arch)?, net.weights()))
            }
        };
        Ok((named.map_or(read, |named| named.name.to_owned()), cost))
    }

    /// Computes the costs of every architecture of a file, one per line or in the column `arch` of a table. Empty lines and lines that start with
    /// `#` are skipped.
    ///
    /// # Errors
    /// Returns the errors of [`StandAloneNet::cost`], [`PadaError::Read`] if the file cannot be read, [`PadaError::ArchList`] or
    /// [`PadaError::ArchTwice`] with the line of an invalid or duplicate architecture, and [`PadaError::NoArchs`] for an empty file.
    pub fn costs(&self, path: &Path, encoding: Nb201Encoding) -> Result<Vec<(String, Cost)>, PadaError> {
        read_arch_lines(path, |text| self.cost_of(text, encoding))
    }

    /// Returns the published architecture with a name.
    ///
    /// # Errors
    /// Returns [`PadaError::UnknownName`] with the nearest names.
    pub fn named(&self, name: &str) -> Result<&'static NamedArch, PadaError> {
        self.find(name).ok_or_else(|| PadaError::UnknownName {
            name: name.to_owned(),
            known: match self.published() {
                [[], _] => "this space has no published names".to_owned(),
                tables => {
                    format!("the nearest names are {}", nearest_names(&tables.concat(), name).join(", "))
                }
            },
        })
    }

    fn find(&self, name: &str) -> Option<&'static NamedArch> {
        self.published().into_iter().find_map(|table| find_named(table, name))
    }

    /// Returns the published architectures of the space.
    fn published(&self) -> [&'static [NamedArch]; 2] {
        match self {
            Self::Darts(_) => [DARTS_NAMED, std::slice::from_ref(&AGNAS_NETWORK)],
            Self::Proxyless { .. } => [PROXYLESS_NAMED, &[]],
            Self::Nb201 { .. } | Self::Macro { .. } => [&[], &[]],
        }
    }
}
