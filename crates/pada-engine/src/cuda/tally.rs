use pada_exec::CorrectCounts;

use super::arguments::Doubles;
use super::memory::Block;
use super::{CudaError, Device};

/// Counts that are kept at once.
const PLACES: usize = 256;

/// Counts of correct images that the host has not yet asked for.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    block: Block,
    used: usize,
}

impl Tallies {
    /// Where a count lies, a new one if it has no place yet; none where all are taken.
    pub(super) fn place(
        &mut self,
        device: &dyn Device,
        tally: &mut CorrectCounts,
    ) -> Result<Option<Doubles>, CudaError> {
        let place = match tally.kept {
            Some(place) => place,
            None if self.used == PLACES => return Ok(None),
            None => {
                let at = self.at(device, self.used)?;
                device.clear(at.0, size_of::<f64>())?;
                self.used += 1;
                *tally.kept.insert(self.used - 1)
            }
        };
        self.at(device, place).map(Some)
    }

    fn at(&mut self, device: &dyn Device, place: usize) -> Result<Doubles, CudaError> {
        Ok(Doubles(self.block.get(device, PLACES * size_of::<f64>())?).at(place))
    }

    /// Waits for all counts, and forgets their places.
    pub(super) fn take(&mut self, device: &dyn Device) -> Result<Vec<usize>, CudaError> {
        let mut counts = vec![0.0_f64; self.used];
        device.download(self.block.address(), bytemuck::cast_slice_mut(&mut counts))?;
        self.used = 0;
        Ok(counts.into_iter().map(|count| count as usize).collect())
    }

    pub(super) fn block(&mut self) -> &mut Block {
        &mut self.block
    }
}
