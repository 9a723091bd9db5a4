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
