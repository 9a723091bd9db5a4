#![doc = include_str!("../README.md")]

mod cost;
mod darts;
mod error;
mod exec;
mod frozen;
mod graph;
mod images;
mod loss;
mod mobile;
mod names;
mod nb201;
pub mod onnx;
mod op;
mod sgd;
mod simplify;
mod steps;
mod weights;

pub use cost::Cost;
pub use darts::{DartsModel, DartsNet, DartsSize, DartsTraining, DropPath};
pub use error::GraphError;
pub use exec::{
    Batch, BatchNormSync, CorrectCounts, ExecError, Executor, Logits, LossSpec, Precision, State, StepStats,
};
pub use frozen::Frozen;
pub use graph::{Graph, GraphBuilder, Node, NodeId};
pub use images::{ByteImages, DeviceDataset, Images, Pick, Pixels};
pub use loss::cross_entropy;
pub use mobile::{MacroNet, MobileModel, ProxylessNet};
pub use nb201::{Nb201Net, Norms};
pub use op::{Conv, Extent, Norm, Op, Pool, Shape, Statistics};
pub use sgd::{Decayed, HostWeights, SgdStep, UnusedWeights};
pub use weights::{CHECKPOINT_PREFIX, Init, Owner, WeightId, WeightLayout, WeightSpec};

use pada_space::Arch;

/// A network whose weights all architectures of a space share, as something that can be lowered to op graphs.
///
/// One implementation per space and skeleton.
pub trait Lower: Send + Sync {
    /// All weights, in the order of the flat buffers.
    fn weights(&self) -> &WeightLayout;

    /// Channels, height and width of an image.
    fn input(&self) -> Shape;

    /// The op graph of one architecture, exactly as the network is written: nothing is left out.
    /// [`Graph::simplified`] removes what cannot influence the logits.
    ///
    /// # Errors
    /// [`GraphError`] where the image is too small for the network.
    ///
    /// # Panics
    /// If `arch` is of another space.
    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError>;

    /// The same with what is there only in training: drop-path and auxiliary heads.
    ///
    /// # Errors
    /// As [`Lower::lower`].
    ///
    /// # Panics
    /// If `arch` is of another space.
    fn lower_to_train(&self, arch: &Arch) -> Result<Graph, GraphError> {
        self.lower(arch)
    }

    /// The op graph of one architecture beside that of another, the anchor, which stands still: the logits are those of `path`,
    /// and alignments ([`Op::Align`]) pull what each operation of `path` reads and makes towards the same place of the anchor.
    /// The loss they add is `weight` · mean over cells and positions of (mean squared difference of inputs + of outputs).
    ///
    /// # Errors
    /// As [`Lower::lower`]; [`GraphError::NoAlignment`] where a network does not offer it.
    ///
    /// # Panics
    /// If an architecture is of another space.
    fn lower_aligned(&self, path: &Arch, anchor: &Arch, weight: f64) -> Result<Graph, GraphError> {
        let _ = (path, anchor, weight);
        Err(GraphError::NoAlignment)
    }

    /// The weights of the operations that stand in `arch`, live or not; no running statistics.
    fn on_path(&self, arch: &Arch) -> Vec<WeightId> {
        let stands = |owner: &Owner| usize::from(arch.choices()[owner.position]) == owner.op;
        self.weights()
            .iter()
            .filter(|(id, spec)| self.weights().is_trained(*id) && spec.owner.as_ref().is_some_and(stands))
            .map(|(id, _)| id)
            .collect()
    }
}
