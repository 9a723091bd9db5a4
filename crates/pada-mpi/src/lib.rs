#![doc = include_str!("../README.md")]

mod launcher;
#[cfg(feature = "mpi")]
mod link;
mod start;

pub use launcher::Launcher;
pub use start::start;
