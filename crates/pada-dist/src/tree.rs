//! The one tree that lists are added up along: a list is halved, the first half no shorter than the second, until single
//! entries are left. A rank's part of a list is a whole branch, so that ranks only have to join branches.

use std::ops::Range;

/// The part of a list of `len` entries that belongs to `rank` of `size` ranks, a power of two. Parts follow each other; they differ by
/// at most one entry, and are empty where there are more ranks than entries.
///
/// # Panics
/// If `size` is no power of two.
pub fn share(len: usize, rank: usize, size: usize) -> Range<usize> {
    assert!(size.is_power_of_two(), "a tree has 2, 4, 8, ... branches");
    let (mut part, mut bit) = (0..len, size / 2);
    while bit > 0 {
        let middle = middle(&part);
        part = if rank & bit == 0 { part.start..middle } else { middle..part.end };
        bit /= 2;
    }
    part
}

/// Joins the entries of a part of a list along the tree; none for an empty part.
pub fn fold<T>(part: Range<usize>, entry: &impl Fn(usize) -> T, join: &impl Fn(T, T) -> T) -> Option<T> {
    match part.len() {
        0 => None,
        1 => Some(entry(part.start)),
        _ => {
            let middle = middle(&part);
            let low = fold(part.start..middle, entry, join);
            let high = fold(middle..part.end, entry, join);
            low.zip(high).map(|(low, high)| join(low, high))
        }
    }
}

fn middle(part: &Range<usize>) -> usize {
    part.start + part.len().div_ceil(2)
}
