//! Tests of the samplers.
#![allow(clippy::unwrap_used, reason = "a test")]

mod draws;
mod epochs;
mod paths;
mod properties;
mod python;
