//! The state of the workspace's sources.

use std::process::Command;

use crate::paths;

/// Returns the commit, with a mark if files differ from it. `None` if git is not installed.
pub fn commit() -> Option<String> {
    let hash = output("git", &["rev-parse", "HEAD"])?;
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { hash } else { format!("{hash} with changes") })
}

/// Runs a program in the root of the workspace and returns its stdout. `None` if it fails.
pub fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(paths::root().ok()?).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
