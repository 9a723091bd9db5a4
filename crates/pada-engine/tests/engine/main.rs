//! The engine against the readable executor, PyTorch, finite differences and itself.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "a test says what it leaves out")]

mod against_candle;
mod alignment;
mod bad_input;
mod bf16;
mod case;
mod cuda;
mod finite_differences;
mod golden_ops;
mod inspect;
mod local_norms;
mod memory;
mod probe;
mod processes;
mod random_graphs;
mod recipe;
mod running;
#[path = "../../../../tests/shared.rs"]
mod shared;
mod side;
mod threads;
mod tiles;
