use std::alloc::System;

use cap::Cap;

/// Where an allocation is refused the program aborts, which counts as a finding.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// What every target may use, however little it reads: a table of all architectures, a decoder's buffers.
const FREE: usize = 64 << 20;
/// Bytes that may be used for each byte read: a PNG file shrinks empty pictures a thousandfold, and each pixel has three bytes.
const PER_BYTE: usize = 8 << 10;

/// Runs something that read so many bytes.
pub(crate) fn bounded(read: usize, work: impl FnOnce()) {
    let limit = MEMORY.allocated().saturating_add(FREE).saturating_add(read.saturating_mul(PER_BYTE));
    let set = |limit| MEMORY.set_limit(limit).expect("the limit is above what is in use");
    set(limit);
    work();
    set(usize::MAX);
}
