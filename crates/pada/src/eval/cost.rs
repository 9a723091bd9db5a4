use pada_graph::{Cost, Lower, Shape};
use pada_models::{DartsModel, DartsSize, DartsTraining, MacroNet, MobileModel, Nb201Net, Norms};
use pada_space::{NamedArch, Nb201Encoding};

use crate::config::{ConfigError, SkeletonName, SpaceName};
use crate::error::PadaError;
use crate::eval::notation::{Notation, ReadArch, ReadNetwork, named};

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
        let read = ReadArch::parse(self.space(), text, encoding)?;
        let cost = self.cost_of_read(&read)?;
        Ok((read.name().to_owned(), cost))
    }

    /// Returns the search space.
    pub fn space(&self) -> SpaceName {
        match self {
            Self::Nb201 { .. } => SpaceName::Nb201,
            Self::Darts(_) => SpaceName::Darts,
            Self::Proxyless { .. } => SpaceName::Proxyless,
            Self::Macro { .. } => SpaceName::Macro,
        }
    }

    /// Computes the number of parameters and multiply-adds of an architecture.
    ///
    /// # Errors
    /// Returns [`PadaError::Graph`] if the images are too small, and [`PadaError::Space`] if the architecture belongs to another space.
    pub fn cost_of_read(&self, read: &ReadArch) -> Result<Cost, PadaError> {
        match (*self, &read.network) {
            (Self::Nb201 { channels, cells, input, classes }, ReadNetwork::Nb201(arch)) => {
                let net = Nb201Net::new(channels, cells, input, classes, Norms::Affine);
                Ok(Cost::of(&net.lower(arch)?, net.weights()))
            }
            (Self::Darts(size), ReadNetwork::Darts(cells)) => {
                let model = DartsModel::of_cells(cells, size, DartsTraining::default());
                Ok(Cost::of(&model.graph()?, model.weights()))
            }
            (Self::Proxyless { input, classes }, ReadNetwork::Proxyless(spec)) => {
                let model = MobileModel::new(spec, input, classes);
                Ok(Cost::of(&model.graph()?, model.weights()))
            }
            (Self::Macro { input, classes }, ReadNetwork::Macro(arch)) => {
                let net = MacroNet::new(input, classes, Norms::Running);
                Ok(Cost::of(&net.lower(arch)?, net.weights()))
            }
            // The text of an architecture of another space is not one of this space.
            (_, _) => {
                let read = ReadArch::parse(
                    self.space(),
                    &read.write(Notation::String, None)?,
                    Nb201Encoding::Benchmark,
                )?;
                self.cost_of_read(&read)
            }
        }
    }

    /// Returns the published architecture with a name.
    ///
    /// # Errors
    /// Returns [`PadaError::UnknownName`] with the nearest names.
    pub fn named(&self, name: &str) -> Result<&'static NamedArch, PadaError> {
        named(self.space(), name)
    }
}
