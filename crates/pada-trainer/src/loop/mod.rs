//! The training loop: epochs and steps, learning rate, gradient clipping, recipes of publications, and the epoch in progress.

pub(crate) mod average;
pub(crate) mod clip;
pub(crate) mod config;
pub(crate) mod drop_path;
pub(crate) mod observer;
pub(crate) mod processes;
pub(crate) mod recipe;
pub(crate) mod running;
pub(crate) mod schedule;
pub(crate) mod trainer;
pub(crate) mod training_images;
