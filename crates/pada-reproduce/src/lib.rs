//! Tables and figures of the paper: every (method, seed) is one run of pada-train in a folder of its own, read when it is done.

mod cells;
mod child;
mod figure;
mod merge;
mod methods;
mod networks;
mod preset;
mod runner;
mod scores;
mod shard;
mod table;

use std::path::PathBuf;

pub(crate) use preset::Preset;
pub(crate) use runner::{Args, Plan, Work};
pub(crate) use table::Which;

/// What to reproduce.
#[derive(clap::Subcommand)]
pub(crate) enum Task {
    /// Table 1: nine methods on NAS-Bench-201, with controls.
    ///
    /// Example: cargo xtask reproduce table1 --methods spos,pada --seeds 2
    Table1(Args),
    /// Table 2: networks of DARTS cells, published, counted and retrained.
    ///
    /// Example: cargo xtask reproduce table2 --methods darts,gm
    Table2(networks::Args),
    /// Table 3: networks of MobileNet blocks, likewise.
    ///
    /// Example: cargo xtask reproduce table3 --seeds 0
    Table3(networks::Args),
    /// PA&DA taken apart, and with what goes beyond the paper.
    ///
    /// Example: cargo xtask reproduce ablation --preset short
    Ablation(Args),
    /// Gradient variance and tau-b of supernets over 2, 3, 4 and 5 operations; needs the table nb201.
    ///
    /// Example: cargo xtask reproduce figure-gv
    FigureGv(Args),
    /// Put the runs of shards together, and write the table of all that are finished.
    ///
    /// Example: cargo xtask reproduce merge table1 --from shard-0 --from shard-1
    Merge(merge::MergeArgs),
}

/// Runs what is not finished; the result lies beside the runs.
pub(crate) fn run(task: &Task) -> anyhow::Result<()> {
    if let Task::Table1(args) | Task::Ablation(args) | Task::FigureGv(args) = task
        && let Some(shard) = args.work.shard
    {
        let (plan, work) = (&args.plan, Some(&args.work));
        match task {
            Task::Table1(_) => table::run(Which::Table1, plan, work).map(drop)?,
            Task::Ablation(_) => table::run(Which::Ablation, plan, work).map(drop)?,
            _ => figure::run(plan, work).map(drop)?,
        }
        println!("shard {shard} is finished; `cargo xtask reproduce merge` writes the table of all shards");
        return Ok(());
    }
    let file = match task {
        Task::Table1(args) => table(Which::Table1, args)?,
        Task::Table2(args) => networks::run(networks::Which::Table2, args)?,
        Task::Table3(args) => networks::run(networks::Which::Table3, args)?,
        Task::Ablation(args) => table(Which::Ablation, args)?,
        Task::FigureGv(args) => figure::run(&args.plan, Some(&args.work))?,
        Task::Merge(args) => merge::run(args)?,
    };
    println!("{}\n{}", std::fs::read_to_string(&file)?, file.display());
    Ok(())
}

/// Makes a table; where its Markdown lies.
pub(crate) fn table(which: Which, args: &Args) -> anyhow::Result<PathBuf> {
    Ok(table::run(which, &args.plan, Some(&args.work))?.with_extension("md"))
}
