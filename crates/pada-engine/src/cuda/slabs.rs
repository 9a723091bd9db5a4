//! The division of sums over all rows of a batch into slabs. It depends only on shapes, never on the device, so that the order of a sum is
//! the same everywhere.

/// Rows per tile of dense convolutions, `ROWS` in the kernels.
pub(super) const TILE_ROWS: usize = 64;
/// Threads per tile, `TILE_THREADS` in the kernels.
pub(super) const TILE_THREADS: u32 = 128;
/// Channels per block of the kernels that sum columns, `SIDE` in the kernels.
pub(super) const SIDE: usize = 16;
/// Numbers per block of the kernel that adds up the slabs of a weight gradient, `ADDED` in the kernels.
pub(super) const ADDED: usize = 32;
/// Depth of the chunks by which a tile is multiplied, `DEPTH` in the kernels.
const DEPTH: usize = 16;
/// Number of blocks that keep a large GPU busy.
pub(super) const ENOUGH: usize = 512;
/// The smallest number of rows for which another block is started.
const FEWEST: usize = 256;

/// A division of rows into slabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slabs {
    pub(super) rows: usize,
    pub(super) count: usize,
}

impl Slabs {
    /// Divides `rows` rows into slabs, where each slab occupies `blocks` blocks.
    pub(super) fn new(rows: usize, blocks: usize) -> Self {
        let wanted = (ENOUGH / blocks.max(1)).clamp(1, rows.div_ceil(FEWEST).max(1));
        Self::of(rows, rows.div_ceil(wanted).next_multiple_of(DEPTH))
    }

    /// Divides `strips` strips into slabs, where each slab occupies `blocks` blocks. Rows of a slab are strips here.
    pub(super) fn of_strips(strips: usize, blocks: usize) -> Self {
        Self::of(strips, strips.div_ceil((ENOUGH / blocks.max(1)).max(1)))
    }

    /// Divides rows into the tiles of a dense convolution.
    pub(super) fn tiles(rows: usize) -> Self {
        Self::of(rows, TILE_ROWS)
    }

    pub(super) fn of(rows: usize, each: usize) -> Self {
        Self { rows: each, count: rows.div_ceil(each) }
    }
}

/// The width of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    Few,
    Some,
    Many,
}

impl Columns {
    /// Returns the tile width for a list of `width` columns.
    pub(super) fn fitting(width: usize) -> Self {
        match width {
            0..=16 => Self::Few,
            17..=32 => Self::Some,
            _ => Self::Many,
        }
    }

    /// Returns the number of columns.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Few => 16,
            Self::Some => 32,
            Self::Many => 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_cover_all_rows_once() {
        for rows in [1, 15, 16, 17, 255, 256, 257, 65_536, 262_144, 1_000_003] {
            for blocks in [1, 2, 9, 511, 512, 4000] {
                let slabs = Slabs::new(rows, blocks);
                assert!(
                    slabs.rows * slabs.count >= rows && slabs.rows * (slabs.count - 1) < rows,
                    "{slabs:?}"
                );
                assert!(slabs.rows.is_multiple_of(DEPTH) && slabs.count <= ENOUGH, "{slabs:?}");
            }
        }
    }
}
