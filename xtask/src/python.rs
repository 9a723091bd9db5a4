//! The Python package: the environment of its tests, its tests, and its wheels.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use xtask::{cargo, paths, venv};

/// The folder of the package in the workspace.
const PACKAGE: &str = "crates/pada-python";

/// Environment variable with a Python interpreter that has PyTorch, for the tests that need it.
const TORCH: &str = "PADA_TORCH_PYTHON";

/// Python code that prints the version of Python and the folder of PyTorch.
const FIND_TORCH: &str = "import sys, importlib.util as u; from pathlib import Path
print(*sys.version_info[:2]); s = u.find_spec('torch'); print(Path(s.origin).parents[1] if s else '')";

/// Returns a Python environment in `target/python-venv` with what the tests need.
pub(crate) fn environment() -> anyhow::Result<PathBuf> {
    venv::ready("python-venv", &paths::root()?.join(PACKAGE).join("tests/requirements.txt"))
}

/// Builds a wheel, installs it into an environment, and runs the tests and the notebooks with it.
pub(crate) fn test(venv: &Path, environment: &[(&'static str, OsString)]) -> anyhow::Result<()> {
    // With the features of all other builds, so that only the package itself is compiled.
    cargo::finish(&mut cargo::command(&cargo::workspace(&["build", "--release", "--lib"]))?)?;
    let (package, target) = (paths::root()?.join(PACKAGE), cargo::target_dir()?);
    let library = format!("{}pada_python{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let python = venv.join("bin/python");
    let packed = Command::new(&python)
        .arg(package.join("wheel.py"))
        .args([target.join("release").join(library), target.join("wheels")])
        .output()
        .context("wheel.py")?;
    ensure!(packed.status.success(), "wheel.py: {}", String::from_utf8_lossy(&packed.stderr));
    let wheel = String::from_utf8(packed.stdout).context("the name of the wheel")?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"];
    let replace = ["--no-deps", "--force-reinstall", wheel.trim()];
    cargo::finish(Command::new(&python).args(install).args(replace))?;
    // Not in the folder of the package, whose files Python would import in place of the installed ones.
    let elsewhere = tempfile::tempdir()?;
    let mut tests = Command::new(&python);
    tests
        .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--durations=5"])
        .arg(package.join("tests"));
    tests.current_dir(elsewhere.path()).envs(environment.iter().cloned());
    // The tensors of the tests are tiny, and threads that wait for each other take processors from other tests.
    tests.env("OMP_NUM_THREADS", "1");
    match torch(&python)? {
        Some(folder) => drop(tests.env("PYTHONPATH", folder)),
        None => {
            eprintln!("ci: NO PYTORCH, its tests and its notebook skip; {TORCH} names a Python that has it")
        }
    }
    let output = tests.output().context("pytest")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pytest: {}\n{text}", output.status);
    eprintln!("{}", text.trim_end());
    Ok(())
}

/// Returns the folder with PyTorch of another interpreter, if it is one of the same version.
fn torch(python: &Path) -> anyhow::Result<Option<PathBuf>> {
    let other = std::env::var_os(TORCH).unwrap_or_else(|| "python3".into());
    let ask = |python: &Path| -> anyhow::Result<(String, String)> {
        let output =
            Command::new(python).args(["-c", FIND_TORCH]).output().context(python.display().to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (version, folder) = text.split_once('\n').unwrap_or_default();
        Ok((version.to_owned(), folder.trim().to_owned()))
    };
    let ((ours, _), (theirs, folder)) = (ask(python)?, ask(other.as_ref())?);
    Ok((ours == theirs && !folder.is_empty()).then(|| folder.into()))
}

/// The platforms of the wheels.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Builds the wheels for Linux with maturin, with zig as the linker, so that they also run with the C library of older systems.
pub(crate) fn wheels(targets: &[String]) -> anyhow::Result<()> {
    let package = paths::root()?.join(PACKAGE);
    let venv = venv::ready("maturin-venv", &package.join("wheels.txt"))?;
    let out = cargo::target_dir()?.join("wheels");
    let all = TARGETS.map(str::to_owned);
    // maturin finds zig through the Python of this environment.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(venv.join("bin")).chain(std::env::split_paths(&path)))?;
    for target in if targets.is_empty() { &all[..] } else { targets } {
        let mut build = Command::new(venv.join("bin/maturin"));
        build.args([
            "build",
            "--release",
            "--zig",
            "--compatibility",
            "manylinux2014",
            "--target",
            target,
            "--out",
        ]);
        build.arg(&out).current_dir(&package).env("PATH", &path);
        // Other features than those of the workspace, so that the artifacts of other builds stay.
        build.env("CARGO_TARGET_DIR", cargo::target_dir()?.join("wheels-build"));
        cargo::finish(&mut build).with_context(|| {
            format!("the wheel for {target}; if its standard library is missing: rustup target add {target}")
        })?;
    }
    for entry in std::fs::read_dir(&out)? {
        let entry = entry?;
        println!("{} ({:.1} MB)", entry.path().display(), entry.metadata()?.len() as f64 / 1e6);
    }
    Ok(())
}
