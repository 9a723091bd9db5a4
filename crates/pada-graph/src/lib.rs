#![doc = include_str!("../README.md")]

mod cost;
mod error;
mod frozen;
mod graph;
mod names;
pub mod onnx;
mod op;
mod pieces;
mod pytorch;
mod simplify;
mod weights;

pub use cost::Cost;
pub use error::GraphError;
pub use frozen::Frozen;
pub use graph::{Graph, GraphBuilder, Node, NodeId};
pub use op::{Axis, Conv, Extent, Norm, Op, Pool, Shape, Statistics};
pub use pieces::Piece;
pub use pytorch::{is_exported_module, module_file};
pub use weights::{CHECKPOINT_PREFIX, Init, Owner, WeightId, WeightLayout, WeightSpec};

use pada_space::Arch;

/// The factors of a supernet whose decisions can be mixtures of operations, see [`Lower::lower_mixture`].
///
/// The tensors are buffers: a pass computes their gradient, but a step of the optimizer does not move them. A differentiable search writes
/// them before each pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixtures {
    /// `[E, O]`, the factor of every operation of every decision of the space. Rows of decisions that are no mixture are not read.
    pub factors: WeightId,
    /// `[E]`, a factor on the whole edge of a decision (PC-DARTS), or `None` if edges have no weights.
    pub edges: Option<WeightId>,
    /// The decisions that are mixtures, in ascending order.
    pub decisions: Vec<MixedDecision>,
    /// The attention of every edge of every cell (AGNAS). Empty if operations are multiplied by factors; otherwise the network does not read
    /// the factors.
    pub gates: Vec<MixtureGate>,
}

/// The attention of an edge: it multiplies each channel of each operation by a number that the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixtureGate {
    /// `[O · C, hidden]`, the kernel of the linear layer ([`Op::Linear`]) whose output is the argument of the sigmoid: C numbers for each of
    /// the O operations, in digit order.
    pub weight: WeightId,
    /// Index of the decision in the space.
    pub decision: usize,
}

/// A decision that can be a mixture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedDecision {
    /// Index of the decision in the space.
    pub decision: usize,
    /// The node to which its edge leads. Edge weights are normalised over the edges of a node.
    pub node: usize,
}

impl Mixtures {
    /// Returns the index of a factor in [`Mixtures::factors`].
    ///
    /// # Panics
    /// Panics if the layout belongs to another network.
    pub fn index(&self, layout: &WeightLayout, decision: usize, op: u8) -> usize {
        decision * layout.spec(self.factors).shape[1] + usize::from(op)
    }
}

/// A supernet: one weight layout that all architectures of a search space share, and the lowering of each architecture to an op graph.
///
/// There is one implementation per search space and network skeleton. The example `new_space` implements it for a space of its own.
pub trait Lower: Send + Sync {
    /// Returns the layout of all shared weights.
    fn weights(&self) -> &WeightLayout;

    /// Returns the shape of an input image.
    fn input(&self) -> Shape;

    /// Lowers an architecture to its op graph.
    ///
    /// The graph has all operations of the network, including those that cannot influence the logits; [`Graph::simplified`] removes these.
    ///
    /// # Errors
    /// Returns [`GraphError::Arch`] if `arch` does not belong to the search space, and another [`GraphError`] if the image is too small for
    /// the network.
    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError>;

    /// Lowers an architecture for training: with drop-path and auxiliary heads, if the network has them.
    ///
    /// # Errors
    /// Returns the errors of [`Lower::lower`].
    fn lower_to_train(&self, arch: &Arch) -> Result<Graph, GraphError> {
        self.lower(arch)
    }

    /// Lowers an architecture together with an anchor architecture, for training with feature alignment (Magic-AT).
    ///
    /// The logits are those of `path`. Alignments ([`Op::Align`]) pull the inputs and outputs of each operation of `path` towards those of the
    /// anchor, which get no gradient. They add `weight` · mean over cells and edges of (mean squared difference of inputs + of outputs) to
    /// the loss.
    ///
    /// # Errors
    /// Returns the errors of [`Lower::lower`], and [`GraphError::NoAlignment`] if the network does not support alignment.
    fn lower_aligned(&self, path: &Arch, anchor: &Arch, weight: f64) -> Result<Graph, GraphError> {
        let _ = (path, anchor, weight);
        Err(GraphError::NoAlignment)
    }

    /// Returns the factors of a supernet whose decisions can be mixtures of operations, or `None` if the supernet has none.
    fn mixtures(&self) -> Option<&Mixtures> {
        None
    }

    /// Lowers a mixture: the output of a decision is the sum over its computed operations of factor times output, as in DARTS.
    ///
    /// The graph reads the factors from the tensors of [`Lower::mixtures`]. With a factor of 1 for one operation and 0 for the others, the
    /// logits are those of [`Lower::lower`].
    ///
    /// # Shapes
    /// `computed`: one list of operations for each of [`Mixtures::decisions`]. A decision without operations gives zeros.
    ///
    /// # Errors
    /// Returns [`GraphError::NoMixture`] if the network has no factors or a list is missing, and the errors of [`Lower::lower`].
    fn lower_mixture(&self, computed: &[Vec<u8>]) -> Result<Graph, GraphError> {
        let _ = computed;
        Err(GraphError::NoMixture)
    }

    /// Returns the weights of the operations that `arch` chooses, active or not, without running statistics.
    ///
    /// # Panics
    /// Panics if `arch` has fewer decisions than the search space.
    fn on_path(&self, arch: &Arch) -> Vec<WeightId> {
        let is_chosen = |owner: &Owner| usize::from(arch.choices()[owner.position]) == owner.op;
        self.weights()
            .iter()
            .filter(|(id, spec)| self.weights().is_trained(*id) && spec.owner.as_ref().is_some_and(is_chosen))
            .map(|(id, _)| id)
            .collect()
    }
}
