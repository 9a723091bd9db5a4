//! Tests of data sets and augmentation.
#![allow(clippy::unwrap_used, reason = "a test")]

mod augment;
mod cifar;
mod folder;
mod mini;
