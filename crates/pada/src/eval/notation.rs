//! Architectures in the notations of the project and of other projects.

use std::fmt;
use std::path::Path;

use pada_nasbench::Nb201Table;
use pada_space::{
    AGNAS_NETWORK, Arch, DARTS_NAMED, Darts, DartsCells, MobileSpec, NamedArch, NasBenchMacro, Nb201,
    Nb201Encoding, PROXYLESS_NAMED, Proxyless, ProxylessWidths, SearchSpace, find_named, nearest_names,
};

use crate::config::{ConfigError, SpaceName};
use crate::error::PadaError;
use crate::eval::arch_files::read_arch_lines;

/// An architecture or a published network, read from a text in any notation of its space.
///
/// ```
/// use pada::space::Nb201Encoding;
/// use pada::{Notation, ReadArch, SpaceName};
///
/// let read = ReadArch::parse(SpaceName::Nb201, "(4, 0, 3, 1, 4, 3)", Nb201Encoding::Naslib)?;
/// assert_eq!(read.name(), "410242");
/// assert_eq!(read.write(Notation::Naslib, None)?, "(4, 0, 3, 1, 4, 3)");
/// # Ok::<_, pada::PadaError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ReadArch {
    name: String,
    pub(crate) network: ReadNetwork,
}

/// The content of a [`ReadArch`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ReadNetwork {
    Nb201(Arch),
    Darts(DartsCells),
    Proxyless(MobileSpec),
    Macro(Arch),
}

/// A notation in which architectures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Notation {
    /// One digit per decision
    Digits,
    /// The long form of the space: the string of NAS-Bench-201, a genotype, a chain of MobileNet blocks
    #[cfg_attr(feature = "clap", value(alias = "nasbench"))]
    String,
    /// The op_indices of NASLib, for nb201
    Naslib,
    /// The dict of NNI, for nb201
    Nni,
    /// The index in the benchmark table, for nb201
    Index,
    /// A genotype in Python notation, for darts
    Genotype,
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Digits => "digits",
            Self::String => "string",
            Self::Naslib => "naslib",
            Self::Nni => "nni",
            Self::Index => "index",
            Self::Genotype => "genotype",
        })
    }
}

impl ReadArch {
    /// Parses an architecture in any text form of its space, or the name of a published one. Digits of NAS-Bench-201 are read in an encoding.
    ///
    /// # Errors
    /// Returns [`PadaError::Space`] if the text is not an architecture.
    pub fn parse(space: SpaceName, text: &str, encoding: Nb201Encoding) -> Result<Self, PadaError> {
        let text = text.trim();
        let named = find(space, text);
        let text = named.map_or(text, |named| named.text);
        let (name, network) = match space {
            SpaceName::Nb201 => {
                let arch = Nb201::with_encoding(encoding).parse(text)?;
                (arch.to_string(), ReadNetwork::Nb201(arch))
            }
            SpaceName::Darts if text.contains(['(', '{', '=']) || named.is_some() => {
                let cells = text.parse::<DartsCells>()?;
                (cells.to_string(), ReadNetwork::Darts(cells))
            }
            SpaceName::Darts => {
                let arch = Darts.parse(text)?;
                let cells = DartsCells::Genotype(Darts::genotype(&arch)?);
                (arch.to_string(), ReadNetwork::Darts(cells))
            }
            SpaceName::Proxyless if text.contains(';') => {
                let spec: MobileSpec = text.parse()?;
                (spec.to_string(), ReadNetwork::Proxyless(spec))
            }
            SpaceName::Proxyless => {
                let space = Proxyless::new(ProxylessWidths::SEARCH);
                let arch = space.parse(text)?;
                (arch.to_string(), ReadNetwork::Proxyless(space.spec(&arch)?))
            }
            SpaceName::Macro => {
                let arch = NasBenchMacro.parse(text)?;
                (arch.to_string(), ReadNetwork::Macro(arch))
            }
        };
        Ok(Self { name: named.map_or(name, |named| named.name.to_owned()), network })
    }

    /// Returns the published architecture with a name.
    ///
    /// # Errors
    /// Returns [`PadaError::UnknownName`] with the nearest names.
    pub fn named(space: SpaceName, name: &str) -> Result<Self, PadaError> {
        Self::parse(space, named(space, name)?.name, Nb201Encoding::Benchmark)
    }

    /// Returns the architecture of NAS-Bench-201 at an index of the benchmark table.
    ///
    /// # Errors
    /// Returns [`ConfigError::Range`] if the table has no such index.
    pub fn at_index(index: usize, table: &Nb201Table) -> Result<Self, ConfigError> {
        let arch = table.archs().get(index).ok_or_else(|| ConfigError::Range {
            key: "index",
            value: index.to_string(),
            range: "from 0 to 15624",
        })?;
        Ok(Self { name: arch.to_string(), network: ReadNetwork::Nb201(arch.clone()) })
    }

    /// Reads every architecture of a file, one per line or in the column `arch` of a table. Empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// Returns the errors of `read`, [`PadaError::Read`] if the file cannot be read, [`PadaError::ArchList`] or [`PadaError::ArchTwice`] with the
    /// line of an invalid or duplicate architecture, and [`PadaError::NoArchs`] for an empty file.
    pub fn read_file(
        path: &Path,
        mut read: impl FnMut(&str) -> Result<Self, PadaError>,
    ) -> Result<Vec<Self>, PadaError> {
        let archs = read_arch_lines(path, |text| read(text).map(|arch| (arch.name.clone(), arch)))?;
        Ok(archs.into_iter().map(|(_, arch)| arch).collect())
    }

    /// Returns how the text was read: the name of a published architecture, digits, or otherwise the long form of the space.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the architecture in a notation. [`Notation::Index`] needs the benchmark table.
    ///
    /// # Errors
    /// Returns [`ConfigError::Range`] if the space does not have the notation or the table is missing, and [`PadaError::Space`] if the network is
    /// not an architecture of the search space, so that it has no digits.
    pub fn write(&self, notation: Notation, table: Option<&Nb201Table>) -> Result<String, PadaError> {
        let other = |range| {
            let (key, value) = ("--to", notation.to_string());
            Err(ConfigError::Range { key, value, range }.into())
        };
        match (&self.network, notation) {
            (ReadNetwork::Nb201(arch) | ReadNetwork::Macro(arch), Notation::Digits) => Ok(arch.to_string()),
            (ReadNetwork::Nb201(arch), Notation::String) => Ok(Nb201::new().format(arch)?),
            (ReadNetwork::Nb201(arch), Notation::Naslib) => Ok(Nb201::op_indices(arch)?),
            (ReadNetwork::Nb201(arch), Notation::Nni) => Ok(Nb201::dict(arch)?),
            (ReadNetwork::Nb201(arch), Notation::Index) => {
                let place = table.and_then(|table| table.archs().iter().position(|known| known == arch));
                let missing = || other("written with the benchmark table; get it with `pada download nb201`");
                place.map_or_else(missing, |index| Ok(index.to_string()))
            }
            (ReadNetwork::Nb201(_), Notation::Genotype) => {
                other("digits, string, naslib, nni or index in nb201")
            }
            (ReadNetwork::Darts(cells), Notation::String | Notation::Genotype) => Ok(cells.to_string()),
            (ReadNetwork::Darts(DartsCells::Genotype(genotype)), Notation::Digits) => {
                Ok(Darts::arch(genotype)?.to_string())
            }
            (ReadNetwork::Darts(DartsCells::Stages(_)), Notation::Digits) => {
                other("genotype: a network with a cell for each stage is not in the search space")
            }
            (ReadNetwork::Darts(_), _) => other("digits, string or genotype in darts"),
            (ReadNetwork::Proxyless(spec), Notation::Digits) => {
                Ok(Proxyless::new(ProxylessWidths::SEARCH).arch(spec)?.to_string())
            }
            (ReadNetwork::Proxyless(spec), Notation::String) => Ok(spec.to_string()),
            (ReadNetwork::Proxyless(_), _) => other("digits or string in proxyless"),
            (ReadNetwork::Macro(arch), Notation::String) => Ok(NasBenchMacro.format(arch)?),
            (ReadNetwork::Macro(_), _) => other("digits or string in macro"),
        }
    }
}

/// Returns the published architecture of a space with a name, or an error with the nearest names.
pub(crate) fn named(space: SpaceName, name: &str) -> Result<&'static NamedArch, PadaError> {
    find(space, name).ok_or_else(|| PadaError::UnknownName {
        name: name.to_owned(),
        known: match published(space) {
            [[], _] => "this space has no published names".to_owned(),
            tables => format!("the nearest names are {}", nearest_names(&tables.concat(), name).join(", ")),
        },
    })
}

/// Finds a published architecture of a space by its name.
fn find(space: SpaceName, name: &str) -> Option<&'static NamedArch> {
    published(space).into_iter().find_map(|table| find_named(table, name))
}

/// Returns the published architectures of a space.
fn published(space: SpaceName) -> [&'static [NamedArch]; 2] {
    match space {
        SpaceName::Darts => [DARTS_NAMED, std::slice::from_ref(&AGNAS_NETWORK)],
        SpaceName::Proxyless => [PROXYLESS_NAMED, &[]],
        SpaceName::Nb201 | SpaceName::Macro => [&[], &[]],
    }
}
