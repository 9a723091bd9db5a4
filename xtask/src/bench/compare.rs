use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use pada_space::{Equivalence, Nb201, SearchSpace};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::device::Device;
use super::engine::Work;
use super::machine::{self, Quiet};
use super::record::{self, Ranking, Record, Settings};
use super::sides::{Engine, PRECISIONS, Peer};
use super::space::{Extents, Space};

/// Batches and cells at which a step is timed, to show that the time grows with them in a line.
const BATCHES: [&str; 5] = ["32", "64", "128", "256", "512"];
const CELLS: [&str; 4] = ["1", "2", "3", "5"];
/// Paths of a point of a curve.
const CURVE_STEPS: usize = 5;
/// Train steps whose memory is measured.
const MEMORY_STEPS: usize = 3;
/// Which architectures stand for all in the projection of a ranking.
const RANKING_SEED: u64 = 0;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space; memory, curves, a projected ranking and kernels are measured for nb201 on the CPU alone.
    #[arg(long, default_value = "nb201")]
    space: Space,
    /// What computes, on both sides: cpu or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// The folder of `peer_bench.py` and the networks it imports.
    #[arg(long, value_name = "DIR")]
    peer: PathBuf,
    /// A Python that has PyTorch.
    #[arg(long, value_name = "PROGRAM")]
    python: PathBuf,
    /// How often each side is timed, in turn.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Paths of a round.
    #[arg(long, default_value = "12", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Threads of both sides.
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Architectures from which the time to rank all is projected.
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    ranked: u32,
    /// The record is xtask/records/<date>-NAME.
    #[arg(long, default_value = "pytorch")]
    name: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let settings = Settings {
        date: machine::today(),
        name: args.name.clone(),
        rounds: args.rounds as usize,
        steps: args.steps as usize,
        threads: args.threads as usize,
    };
    let folder = record::folder(&settings)?;
    let peer = Peer::new(&args.peer, &args.python, settings.threads, args.space, args.device)?;
    let engine = Engine { threads: settings.threads, space: args.space, device: args.device };
    let scratch = tempfile::tempdir()?;
    let paths = peer.paths(settings.steps)?;
    let file = scratch.path().join("paths.json");
    write_paths(&file, &paths)?;

    let mut record = Record::new(settings);
    for round in 1..=args.rounds {
        record.quiet.push(watch(&format!("round {round} of {}", args.rounds)));
        record.rounds.push(time_both(&engine, &peer, &file, args.steps as usize, round)?);
    }
    record.check()?;
    if args.space == Space::Nb201 && args.device == Device::Cpu {
        measure_more(&mut record, args, &engine, &peer, &paths)?;
    }
    record.write(&folder)?;
    eprintln!("wrote {}", folder.display());
    Ok(())
}

/// What the goals of nb201 ask for beside the times of both sides.
fn measure_more(
    record: &mut Record,
    args: &Args,
    engine: &Engine,
    peer: &Peer,
    paths: &[Value],
) -> anyhow::Result<()> {
    record.quiet.push(watch("memory, curves, ranking, kernels"));
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("paths.json");
    write_paths(&file, paths)?;
    let few = &paths[..MEMORY_STEPS.min(paths.len())];
    let file_of_few = scratch.path().join("few.json");
    write_paths(&file_of_few, few)?;
    let (extents, space) = (Extents::default(), args.space);
    let peer_memory = peer.memory(space.batch(Work::Step, &extents), space.cells(&extents), few)?;
    record.memory = [engine.time(Work::Step, &file_of_few, few.len(), &[])?, peer_memory];
    let curve = |option: &str, values: &[&str]| -> anyhow::Result<Vec<_>> {
        values.iter().map(|value| engine.time(Work::Step, &file, CURVE_STEPS, &[option, value])).collect()
    };
    record.batches = curve("--batch", &BATCHES)?;
    record.cells = curve("--cells", &CELLS)?;
    record.ranking = rank(engine, &scratch.path().join("ranked.json"), args.ranked as usize)?;
    record.ops = engine.bench(&["ops"])?;
    Ok(())
}

/// One round: all work of both sides; who begins changes from round to round.
fn time_both(
    engine: &Engine,
    peer: &Peer,
    paths: &Path,
    steps: usize,
    round: u32,
) -> anyhow::Result<Vec<Value>> {
    let mut lines = Vec::new();
    for work in [Work::Step, Work::Rank] {
        let own = || PRECISIONS.map(|precision| engine.time(work, paths, steps, &["--precision", precision]));
        if round.is_multiple_of(2) {
            lines.extend(peer.time(work, steps)?);
            lines.extend(own().into_iter().collect::<anyhow::Result<Vec<_>>>()?);
        } else {
            lines.extend(own().into_iter().collect::<anyhow::Result<Vec<_>>>()?);
            lines.extend(peer.time(work, steps)?);
        }
    }
    Ok(lines)
}

/// Times the forward pass of some of the architectures that are scored when all are ranked: one of each that are the same.
fn rank(engine: &Engine, file: &Path, count: usize) -> anyhow::Result<Ranking> {
    let space = Nb201::new();
    let all = space.archs();
    let canonical = |arch| {
        let canonical = space.canonical(&arch, Equivalence::SharedWeights);
        canonical.map(|arch| arch.choices().to_vec())
    };
    let distinct = all.map(canonical).collect::<Result<BTreeSet<Vec<u8>>, _>>()?;
    let distinct = Vec::from_iter(distinct);
    ensure!(count <= distinct.len(), "--ranked: there are only {} different architectures", distinct.len());
    let mut rng = ChaCha8Rng::seed_from_u64(RANKING_SEED);
    let mut drawn = distinct.clone();
    drawn.shuffle(&mut rng);
    write_paths(file, &drawn[..count])?;
    let time = |precision| engine.time(Work::Rank, file, count, &["--precision", precision]);
    let lines = PRECISIONS.map(time).into_iter().collect::<anyhow::Result<_>>()?;
    Ok(Ranking { lines, distinct: distinct.len(), archs: usize::try_from(space.len())? })
}

/// Whether anything else runs before some work; says so loudly.
fn watch(before: &str) -> Quiet {
    let quiet = Quiet::watch();
    eprintln!("{before}");
    if !quiet.holds() {
        eprintln!(
            "WARNING: the machine is not known to be quiet, {quiet:?}; the record will say so. Stop what else runs."
        );
    }
    quiet
}

fn write_paths<P: serde::Serialize>(file: &Path, paths: &[P]) -> anyhow::Result<()> {
    std::fs::write(file, serde_json::to_string(paths)?).with_context(|| file.display().to_string())
}
