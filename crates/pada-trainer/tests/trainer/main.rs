//! Tests of training: rules, recipes and resuming.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod alone;
mod attention;
mod bright;
mod close;
mod differentiable;
mod enas;
mod executors;
mod formats;
mod golden_nb201;
mod held_images;
mod holding;
mod lost;
mod magic_at;
mod matching;
mod recipe;
mod resuming;
mod rules;
mod running_norms;
mod sampled_logits;
#[path = "../../../../tests/shared.rs"]
mod shared;
mod training;
