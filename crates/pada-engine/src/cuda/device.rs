use super::CudaError;

/// A place in the memory of a device, bytes from its beginning.
pub type Address = u64;

/// Runs kernels: a GPU behind its driver, or whatever stands in for one. All calls take effect in the order they are made in.
pub trait Device {
    /// What it is, for logs and records.
    fn name(&self) -> &str;

    /// Memory whose place is a multiple of 256.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], or a lost device.
    fn allocate(&self, bytes: usize) -> Result<Address, CudaError>;

    /// Gives memory back.
    fn free(&self, address: Address);

    /// Copies to the device.
    ///
    /// # Errors
    /// A lost device.
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError>;

    /// Waits for all kernels and copies from the device.
    ///
    /// # Errors
    /// A lost device, or a kernel that failed.
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError>;

    /// Sets bytes to zero.
    ///
    /// # Errors
    /// A lost device.
    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError>;

    /// Starts a kernel.
    ///
    /// # Errors
    /// A lost device.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError>;
}

/// A kernel on its way to a device.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// One of [`super::KERNELS`].
    pub kernel: &'static str,
    /// Blocks in x, y and z.
    pub blocks: [u32; 3],
    /// Threads of a block.
    pub threads: u32,
    /// Its only argument, a struct: every field is a word.
    pub words: &'a [u64],
}
