//! The two sides of a comparison: the engine, as a process of this program, and PyTorch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::device::Device;
use super::engine::Work;
use super::space::Space;
use xtask::binary;
use xtask::usage::usage;

/// Modes of PyTorch that every round times.
pub(crate) const MODES: [&str; 3] = ["eager", "channels_last", "bf16"];
/// Modes of PyTorch on the few paths that are timed with `torch.compile`. The first mode is the baseline.
pub(crate) const COMPILED_MODES: [&str; 2] = ["bf16", "compile"];
/// Precisions of the engine, as values of `--precision` and as the mode of its lines.
pub(crate) const PRECISIONS: [&str; 2] = ["f32", "bf16"];
const BENCH: &str = "peer_bench.py";
const ON_DEVICE: &str = "peer_device.py";
const ON_DEVICE_SOURCE: &str = include_str!("peer_device.py");
const MEMORY: &str = include_str!("peer_memory.py");

/// The settings that both sides share.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) threads: usize,
    pub(crate) space: Space,
    pub(crate) device: Device,
    /// Options that change the batch or the number of cells.
    pub(crate) sizes: Vec<String>,
}

/// The engine.
pub(crate) struct Engine(pub(crate) Side);

impl Engine {
    /// Runs this program in a second process.
    pub(crate) fn bench(&self, args: &[&str]) -> anyhow::Result<Value> {
        let program = std::env::current_exe().context("the path of this program")?;
        let mut command = Command::new(program);
        command.args(args).args(["--json", "--threads", &self.0.threads.to_string()]);
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
        let (steps, paths) = (steps.to_string(), paths.to_str().context("a path that is not valid UTF-8")?);
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
    /// Holds the benchmark program of a GPU. It is a file, so that Python's errors name its lines.
    scratch: TempDir,
}

impl Peer {
    /// # Errors
    /// Returns a usage error if the folder lacks a file that the device's benchmark needs.
    pub(crate) fn new(folder: &Path, python: &Path, side: Side) -> anyhow::Result<Self> {
        let needed = match side.device {
            Device::Cpu => BENCH,
            Device::Cuda(_) => side.space.network(),
        };
        if !folder.join(needed).is_file() {
            let shown = folder.display();
            return Err(usage(format!("--peer {shown}: the folder does not contain {needed}")));
        }
        let scratch = tempfile::tempdir()?;
        std::fs::write(scratch.path().join(ON_DEVICE), ON_DEVICE_SOURCE)?;
        Ok(Self { folder: folder.to_owned(), python: python.to_owned(), side, scratch })
    }

    /// Returns the paths that it times.
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
        command
            .args(["--steps", &steps, "--sweeps", &sweeps, "--threads", &threads])
            .arg("--paths")
            .arg(paths);
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
                command
                    .arg(self.scratch.path().join(ON_DEVICE))
                    .args(["--device", &device, "--peer"])
                    .arg(&self.folder)
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
            format!(
                "{python} does not run {name}; name with --python one that has PyTorch (`pip install torch`)"
            )
        })
    }
}

/// Returns the stdout of a program. Its stderr is shown.
fn stdout(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().with_context(|| program.clone())?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use xtask::paths;

    /// Names a Python that has PyTorch. Without it, tests take `python3` if that has PyTorch, and skip otherwise.
    const TORCH_PYTHON: &str = "PADA_TORCH_PYTHON";

    /// Standard output, standard error and exit code of `peer_device.py`; none without Python.
    fn peer_device(python: &Path, args: &[&str]) -> Option<(String, String, i32)> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(ON_DEVICE);
        std::fs::write(&program, ON_DEVICE_SOURCE).unwrap();
        let Ok(output) = Command::new(python).arg(&program).args(args).output() else {
            eprintln!("SKIPPED: {} does not start, so {ON_DEVICE} is not tested", python.display());
            return None;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&output.stdout), text(&output.stderr), output.status.code().unwrap()))
    }

    /// A Python with PyTorch, and the folder of its networks.
    fn torch() -> Option<(PathBuf, PathBuf)> {
        let named = std::env::var_os(TORCH_PYTHON).map(PathBuf::from);
        let python = named.clone().unwrap_or_else(|| "python3".into());
        let found = Command::new(&python).args(["-c", "import torch"]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            assert!(named.is_none(), "{TORCH_PYTHON}: {} has no PyTorch", python.display());
            eprintln!("SKIPPED: no PyTorch; {TORCH_PYTHON} can name a Python that has it");
            return None;
        }
        let peer = paths::shared().unwrap().join("peer");
        if !peer.join(BENCH).is_file() {
            eprintln!("SKIPPED: {} does not contain {BENCH}", peer.display());
            return None;
        }
        Some((python, peer))
    }

    #[test]
    fn paths_are_drawn_without_pytorch_and_the_engine_reads_them() {
        for space in Space::value_variants() {
            let args = ["--print-paths", "--space", space.name(), "--steps", "12"];
            let Some((stdout, stderr, code)) = peer_device(Path::new("python3"), &args) else { return };
            assert_eq!(code, 0, "{stderr}");
            let paths: Vec<Value> = serde_json::from_str(&stdout).unwrap();
            assert_eq!(paths.len(), 12);
            paths.iter().for_each(|path| drop(space.path(path).unwrap()));
            if *space == Space::Nb201 {
                assert_eq!(paths[0], serde_json::json!([3, 3, 0, 2, 4, 3]));
            }
        }
    }

    #[test]
    fn options_that_cannot_be_are_refused_before_pytorch_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let shown = folder.path().to_str().unwrap();
        let broken = folder.path().join("broken.json");
        std::fs::write(&broken, "[").unwrap();
        let empty = folder.path().join("empty.json");
        std::fs::write(&empty, "[]").unwrap();
        for (args, reason) in [
            (&["--modes", "eager,fast"][..], "'fast' is not one of eager, channels_last, bf16, compile"),
            (&["--task", "rest"], "'rest' is not one of train, rank"),
            (&["--device", "gpu"], "'gpu' is neither cpu nor cuda:N"),
            (&["--steps", "0"], "0 is less than 1"),
            (&[], "--peer is missing: name the folder that contains nb201_torch.py"),
            (&["--space", "darts", "--peer", shown], "the folder does not contain darts_torch.py"),
            (&["--paths", broken.to_str().unwrap()], "broken.json"),
            (&["--paths", empty.to_str().unwrap()], "the file holds no list of paths"),
            (&["--paths", "/nonexistent.json"], "No such file"),
        ] {
            let Some((stdout, stderr, code)) = peer_device(Path::new("python3"), args) else { return };
            assert!(code == 2 && stderr.contains(reason) && stdout.is_empty(), "{args:?}: {code} {stderr}");
        }
    }

    #[test]
    fn paths_of_a_file_are_repeated_up_to_the_steps() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[[1], [2]]").unwrap();
        let args = ["--print-paths", "--steps", "3", "--paths", file.path().to_str().unwrap()];
        let Some((stdout, ..)) = peer_device(Path::new("python3"), &args) else { return };
        assert_eq!(stdout.trim(), "[[1], [2], [1]]");
    }

    #[test]
    fn pytorch_draws_the_same_paths() {
        let Some((python, peer)) = torch() else { return };
        for space in Space::value_variants() {
            let args = ["--print-paths", "--space", space.name(), "--steps", "12"];
            let theirs = Command::new(&python)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .arg(peer.join(BENCH))
                .args(args)
                .output()
                .unwrap();
            let (ours, ..) = peer_device(&python, &args).unwrap();
            assert_eq!(ours, String::from_utf8_lossy(&theirs.stdout), "{}", space.name());
        }
    }

    #[test]
    fn pytorch_is_timed_on_the_cpu() {
        let Some((python, peer)) = torch() else { return };
        let peer = peer.to_str().unwrap();
        let work = ["--task", "train,rank", "--steps", "2", "--sweeps", "2", "--batch", "2", "--cells", "1"];
        let args = [&["--peer", peer, "--device", "cpu", "--threads", "1"][..], &work].concat();
        let (stdout, stderr, code) = peer_device(&python, &args).unwrap();
        assert_eq!(code, 0, "{stderr}");
        let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let about = |line: &Value| [line["task"].clone(), line["mode"].clone(), line["products"].clone()];
        let expected = ["train", "rank"].map(|task| {
            [("eager", "f32"), ("channels_last", "f32"), ("bf16", "bf16")]
                .map(|(mode, products)| [task, mode, products].map(Value::from))
        });
        assert_eq!(lines.iter().map(about).collect::<Vec<_>>(), expected.concat());
        for line in &lines {
            for field in ["mean_s", "median_s", "images_per_s", "first_sweep_s"] {
                assert!(line[field].as_f64() > Some(0.0), "{field}: {line}");
            }
            assert_eq!(line["seconds"].as_array().map(Vec::len), Some(4));
            assert_eq!(
                ["cudnn_benchmark", "tf32", "tf32_matmul"].map(|field| line[field] == false),
                [true; 3]
            );
        }
    }

    #[test]
    fn without_a_gpu_pytorch_says_so() {
        let Some((python, peer)) = torch() else { return };
        if pada_engine::cuda::gpus().is_ok() {
            return;
        }
        let args = ["--peer", peer.to_str().unwrap(), "--device", "cuda:0"];
        let (stdout, stderr, code) = peer_device(&python, &args).unwrap();
        let reason = "error: --device cuda:0: no NVIDIA driver";
        assert!(code == 2 && stderr.contains(reason) && stdout.is_empty(), "{code} {stderr}");
    }
}
