//! Parts of a run: session and device, run folder, inputs, training of the supernets, and finished runs.

pub(crate) mod build;
pub(crate) mod device;
pub(crate) mod folder;
pub(crate) mod inherited;
pub(crate) mod inputs;
pub(crate) mod network;
pub(crate) mod scoring;
pub(crate) mod session;
pub(crate) mod supernet_training;
pub(crate) mod trained_run;
pub(crate) mod training_parts;
