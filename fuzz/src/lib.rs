//! Fuzz targets for every file format and text that pada reads. A target may return a value or an error, but it must not panic, and its
//! memory must be proportional to the size of the input.

mod checkpoint;
mod files;
mod images;
mod memory;
mod texts;
mod weights;

pub use checkpoint::seed as checkpoint_seed;
pub use weights::seed as safetensors_seed;

/// A name and a function that reads bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets. Their names are those of the folders in `corpus/`.
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

/// Runs a target with a memory limit that depends on the size of the input.
///
/// # Panics
/// Panics if the target finds a bug.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of this name");
    // The target `cifar10` reads a whole file, of which the input is a part.
    let more = if name == "cifar10" { images::CIFAR10_BYTES as usize } else { 0 };
    memory::bounded(data.len() + more, || target(data));
}
