#![doc = include_str!("../README.md")]

mod evolution;
mod pareto;
mod search;

pub use evolution::{EvolutionConfig, evolution};
/// The version of `rand` whose [`Rng`](rand::Rng) trait a [`Search`] takes.
pub use pada_space::rand;
pub use pareto::{Nsga2Config, nsga2, pareto_front};
pub use search::{Evaluated, Objective, Search, SearchError, random_search};
