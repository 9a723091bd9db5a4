#![doc = include_str!("../README.md")]

mod agreement;
mod error;
mod gather;
mod link;
mod reduce;
mod threads;
mod tree;
mod world;

pub use error::WorldError;
pub use link::Link;
pub use threads::threads;
pub use tree::{fold, share};
pub use world::{Traffic, World};
