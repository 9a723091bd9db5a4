#![doc = include_str!("../README.md")]

mod arch;
mod darts;
mod decision;
mod digits;
mod error;
mod named;
mod nas_bench_macro;
mod nb201;
mod nb201_function;
mod proxyless;
mod space;
mod sub_space;

pub use arch::Arch;
pub use darts::{
    AGNAS, CellGenotype, DARTS_NAMED, Darts, DartsCell, DartsEdge, DartsOp, Genotype, agnas_cells,
    is_reduction,
};
pub use decision::{ActiveWhere, Decision, DecisionKind};
pub use digits::parse as parse_digits;
pub use error::SpaceError;
pub use named::{Named, find_named};
pub use nas_bench_macro::NasBenchMacro;
pub use nb201::{EDGES, N_NODES, Nb201, Nb201Op};
pub use proxyless::{
    MbConv, MobileLayer, MobileSpec, PROXYLESS_NAMED, Proxyless, ProxylessStage, ProxylessWidths,
};
pub use space::{Equivalence, SearchSpace};
pub use sub_space::SubSpace;
