use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ZeroCostError;

/// A zero-cost score of a network: a number that is computed without training. Larger is better, except where the documentation of a score
/// says that its sign has no fixed meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Score {
    /// The number of parameters.
    Params,
    /// The number of multiply-adds for one image.
    Flops,
    /// The number of convolution weights that can influence the output.
    ActiveConvParams,
    /// The largest number of convolutions on one path from the input to the output.
    ConvDepth,
    /// The number of pooling operations, negated: fewer are better.
    Pools,
    /// ln Σ |w · ∂R/∂w| over convolution and linear weights, with absolute weights, without batch norms, one image of ones, and R the sum
    /// of the logits (Tanaka et al., NeurIPS 2020).
    Synflow,
    /// −Σ [ln(v + 1e-5) + 1 / (v + 1e-5)] over the eigenvalues v of the correlation matrix of the images' gradients (Mellor et al., 2020,
    /// arXiv 2006.04647v1).
    Jacov,
    /// Σ over classes of |Σ ln(|c| + 1e-5)| over the correlations c of the gradients of images of one class (EPE-NAS, Lopes et al., 2021).
    Epe,
    /// ln |det K|, where K counts for each pair of images the ReLU inputs with the same sign (Mellor et al., ICML 2021).
    Nwot,
    /// The number of distinct sign patterns: a pattern is the signs of one ReLU input for all images (SWAP, Peng et al., ICLR 2024, without
    /// its regularisation by size).
    Swap,
    /// Σ over layers of the L2 norm of the gradient of the weights.
    GradNorm,
    /// Σ |w · ∂L/∂w| (Lee et al., ICLR 2019).
    Snip,
    /// Σ w · ∂L/∂w. Its sign has no fixed meaning.
    Plain,
    /// Σ over channels of half the mean over images of (Σ over pixels of activation · gradient)² (Theis et al., 2018; Turner et al., ICLR
    /// 2020).
    Fisher,
    /// Σ over layers of the L2 norm of the weights.
    L2Norm,
    /// ln of the mean L1 change of the features if the images change a little, with normal weights, plus Σ ln √(mean running variance)
    /// (Zen-NAS, Lin et al., ICCV 2021).
    Zen,
    /// Σ over layers of ln Σ (mean |g| / deviation of g) over batches (Li et al., ICLR 2023).
    Zico,
    /// Σ −w · (Hg) with the Hessian H and the gradient g of the loss, from central differences of the gradient in f64 (Wang et al., ICLR
    /// 2020).
    Grasp,
    /// Σ over blocks of the entropy of the features: of the shares of the eigenvalues of their covariance over images and pixels. A part of
    /// [`Score::AzNas`].
    AzNasExpressivity,
    /// The smallest growth of this entropy from one block to the next. A part of [`Score::AzNas`].
    AzNasProgressivity,
    /// The mean over blocks of 2 − s − 1/(s + 1e-6), where s is the largest singular value of the mean of gradient · signsᵀ over images and
    /// pixels: of the gradient of a block's input, with random signs as the gradient of its output. It is largest if the block keeps the
    /// size of gradients. A part of [`Score::AzNas`].
    AzNasTrainability,
    /// The mean log rank by [`Score::Flops`] and the three scores above: a score of a list of architectures, see [`Score::parts`] (Lee & Ham,
    /// CVPR 2024).
    AzNas,
}

/// What a score is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreKind {
    /// Only the graph.
    Structure,
    /// A forward pass, or forward and backward passes.
    Passes,
}

/// All scores with their names.
const TABLE: [(Score, &str); 22] = [
    (Score::Params, "params"),
    (Score::Flops, "flops"),
    (Score::ActiveConvParams, "active-conv-params"),
    (Score::ConvDepth, "conv-depth"),
    (Score::Pools, "pools"),
    (Score::Synflow, "synflow"),
    (Score::Jacov, "jacov"),
    (Score::Epe, "epe"),
    (Score::Nwot, "nwot"),
    (Score::Swap, "swap"),
    (Score::GradNorm, "grad-norm"),
    (Score::Snip, "snip"),
    (Score::Plain, "plain"),
    (Score::Fisher, "fisher"),
    (Score::L2Norm, "l2-norm"),
    (Score::Zen, "zen"),
    (Score::Zico, "zico"),
    (Score::Grasp, "grasp"),
    (Score::AzNasExpressivity, "az-nas-expressivity"),
    (Score::AzNasProgressivity, "az-nas-progressivity"),
    (Score::AzNasTrainability, "az-nas-trainability"),
    (Score::AzNas, "az-nas"),
];

impl Score {
    /// The names of all scores, as configs and command lines have them.
    pub const NAMES: [&str; TABLE.len()] = {
        let mut names = [""; TABLE.len()];
        let mut i = 0;
        while i < TABLE.len() {
            names[i] = TABLE[i].1;
            i += 1;
        }
        names
    };

    /// Returns all scores.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(score, _)| *score)
    }

    /// Returns the name of the score, as configs and command lines have it.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(score, _)| *score == self).map(|(_, name)| *name).expect("every score has a name")
    }

    /// Returns the scores whose mean log rank is this score of a list of architectures. It is the score itself for all others.
    pub fn parts(self) -> Vec<Self> {
        match self {
            Self::AzNas => {
                vec![Self::AzNasExpressivity, Self::AzNasProgressivity, Self::AzNasTrainability, Self::Flops]
            }
            single => vec![single],
        }
    }

    /// Returns whether the score can only be computed by an executor with [`Precision::F64`](pada_exec::Precision::F64).
    pub fn needs_f64(self) -> bool {
        self == Self::Grasp
    }

    /// Returns whether the score needs a network that is a chain of blocks, see [`Graph::blocks`](pada_graph::Graph::blocks).
    pub fn needs_blocks(self) -> bool {
        matches!(self, Self::AzNasExpressivity | Self::AzNasProgressivity | Self::AzNasTrainability)
    }

    /// Returns what the score is computed from.
    pub fn kind(self) -> ScoreKind {
        match self {
            Self::Params | Self::Flops | Self::ActiveConvParams | Self::ConvDepth | Self::Pools => {
                ScoreKind::Structure
            }
            _ => ScoreKind::Passes,
        }
    }

    /// Returns whether the score depends on a batch of images.
    pub fn reads_images(self) -> bool {
        self.kind() == ScoreKind::Passes && !matches!(self, Self::Synflow | Self::L2Norm)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Score {
    type Err = ZeroCostError;

    fn from_str(text: &str) -> Result<Self, ZeroCostError> {
        let found = TABLE.iter().find(|(_, name)| *name == text).map(|(score, _)| *score);
        found.ok_or_else(|| ZeroCostError::UnknownScore(text.to_owned()))
    }
}

impl From<Score> for String {
    fn from(score: Score) -> Self {
        score.name().to_owned()
    }
}

impl TryFrom<String> for Score {
    type Error = ZeroCostError;

    fn try_from(text: String) -> Result<Self, ZeroCostError> {
        text.parse()
    }
}

/// The score of one architecture: a number, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreValue {
    /// The score: finite, or −∞ or NaN with a reason.
    pub value: f64,
    /// Why the score is not finite, or of a score of a list ([`Score::parts`]) why one of its parts is not.
    pub reason: Option<&'static str>,
}

impl ScoreValue {
    pub(crate) fn finite_or(value: f64, reason: &'static str) -> Self {
        Self { value, reason: (!value.is_finite()).then_some(reason) }
    }

    /// Returns the different reasons of some scores in the order of their first occurrence, each with its number of architectures.
    pub fn reasons(scores: &[Self]) -> Vec<(&'static str, usize)> {
        let mut reasons: Vec<(&'static str, usize)> = Vec::new();
        for reason in scores.iter().filter_map(|score| score.reason) {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason, 1)),
            }
        }
        reasons
    }

    /// Returns the number by which architectures are ranked: a score that is not a number is the worst.
    pub fn for_ranking(&self) -> f64 {
        if self.value.is_nan() { f64::NEG_INFINITY } else { self.value }
    }
}
