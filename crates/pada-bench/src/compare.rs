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
use super::gpu;
use super::machine::{self, Quiet};
use super::record::{self, Compiled, Ranking, Record, Settings};
use super::sides::{COMPILED_MODES, Engine, MODES, PRECISIONS, Peer, Side};
use super::space::{Extents, Space};
use xtask::usage::usage;

/// Batch sizes and numbers of cells at which a step is timed, to show that its time grows linearly with them.
const BATCHES: [&str; 5] = ["32", "64", "128", "256", "512"];
const CELLS: [&str; 4] = ["1", "2", "3", "5"];
/// Paths of a point of a curve.
const CURVE_STEPS: usize = 5;
/// Train steps whose memory is measured.
const MEMORY_STEPS: usize = 3;
/// Seed of the sample of architectures from which the time of a full ranking is projected.
const RANKING_SEED: u64 = 0;
/// Sweeps over all paths in a round on a GPU. One sweep takes a fraction of a second.
const SWEEPS: u32 = 10;
/// Number of paths that `torch.compile` is timed on. It takes a minute or more to compile each path.
const COMPILE_PATHS: u32 = 2;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space; memory, curves, a projected ranking and kernels are measured for nb201 on the CPU alone.
    #[arg(long, default_value = "nb201")]
    space: Space,
    /// Device of both sides: cpu or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// The folder of `peer_bench.py` and the networks it imports. A GPU needs the networks alone.
    #[arg(long, value_name = "DIR")]
    peer: PathBuf,
    /// A Python interpreter with PyTorch.
    #[arg(long, value_name = "PROGRAM")]
    python: PathBuf,
    /// Number of rounds. Each round times both sides.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Number of paths in a round.
    #[arg(long, default_value = "12", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// On a GPU: sweeps over all paths in a round [default: 10].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    sweeps: Option<u32>,
    /// On a GPU: number of paths that torch.compile is timed on, after all rounds [default: 2; 0 skips it].
    #[arg(long)]
    compile_paths: Option<u32>,
    /// On a GPU: images of a batch, for a trial [default: as `bench step` and `bench rank`].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// On a GPU: cells per stage of nb201, for a trial [default: 5].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    cells: Option<u32>,
    /// Threads of both sides.
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Architectures from which the time to rank all is projected.
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    ranked: u32,
    /// Name of the record, which is written to xtask/records/<date>-NAME.
    #[arg(long, default_value = "pytorch")]
    name: String,
    /// Folder of the record instead of xtask/records/<date>-NAME. It must not exist.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let of_gpus = [
        ("--sweeps", args.sweeps),
        ("--compile-paths", args.compile_paths),
        ("--batch", args.batch),
        ("--cells", args.cells),
    ];
    for (option, given) in of_gpus {
        if given.is_some() && args.device == Device::Cpu {
            return Err(usage(format!("{option} is for GPUs; leave it out, or add --device cuda:N")));
        }
    }
    if args.cells.is_some() && args.space != Space::Nb201 {
        return Err(usage(
            "--cells is for nb201; the network of PyTorch has a fixed number of cells in the other spaces",
        ));
    }
    let card = args.device.gpu()?;
    let settings = Settings {
        date: machine::today(),
        name: args.name.clone(),
        rounds: args.rounds as usize,
        steps: args.steps as usize,
        sweeps: card.as_ref().map_or(1, |_| args.sweeps.unwrap_or(SWEEPS)) as usize,
        threads: args.threads as usize,
    };
    let folder = record::folder(&settings, args.out.as_deref())?;
    let sizes = [("--batch", args.batch), ("--cells", args.cells)];
    let sizes = sizes.into_iter().filter_map(|(option, size)| Some([option.to_owned(), size?.to_string()]));
    let side = Side {
        threads: settings.threads,
        space: args.space,
        device: args.device,
        sizes: sizes.flatten().collect(),
    };
    let peer = Peer::new(&args.peer, &args.python, side.clone())?;
    let engine = Engine(side);
    let scratch = tempfile::tempdir()?;
    let paths = peer.paths(settings.steps)?;
    let file = scratch.path().join("paths.json");
    write_paths(&file, &paths)?;

    let mut record = Record::new(settings);
    if let Some(card) = &card {
        record.machine["gpu"] = gpu::describe(card);
    }
    for round in 1..=args.rounds {
        record.quiet.push(watch(&format!("round {round} of {}", args.rounds)));
        record.rounds.push(match args.device {
            Device::Cpu => time_both(&engine, &peer, &file, args.steps as usize, round)?,
            Device::Cuda(_) => time_both_on_gpu(&engine, &peer, &file, &record.settings, round)?,
        });
    }
    record.check()?;
    if args.space == Space::Nb201 && args.device == Device::Cpu {
        measure_more(&mut record, args, &engine, &peer, &paths)?;
    }
    if card.is_some() {
        // The rounds are kept if torch.compile fails or takes too long.
        record.write(&folder)?;
        let few = first_distinct(&paths, args.compile_paths.unwrap_or(COMPILE_PATHS) as usize);
        if !few.is_empty() {
            record.quiet.push(watch(&format!("torch.compile on {} paths", few.len())));
            write_paths(&file, &few)?;
            record.compiled = Some(time_compiled(&engine, &peer, &file, &record.settings, few.len())?);
            record.check()?;
        }
    }
    record.write(&folder)?;
    eprintln!("wrote {}", folder.display());
    Ok(())
}

/// The first paths that differ from each other.
fn first_distinct(paths: &[Value], count: usize) -> Vec<Value> {
    let mut few: Vec<Value> = Vec::new();
    for path in paths {
        if few.len() < count && !few.contains(path) {
            few.push(path.clone());
        }
    }
    few
}

/// Measures memory, curves, the projected ranking and kernels, which only the goals of nb201 need.
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

/// Runs one round, which times all work on both sides. The side that starts alternates between rounds.
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

/// Runs one round on a GPU. Both sides time steps and forward passes on the paths of a file. The side that starts alternates between
/// rounds.
fn time_both_on_gpu(
    engine: &Engine,
    peer: &Peer,
    paths: &Path,
    settings: &Settings,
    round: u32,
) -> anyhow::Result<Vec<Value>> {
    let own = || time_engine_on_gpu(engine, paths, settings);
    let theirs = || peer.time_on_gpu(&MODES, paths, settings.steps, settings.sweeps);
    Ok(if round.is_multiple_of(2) {
        let lines = theirs()?;
        [lines, own()?].concat()
    } else {
        let lines = own()?;
        [lines, theirs()?].concat()
    })
}

/// The engine's lines of a round on a GPU: steps with gradient variance, as training does them, steps without it, forward passes.
fn time_engine_on_gpu(engine: &Engine, paths: &Path, settings: &Settings) -> anyhow::Result<Vec<Value>> {
    let sweeps = settings.sweeps.to_string();
    let works = [(Work::Step, &["--gradient-variance"][..]), (Work::Step, &[]), (Work::Rank, &[])];
    let runs = works.into_iter().flat_map(|work| PRECISIONS.map(|precision| (work, precision)));
    runs.map(|((work, more), precision)| {
        let options = [&["--precision", precision, "--sweeps", &sweeps][..], more].concat();
        engine.time(work, paths, settings.steps, &options)
    })
    .collect()
}

/// Times both sides on the few paths that are timed with `torch.compile`. If PyTorch fails, the record contains the reason.
fn time_compiled(
    engine: &Engine,
    peer: &Peer,
    paths: &Path,
    settings: &Settings,
    count: usize,
) -> anyhow::Result<Compiled> {
    Ok(match peer.time_on_gpu(&COMPILED_MODES, paths, settings.steps, settings.sweeps) {
        Ok(lines) => {
            let own = time_engine_on_gpu(engine, paths, settings)?;
            Compiled { paths: count, lines: [own, lines].concat(), failure: None }
        }
        Err(error) => {
            eprintln!("WARNING: torch.compile was not timed: {error:#}");
            Compiled { paths: count, lines: vec![], failure: Some(format!("{error:#}")) }
        }
    })
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

/// Checks that the machine is idle before some work, and prints a warning if it is not.
fn watch(before: &str) -> Quiet {
    let quiet = Quiet::watch();
    eprintln!("{before}");
    if !quiet.holds() {
        eprintln!(
            "WARNING: the machine may not be idle, {quiet:?}, and the record will say so. Stop other programs."
        );
    }
    quiet
}

fn write_paths<P: serde::Serialize>(file: &Path, paths: &[P]) -> anyhow::Result<()> {
    std::fs::write(file, serde_json::to_string(paths)?).with_context(|| file.display().to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::process::ExitCode;

    use clap::Parser;
    use pada_engine::cuda;
    use serde_json::json;

    use super::*;
    use xtask::usage::exit_code;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn refusal(line: &[&str]) -> String {
        let line = [&["compare", "--peer", "nowhere", "--python", "python3"], line].concat();
        let error = run(&Cli::try_parse_from(line).unwrap().args).unwrap_err();
        assert_eq!(exit_code(&error), ExitCode::from(2), "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn options_of_gpus_are_refused_on_the_cpu() {
        for option in [["--sweeps", "2"], ["--compile-paths", "0"], ["--batch", "2"], ["--cells", "1"]] {
            let error = refusal(&option);
            assert!(error.contains(option[0]) && error.contains("--device cuda:N"), "{error}");
        }
    }

    #[test]
    fn the_number_of_cells_is_fixed_in_other_spaces() {
        let error = refusal(&["--device", "cuda:0", "--space", "darts", "--cells", "1"]);
        assert!(error.contains("--cells is for nb201"), "{error}");
    }

    #[test]
    fn a_folder_without_the_benchmark_is_refused_by_name() {
        let error = refusal(&["--out", "never-written"]);
        assert!(error.contains("--peer nowhere") && error.contains("peer_bench.py"), "{error}");
    }

    #[test]
    fn without_a_driver_a_gpu_is_refused_in_its_words() {
        let Err(missing) = cuda::gpus() else { return };
        assert_eq!(refusal(&["--device", "cuda:0"]), format!("--device cuda:0: {missing}"));
    }

    /// If the compiler fails, the rest of the record is kept.
    #[test]
    #[cfg(unix)]
    fn a_compiler_that_fails_leaves_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(Space::Nb201.network()), "").unwrap();
        let side = Side { threads: 1, space: Space::Nb201, device: Device::Cuda(0), sizes: vec![] };
        let peer = Peer::new(folder.path(), Path::new("false"), side.clone()).unwrap();
        let settings = Settings {
            date: machine::today(),
            name: "trial".to_owned(),
            rounds: 1,
            steps: 1,
            sweeps: 1,
            threads: 1,
        };
        let compiled = time_compiled(&Engine(side), &peer, folder.path(), &settings, 2).unwrap();
        assert!(compiled.lines.is_empty() && compiled.paths == 2);
        let failure = compiled.failure.unwrap();
        assert!(failure.contains("false does not run peer_device.py"), "{failure}");
    }

    #[test]
    fn the_compiler_gets_paths_that_differ() {
        let paths = [json!([1]), json!([1]), json!([2]), json!([3])];
        assert_eq!(first_distinct(&paths, 2), [json!([1]), json!([2])]);
        assert_eq!(first_distinct(&paths, 9).len(), 3);
        assert!(first_distinct(&paths, 0).is_empty());
    }
}
