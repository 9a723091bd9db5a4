#![doc = include_str!("../README.md")]

mod darts_214;
mod error;
mod nas_bench_macro;
mod nb201;
mod table;

pub use darts_214::{DARTS_214_FILE, DARTS_214_SHA256, Darts214Table};
pub use error::{Download, NasBenchError};
pub use nas_bench_macro::{MACRO_FILE, MACRO_SHA256, MacroTable};
pub use nb201::{NB201_FILE, NB201_SHA256, Nb201Data, Nb201Table};
use pada_space::SearchSpace;
pub use table::BenchmarkTable;

static MINI: &[u8] = include_bytes!("../data/mini.csv");

/// The embedded table of mini: C=8, N=1, trained on its 8,000 training images and tested on its 2,000 test images. The file's
/// recipe stands in the crate's README. Only seeds count that all architectures were trained with.
///
/// # Errors
/// [`NasBenchError`] if the program was built from a damaged file.
pub fn mini(space: &dyn SearchSpace) -> Result<BenchmarkTable, NasBenchError> {
    Ok(BenchmarkTable::from_runs("mini", "mini.csv".as_ref(), MINI, space)?.of_whole_seeds())
}
