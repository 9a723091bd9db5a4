//! The memory of a pass, kept from one to the next so that the system need not hand out and clear pages again.

use std::ops::Range;
use std::sync::Mutex;

use crate::plan::{Plan, Source};
use crate::simd::Number;

/// Bytes of a cache line: where vectors start, so that none lies in two lines.
const LINE: usize = 64;

/// A list whose first number lies at the start of a cache line.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T>(Vec<T>);

impl<T: Number> Aligned<T> {
    /// The first `len` numbers; what was in them before stays or is zero.
    pub(crate) fn get(&mut self, len: usize) -> &mut [T] {
        let room = len + LINE / size_of::<T>();
        if self.0.len() < room {
            // Fresh zeroed pages, not a copy of the old ones.
            self.0 = Vec::new();
            self.0 = vec![T::default(); room];
        }
        let start = self.0.as_ptr().align_offset(LINE);
        &mut self.0[start..start + len]
    }

    fn bytes(&self) -> usize {
        self.0.len() * size_of::<T>()
    }
}

/// What one thread needs for one image.
#[derive(Debug, Default)]
pub(crate) struct Scratch<T> {
    pub(crate) staged: Staged<T>,
    /// The padded gradient of an operation's output.
    pub(crate) gradient: Aligned<T>,
    /// One image's sums for statistics.
    pub(crate) sums: Aligned<T>,
}

/// A padded input.
#[derive(Debug, Default)]
pub(crate) struct Staged<T> {
    pub(crate) numbers: Aligned<T>,
    /// What it is of, and the border it has.
    pub(crate) key: Option<(Source, usize)>,
}

/// All memory of an engine that computes with `T`.
#[derive(Debug, Default)]
pub(crate) struct Memory<T> {
    /// All buffers and gradients, image by image.
    pub(crate) arena: Aligned<T>,
    pub(crate) packed: Aligned<T>,
    /// Gradient sums of a level's weights, chunk by chunk.
    pub(crate) sums: Aligned<T>,
    pub(crate) total: Aligned<T>,
    /// Statistics, chunk by chunk.
    pub(crate) partial: Vec<f64>,
    pub(crate) pool: Pool<T>,
}

impl<T: Number> Memory<T> {
    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        [&self.arena, &self.packed, &self.sums, &self.total].iter().map(|list| list.bytes()).sum::<usize>()
            + self.partial.len() * size_of::<f64>()
    }
}

/// Scratch memory for as many threads as there are.
#[derive(Debug, Default)]
pub(crate) struct Pool<T>(Mutex<Vec<Scratch<T>>>);

impl<T: Number> Pool<T> {
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Scratch<T>) -> R) -> R {
        let free = self.0.lock().expect("no holder panics").pop();
        let mut scratch = free.unwrap_or_default();
        let result = work(&mut scratch);
        self.0.lock().expect("no holder panics").push(scratch);
        result
    }
}

/// An image's part of the arena but for the range that is written.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a, T> {
    before: &'a [T],
    behind: &'a [T],
    end: usize,
}

impl<'a, T> Others<'a, T> {
    /// The range to write, and everything else.
    pub(crate) fn split(image: &'a mut [T], write: Range<usize>) -> (&'a mut [T], Self) {
        let (before, rest) = image.split_at_mut(write.start);
        let (written, behind) = rest.split_at_mut(write.len());
        (written, Self { before, behind, end: write.end })
    }

    /// A range that does not overlap the one that is written.
    pub(crate) fn get(&self, range: Range<usize>) -> &'a [T] {
        match range.start < self.end {
            true => &self.before[range],
            false => &self.behind[range.start - self.end..range.end - self.end],
        }
    }

    pub(crate) fn buffer(&self, plan: &Plan, buffer: usize) -> &'a [T] {
        self.get(plan.range(buffer))
    }
}
