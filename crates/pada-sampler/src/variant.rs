use std::fmt;

use serde::{Deserialize, Serialize};

/// Variant of a method, where the paper and the authors' released code differ.
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

/// Importance weights of losses, with which the mean loss estimates the mean under uniform sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportanceWeights {
    /// No weights, as in the released code of PA&DA. The mean loss is biased towards frequently drawn paths or images.
    #[default]
    None,
    /// Each loss is multiplied by the ratio of its uniform probability to its sampling probability (PA&DA, Eq. 5).
    Unbiased,
}
