//! The two that are compared: the engine, as a process of this program, and PyTorch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::device::Device;
use super::engine::Work;
use super::space::Space;
use crate::binary;
use crate::usage::usage;

/// Modes of PyTorch that every round times.
pub(crate) const MODES: [&str; 3] = ["eager", "channels_last", "bf16"];
/// Modes of PyTorch on the few paths that `torch.compile` gets, the first for comparison.
pub(crate) const COMPILED_MODES: [&str; 2] = ["bf16", "compile"];
/// What the engine is timed with, as `--precision` and as the mode of its lines.
pub(crate) const PRECISIONS: [&str; 2] = ["f32", "bf16"];
const BENCH: &str = "peer_bench.py";
const ON_DEVICE: &str = "peer_device.py";
const ON_DEVICE_SOURCE: &str = include_str!("peer_device.py");
const MEMORY: &str = include_str!("peer_memory.py");

/// What both sides compute with.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) threads: usize,
    pub(crate) space: Space,
    pub(crate) device: Device,
    /// Options for sizes that differ from the space's own.
    pub(crate) sizes: Vec<String>,
}

/// The engine.
pub(crate) struct Engine(pub(crate) Side);

impl Engine {
    /// Runs `cargo xtask bench` once more.
    pub(crate) fn bench(&self, args: &[&str]) -> anyhow::Result<Value> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(program);
        command.arg("bench").args(args).args(["--json", "--threads", &self.0.threads.to_string()]);
        binary::last_line(&stdout(&mut command)?)
    }

    /// Times some work on the first `steps` paths of a file.
    pub(crate) fn time(
        &self,
        work: Work,
        paths: &Path,
        steps: usize,
        more: &[&str],
    ) -> anyhow::Result<Value> {
        let (steps, paths) = (steps.to_string(), paths.to_str().context("a path that is no text")?);
        let Side { space, device, sizes, .. } = &self.0;
        let device = device.to_string();
        let of_space = [work.command(), "--space", space.name(), "--paths", paths, "--steps", &steps];
        let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
        self.bench(&[&of_space, &["--device", &device][..], &sizes, more].concat())
    }
}

/// PyTorch.
pub(crate) struct Peer {
    folder: PathBuf,
    python: PathBuf,
    side: Side,
    /// Holds the benchmark of a GPU: a program in a file, so that errors name its lines.
    scratch: TempDir,
}

impl Peer {
    /// # Errors
    /// A usage error where the folder does not hold what the device's benchmark needs.
    pub(crate) fn new(folder: &Path, python: &Path, side: Side) -> anyhow::Result<Self> {
        let needed = match side.device {
            Device::Cpu => BENCH,
            Device::Cuda(_) => side.space.network(),
        };
        if !folder.join(needed).is_file() {
            let shown = folder.display();
            return Err(usage(format!("--peer {shown}: the folder does not hold {needed}")));
        }
        let scratch = tempfile::tempdir()?;
        std::fs::write(scratch.path().join(ON_DEVICE), ON_DEVICE_SOURCE)?;
        Ok(Self { folder: folder.to_owned(), python: python.to_owned(), side, scratch })
    }

    /// The paths that it times.
    pub(crate) fn paths(&self, steps: usize) -> anyhow::Result<Vec<Value>> {
        let mut command = self.bench();
        command.args(["--print-paths", "--steps", &steps.to_string()]);
        let text = self.stdout(&mut command)?;
        serde_json::from_slice(&text).with_context(|| format!("{} --print-paths", self.name()))
    }

    /// Times some work on the CPU in every mode, on the paths that it draws.
    pub(crate) fn time(&self, work: Work, steps: usize) -> anyhow::Result<Vec<Value>> {
        let mut command = self.bench();
        command.args(["--task", work.task(), "--modes", &MODES.join(",")]).args([
            "--steps",
            &steps.to_string(),
            "--threads",
            &self.side.threads.to_string(),
        ]);
        self.lines(&mut command, &MODES)
    }

    /// Times a step and a forward pass on a GPU in some modes, in one process, on the paths of a file.
    pub(crate) fn time_on_gpu(
        &self,
        modes: &[&str],
        paths: &Path,
        steps: usize,
        sweeps: usize,
    ) -> anyhow::Result<Vec<Value>> {
        let (steps, sweeps, threads) = (steps.to_string(), sweeps.to_string(), self.side.threads.to_string());
        let mut command = self.bench();
        command.args(["--task", "train,rank", "--modes", &modes.join(",")]);
        command.args(["--steps", &steps, "--sweeps", &sweeps, "--threads", &threads]).arg("--paths").arg(paths);
        // The paths of the file are those that are compiled, whatever their number is.
        command.args(["--compile-paths", &steps]);
        self.lines(&mut command, &modes.repeat(2))
    }

    /// The lines that a benchmark prints, one for each of `modes`.
    fn lines(&self, command: &mut Command, modes: &[&str]) -> anyhow::Result<Vec<Value>> {
        let text = self.stdout(command)?;
        let text = String::from_utf8_lossy(&text);
        let name = self.name();
        let lines: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{name}: not JSON"))?;
        let found: Vec<_> = lines.iter().map(|line| line["mode"].as_str().unwrap_or_default()).collect();
        ensure!(found == modes, "{name} timed {found:?} and not {modes:?}");
        Ok(lines)
    }

    /// Memory of a train step in the mode eager, before and at most.
    pub(crate) fn memory(&self, batch: usize, cells: usize, paths: &[Value]) -> anyhow::Result<Value> {
        let mut command = self.python();
        command
            .args(["-c", MEMORY, &self.side.threads.to_string(), &batch.to_string(), &cells.to_string()])
            .arg(serde_json::to_string(paths)?)
            .env("PYTHONPATH", &self.folder);
        binary::last_line(&self.stdout(&mut command)?)
    }

    fn bench(&self) -> Command {
        let mut command = self.python();
        match self.side.device {
            Device::Cpu => command.arg(self.folder.join(BENCH)),
            Device::Cuda(_) => {
                let device = self.side.device.to_string();
                command.arg(self.scratch.path().join(ON_DEVICE)).args(["--device", &device, "--peer"]).arg(&self.folder)
            }
        };
        command.args(["--space", self.side.space.name()]).args(&self.side.sizes);
        command
    }

    /// The name of the benchmark.
    fn name(&self) -> &'static str {
        match self.side.device {
            Device::Cpu => BENCH,
            Device::Cuda(_) => ON_DEVICE,
        }
    }

    fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        // Nothing is written into the peer's folder.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn stdout(&self, command: &mut Command) -> anyhow::Result<Vec<u8>> {
        let (python, name) = (self.python.display(), self.name());
        stdout(command).with_context(|| {
            format!("{python} does not run {name}; name with --python one that has PyTorch (`pip install torch`)")
        })
    }
}

/// What a program prints; its errors are shown.
fn stdout(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().with_context(|| program.clone())?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(output.stdout)
}
