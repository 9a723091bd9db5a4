//! The fixed tree along which lists are reduced.
//!
//! A list is halved, with the first half no shorter than the second, until single entries are left. The shard of a process is a whole
//! branch, so that processes only have to combine branches.

use std::ops::Range;

use crate::DistError;

/// Returns the shard of a list of `len` entries that belongs to process `index` of `size`.
///
/// Shards follow each other, and their lengths differ by at most one. A shard is empty if there are more processes than entries.
///
/// ```
/// use pada_dist::shard;
///
/// assert_eq!(shard(10, 0, 4)?, 0..3);
/// assert_eq!(shard(10, 1, 4)?, 3..5);
/// # Ok::<_, pada_dist::DistError>(())
/// ```
///
/// # Errors
/// Returns [`DistError::NotPowerOfTwo`] unless `size` is a power of two, or [`DistError::NoSuchProcess`] unless `index` is below `size`.
pub fn shard(len: usize, index: usize, size: usize) -> Result<Range<usize>, DistError> {
    if !size.is_power_of_two() {
        return Err(DistError::NotPowerOfTwo { size });
    }
    if index >= size {
        return Err(DistError::NoSuchProcess { index, size });
    }
    let (mut shard, mut bit) = (0..len, size / 2);
    while bit > 0 {
        let middle = middle(&shard);
        shard = if index & bit == 0 { shard.start..middle } else { middle..shard.end };
        bit /= 2;
    }
    Ok(shard)
}

/// Reduces a range of a list along the tree. Returns `None` for an empty range.
///
/// `leaf` computes an entry from its index, and `combine` joins two branches, the lower one first.
///
/// ```
/// use pada_dist::tree_reduce;
///
/// let sum = tree_reduce(0..5, &|i| i.to_string(), &|a, b| format!("({a}+{b})"));
/// assert_eq!(sum.unwrap(), "(((0+1)+2)+(3+4))");
/// ```
pub fn tree_reduce<T>(
    range: Range<usize>,
    leaf: &impl Fn(usize) -> T,
    combine: &impl Fn(T, T) -> T,
) -> Option<T> {
    match range.len() {
        0 => None,
        1 => Some(leaf(range.start)),
        _ => {
            let middle = middle(&range);
            let low = tree_reduce(range.start..middle, leaf, combine);
            let high = tree_reduce(middle..range.end, leaf, combine);
            low.zip(high).map(|(low, high)| combine(low, high))
        }
    }
}

fn middle(range: &Range<usize>) -> usize {
    range.start + range.len().div_ceil(2)
}
