use serde::{Deserialize, Serialize};

use crate::Arch;

/// What one position of a space chooses, and in which architectures it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decision {
    /// What it chooses.
    pub chooses: DecisionKind,
    /// Where it is read; always if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_where: Option<ActiveWhere>,
}

/// What a position chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionKind {
    /// An operation. Operations with the same digit are the same one everywhere; at positions of one kind they also have weights of
    /// the same form.
    Operation {
        /// The kind, from 0.
        kind: u8,
    },
    /// Which inputs are read. It has no weights of its own.
    Inputs,
}

impl Default for DecisionKind {
    fn default() -> Self {
        Self::Operation { kind: 0 }
    }
}

/// A position is read where another one has one of some choices: an edge of a DARTS cell, where its node keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActiveWhere {
    /// The other position; it is always read itself.
    pub position: usize,
    /// Its choices.
    pub choices: Vec<u8>,
}

impl Decision {
    /// Whether it is read in an architecture.
    pub fn is_active(&self, arch: &Arch) -> bool {
        self.active_where.as_ref().is_none_or(|other| other.choices.contains(&arch.choices()[other.position]))
    }
}
