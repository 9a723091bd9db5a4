use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, ensure};
use pada_space::{Arch, Equivalence, Nb201, SearchSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{binary, paths};

/// How many architectures the table has.
const ARCHS: usize = 64;
/// Which ones: drawn uniformly, none twice, and none that trains the same function as another.
const ARCHS_SEED: u64 = 64;
const SEEDS: [u64; 1] = [0];

/// Which table to make.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Table {
    /// NAS-Bench-201's space on the embedded mini images.
    Mini,
}

/// Trains every architecture of a table from scratch and writes the table. Finished runs stay in `target/truth`; started again,
/// it goes on where it stopped.
pub(crate) fn run(Table::Mini: Table, jobs: usize) -> anyhow::Result<()> {
    let program = binary::build()?;
    let work: Vec<(Arch, u64)> =
        archs().into_iter().flat_map(|arch| SEEDS.map(|seed| (arch.clone(), seed))).collect();
    let folder = paths::root().join("target/truth/mini");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (total, queue, rows) = (work.len(), Mutex::new(work.into_iter()), Mutex::new(BTreeMap::new()));
    let worker = || -> anyhow::Result<()> {
        loop {
            let next = queue.lock().expect("no worker panics").next();
            let Some((arch, seed)) = next else { return Ok(()) };
            let accuracy = train(&program, &folder, &arch, seed)?;
            let mut rows = rows.lock().expect("no worker panics");
            rows.insert((arch.to_string(), seed), accuracy);
            eprintln!("{}/{total}: {arch}, seed {seed}: {accuracy} %", rows.len());
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let mut csv = "arch,seed,accuracy\n".to_owned();
    for ((arch, seed), accuracy) in rows.into_inner().expect("no worker panics") {
        csv.push_str(&format!("{arch},{seed},{accuracy}\n"));
    }
    let path = paths::root().join("crates/pada-truth/data/mini.csv");
    std::fs::write(&path, csv).with_context(|| path.display().to_string())?;
    eprintln!("{}: {total} rows", path.display());
    Ok(())
}

fn archs() -> Vec<Arch> {
    let (space, mut rng) = (Nb201::new(), ChaCha8Rng::seed_from_u64(ARCHS_SEED));
    let (mut seen, mut archs) = (HashSet::new(), Vec::new());
    while archs.len() < ARCHS {
        let arch = space.sample(&mut rng);
        if seen.insert(space.canonical(&arch, Equivalence::OwnWeights)) {
            archs.push(arch);
        }
    }
    archs
}

/// Test accuracy of one architecture, percent. One thread each: several at once use a machine better than one on all cores.
fn train(program: &Path, folder: &Path, arch: &Arch, seed: u64) -> anyhow::Result<f64> {
    let (arch, seed) = (arch.to_string(), seed.to_string());
    let out: PathBuf = folder.join(format!("{arch}-s{seed}"));
    let mut command = Command::new(program);
    command.args(["retrain", "--json", "--threads", "1"]);
    if out.join("config.toml").is_file() {
        command.arg("--resume").arg(&out);
    } else {
        let config = paths::root().join("configs/mini/truth.toml");
        command.args(["--arch", &arch, "--seed", &seed]).arg("--config").arg(config).arg("--out").arg(&out);
    }
    let output = command.stderr(Stdio::null()).output().with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "{arch}, seed {seed}: {}; see {}", output.status, out.display());
    let json = binary::last_line(&output.stdout)?;
    json["accuracy"].as_f64().with_context(|| format!("{arch}, seed {seed}: no accuracy in {json}"))
}
