use std::time::Duration;

use pada_world::{World, WorldError};

use crate::Launcher;

/// The ranks that were started together; a world of one where this process was started alone. May be called once.
///
/// # Errors
/// [`WorldError::WithoutMpi`], [`WorldError::OtherLauncher`] or [`WorldError::Library`]
pub fn start(patience: Duration) -> Result<World, WorldError> {
    match Launcher::detect() {
        None => Ok(World::alone()),
        Some(launcher) => join(launcher, patience),
    }
}

#[cfg(not(feature = "mpi"))]
fn join(launcher: Launcher, _: Duration) -> Result<World, WorldError> {
    Err(WorldError::WithoutMpi { launcher: launcher.name, size: launcher.size })
}

#[cfg(feature = "mpi")]
fn join(launcher: Launcher, patience: Duration) -> Result<World, WorldError> {
    use pada_world::Link;

    let link = crate::link::Mpi::start()?;
    let found = link.size();
    if found != launcher.size {
        return Err(WorldError::OtherLauncher { launcher: launcher.name, size: launcher.size, found });
    }
    Ok(World::linked(link, patience))
}
