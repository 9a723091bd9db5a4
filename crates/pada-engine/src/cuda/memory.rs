use super::{Address, CudaError, Device};

/// Memory of a device that is kept from pass to pass and grows.
#[derive(Debug, Default)]
pub(super) struct Block {
    address: Address,
    bytes: usize,
}

impl Block {
    /// Where at least `bytes` lie; what was in them before is lost when it grows.
    pub(super) fn get(&mut self, device: &dyn Device, bytes: usize) -> Result<Address, CudaError> {
        if bytes > self.bytes {
            self.release(device);
            self.address = device.allocate(bytes)?;
            self.bytes = bytes;
        }
        Ok(self.address)
    }

    /// The same, filled with `content`.
    pub(super) fn filled(&mut self, device: &dyn Device, content: &[u8]) -> Result<Address, CudaError> {
        let address = self.get(device, content.len().max(1))?;
        device.upload(address, content)?;
        Ok(address)
    }

    /// Gives it back.
    pub(super) fn release(&mut self, device: &dyn Device) {
        if self.bytes > 0 {
            device.free(self.address);
        }
        *self = Self::default();
    }

    /// Where it lies.
    pub(super) fn address(&self) -> Address {
        self.address
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
