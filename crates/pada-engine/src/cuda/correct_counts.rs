use pada_exec::CorrectCounts;

use super::arguments::Doubles;
use super::memory::Block;
use super::{CudaError, Device};

/// The largest number of counters on the device.
const COUNTERS: usize = 256;

/// Counters of correct images on the device that the host has not read yet.
#[derive(Debug, Default)]
pub(super) struct DeviceCounts {
    block: Block,
    used: usize,
}

impl DeviceCounts {
    /// Returns the address of a counter. A counter that is not on the device yet is created. `None` if all counters are in use.
    pub(super) fn counter(
        &mut self,
        device: &dyn Device,
        counts: &mut CorrectCounts,
    ) -> Result<Option<Doubles>, CudaError> {
        let counter = match counts.kept {
            Some(counter) => counter,
            None if self.used == COUNTERS => return Ok(None),
            None => {
                let at = self.at(device, self.used)?;
                device.clear(at.0, size_of::<f64>())?;
                self.used += 1;
                *counts.kept.insert(self.used - 1)
            }
        };
        self.at(device, counter).map(Some)
    }

    fn at(&mut self, device: &dyn Device, counter: usize) -> Result<Doubles, CudaError> {
        Ok(Doubles(self.block.get(device, COUNTERS * size_of::<f64>())?).at(counter))
    }

    /// Waits for all counts, returns them, and frees the counters.
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
