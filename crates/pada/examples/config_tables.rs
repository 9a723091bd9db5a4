//! Prints the tables of `docs/config.md`:
//!
//! ```sh
//! cargo run --release -p pada --example config_tables
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

fn main() {
    println!("## Supernet runs\n\n{}", pada::config_tables());
    println!("## Retraining\n\n{}", pada::retrain_config_tables());
}
