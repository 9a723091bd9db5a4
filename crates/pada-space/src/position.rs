use serde::{Deserialize, Serialize};

use crate::Arch;

/// What one position of a space chooses, and in which architectures it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// What it chooses.
    pub chooses: Chooses,
    /// Where it is read; always if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_where: Option<ReadWhere>,
}

/// What a position chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chooses {
    /// An operation. Operations with the same digit are the same one everywhere; at positions of one kind they also have weights of
    /// the same form.
    Operation {
        /// The kind, from 0.
        kind: u8,
    },
    /// Which inputs are read. It has no weights of its own.
    Inputs,
}

impl Default for Chooses {
    fn default() -> Self {
        Self::Operation { kind: 0 }
    }
}

/// A position is read where another one has one of some choices: an edge of a DARTS cell, where its node keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReadWhere {
    /// The other position; it is always read itself.
    pub position: usize,
    /// Its choices.
    pub choices: Vec<u8>,
}

impl Position {
    /// Whether it is read in an architecture.
    pub fn is_read(&self, arch: &Arch) -> bool {
        self.read_where.as_ref().is_none_or(|other| other.choices.contains(&arch.choices()[other.position]))
    }
}
