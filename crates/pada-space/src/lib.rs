#![doc = include_str!("../README.md")]

mod arch;
mod darts;
mod decision;
mod error;
mod named;
mod nas_bench_macro;
mod nb201;
mod one_network;
mod proxyless;
mod space;
mod sub_space;

pub use arch::Arch;
pub use darts::{
    AGNAS, AGNAS_NETWORK, CellGenotype, DARTS_NAMED, Darts, DartsCell, DartsCells, DartsEdge, DartsOp,
    Genotype, is_reduction,
};
pub use decision::{ActiveCondition, Decision, DecisionKind};
pub use error::SpaceError;
pub use named::{NamedArch, find_named, nearest_names, plain_name};
pub use nas_bench_macro::NasBenchMacro;
pub use nb201::{Nb201, Nb201Encoding, Nb201Op};
pub use one_network::OneNetwork;
pub use proxyless::{
    MbConv, MobileActivation, MobileLayer, MobileSpec, PROXYLESS_NAMED, Proxyless, ProxylessStage,
    ProxylessWidths,
};
/// The version of `rand` whose [`Rng`](rand::Rng) trait the functions of this crate take.
pub use rand;
pub use space::{Equivalence, SearchSpace, parse_digits};
pub use sub_space::SubSpace;
