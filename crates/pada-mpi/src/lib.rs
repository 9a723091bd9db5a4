#![doc = include_str!("../README.md")]

mod launcher;
#[cfg(feature = "mpi")]
mod transport;

use std::time::Duration;

pub use launcher::Launcher;
use pada_dist::{DistError, ProcessGroup};

/// Joins the processes that were started together. Returns the group of a single process if there is no other.
///
/// A process that sends nothing for `timeout` counts as stalled. Call this function once per program.
///
/// # Errors
/// Returns [`DistError::WithoutMpi`], [`DistError::LauncherMismatch`] or [`DistError::Mpi`].
pub fn start(timeout: Duration) -> Result<ProcessGroup, DistError> {
    match Launcher::detect() {
        None => Ok(ProcessGroup::single()),
        Some(launcher) => join(launcher, timeout),
    }
}

#[cfg(not(feature = "mpi"))]
fn join(launcher: Launcher, _: Duration) -> Result<ProcessGroup, DistError> {
    Err(DistError::WithoutMpi { launcher: launcher.name, size: launcher.size })
}

#[cfg(feature = "mpi")]
fn join(launcher: Launcher, timeout: Duration) -> Result<ProcessGroup, DistError> {
    use pada_dist::Transport;

    let transport = transport::Mpi::start()?;
    let found = transport.size();
    if found != launcher.size {
        return Err(DistError::LauncherMismatch { launcher: launcher.name, size: launcher.size, found });
    }
    Ok(ProcessGroup::new(transport, timeout))
}
