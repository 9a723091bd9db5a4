//! Splitting one supernet into several, each with weights of its own for a part of the space: fewer architectures share a weight.

mod few_shot;
mod gradient_matching;

pub use few_shot::separate;
pub use gradient_matching::{
    Disagreement, MatchingSettings, best_partition, disagreements, split_by_gradients,
};
use pada_graph::{Executor, State};
use pada_space::{Arch, SubSpace};

/// The supernets that splits left: together they hold every architecture once.
#[derive(Clone, Debug)]
pub struct SubSupernets {
    leaves: Vec<(SubSpace, Vec<f32>)>,
    /// The one whose weights an executor holds.
    placed: Option<usize>,
}

impl SubSupernets {
    /// Parts with their weights.
    pub fn new(leaves: Vec<(SubSpace, Vec<f32>)>) -> Self {
        Self { leaves, placed: None }
    }

    /// Every part with its weights.
    pub fn leaves(&self) -> &[(SubSpace, Vec<f32>)] {
        &self.leaves
    }

    /// The parts.
    pub fn parts(&self) -> impl Iterator<Item = &SubSpace> {
        self.leaves.iter().map(|(part, _)| part)
    }

    /// Puts the weights of the part that holds an architecture into an executor and says which part that is; nothing and none
    /// for an architecture that is in no part.
    pub fn place(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Option<usize> {
        let leaf = self.leaves.iter().position(|(part, _)| part.contains(arch))?;
        if self.placed != Some(leaf) {
            executor.write(State::Weights, &self.leaves[leaf].1);
            self.placed = Some(leaf);
        }
        Some(leaf)
    }
}
