use pada_space::{Darts, NasBenchMacro, Nb201, Nb201Op, Proxyless, ProxylessWidths, SearchSpace};
use pada_trainer::rules::CellShape;
use serde::{Deserialize, Serialize};

use super::{ConfigError, check};

/// Search space and size of a network: the section `[supernet]` of a supernet run, or `[network]` of a retraining. An optional field is
/// needed in the spaces that it names and refused in the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupernetConfig {
    /// Search space.
    pub space: SpaceName,
    /// C, channels of the first stage: `nb201`, `darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// N, cells per stage in `nb201`, cells in all in `darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// Channels of stem, stages and head: `proxyless`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<WidthsName>,
    /// If it is not empty, only architectures that use no other operations than these are trained and ranked.
    #[serde(default)]
    pub ops: Vec<String>,
}

/// A search space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
pub enum WidthsName {
    /// Those of the search of ProxylessNAS.
    Search,
    /// Those of ProxylessNAS-Mobile and of FairNAS.
    Mobile,
    /// Those of ProxylessNAS-GPU, and of the search of AGNAS.
    Gpu,
}

/// A supernet's size, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SupernetSize {
    Nb201 { channels: usize, cells: usize },
    Darts { channels: usize, cells: usize },
    Proxyless(ProxylessWidths),
    Macro,
}

/// Fewer cells have no place for two reductions.
const FEWEST_DARTS_CELLS: usize = 3;

impl SpaceName {
    /// As configs and the command line write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nb201 => "nb201",
            Self::Darts => "darts",
            Self::Proxyless => "proxyless",
            Self::Macro => "macro",
        }
    }

    /// Whether norms of its supernet keep running statistics, which must be taken anew for every architecture. In the others norms use
    /// the statistics of the batch.
    pub fn recalibrates(self) -> bool {
        matches!(self, Self::Proxyless | Self::Macro)
    }
}

/// A search space by its name; the ProxylessNAS space has the channels of its search.
pub fn search_space(name: SpaceName) -> Box<dyn SearchSpace> {
    match name {
        SpaceName::Nb201 => Box::new(Nb201::new()),
        SpaceName::Darts => Box::new(Darts),
        SpaceName::Proxyless => Box::new(Proxyless::new(ProxylessWidths::SEARCH)),
        SpaceName::Macro => Box::new(NasBenchMacro),
    }
}

impl SpaceName {
    /// The cell of a space whose decisions are the edges of one.
    pub(crate) fn cell(self) -> Option<CellShape> {
        match self {
            Self::Nb201 => Some(CellShape { edges: &Nb201::EDGES, n_ops: Nb201Op::ALL.len() }),
            Self::Darts | Self::Proxyless | Self::Macro => None,
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

impl SupernetConfig {
    /// The search space, with the channels of this network where costs depend on them.
    ///
    /// # Errors
    /// [`ConfigError`] for a size that the space does not have.
    pub fn space(&self) -> Result<Box<dyn SearchSpace>, ConfigError> {
        Ok(match self.size()? {
            SupernetSize::Proxyless(widths) => Box::new(Proxyless::new(widths)),
            _ => search_space(self.space),
        })
    }

    /// The size in words: `C=16, N=5`, or the space where it has one size.
    pub fn size_text(&self) -> String {
        let (c, n) = (self.channels.map(|c| format!("C={c}")), self.cells.map(|n| format!("N={n}")));
        let parts: Vec<String> = c.into_iter().chain(n).collect();
        if parts.is_empty() { self.space.name().to_owned() } else { parts.join(", ") }
    }

    /// The keys that the space has, and no other.
    pub(crate) fn size(&self) -> Result<SupernetSize, ConfigError> {
        let space = self.space.name();
        // Larger ones have more weights than any machine holds, and in the end more than 64 bits count.
        let channels = |what| {
            let (key, value) = ("supernet.channels", self.channels);
            let value = value.ok_or(ConfigError::Needed { key, space, what })?;
            check(key, value, (1..=4096).contains(&value), "in 1..=4096").map(|()| value)
        };
        let cells = |what| {
            let (key, value) = ("supernet.cells", self.cells);
            let value = value.ok_or(ConfigError::Needed { key, space, what })?;
            check(key, value, (1..=256).contains(&value), "in 1..=256").map(|()| value)
        };
        let refuse = |key, there, reason| match there {
            true => Err(ConfigError::NoEffect { key, space, reason }),
            false => Ok(()),
        };
        let cell_space = || {
            let reason = "its channels follow from supernet.channels";
            refuse("supernet.widths", self.widths.is_some(), reason)
        };
        let one_size = |reason| {
            refuse("supernet.channels", self.channels.is_some(), reason)?;
            refuse("supernet.cells", self.cells.is_some(), "its number of layers is fixed")
        };
        const CHANNELS: &str = "C, channels of the first stage";
        Ok(match self.space {
            SpaceName::Nb201 => {
                cell_space()?;
                let channels = channels(CHANNELS)?;
                let cells = cells("N, cells per stage")?;
                SupernetSize::Nb201 { channels, cells }
            }
            SpaceName::Darts => {
                cell_space()?;
                let channels = channels(CHANNELS)?;
                let cells = cells("cells in all, 8 in the search on CIFAR-10")?;
                check(
                    "supernet.cells",
                    cells,
                    cells >= FEWEST_DARTS_CELLS,
                    "at least 3: two of them reduce",
                )?;
                SupernetSize::Darts { channels, cells }
            }
            SpaceName::Proxyless => {
                one_size("its channels are those of supernet.widths")?;
                let (key, what) = ("supernet.widths", "search, mobile or gpu");
                let widths = self.widths.ok_or(ConfigError::Needed { key, space, what })?;
                SupernetSize::Proxyless(widths.widths())
            }
            SpaceName::Macro => {
                one_size("the benchmark's network has one size")?;
                refuse("supernet.widths", self.widths.is_some(), "the benchmark's network has one size")?;
                SupernetSize::Macro
            }
        })
    }
}
