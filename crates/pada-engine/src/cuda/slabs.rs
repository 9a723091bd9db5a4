//! How sums over all rows of a batch are cut. It depends on shapes alone, never on the device, so that sums have one order everywhere.

/// Rows of a tile of dense convolutions: `ROWS` of the kernels.
pub(super) const TILE_ROWS: usize = 64;
/// Threads of a tile: `TILE_THREADS` of the kernels.
pub(super) const TILE_THREADS: u32 = 128;
/// Channels of a block that sums columns: `SIDE` of the kernels.
pub(super) const SIDE: usize = 16;
/// Channels of a block that joins slabs: `CHANNELS` of the kernels.
pub(super) const JOINED: usize = 8;
/// Numbers along which a tile is multiplied at once: `DEPTH` of the kernels.
const DEPTH: usize = 16;
/// Blocks that keep a large GPU busy.
const ENOUGH: usize = 512;
/// Rows that are worth a block.
const FEWEST: usize = 256;

/// How many rows a slab has, and how many slabs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slabs {
    pub(super) rows: usize,
    pub(super) count: usize,
}

impl Slabs {
    /// For `rows` of which each slab keeps `blocks` blocks busy.
    pub(super) fn new(rows: usize, blocks: usize) -> Self {
        let wanted = (ENOUGH / blocks.max(1)).clamp(1, rows.div_ceil(FEWEST).max(1));
        Self::of(rows, rows.div_ceil(wanted).next_multiple_of(DEPTH))
    }

    /// Tiles of a dense convolution.
    pub(super) fn tiles(rows: usize) -> Self {
        Self::of(rows, TILE_ROWS)
    }

    fn of(rows: usize, each: usize) -> Self {
        Self { rows: each, count: rows.div_ceil(each) }
    }
}

/// Columns of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    Few,
    Some,
    Many,
}

impl Columns {
    /// The tile that fits a list of `width` columns.
    pub(super) fn fitting(width: usize) -> Self {
        match width {
            0..=16 => Self::Few,
            17..=32 => Self::Some,
            _ => Self::Many,
        }
    }

    /// How many there are.
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
