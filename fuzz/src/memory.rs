use std::alloc::System;

use cap::Cap;

/// An allocation above the limit aborts the program, which counts as a finding.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Memory that every target may use for any input, for example for a table of all architectures or the buffers of a decoder.
const FREE: usize = 64 << 20;
/// Additional memory per input byte: PNG compresses empty images a thousandfold, and each pixel has three bytes.
const PER_BYTE: usize = 8 << 10;

/// Runs a function with the memory limit for `read` input bytes.
pub(crate) fn bounded(read: usize, work: impl FnOnce()) {
    let limit = MEMORY.allocated().saturating_add(FREE).saturating_add(read.saturating_mul(PER_BYTE));
    let set = |limit| MEMORY.set_limit(limit).expect("the limit is above what is in use");
    set(limit);
    work();
    set(usize::MAX);
}
