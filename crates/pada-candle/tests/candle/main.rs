//! Tests of the candle executor.
#![allow(clippy::unwrap_used, reason = "a test")]

mod golden_ops;
mod golden_spaces;
mod ops;
#[path = "../../../../tests/shared.rs"]
mod shared;
