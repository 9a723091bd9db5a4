#![doc = include_str!("../README.md")]

mod darts_1000;
mod darts_214;
mod error;
mod name;
mod nas_bench_macro;
mod nb201;
mod table;

pub use darts_214::{DARTS_214_FILE, DARTS_214_SHA256, Darts214Table};
pub use darts_1000::{DARTS_1000_FILE, DARTS_1000_SHA256, Darts1000Table};
pub use error::{Download, NasBenchError, RowUnit};
pub use name::TableName;
pub use nas_bench_macro::{MACRO_FILE, MACRO_SHA256, MacroTable};
pub use nb201::{NB201_FILE, NB201_SHA256, Nb201Dataset, Nb201Epochs, Nb201Table};
use pada_space::Nb201;
pub use table::BenchmarkTable;

static MINI: &[u8] = include_bytes!("../data/mini.csv");

/// Returns the embedded table: 300 architectures of NAS-Bench-201's space with 8 channels and one cell per stage, trained on
/// the 8,000 training images of the data set `mini` and tested on its 2,000 test images, in percent.
///
/// Only seeds with which all architectures were trained count. The crate documentation describes how the table was made.
///
/// # Errors
/// Returns [`NasBenchError`] if the crate was built from a damaged file.
pub fn mini() -> Result<BenchmarkTable, NasBenchError> {
    let table = BenchmarkTable::from_csv("mini", MINI, &Nb201::new())?;
    Ok(table.with_dataset("mini").with_complete_seeds_only())
}
