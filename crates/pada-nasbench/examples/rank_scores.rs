//! How far can the scores of your own supernet be trusted? Reads `arch,accuracy`, a line for each architecture of NAS-Bench-201,
//! and compares with the embedded truth table.
//!
//! ```text
//! cargo run --release -p pada-nasbench --example rank_scores -- scores.csv
//! ```
//!
//! Without a file it takes scores that need no supernet: how many 3×3 convolutions an architecture has.
#![allow(clippy::print_stdout, reason = "an example")]

use std::error::Error;

use pada_metrics::{Bootstrap, Metrics, kendall_tau_b, tau_b_interval};
use pada_nasbench::BenchmarkTable;
use pada_space::{Arch, Nb201, Nb201Op, SearchSpace};

fn main() -> Result<(), Box<dyn Error>> {
    let space = Nb201::new();
    let truth = pada_nasbench::mini(&space)?;
    let convolutions = |arch: &Arch| {
        let is_conv = |&&op: &&u8| op == Nb201Op::Conv3x3 as u8;
        arch.choices().iter().filter(is_conv).count() as f64
    };
    let scores: Vec<(Arch, f64)> = match std::env::args_os().nth(1) {
        Some(file) => read(&std::fs::read_to_string(file)?, &space)?,
        None => truth.archs().iter().map(|arch| (arch.clone(), convolutions(arch))).collect(),
    };

    let (predicted, accuracy) = in_table(&scores, &truth);
    let metrics = Metrics::compute(&predicted, &accuracy, None)?;
    let interval = tau_b_interval(&predicted, &accuracy, &Bootstrap::default())?;
    println!("{} scores, {} of them in the table {}", scores.len(), predicted.len(), truth.name());
    println!("tau-b     {:.3}, 95 % [{:.3}, {:.3}]", metrics.tau_b, interval.low, interval.high);
    println!("spearman  {:.3}", metrics.spearman);
    println!("P@Top10%  {}", metrics.p_at_top_10.map_or("-".to_owned(), |p| format!("{p:.3}")));

    // A supernet is worth its time only above what costs nothing.
    let known: Vec<&Arch> =
        scores.iter().map(|(arch, _)| arch).filter(|a| truth.accuracy(a).is_some()).collect();
    let free: Vec<f64> = known.into_iter().map(convolutions).collect();
    println!("counting 3×3 convolutions: tau-b {:.3}", kendall_tau_b(&free, &accuracy)?);
    Ok(())
}

/// Scores, and the true accuracies of the same architectures, where there are any.
fn in_table(scores: &[(Arch, f64)], truth: &BenchmarkTable) -> (Vec<f64>, Vec<f64>) {
    scores.iter().filter_map(|(arch, score)| Some((*score, truth.accuracy(arch)?))).unzip()
}

/// The columns `arch` and `accuracy`, as `pada-train rank` writes them: digits, or NAS-Bench-201's own text.
fn read(csv: &str, space: &Nb201) -> Result<Vec<(Arch, f64)>, Box<dyn Error>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers()?.clone();
    let column =
        |name: &str| header.iter().position(|h| h == name).ok_or(format!("there is no column {name}"));
    let (arch, accuracy) = (column("arch")?, column("accuracy")?);
    reader
        .records()
        .map(|row| {
            row.map_err(Into::into).and_then(|row| Ok((space.parse(&row[arch])?, row[accuracy].parse()?)))
        })
        .collect()
}
