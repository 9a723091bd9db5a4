//! Times the engine, alone and against PyTorch on the same work.

mod compare;
mod device;
mod engine;
pub(crate) mod machine;
mod ops;
mod record;
mod sides;
mod space;
mod statistics;
mod summary;

pub(crate) use statistics::{Line, median};

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum Task {
    /// One training step a path: forward, backward, clip to 5, SGD.
    ///
    /// Batch 256 (nb201), 64 (darts) or 16 (proxyless).
    ///
    /// Example: cargo xtask bench step --space darts --steps 12 --threads 2 --json
    ///
    /// On a GPU: cargo xtask bench step --device cuda:0 --precision bf16
    Step(engine::Args),
    /// Forward only, with twice the images of a step.
    ///
    /// Example: cargo xtask bench rank --steps 12 --threads 2 --json
    Rank(engine::Args),
    /// Each kernel alone, beside the machine's limits.
    ///
    /// Example: cargo xtask bench ops --threads 2
    Ops(ops::Args),
    /// Engine and PyTorch in turn on the same paths; writes a record folder under xtask/records/.
    ///
    /// Example: cargo xtask bench compare --peer ../shared/peer --python python3
    ///
    /// On one GPU: the same with --device cuda:0 --name gpu
    Compare(compare::Args),
    /// Write the summary of a record anew from its samples.
    ///
    /// Example: cargo xtask bench summary xtask/records/2026-11-25-cpu-12-paths
    Summary {
        /// The record's folder.
        record: std::path::PathBuf,
    },
}

pub(crate) fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Step(args) => engine::run(engine::Work::Step, args),
        Task::Rank(args) => engine::run(engine::Work::Rank, args),
        Task::Ops(args) => ops::run(args),
        Task::Compare(args) => compare::run(args),
        Task::Summary { record } => record::Record::read(record)?.write_summary(record),
    }
}
