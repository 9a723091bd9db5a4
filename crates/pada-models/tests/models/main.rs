//! Tests of networks and of files with weights.
#![allow(clippy::unwrap_used, reason = "a test")]

mod files;
mod lowering;
mod nb201_cost;
mod published_costs;
#[path = "../../../../tests/shared.rs"]
mod shared;
