use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cargo;

/// The program that users run.
pub(crate) const PADA_TRAIN: &str = "pada-train";

/// Builds a program of the workspace. All crates are named so that it has the dependencies that tests have, and none is built twice.
pub(crate) fn command(program: &str) -> anyhow::Result<Command> {
    cargo::command(&["build", "--release", "--workspace", "--bin", program])
}

/// Builds pada-train and says where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    built(PADA_TRAIN)
}

/// Builds a program and says where it is.
pub(crate) fn built(program: &str) -> anyhow::Result<PathBuf> {
    cargo::finish(&mut command(program)?)?;
    Ok(cargo::target_dir()?.join("release").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// The file of the program that runs. Cargo may have replaced it since it started, as a build of the workspace with other features does;
/// Linux still opens the file that runs.
pub(crate) fn this_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the path of this program")?;
    // A path that names this process by number stands for the same file in a program that it starts.
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    Ok(if program.is_file() || !running.exists() { program } else { running })
}

/// The JSON object that a command with `--json` prints last.
pub(crate) fn last_line(stdout: &[u8]) -> anyhow::Result<serde_json::Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().context("the command printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// Says to the test below that it runs in a copy, and where the original is.
    const ORIGINAL: &str = "XTASK_TEST_ORIGINAL";

    #[test]
    fn a_program_whose_file_is_gone_still_finds_itself() {
        if let Some(original) = std::env::var_os(ORIGINAL) {
            std::fs::remove_file(std::env::current_exe().unwrap()).unwrap();
            let found = std::fs::read(this_program().unwrap()).unwrap();
            assert!(found == std::fs::read(original).unwrap());
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (original, copy) = (this_program().unwrap(), folder.path().join("copy"));
        std::fs::copy(&original, &copy).unwrap();
        let name = "binary::tests::a_program_whose_file_is_gone_still_finds_itself";
        let output = Command::new(&copy).args(["--exact", name]).env(ORIGINAL, &original).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        assert!(!copy.exists());
    }
}
