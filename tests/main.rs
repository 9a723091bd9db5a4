//! The program as its users call it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bad_input;
mod candle;
mod cases;
mod commands;
mod downloads;
mod export;
mod extending;
#[cfg(target_os = "linux")]
mod faults;
mod fine_tuning;
mod golden_metrics;
#[cfg(target_os = "linux")]
mod gpu;
mod kills;
mod logging;
mod notations;
mod photographs;
mod program;
mod ranks;
mod report;
mod reproducing;
mod retraining;
mod searches;
mod shared;
mod spaces;
mod survival;
mod zero_cost;
