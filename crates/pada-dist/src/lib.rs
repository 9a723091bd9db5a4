#![doc = include_str!("../README.md")]

mod collectives;
mod error;
mod process_group;
mod threads;
mod tree;

pub use error::DistError;
pub use process_group::{ProcessGroup, Traffic, Transport};
pub use threads::threads;
pub use tree::{shard, tree_reduce};
