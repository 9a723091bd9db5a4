//! The two that are compared: the engine, as a process of this program, and PyTorch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::device::Device;
use super::engine::Work;
use super::space::Space;
use crate::binary;

/// Modes of `peer_bench.py`.
pub(crate) const MODES: [&str; 3] = ["eager", "channels_last", "bf16"];
/// What the engine is timed with, as `--precision` and as the mode of its lines.
pub(crate) const PRECISIONS: [&str; 2] = ["f32", "bf16"];
const BENCH: &str = "peer_bench.py";
const ON_DEVICE: &str = include_str!("peer_device.py");
const MEMORY: &str = include_str!("peer_memory.py");

/// The engine.
pub(crate) struct Engine {
    pub(crate) threads: usize,
    pub(crate) space: Space,
    pub(crate) device: Device,
}

impl Engine {
    /// Runs `cargo xtask bench` once more.
    pub(crate) fn bench(&self, args: &[&str]) -> anyhow::Result<Value> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(program);
        command.arg("bench").args(args).args(["--json", "--threads", &self.threads.to_string()]);
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
        let device = self.device.to_string();
        let of_space = [work.command(), "--space", self.space.name(), "--paths", paths, "--steps", &steps];
        self.bench(&[&of_space, &["--device", &device][..], more].concat())
    }
}

/// PyTorch.
pub(crate) struct Peer {
    folder: PathBuf,
    python: PathBuf,
    threads: usize,
    space: Space,
    device: Device,
}

impl Peer {
    /// # Errors
    /// Where the folder does not hold the benchmark.
    pub(crate) fn new(
        folder: &Path,
        python: &Path,
        threads: usize,
        space: Space,
        device: Device,
    ) -> anyhow::Result<Self> {
        let shown = folder.display();
        ensure!(folder.join(BENCH).is_file(), "{shown} does not hold {BENCH}; name its folder with --peer");
        Ok(Self { folder: folder.to_owned(), python: python.to_owned(), threads, space, device })
    }

    /// The paths that it times.
    pub(crate) fn paths(&self, steps: usize) -> anyhow::Result<Vec<Value>> {
        let mut command = self.bench();
        command.args(["--print-paths", "--steps", &steps.to_string()]);
        let text = self.stdout(&mut command)?;
        serde_json::from_slice(&text).with_context(|| format!("{BENCH} --print-paths"))
    }

    /// Times some work in every mode.
    pub(crate) fn time(&self, work: Work, steps: usize) -> anyhow::Result<Vec<Value>> {
        let mut command = self.bench();
        command.args(["--task", work.task(), "--modes", &MODES.join(",")]).args([
            "--steps",
            &steps.to_string(),
            "--threads",
            &self.threads.to_string(),
        ]);
        let text = self.stdout(&mut command)?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{BENCH}: not JSON"))?;
        let modes: Vec<_> = lines.iter().map(|line| line["mode"].as_str().unwrap_or_default()).collect();
        ensure!(modes == MODES, "{BENCH} timed {modes:?} and not {MODES:?}");
        Ok(lines)
    }

    /// Memory of a train step in the mode eager, before and at most.
    pub(crate) fn memory(&self, batch: usize, cells: usize, paths: &[Value]) -> anyhow::Result<Value> {
        let mut command = self.python();
        command
            .args(["-c", MEMORY, &self.threads.to_string(), &batch.to_string(), &cells.to_string()])
            .arg(serde_json::to_string(paths)?)
            .env("PYTHONPATH", &self.folder);
        binary::last_line(&self.stdout(&mut command)?)
    }

    fn bench(&self) -> Command {
        let mut command = self.python();
        match self.device {
            Device::Cpu => command.arg(self.folder.join(BENCH)),
            Device::Cuda(_) => {
                command.env("PYTHONPATH", &self.folder).args(["-c", ON_DEVICE, &self.device.to_string()])
            }
        };
        command.args(["--space", self.space.name()]);
        command
    }

    fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        // Nothing is written into the peer's folder.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn stdout(&self, command: &mut Command) -> anyhow::Result<Vec<u8>> {
        let python = self.python.display();
        stdout(command).with_context(|| {
            format!(
                "{python} does not run {BENCH}; name with --python one that has PyTorch (`pip install torch`)"
            )
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
