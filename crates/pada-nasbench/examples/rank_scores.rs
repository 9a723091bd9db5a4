//! Compares the scores of your own supernet with the embedded benchmark table.
//!
//! ```text
//! cargo run --release -p pada-nasbench --example rank_scores -- scores.csv
//! ```
//!
//! The file has the columns `arch` and `accuracy` and a row for each architecture of NAS-Bench-201 that was scored. Without a
//! file the example scores an architecture by its number of 3×3 convolutions. A useful supernet beats this count.
#![allow(clippy::print_stdout, reason = "an example")]

use pada_metrics::{Bootstrap, Metrics, tau_b_interval};
use pada_nasbench::BenchmarkTable;
use pada_space::{Nb201, Nb201Op};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = pada_nasbench::mini()?;
    let scores = if let Some(file) = std::env::args_os().nth(1) {
        BenchmarkTable::load(file, &Nb201::new())?
    } else {
        let archs = table.archs().to_vec();
        let count = archs.iter().map(|arch| arch.count(Nb201Op::Conv3x3 as usize) as f64).collect();
        BenchmarkTable::new("3x3 convolutions", archs, count)?
    };
    let (predicted, ground_truth) = table.paired_with(&scores);
    println!("scores                   {scores}\ntable                    {table}");
    println!("{}", Metrics::compute(&predicted, &ground_truth, None)?);
    println!("tau-b interval           {}", tau_b_interval(&predicted, &ground_truth, &Bootstrap::new())?);
    Ok(())
}
