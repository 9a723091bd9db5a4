#![doc = include_str!("../README.md")]

mod agreement;
mod error;
mod gather;
pub mod mpi;
mod process_group;
mod reduce;
mod threads;
mod transport;
mod tree;

pub use error::DistError;
pub use process_group::{ProcessGroup, Traffic};
pub use threads::threads;
pub use transport::Transport;
pub use tree::{fold, share};
