//! The processes that `mpirun` or `srun` started, as a [`crate::ProcessGroup`].

mod launcher;
mod start;
#[cfg(feature = "mpi")]
mod transport;

pub use launcher::Launcher;
pub use start::start;
