//! Splits of one supernet into several sub-supernets. Each has its own weights for a part of the space, so fewer architectures share a
//! weight.

mod few_shot;
mod gradient_matching;

pub use few_shot::separate;
pub use gradient_matching::{
    Disagreement, MatchingSettings, best_partition, disagreements, split_by_gradients,
};
use pada_exec::{Executor, State};
use pada_space::{Arch, SubSpace};

/// The sub-supernets of a split. Together they contain every architecture exactly once.
#[derive(Clone, Debug)]
pub struct SubSupernets {
    leaves: Vec<(SubSpace, Vec<f32>)>,
    /// Index of the sub-supernet whose weights the executor has.
    placed: Option<usize>,
}

impl SubSupernets {
    /// Creates sub-supernets from their parts of the space and their weights.
    pub fn new(leaves: Vec<(SubSpace, Vec<f32>)>) -> Self {
        Self { leaves, placed: None }
    }

    /// Returns every part of the space with its weights.
    pub fn leaves(&self) -> &[(SubSpace, Vec<f32>)] {
        &self.leaves
    }

    /// Returns the parts of the space.
    pub fn parts(&self) -> impl Iterator<Item = &SubSpace> {
        self.leaves.iter().map(|(part, _)| part)
    }

    /// Writes the weights of the sub-supernet that contains an architecture into an executor, and returns its index. If no part contains
    /// the architecture, returns `None` and writes nothing.
    pub fn place(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Option<usize> {
        let leaf = self.leaves.iter().position(|(part, _)| part.contains(arch))?;
        if self.placed != Some(leaf) {
            executor.write(State::Weights, &self.leaves[leaf].1);
            self.placed = Some(leaf);
        }
        Some(leaf)
    }
}
