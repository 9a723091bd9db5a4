use crate::{Arch, Equivalence, SearchSpace, SpaceError};

/// A space that contains a single network, which need not belong to any search space.
///
/// It gives a published network, such as one with five nodes per cell, the form of an architecture: the digit `0`. The space has the name of
/// the search space whose modules the network is made of.
///
/// ```
/// use pada_space::{OneNetwork, SearchSpace};
///
/// let space = OneNetwork::new("darts", "AmoebaNet");
/// assert_eq!(space.parse("AmoebaNet")?, space.parse("0")?);
/// assert_eq!(space.format(&space.parse("0")?)?, "AmoebaNet");
/// assert!(space.parse("NASNet").is_err());
/// # Ok::<_, pada_space::SpaceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OneNetwork {
    family: &'static str,
    text: String,
}

impl OneNetwork {
    /// Creates the space of the network that `text` describes. `family` is the name of the search space that has its modules.
    pub fn new(family: &'static str, text: impl Into<String>) -> Self {
        Self { family, text: text.into() }
    }

    /// Returns the text of the network.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the only architecture.
    pub fn arch() -> Arch {
        Arch::new([0])
    }
}

impl SearchSpace for OneNetwork {
    fn name(&self) -> &'static str {
        self.family
    }

    fn n_ops(&self) -> &[usize] {
        &[1]
    }

    fn op_names(&self) -> &[&'static str] {
        &["network"]
    }

    /// Parses the text of the network, or the digit `0`.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let arch = Self::arch();
        if text.trim() == self.text || text.trim() == arch.to_string() {
            return Ok(arch);
        }
        Err(SpaceError::UnknownName {
            text: text.to_owned(),
            space: self.family,
            expected: 1,
            known: self.text.clone(),
        })
    }

    /// Returns the text of the network.
    fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
        self.check(arch)?;
        Ok(self.text.clone())
    }

    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
        self.check(arch)?;
        Ok(vec![true])
    }

    fn canonical(&self, arch: &Arch, _: Equivalence) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        Ok(arch.clone())
    }
}
