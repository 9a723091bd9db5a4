#![doc = include_str!("../README.md")]

mod evolution;
mod found;
mod pareto;
mod random;

pub use evolution::{EvolutionConfig, evolution};
pub use found::{Found, Goal, Search, SearchError};
pub use pareto::{ParetoConfig, front, pareto};
pub use random::random;
