//! The memory of a pass, kept from one to the next so that the system need not hand out and clear pages again.

use std::ops::Range;
use std::sync::Mutex;

use crate::plan::{Plan, Source};
use crate::simd::{Number, Unit};

/// Bytes of a cache line: where vectors start, so that none lies in two lines.
const LINE: usize = 64;

/// A list whose first number lies at the start of a cache line.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T>(Vec<T>);

impl<T: Copy + Default> Aligned<T> {
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
pub(crate) struct Scratch<T, U> {
    /// The padded input of an operation.
    pub(crate) input: Image<T, U>,
    /// What `input` is of, and the border it has.
    pub(crate) staged: Option<(Source, usize)>,
    /// The padded gradient of an operation's output.
    pub(crate) gradient: Image<T, U>,
    /// One image's sums for statistics.
    pub(crate) sums: Aligned<T>,
}

/// A padded image as numbers and, where those differ, as units.
#[derive(Debug, Default)]
pub(crate) struct Image<T, U> {
    pub(crate) numbers: Aligned<T>,
    pub(crate) units: Aligned<U>,
}

/// All memory of an engine that computes with `T` and multiplies `U`.
#[derive(Debug, Default)]
pub(crate) struct Memory<T, U> {
    /// All buffers and gradients, image by image.
    pub(crate) arena: Aligned<T>,
    /// Packed weights of dense and of depthwise convolutions.
    pub(crate) dense: Aligned<U>,
    pub(crate) depthwise: Aligned<T>,
    /// Gradient sums of a level's weights, chunk by chunk.
    pub(crate) sums: Aligned<T>,
    /// Those of all levels, over all chunks.
    pub(crate) total: Aligned<T>,
    /// Statistics, chunk by chunk.
    pub(crate) partial: Vec<f64>,
    pub(crate) pool: Pool<T, U>,
}

impl<T: Number, U: Unit> Memory<T, U> {
    /// Bytes that are held, scratch memory aside.
    pub(crate) fn bytes(&self) -> usize {
        let lists = [&self.arena, &self.sums, &self.total, &self.depthwise];
        lists.iter().map(|list| list.bytes()).sum::<usize>()
            + self.dense.bytes()
            + self.partial.len() * size_of::<f64>()
    }
}

/// Scratch memory for as many threads as there are.
#[derive(Debug, Default)]
pub(crate) struct Pool<T, U>(Mutex<Vec<Scratch<T, U>>>);

impl<T: Number, U: Unit> Pool<T, U> {
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Scratch<T, U>) -> R) -> R {
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
