use std::ffi::OsString;
use std::process::Command;

use xtask::{binary, paths};

/// Arguments for another program.
#[derive(clap::Args)]
pub(crate) struct Forwarded {
    /// Arguments of the program; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// Builds a program of the workspace and continues as that program.
pub(crate) fn run(program: &str, first: &[&str], rest: &Forwarded) -> anyhow::Result<()> {
    let mut command = Command::new(binary::built(program)?);
    command.args(first).args(&rest.arguments).env("PADA_DATA", paths::data_dir());
    become_program(&mut command)
}

/// Replaces this process, so that signals reach the program and the caller receives its exit code.
#[cfg(unix)]
fn become_program(command: &mut Command) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(anyhow::Error::from(error).context(format!("{command:?}")))
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> anyhow::Result<()> {
    std::process::exit(command.status()?.code().unwrap_or(1))
}
