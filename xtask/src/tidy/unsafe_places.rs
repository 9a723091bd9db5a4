/// Where `unsafe` may be used: vectors, kernels, and calls of a GPU's driver and of its emulation.
const ALLOWED: [&str; 4] = [
    "crates/pada-emulated-gpu/src/",
    "crates/pada-engine/src/cuda/",
    "crates/pada-engine/src/kernels/",
    "crates/pada-engine/src/simd/",
];

/// What opens a place for `unsafe` in a file: the lint that forbids it everywhere is taken back there.
const PERMIT: &str = concat!("unsafe", "_code");

/// `unsafe` is forbidden by a lint in all crates; only some files take that back. `file` is relative to the workspace.
pub(super) fn check(file: &str, text: &str, broken: &mut Vec<String>) {
    if text.contains(PERMIT) && !ALLOWED.iter().any(|allowed| file.starts_with(allowed)) {
        broken.push(format!("{file}: unsafe code has no place here, only in {}", ALLOWED.join(", ")));
    }
}
