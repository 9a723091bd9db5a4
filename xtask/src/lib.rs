//! Functions that developer programs share: folders of the workspace, cargo, programs of the workspace, and Python environments with
//! compilers.
//!
//! `pada-bench` and `pada-gpu-kit` also use this crate. It depends on no executor, so that `cargo xtask` starts fast.
#![allow(clippy::print_stderr, reason = "a part of programs for the terminal")]

pub mod binary;
pub mod candle_cuda;
pub mod cargo;
pub mod files;
pub mod git;
pub mod nvrtc;
pub mod paths;
pub mod test_binaries;
pub mod usage;
pub mod venv;
