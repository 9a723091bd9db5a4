use pada_space::{Darts, NasBenchMacro, Nb201, Proxyless, ProxylessWidths, SearchSpace};
use pada_trainer::rules::CellShape;
use serde::{Deserialize, Serialize};

use super::{ConfigError, check};

/// Search space and size of a network: the section `[supernet]` of a supernet run, or `[network]` of `pada retrain`. Each optional
/// field is required in the spaces that its description names and rejected in the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupernetConfig {
    /// Search space.
    pub space: SpaceName,
    /// C, the number of channels of the first stage, for `nb201` and `darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// N, the number of cells per stage for `nb201`, and the total number of cells for `darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// Channels of stem, stages and head, for `proxyless`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<WidthsName>,
    /// If the list is not empty, only architectures that use no other operations are trained and ranked.
    #[serde(default)]
    pub ops: Vec<String>,
}

/// A search space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum SpaceName {
    /// NAS-Bench-201.
    Nb201,
    /// Cells of DARTS.
    Darts,
    /// MobileNet blocks of ProxylessNAS.
    Proxyless,
    /// NAS-Bench-Macro.
    Macro,
}

/// Channels of a network of the ProxylessNAS space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum WidthsName {
    /// The channels of the search of ProxylessNAS.
    Search,
    /// The channels of ProxylessNAS-Mobile and of FairNAS.
    Mobile,
    /// The channels of ProxylessNAS-GPU and of the search of AGNAS.
    Gpu,
}

/// The checked size of a supernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SupernetSize {
    Nb201 { channels: usize, cells: usize },
    Darts { channels: usize, cells: usize },
    Proxyless(ProxylessWidths),
    Macro,
}

/// Smallest number of DARTS cells, because two of them are reduction cells.
const FEWEST_DARTS_CELLS: usize = 3;

impl SpaceName {
    /// Returns the name of the space in configs and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nb201 => "nb201",
            Self::Darts => "darts",
            Self::Proxyless => "proxyless",
            Self::Macro => "macro",
        }
    }

    /// Returns true if the batch norms of the supernet have running statistics, which must be recomputed for every architecture. In the other
    /// spaces batch norms use batch statistics.
    pub fn recalibrates(self) -> bool {
        matches!(self, Self::Proxyless | Self::Macro)
    }
}

/// Creates a search space by its name. The ProxylessNAS space has the channels of its search.
pub fn search_space(name: SpaceName) -> Box<dyn SearchSpace> {
    match name {
        SpaceName::Nb201 => Box::new(Nb201::new()),
        SpaceName::Darts => Box::new(Darts),
        SpaceName::Proxyless => Box::new(Proxyless::new(ProxylessWidths::SEARCH)),
        SpaceName::Macro => Box::new(NasBenchMacro),
    }
}

impl SpaceName {
    /// Returns the cells of the space, or `None` for a space of layers.
    pub(crate) fn cell(self) -> Option<CellShape> {
        match self {
            Self::Nb201 => Some(CellShape::nb201()),
            Self::Darts => Some(CellShape::darts()),
            Self::Proxyless | Self::Macro => None,
        }
    }
}

impl WidthsName {
    fn widths(self) -> ProxylessWidths {
        match self {
            Self::Search => ProxylessWidths::SEARCH,
            Self::Mobile => ProxylessWidths::MOBILE,
            Self::Gpu => ProxylessWidths::GPU,
        }
    }
}

// The supernets that the papers of NAS-Bench-201 and DARTS search on CIFAR-10.
const CHANNELS: usize = 16;
const NB201_CELLS: usize = 5;
const DARTS_CELLS: usize = 8;

impl SupernetConfig {
    /// Returns the supernet of a space that its paper searches with.
    pub fn usual(space: SpaceName) -> Self {
        let (channels, cells, widths) = match space {
            SpaceName::Nb201 => (Some(CHANNELS), Some(NB201_CELLS), None),
            SpaceName::Darts => (Some(CHANNELS), Some(DARTS_CELLS), None),
            SpaceName::Proxyless => (None, None, Some(WidthsName::Search)),
            SpaceName::Macro => (None, None, None),
        };
        Self { space, channels, cells, widths, ops: vec![] }
    }

    /// Creates the search space, with the channels of this network if costs depend on them.
    ///
    /// # Errors
    /// Returns an error if the space does not have this size.
    pub fn space(&self) -> Result<Box<dyn SearchSpace>, ConfigError> {
        Ok(match self.size()? {
            SupernetSize::Proxyless(widths) => Box::new(Proxyless::new(widths)),
            _ => search_space(self.space),
        })
    }

    /// Describes the size: `C=16, N=5`, or the name of the space if it has only one size.
    pub fn size_text(&self) -> String {
        let (c, n) = (self.channels.map(|c| format!("C={c}")), self.cells.map(|n| format!("N={n}")));
        let parts: Vec<String> = c.into_iter().chain(n).collect();
        if parts.is_empty() { self.space.name().to_owned() } else { parts.join(", ") }
    }

    /// Checks that exactly the keys of the space are given, and returns its size.
    pub(crate) fn size(&self) -> Result<SupernetSize, ConfigError> {
        let space = self.space.name();
        // The upper limits keep the number of weights far below the range of 64-bit integers.
        let channels = |what| {
            let (key, value) = ("supernet.channels", self.channels);
            let value = value.ok_or(ConfigError::Needed { key, space, what })?;
            check(key, value, (1..=4096).contains(&value), "from 1 to 4096").map(|()| value)
        };
        let cells = |what| {
            let (key, value) = ("supernet.cells", self.cells);
            let value = value.ok_or(ConfigError::Needed { key, space, what })?;
            check(key, value, (1..=256).contains(&value), "from 1 to 256").map(|()| value)
        };
        let refuse = |key, there, reason| match there {
            true => Err(ConfigError::NoEffect { key, space, reason }),
            false => Ok(()),
        };
        let cell_space = || {
            let reason = "supernet.channels determines its channels";
            refuse("supernet.widths", self.widths.is_some(), reason)
        };
        let one_size = |reason| {
            refuse("supernet.channels", self.channels.is_some(), reason)?;
            refuse("supernet.cells", self.cells.is_some(), "its number of layers is fixed")
        };
        const CHANNELS: &str = "C, the number of channels of the first stage";
        Ok(match self.space {
            SpaceName::Nb201 => {
                cell_space()?;
                let channels = channels(CHANNELS)?;
                let cells = cells("N, the number of cells per stage")?;
                SupernetSize::Nb201 { channels, cells }
            }
            SpaceName::Darts => {
                cell_space()?;
                let channels = channels(CHANNELS)?;
                let cells = cells("the total number of cells, which is 8 in the search on CIFAR-10")?;
                check(
                    "supernet.cells",
                    cells,
                    cells >= FEWEST_DARTS_CELLS,
                    "at least 3, because two of them are reduction cells",
                )?;
                SupernetSize::Darts { channels, cells }
            }
            SpaceName::Proxyless => {
                one_size("supernet.widths determines its channels")?;
                let (key, what) = ("supernet.widths", "its value is search, mobile or gpu");
                let widths = self.widths.ok_or(ConfigError::Needed { key, space, what })?;
                SupernetSize::Proxyless(widths.widths())
            }
            SpaceName::Macro => {
                one_size("the network of the benchmark has only one size")?;
                refuse(
                    "supernet.widths",
                    self.widths.is_some(),
                    "the network of the benchmark has only one size",
                )?;
                SupernetSize::Macro
            }
        })
    }
}
