use crate::{Arch, SearchSpace, SpaceError, digits};

/// An architecture that has a name: one of a published table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name it has in its source.
    pub name: &'static str,
    /// The architecture, as its space writes it.
    pub text: &'static str,
    /// Where it is written down.
    pub source: &'static str,
}

/// The entry of a table with this name.
pub fn find_named(table: &'static [Named], name: &str) -> Option<&'static Named> {
    table.iter().find(|named| named.name == name)
}

/// Reads the digits of an architecture, in a space whose names are these. A word that is no name was meant as one.
pub(crate) fn parse_unnamed(
    space: &dyn SearchSpace,
    table: &'static [Named],
    text: &str,
) -> Result<Arch, SpaceError> {
    digits::parse(space, text).map_err(|error| match error {
        SpaceError::WrongLength { text, space, expected, .. } if text.contains(char::is_alphabetic) => {
            let known = table.iter().map(|named| named.name).collect::<Vec<_>>().join(", ");
            SpaceError::UnknownName { text, space, expected, known }
        }
        other => other,
    })
}
