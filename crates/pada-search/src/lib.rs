#![doc = include_str!("../README.md")]

mod adam;
mod ageing;
mod ask_tell;
mod differentiable;
mod evolution;
mod layout;
mod method;
#[cfg(feature = "serde")]
mod number;
mod pareto;
mod pnas;
mod policy;
mod predictor;
mod predictor_search;
mod random;
mod random_nas;
mod reinforce;
mod search;
mod searcher;
mod settings;
mod zeroth_order;

pub use ageing::{AgeingConfig, AgeingEvolution};
pub use ask_tell::AskTell;
pub use differentiable::{ArchOptimizer, ArchParameters, CostTerm, Mixture, Relaxation};
pub use evolution::{Evolution, EvolutionConfig, evolution};
pub use method::{AnySearcher, SearchMethod, Searching};
/// The version of `rand` whose [`Rng`](rand::Rng) trait a [`Search`] takes.
pub use pada_space::rand;
pub use pareto::{Nsga2, Nsga2Config, nsga2, pareto_front};
pub use pnas::{Pnas, PnasConfig};
pub use predictor::{PredictorConfig, TreesConfig};
pub use predictor_search::{PredictorSearch, PredictorSearchConfig};
pub use random::{Random, RandomConfig};
pub use random_nas::{RandomNas, RandomNasConfig};
pub use reinforce::{LstmConfig, PolicyConfig, Reinforce, ReinforceConfig};
pub use search::{Evaluated, Objective, Search, SearchError, random_search};
pub use searcher::{AskError, Fidelity, History, Outcome, Request, SearchView, Searcher};
pub use settings::InvalidSetting;
pub use zeroth_order::ZerothOrder;
