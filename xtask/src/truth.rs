use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, ensure};
use pada_space::{Arch, Equivalence, Nb201, SearchSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use xtask::files::{sha256, write_whole};
use xtask::{binary, paths};

/// Number of architectures in the table.
const ARCHS: usize = 300;
/// Seed of the architectures, which are drawn uniformly. Architectures that compute the same function as an earlier one are drawn again.
const ARCHS_SEED: u64 = 64;
/// All architectures are trained with the first seed, then all with the second, and so on.
const SEEDS: [u64; 3] = [0, 1, 2];
const HEADER: [&str; 4] = ["arch", "seed", "accuracy", "recipe"];

/// The benchmark table to create.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Table {
    /// NAS-Bench-201's space on the embedded mini images.
    Mini,
}

/// Accuracies by seed and architecture.
type Rows = BTreeMap<(u64, String), f64>;

/// Trains every architecture of a table from scratch and adds its row. Rows of the same recipe are kept, and rows of another recipe are
/// dropped when the first row is added. A training that was stopped resumes from its checkpoint in `target/truth`.
pub(crate) fn run(Table::Mini: Table, jobs: usize) -> anyhow::Result<()> {
    let program = binary::build()?;
    let (config, csv) = (root("configs/mini/truth.toml")?, root("crates/pada-nasbench/data/mini.csv")?);
    let recipe = recipe(&config)?;
    let rows = read(&csv, &recipe)?;
    let archs = archs()?;
    let all = SEEDS.iter().flat_map(|&seed| archs.iter().map(move |arch| (seed, arch.to_string())));
    let work: Vec<(u64, String)> = all.filter(|key| !rows.contains_key(key)).collect();
    let total = SEEDS.len() * archs.len();
    eprintln!("{}: recipe {recipe}, {} of {total} rows exist", csv.display(), rows.len());
    let folder = root("target/truth")?.join(&recipe);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (queue, rows) = (Mutex::new(work.into_iter()), Mutex::new(rows));
    let worker = || -> anyhow::Result<()> {
        loop {
            let next = queue.lock().expect("no worker panics").next();
            let Some((seed, arch)) = next else { return Ok(()) };
            let accuracy = train(&program, &config, &folder, &arch, seed)?;
            let mut rows = rows.lock().expect("no worker panics");
            eprintln!("{}/{total}: {arch}, seed {seed}: {accuracy} %", rows.len() + 1);
            rows.insert((seed, arch), accuracy);
            write(&csv, &rows, &recipe)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })
}

fn root(path: &str) -> anyhow::Result<PathBuf> {
    Ok(paths::root()?.join(path))
}

/// Returns a short hash of all values of a config. Comments do not change it.
fn recipe(config: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(config).with_context(|| config.display().to_string())?;
    let values: toml::Table = text.parse().with_context(|| config.display().to_string())?;
    Ok(sha256(toml::to_string(&values)?.as_bytes())[..8].to_owned())
}

/// Reads the rows that were trained with a recipe.
fn read(csv: &Path, recipe: &str) -> anyhow::Result<Rows> {
    let text = std::fs::read_to_string(csv).with_context(|| csv.display().to_string())?;
    let mut rows = Rows::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if let [arch, seed, accuracy, made_by] = cells[..]
            && made_by == recipe
        {
            rows.insert((seed.parse()?, arch.to_owned()), accuracy.parse()?);
        }
    }
    Ok(rows)
}

fn write(csv: &Path, rows: &Rows, recipe: &str) -> anyhow::Result<()> {
    let line =
        |((seed, arch), accuracy): (&(u64, String), &f64)| format!("{arch},{seed},{accuracy},{recipe}\n");
    let text = format!("{}\n{}", HEADER.join(","), rows.iter().map(line).collect::<String>());
    write_whole(csv, text.as_bytes())
}

fn archs() -> anyhow::Result<Vec<Arch>> {
    let (space, mut rng) = (Nb201::new(), ChaCha8Rng::seed_from_u64(ARCHS_SEED));
    let (mut seen, mut archs) = (HashSet::new(), Vec::new());
    while archs.len() < ARCHS {
        let arch = space.sample(&mut rng);
        if seen.insert(space.canonical(&arch, Equivalence::OwnWeights)?) {
            archs.push(arch);
        }
    }
    Ok(archs)
}

/// Trains one architecture and returns its test accuracy in percent. It uses one thread, because several trainings in parallel use a
/// machine better than one training on all cores.
fn train(program: &Path, config: &Path, folder: &Path, arch: &str, seed: u64) -> anyhow::Result<f64> {
    let out: PathBuf = folder.join(format!("{arch}-s{seed}"));
    let mut command = Command::new(program);
    command.args(["retrain", "--json", "--threads", "1"]);
    if out.join("config.toml").is_file() {
        command.arg("--resume").arg(&out);
    } else {
        command
            .args(["--arch", arch, "--seed", &seed.to_string(), "--config"])
            .arg(config)
            .arg("--out")
            .arg(&out);
    }
    let output = command.output().with_context(|| program.display().to_string())?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{arch}, seed {seed}: {}: {}", output.status, said());
    let json = binary::last_line(&output.stdout)?;
    json["accuracy"].as_f64().with_context(|| format!("{arch}, seed {seed}: no accuracy in {json}"))
}
