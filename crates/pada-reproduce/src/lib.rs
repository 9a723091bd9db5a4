#![doc = include_str!("../README.md")]

mod child;
mod differentiable;
mod environment;
mod error;
mod figure;
mod merge;
mod methods;
mod networks;
mod preset;
mod published;
mod runner;
mod scores;
mod searchers;
mod shard;
mod table;
mod trials;

use std::path::PathBuf;

pub use differentiable::{DifferentiablePlan, reproduce_differentiable};
pub use environment::{Environment, Event, commit_of};
pub use error::ReproduceError;
pub use methods::Method;
pub use networks::{NetworkPlan, NetworkTarget};
pub use preset::Preset;
pub use runner::{Plan, Work};
pub use searchers::{SearcherPlan, reproduce_searchers};
pub use shard::Shard;

/// A table or figure whose rows are methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Table 1: nine methods on NAS-Bench-201, with controls.
    Table1,
    /// Ablation of PA&DA, with variants that go beyond the paper.
    Ablation,
    /// Gradient variance and tau-b of supernets over 1 to 5 operations, and of several methods.
    FigureGv,
}

/// Runs the unfinished trials of a table or figure, and writes the table after each trial. Returns the path of its Markdown file.
///
/// A shard writes no table; [`merge`] writes it from all shards.
///
/// # Errors
/// Returns [`ReproduceError::Trials`] if trials failed, [`ReproduceError::Stopped`] if the user asked to stop, and
/// [`ReproduceError::Usage`] if a folder contains a run of another config.
pub fn reproduce(
    target: Target,
    plan: &Plan,
    work: &Work,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    of_methods(target, plan, Some(work), environment)
}

/// Copies the finished trials of shards that ran on other disks, and writes the table of all finished trials. It runs no trial. Returns the
/// path of the table's Markdown file.
///
/// # Errors
/// Returns an error if a folder cannot be read or written.
pub fn merge(
    target: Target,
    from: &[PathBuf],
    plan: &Plan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let out = plan.out_folder(target.name(), environment)?;
    for from in from {
        merge::copy_runs(from, &out, environment.events)?;
    }
    of_methods(target, plan, None, environment)
}

/// Runs the unfinished steps of a table of networks, and writes the table after each step. Returns the path of its Markdown file.
///
/// Published networks are counted and retrained. For every method of this project, a supernet is trained and searched, and the architecture
/// that was found is retrained. A shard writes no table; [`merge_networks`] writes it from all shards.
///
/// # Errors
/// Returns the same errors as [`reproduce`].
pub fn reproduce_networks(
    target: NetworkTarget,
    plan: &NetworkPlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    networks::run(target, plan, environment)
}

/// Copies the finished steps of shards that ran on other disks, and writes the table of all finished steps. It runs nothing. Returns the
/// path of the table's Markdown file.
///
/// # Errors
/// Returns an error if a folder cannot be read or written.
pub fn merge_networks(
    target: NetworkTarget,
    from: &[PathBuf],
    plan: &NetworkPlan,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    networks::merge(target, from, plan, environment)
}

impl Target {
    /// Returns the name in `methods.toml` and in names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table1 => "table1",
            Self::Ablation => "ablation",
            Self::FigureGv => "figure-gv",
        }
    }
}

fn of_methods(
    target: Target,
    plan: &Plan,
    work: Option<&Work>,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let table = |which| Ok(table::run(which, plan, work, environment)?.with_extension("md"));
    match target {
        Target::Table1 => table(table::Which::Table1),
        Target::Ablation => table(table::Which::Ablation),
        Target::FigureGv => figure::run(plan, work, environment),
    }
}

/// The folder of the repository's configs, for tests.
#[cfg(test)]
fn configs() -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}
