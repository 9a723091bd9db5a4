#![doc = include_str!("../README.md")]

mod arch;
mod error;
mod nb201;
mod nb201_function;
mod space;
mod sub_space;

pub use arch::Arch;
pub use error::SpaceError;
pub use nb201::{EDGES, N_NODES, Nb201, Nb201Op};
pub use space::{Equivalence, SearchSpace};
pub use sub_space::SubSpace;
