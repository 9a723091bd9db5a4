use super::{Address, CudaError, Device};

/// Device memory that is kept from pass to pass and grows on demand.
#[derive(Debug, Default)]
pub(super) struct Block {
    address: Address,
    bytes: usize,
}

impl Block {
    /// Returns the address of at least `bytes` bytes. If the block has to grow, its content is lost.
    pub(super) fn get(&mut self, device: &dyn Device, bytes: usize) -> Result<Address, CudaError> {
        if bytes > self.bytes {
            self.release(device);
            self.address = device.allocate(bytes)?;
            self.bytes = bytes;
        }
        Ok(self.address)
    }

    /// Copies `content` to the block and returns its address.
    pub(super) fn filled(&mut self, device: &dyn Device, content: &[u8]) -> Result<Address, CudaError> {
        let address = self.get(device, content.len().max(1))?;
        device.upload(address, content)?;
        Ok(address)
    }

    /// Frees the memory.
    pub(super) fn release(&mut self, device: &dyn Device) {
        if self.bytes > 0 {
            device.free(self.address);
        }
        *self = Self::default();
    }

    /// Returns the address.
    pub(super) fn address(&self) -> Address {
        self.address
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
