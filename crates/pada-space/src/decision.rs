use crate::{Arch, SpaceError};

/// One decision of a search space: what it chooses, and for which architectures it matters.
///
/// Most spaces have one decision per edge or layer, which chooses its operation and is always active. That is the default, so a space
/// only describes its decisions if they differ:
///
/// ```
/// use pada_space::Decision;
///
/// // An operation on an edge that node 3 uses only if decision 14 chooses input pair 0 or 1.
/// let edge = Decision::operation(0).active_if(14, [0, 1]);
/// let pair = Decision::inputs();
/// assert_ne!(edge, pair);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Decision {
    /// The kind of the choice, for example the operation on an edge.
    #[cfg_attr(feature = "serde", serde(alias = "chooses"))]
    pub kind: DecisionKind,
    /// The condition under which the decision is active. `None` means that it is always active.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "serde", serde(alias = "active_where", alias = "read_where"))]
    pub condition: Option<ActiveCondition>,
}

/// The kind of choice that a decision makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum DecisionKind {
    /// The decision chooses an operation.
    ///
    /// Operations with the same digit are the same operation at every decision. At decisions of one kind they also have weights of the
    /// same shapes.
    Operation {
        /// The kind of the edge or layer, from 0. In DARTS, edges of normal cells have kind 0 and edges of reduction cells have kind 1.
        kind: u8,
    },
    /// The decision chooses which inputs a node reads. It has no weights of its own.
    Inputs,
}

impl Default for DecisionKind {
    fn default() -> Self {
        Self::Operation { kind: 0 }
    }
}

/// The condition under which a decision is active: another decision has one of some choices.
///
/// For example, an edge of a DARTS cell is active only if the node that it leads to chooses it as an input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ActiveCondition {
    /// The index of the other decision, which is always active itself.
    #[cfg_attr(feature = "serde", serde(alias = "position"))]
    pub decision: usize,
    /// The choices of the other decision that make this one active.
    pub choices: Vec<u8>,
}

impl Decision {
    /// Creates a decision that chooses an operation of a kind and is always active.
    pub fn operation(kind: u8) -> Self {
        Self { kind: DecisionKind::Operation { kind }, condition: None }
    }

    /// Creates a decision that chooses the inputs of a node and is always active.
    pub fn inputs() -> Self {
        Self { kind: DecisionKind::Inputs, condition: None }
    }

    /// Makes the decision active only if another decision has one of these choices.
    #[must_use]
    pub fn active_if(self, decision: usize, choices: impl Into<Vec<u8>>) -> Self {
        Self { condition: Some(ActiveCondition { decision, choices: choices.into() }), ..self }
    }

    /// Returns whether the decision is active in an architecture.
    ///
    /// # Errors
    /// Returns [`SpaceError::NoSuchDecision`] if the condition names a decision that the architecture does not have.
    pub fn is_active(&self, arch: &Arch) -> Result<bool, SpaceError> {
        let Some(ActiveCondition { decision, choices }) = &self.condition else { return Ok(true) };
        match arch.choices().get(*decision) {
            Some(choice) => Ok(choices.contains(choice)),
            None => Err(SpaceError::NoSuchDecision { decision: *decision, decisions: arch.choices().len() }),
        }
    }
}
