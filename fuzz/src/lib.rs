//! Everything that pada reads, as functions of some bytes. None may panic, or ask for memory out of proportion to what it reads; an
//! error is as good as a value.

mod checkpoint;
mod files;
mod images;
mod memory;
mod texts;
mod weights;

pub use checkpoint::seed as checkpoint_seed;
pub use weights::seed as safetensors_seed;

/// A name and what reads some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets, by their names: those of the folders in `corpus/`.
pub const TARGETS: [Target; 13] = [
    ("architectures", texts::architectures),
    ("checkpoints", checkpoint::checkpoints),
    ("cifar10", images::cifar10),
    ("configs", texts::configs),
    ("exported", weights::exported),
    ("folders", images::folders),
    ("genotypes", texts::genotypes),
    ("lists", texts::lists),
    ("pictures", images::pictures),
    ("pt", weights::pt),
    ("records", texts::records),
    ("safetensors", weights::safetensors),
    ("tables", texts::tables),
];

/// Runs a target with memory for what it reads and no more.
///
/// # Panics
/// Where the target finds something.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of this name");
    // Of CIFAR-10 it reads a whole file, of which the bytes are a part.
    let more = if name == "cifar10" { images::CIFAR10_BYTES as usize } else { 0 };
    memory::bounded(data.len() + more, || target(data));
}
