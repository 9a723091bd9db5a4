use std::time::Duration;

use super::Launcher;
use crate::{DistError, ProcessGroup};

/// The ranks that were started together; a world of one where this process was started alone. May be called once.
///
/// # Errors
/// [`DistError::WithoutMpi`], [`DistError::OtherLauncher`] or [`DistError::Library`]
pub fn start(patience: Duration) -> Result<ProcessGroup, DistError> {
    match Launcher::detect() {
        None => Ok(ProcessGroup::single()),
        Some(launcher) => join(launcher, patience),
    }
}

#[cfg(not(feature = "mpi"))]
fn join(launcher: Launcher, _: Duration) -> Result<ProcessGroup, DistError> {
    Err(DistError::WithoutMpi { launcher: launcher.name, size: launcher.size })
}

#[cfg(feature = "mpi")]
fn join(launcher: Launcher, patience: Duration) -> Result<ProcessGroup, DistError> {
    use crate::Transport;

    let link = super::transport::Mpi::start()?;
    let found = link.size();
    if found != launcher.size {
        return Err(DistError::OtherLauncher { launcher: launcher.name, size: launcher.size, found });
    }
    Ok(ProcessGroup::connected(link, patience))
}
