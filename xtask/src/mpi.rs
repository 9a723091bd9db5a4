use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use xtask::test_binaries::TestBinary;
use xtask::{binary, cargo, paths, venv};

/// Environment variable with the launcher that tests start processes with. If it is set, the MPI library and libclang of the system are
/// used.
const MPIRUN: &str = "PADA_MPIRUN";
/// Build arguments for MPI.
const FEATURE: [&str; 2] = ["--features", "pada-train/mpi"];

/// Builds pada with MPI.
pub(crate) fn run() -> anyhow::Result<()> {
    let environment = environment()?;
    cargo::finish(binary::command(binary::PADA)?.args(FEATURE).envs(environment.clone()))?;
    let launcher = environment.iter().find(|(name, _)| *name == MPIRUN);
    let launcher = launcher.map_or_else(|| "mpirun".into(), |(_, path)| path.to_string_lossy().into_owned());
    println!("{launcher} -n 2 target/release/pada --threads 1");
    Ok(())
}

/// Builds pada with MPI in place of the program that `tests` start, and runs those of its tests that need several processes.
pub(crate) fn test(tests: &TestBinary, environment: &[(&'static str, OsString)]) -> anyhow::Result<()> {
    cargo::finish(binary::command(binary::PADA)?.args(FEATURE).envs(environment.iter().cloned()))?;
    tests.run_with(&["ranks::launched", "--include-ignored"], environment)
}

/// Returns the environment variables for the build with MPI and its tests. The packages of `crates/pada-mpi/requirements.txt` are
/// installed in `target/mpi-venv`, unless `$PADA_MPIRUN` names a launcher.
pub(crate) fn environment() -> anyhow::Result<Vec<(&'static str, OsString)>> {
    if std::env::var_os(MPIRUN).is_some() {
        return Ok(vec![]);
    }
    let venv = venv::ready("mpi-venv", &paths::root()?.join("crates/pada-mpi/requirements.txt"))?;
    let libclang = std::fs::read_dir(venv.join("lib"))?
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/clang/native")))
        .find(|path| path.is_dir())
        .context("the package libclang contains no library")?;
    // The libclang of the package comes without the headers of the compiler.
    let headers = Command::new("cc").arg("-print-file-name=include").output().context("cc")?;
    ensure!(headers.status.success(), "cc -print-file-name=include: {}", headers.status);
    let headers = format!("-I{}", String::from_utf8(headers.stdout)?.trim());
    Ok(vec![
        ("MPICC", venv.join("bin/mpicc").into()),
        ("LIBCLANG_PATH", libclang.into()),
        ("BINDGEN_EXTRA_CLANG_ARGS", headers.into()),
        ("LD_LIBRARY_PATH", libraries(&venv)),
        (MPIRUN, venv.join("bin/mpirun").into()),
    ])
}

/// Prepends the folder of the library to the search path.
fn libraries(venv: &Path) -> OsString {
    let mut path = OsString::from(venv.join("lib"));
    if let Some(others) = std::env::var_os("LD_LIBRARY_PATH") {
        path.push(":");
        path.push(others);
    }
    path
}
