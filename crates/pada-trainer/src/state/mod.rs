//! The state of a run on disk: checkpoints with a format version, the identity of a run, random streams, and writes that survive a
//! crash.

pub(crate) mod checkpoint;
pub(crate) mod durable;
pub(crate) mod file;
pub(crate) mod identity;
pub(crate) mod streams;
pub(crate) mod tensors;
