use crate::{Arch, SearchSpace, SpaceError, parse_digits};

/// A published architecture with the name that its authors gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NamedArch {
    /// The name in the source.
    pub name: &'static str,
    /// The architecture, in the long form of its space.
    pub text: &'static str,
    /// The publication or file that contains the architecture.
    pub source: &'static str,
}

/// Finds a published architecture by its name.
///
/// ```
/// use pada_space::{DARTS_NAMED, find_named};
///
/// let named = find_named(DARTS_NAMED, "DARTS_V2").unwrap();
/// assert!(named.source.contains("quark0/darts"));
/// assert_eq!(find_named(DARTS_NAMED, "DARTS_V9"), None);
/// ```
pub fn find_named(table: &'static [NamedArch], name: &str) -> Option<&'static NamedArch> {
    table.iter().find(|named| named.name == name)
}

/// Parses digits in a space that also has named architectures. A word of wrong length was probably meant as a name.
pub(crate) fn parse_unnamed(
    space: &dyn SearchSpace,
    table: &'static [NamedArch],
    text: &str,
) -> Result<Arch, SpaceError> {
    parse_digits(space, text).map_err(|error| match error {
        SpaceError::WrongLength { text, space, expected, .. } if text.contains(char::is_alphabetic) => {
            let known = table.iter().map(|named| named.name).collect::<Vec<_>>().join(", ");
            SpaceError::UnknownName { text, space, expected, known }
        }
        other => other,
    })
}
