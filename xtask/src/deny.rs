use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use xtask::paths;

const PROGRAM: &str = "cargo-deny";
/// Checks that need no network.
const OFFLINE: [&str; 3] = ["bans", "licenses", "sources"];

/// Checks all dependencies by `deny.toml`: bans, licences, sources, and known vulnerabilities if their list can be fetched.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(
        is_installed(),
        "cargo-deny is not installed: cargo install cargo-deny --locked; it takes minutes"
    );
    offline()?;
    eprintln!("deny: bans, licences and sources are fine");
    // The list is fetched separately, because `check` has the same exit code for a failed fetch and for a vulnerability.
    if !deny()?.args(["fetch", "db"]).status().context("cargo deny")?.success() {
        eprintln!(
            "deny: VULNERABILITIES WERE NOT CHECKED, because their list could not be fetched, see above"
        );
        return Ok(());
    }
    match check(&["advisories"])? {
        Outcome::Holds => Ok(()),
        Outcome::Fails => bail!("known vulnerabilities, see above"),
    }
}

/// Runs the checks that need no network.
pub(crate) fn offline() -> anyhow::Result<()> {
    match check(&OFFLINE)? {
        Outcome::Holds => Ok(()),
        Outcome::Fails => bail!("the dependencies violate deny.toml, see above"),
    }
}

/// Returns `true` if cargo-deny is installed. It is not part of cargo.
pub(crate) fn is_installed() -> bool {
    let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

enum Outcome {
    Holds,
    Fails,
}

fn check(what: &[&str]) -> anyhow::Result<Outcome> {
    let status = deny()?.args(["--workspace", "--log-level", "error", "check"]).args(what).status();
    let status = status.context("cargo deny")?;
    Ok(if status.success() { Outcome::Holds } else { Outcome::Fails })
}

fn deny() -> anyhow::Result<Command> {
    let mut command = Command::new(PROGRAM);
    command.current_dir(paths::root()?);
    Ok(command)
}
