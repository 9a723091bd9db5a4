//! Memory of passes. It is kept from pass to pass, so that the operating system does not allocate and zero pages again.

use std::ops::Range;
use std::sync::Mutex;

use crate::plan::{Plan, Source};
use crate::simd::{Number, Unit};

/// Bytes of a cache line. Lists are aligned to it, so that no vector crosses two lines.
const LINE: usize = 64;

/// A list that is aligned to cache lines and grows on demand.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T>(Vec<T>);

impl<T: Copy + Default> Aligned<T> {
    /// Returns the first `len` entries. They keep their values, or are zero if the list had to grow.
    pub(crate) fn get(&mut self, len: usize) -> &mut [T] {
        let room = len + LINE / size_of::<T>();
        if self.0.len() < room {
            // Freed first, so that the new zeroed pages are not a copy of the old ones.
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

/// The scratch memory of one thread, for one image.
#[derive(Debug, Default)]
pub(crate) struct Scratch<T, U> {
    /// The padded input of an operation.
    pub(crate) input: Image<T, U>,
    /// The value that `input` is a copy of, and the width of its border.
    pub(crate) padded_source: Option<(Source, usize)>,
    /// The padded gradient of an operation's output.
    pub(crate) gradient: Image<T, U>,
    /// Sums of one image, for statistics.
    pub(crate) sums: Aligned<T>,
    /// Transformed tiles of one image.
    pub(crate) tiles: Aligned<T>,
    /// Transformed weight gradients of the current chunk and level.
    pub(crate) tiled_sums: Aligned<T>,
}

/// A padded image as numbers and, if the precision has a different storage format for convolutions, as units.
#[derive(Debug, Default)]
pub(crate) struct Image<T, U> {
    pub(crate) numbers: Aligned<T>,
    pub(crate) units: Aligned<U>,
}

/// All memory of an engine that computes with numbers `T` and whose dense convolutions multiply units `U`.
#[derive(Debug, Default)]
pub(crate) struct Memory<T, U> {
    /// All buffers and gradients, image by image.
    pub(crate) arena: Aligned<T>,
    /// Packed weights of dense convolutions.
    pub(crate) dense: Aligned<U>,
    /// Packed weights of depthwise convolutions.
    pub(crate) depthwise: Aligned<T>,
    /// Transformed weights of dense convolutions that are computed in tiles.
    pub(crate) tiled: Aligned<T>,
    /// Weight gradients of the current level, one list per chunk.
    pub(crate) sums: Aligned<T>,
    /// Weight gradients of all levels, summed over chunks.
    pub(crate) total: Aligned<T>,
    /// Partial sums of statistics, one list per chunk.
    pub(crate) partial: Vec<f64>,
    pub(crate) pool: Pool<T, U>,
}

impl<T: Number, U: Unit> Memory<T, U> {
    /// Returns the size in bytes, without scratch memory.
    pub(crate) fn bytes(&self) -> usize {
        let lists = [&self.arena, &self.sums, &self.total, &self.depthwise, &self.tiled];
        lists.iter().map(|list| list.bytes()).sum::<usize>()
            + self.dense.bytes()
            + self.partial.len() * size_of::<f64>()
    }
}

/// A pool of scratch memory that grows to the number of threads.
#[derive(Debug, Default)]
pub(crate) struct Pool<T, U>(Mutex<Vec<Scratch<T, U>>>);

impl<T: Number, U: Unit> Pool<T, U> {
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Scratch<T, U>) -> R) -> R {
        let free = self.0.lock().expect("no thread panics while it holds the lock").pop();
        let mut scratch = free.unwrap_or_default();
        let result = work(&mut scratch);
        self.0.lock().expect("no thread panics while it holds the lock").push(scratch);
        result
    }
}

/// The memory of one image in the arena, except for the range that is being written.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a, T> {
    before: &'a [T],
    behind: &'a [T],
    end: usize,
}

impl<'a, T> Others<'a, T> {
    /// Splits the memory of an image into the range to write and everything else.
    pub(crate) fn split(image: &'a mut [T], write: Range<usize>) -> (&'a mut [T], Self) {
        let (before, rest) = image.split_at_mut(write.start);
        let (written, behind) = rest.split_at_mut(write.len());
        (written, Self { before, behind, end: write.end })
    }

    /// Returns a range. It must not overlap the range that is written.
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
