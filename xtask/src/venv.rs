//! Python environments in the folder `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::{cargo, paths};

/// Returns a Python environment in `target/<name>` with the packages of a list. It is created on the first call and whenever the list
/// changes.
///
/// # Errors
/// Returns an error if `python3` is missing or a package cannot be installed.
pub fn ready(name: &str, list: &Path) -> anyhow::Result<PathBuf> {
    let wanted = std::fs::read(list).with_context(|| list.display().to_string())?;
    let venv = paths::root()?.join("target").join(name);
    let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
    if std::fs::read(&installed).is_ok_and(|found| found == wanted) && python.is_file() {
        return Ok(venv);
    }
    cargo::finish(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let quick = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"];
    cargo::finish(
        Command::new(&python).args(["-m", "pip", "install"]).args(quick).arg("--requirement").arg(list),
    )?;
    std::fs::write(&installed, wanted)?;
    Ok(venv)
}
