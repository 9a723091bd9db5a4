//! What developer programs share: the workspace's folders, cargo, programs of the workspace, and Python environments with compilers.
//!
//! `pada-bench` and `pada-gpu-kit` use it too. It depends on no executor, so that `cargo xtask` starts fast.
#![allow(clippy::print_stderr, reason = "a part of programs for the terminal")]

pub mod binary;
pub mod candle_cuda;
pub mod cargo;
pub mod files;
pub mod git;
pub mod nvrtc;
pub mod paths;
pub mod usage;
pub mod venv;
