//! The CUDA back end without a GPU: whole steps whose kernels run on the host.

mod check;
mod emulated;
mod faults;
mod nvrtc;
mod others;
mod steps;
mod uploaded;
