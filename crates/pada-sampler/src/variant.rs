use std::fmt;

use serde::{Deserialize, Serialize};

/// Which description of a method is followed where the paper and the authors' released code differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The authors' released code.
    #[default]
    Released,
    /// The text of the paper.
    Paper,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Paper => "paper",
        })
    }
}

/// Whether losses are multiplied by importance weights, so that their mean estimates the mean under uniform sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportanceWeights {
    /// No weights, as in the released code of PA&DA. The mean loss is biased towards what is drawn often.
    #[default]
    None,
    /// Each loss is divided by how much more often than uniformly it is drawn (PA&DA, Eq. 5).
    Unbiased,
}
