//! Tests of configs, runs and rankings.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod budget;
mod config;
mod experiment;
mod golden_baselines;
mod onnx;
mod ranks;
mod retrain;
#[path = "../../../../tests/shared.rs"]
mod shared;
mod splits;
mod tiny;
