use pada_space::{DartsCells, MobileSpec, OneNetwork, PROXYLESS_NAMED, SearchSpace, find_named};

use super::{ConfigError, SpaceName, SupernetConfig};

/// A network of the modules of a search space that is not an architecture of the space, such as one with five nodes per cell. It can be
/// trained as a stand-alone network only.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PublishedNet {
    /// A network of DARTS cells.
    Darts(DartsCells),
    /// A network of MobileNet blocks.
    Mobile(MobileSpec),
}

impl PublishedNet {
    /// Reads the name or the text of a network of `darts` or `proxyless`. Returns `None` if it is neither.
    fn read(space: SpaceName, text: &str) -> Option<Self> {
        match space {
            SpaceName::Darts => text.parse().ok().map(Self::Darts),
            SpaceName::Proxyless => {
                let named = find_named(PROXYLESS_NAMED, text.trim());
                named.map_or(text, |named| named.text).parse().ok().map(Self::Mobile)
            }
            SpaceName::Nb201 | SpaceName::Macro => None,
        }
    }
}

/// The architecture of a stand-alone network.
pub(crate) enum StandAloneArch {
    /// An architecture of the search space.
    Searched(pada_space::Arch),
    /// Another network.
    Published(Box<PublishedNet>),
}

impl StandAloneArch {
    /// Reads an architecture in any text form of the space, or the name or text of another network of its modules.
    ///
    /// # Errors
    /// Returns the error of the search space if the text is neither.
    pub(crate) fn read(config: &SupernetConfig, text: &str) -> Result<Self, ConfigError> {
        match config.space()?.parse(text) {
            Ok(arch) => Ok(Self::Searched(arch)),
            Err(error) => match PublishedNet::read(config.space, text) {
                Some(net) => Ok(Self::Published(Box::new(net))),
                None => Err(error.into()),
            },
        }
    }
}

/// Returns the space that the architecture of a stand-alone network belongs to: the search space, or the space of a single network.
///
/// # Errors
/// Returns an error if the config has no valid size, or if the text is not an architecture.
pub(crate) fn space_of(config: &SupernetConfig, text: &str) -> Result<Box<dyn SearchSpace>, ConfigError> {
    match StandAloneArch::read(config, text)? {
        StandAloneArch::Searched(_) => config.space(),
        StandAloneArch::Published(_) => Ok(Box::new(OneNetwork::new(config.space.name(), text.trim()))),
    }
}
