/// Folders in which `unsafe` may be used: SIMD vectors, kernels, and calls of a GPU's driver and of its emulation.
const ALLOWED: [&str; 4] = [
    "crates/pada-emulated-gpu/src/",
    "crates/pada-engine/src/cuda/",
    "crates/pada-engine/src/kernels/",
    "crates/pada-engine/src/simd/",
];

/// The lint that forbids `unsafe`. A file that mentions it allows `unsafe` code.
const PERMIT: &str = concat!("unsafe", "_code");

/// Checks that only files in the allowed folders override the lint that forbids `unsafe`. `file` is relative to the workspace.
pub(super) fn check(file: &str, text: &str, broken: &mut Vec<String>) {
    if text.contains(PERMIT) && !ALLOWED.iter().any(|allowed| file.starts_with(allowed)) {
        broken.push(format!("{file}: unsafe code is only allowed in {}", ALLOWED.join(", ")));
    }
}
