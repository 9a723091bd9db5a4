//! Tests of graphs and of ONNX.
#![allow(clippy::unwrap_used, reason = "a test")]

mod align;
mod graph;
mod onnx;
