//! Splits a batch over the processes of a group. Each process computes whole chunks of images, and the partial results of all chunks
//! are reduced along one fixed tree, so that the number of processes does not change the result.

use std::ops::Range;
use std::time::Instant;

use pada_dist::{DistError, ProcessGroup, shard, tree_reduce};
use pada_exec::BatchNormSync;
use rayon::prelude::*;

use crate::simd::Number;

/// Number of images in a chunk. One thread computes a chunk and adds up its sums. The size is fixed, so that results do not depend on the
/// number of threads.
pub(crate) const CHUNK: usize = 8;

/// The shard of a batch that this process computes.
#[derive(Debug)]
pub(crate) struct Shard<'a> {
    group: &'a ProcessGroup,
    norms: BatchNormSync,
    /// The images of this process.
    pub(crate) images: Range<usize>,
    /// B, the number of images of all processes.
    pub(crate) batch: usize,
}

/// The images over which the entries of chunks are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// All images of the batch.
    Batch,
    /// The images from which batch norms compute their statistics.
    Norms,
}

impl<'a> Shard<'a> {
    /// Computes the shard of this process. Returns an error if the number of processes does not allow a split.
    pub(crate) fn new(
        group: &'a ProcessGroup,
        norms: BatchNormSync,
        batch: usize,
    ) -> Result<Self, DistError> {
        let chunks = shard(batch.div_ceil(CHUNK), group.index(), group.size())?;
        let [start, end] = [chunks.start, chunks.end].map(|chunk| batch.min(chunk * CHUNK));
        Ok(Self { group, norms, images: start..end, batch })
    }

    /// Returns whether batch norms use the statistics of each process instead of the whole batch.
    pub(crate) fn splits_norms(&self) -> bool {
        self.norms == BatchNormSync::Local && !self.group.is_single()
    }

    /// Returns the number of images from which batch norms compute their statistics. It can be 0 with local statistics.
    pub(crate) fn norm_images(&self) -> usize {
        if self.splits_norms() { self.images.len() } else { self.batch }
    }

    /// Returns the number of chunks of this process.
    pub(crate) fn chunks(&self) -> usize {
        self.images.len().div_ceil(CHUNK)
    }

    /// Returns the number of images in a chunk of this process.
    pub(crate) fn chunk_images(&self, chunk: usize) -> usize {
        CHUNK.min(self.images.len() - chunk * CHUNK)
    }

    /// Reduces `len` lists, each with one entry per chunk, along the tree. Returns one reduced entry per list.
    ///
    /// `entry(i, chunk)` returns an entry of list `i`, `join` combines two entries, and `none` is its neutral element.
    pub(crate) fn reduce<const N: usize>(
        &self,
        over: Over,
        len: usize,
        none: [f64; N],
        entry: impl Fn(usize, usize) -> [f64; N],
        join: impl Fn([f64; N], [f64; N]) -> [f64; N],
    ) -> Result<Vec<[f64; N]>, DistError>
    where
        [f64; N]: bytemuck::Pod,
    {
        let of_chunks =
            |i: usize| tree_reduce(0..self.chunks(), &|chunk| entry(i, chunk), &join).unwrap_or(none);
        let mut all: Vec<[f64; N]> = (0..len).map(of_chunks).collect();
        if over == Over::Batch || !self.splits_norms() {
            self.all_reduce(&mut all, join)?;
        }
        Ok(all)
    }

    /// Reduces a list of entries over all processes, entry by entry.
    pub(crate) fn all_reduce<const N: usize>(
        &self,
        entries: &mut [[f64; N]],
        join: impl Fn([f64; N], [f64; N]) -> [f64; N],
    ) -> Result<(), DistError>
    where
        [f64; N]: bytemuck::Pod,
    {
        self.group.all_reduce(entries, |low, high| *low = join(*low, *high))
    }

    /// Sums `len` lists of entries along the tree, as [`Shard::reduce`].
    pub(crate) fn add<const N: usize>(
        &self,
        over: Over,
        len: usize,
        entry: impl Fn(usize, usize) -> [f64; N],
    ) -> Result<Vec<[f64; N]>, DistError>
    where
        [f64; N]: bytemuck::Pod,
    {
        self.reduce(over, len, [-0.0; N], entry, |a, b| std::array::from_fn(|i| a[i] + b[i]))
    }

    /// Sums a list over all processes, in place.
    pub(crate) fn all_reduce_sum<T: Number>(&self, values: &mut [T]) -> Result<(), DistError> {
        let started = Instant::now();
        self.group.all_reduce_sum(values)?;
        if !self.group.is_single() {
            let (bytes, seconds) = (size_of_val(values), started.elapsed().as_secs_f64());
            tracing::trace!(bytes, seconds, "added up over ranks");
        }
        Ok(())
    }

    /// Gathers the rows of all images of the batch from the rows of each process.
    pub(crate) fn all_gather(&self, rows: Vec<f32>) -> Result<Vec<f32>, DistError> {
        if self.group.is_single() {
            return Ok(rows);
        }
        let all = self.group.all_gather(bytemuck::cast_slice(&rows).to_vec())?;
        let numbers = all.iter().flat_map(|bytes| bytes.chunks_exact(size_of::<f32>()));
        Ok(numbers.map(bytemuck::pod_read_unaligned).collect())
    }
}

/// Adds up consecutive lists of the same length along the tree. Without any list, `total` becomes −0.0, the neutral element of addition.
pub(crate) fn add_lists<T: Number>(lists: &[T], total: &mut [T]) {
    /// Small enough that a piece and the sums of all branches fit the L1 cache.
    const PIECE: usize = 1024;
    let len = total.len();
    let count = lists.len().checked_div(len).unwrap_or(0);
    total.par_chunks_mut(PIECE).enumerate().for_each(|(piece, total)| {
        let width = total.len();
        let of = |list: usize| &lists[list * len + piece * PIECE..][..width];
        match count {
            0 => total.fill(T::from_f64(-0.0)),
            _ => add_branch(&of, 0..count, total, &mut vec![T::ZERO; width * count.ilog2() as usize]),
        }
    });
}

/// Does the same as [`tree_reduce`] without allocation. `room` is memory for one sum per depth of the tree.
fn add_branch<'l, T: Number>(
    list: &impl Fn(usize) -> &'l [T],
    part: Range<usize>,
    total: &mut [T],
    room: &mut [T],
) {
    let middle = part.start + part.len().div_ceil(2);
    match part.len() {
        1 => total.copy_from_slice(list(part.start)),
        2 => {
            let pairs = list(part.start).iter().zip(list(middle));
            total.iter_mut().zip(pairs).for_each(|(total, (a, b))| *total = *a + *b);
        }
        _ => {
            add_branch(list, part.start..middle, total, room);
            let (other, room) = room.split_at_mut(total.len());
            add_branch(list, middle..part.end, other, room);
            total.iter_mut().zip(other).for_each(|(total, other)| *total += *other);
        }
    }
}

/// Splits a list into `count` slices of length `len`, which may be 0.
pub(crate) fn parts_of<T: Send>(
    list: &mut [T],
    len: usize,
    count: usize,
) -> impl IndexedParallelIterator<Item = &mut [T]> {
    let mut rest = list;
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (part, behind) = rest.split_at_mut(len);
        parts.push(part);
        rest = behind;
    }
    parts.into_par_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_added_along_the_tree() {
        for (count, len) in [(0, 3), (1, 1), (2, 5), (3, 1025), (5, 2100), (32, 1024), (33, 7)] {
            let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 * 1e-3;
            let lists: Vec<f32> = (0..count * len).map(number).collect();
            let mut total = vec![f32::NAN; len];
            add_lists(&lists, &mut total);
            for (i, total) in total.iter().enumerate() {
                let expected =
                    tree_reduce(0..count, &|list| lists[list * len + i], &|a, b| a + b).unwrap_or(-0.0);
                assert_eq!(total.to_bits(), expected.to_bits(), "{count} lists of {len}, {i}");
            }
        }
    }
}
