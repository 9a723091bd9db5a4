//! Tests of the search spaces.
#![allow(clippy::unwrap_used, reason = "a test")]

mod darts;
mod layers;
mod misuse;
mod nb201;
mod parsers;
#[path = "../../../../tests/shared.rs"]
mod shared;
mod sub_space;
