use std::path::Path;

use crate::paths;

/// Where `unsafe` may be used: vectors, kernels, calls of a GPU's driver and of its emulation, and the call of the matrix product.
const ALLOWED: [&str; 5] = [
    "crates/pada-emulated-gpu/src/",
    "crates/pada-engine/src/cuda/",
    "crates/pada-engine/src/kernels/",
    "crates/pada-engine/src/simd/",
    "crates/pada-models/src/ops/matmul.rs",
];

/// What opens a place for `unsafe` in a file: the lint that forbids it everywhere is taken back there.
const PERMIT: &str = concat!("unsafe", "_code");

/// `unsafe` is forbidden by a lint in all crates; only some files take that back.
pub(super) fn check(file: &Path, text: &str, broken: &mut Vec<String>) {
    let shown = file.strip_prefix(paths::root()).unwrap_or(file).display().to_string();
    if text.contains(PERMIT) && !ALLOWED.iter().any(|allowed| shown.starts_with(allowed)) {
        broken.push(format!("{shown}: unsafe code has no place here, only in {}", ALLOWED.join(", ")));
    }
}
