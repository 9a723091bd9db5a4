use super::CudaError;

/// An address in the memory of a device.
pub type Address = u64;

/// A device that runs kernels: a GPU through its driver, or an emulation. All calls take effect in the order in which they are made.
pub trait Device {
    /// Returns the name of the device, for logs and records.
    fn name(&self) -> &str;

    /// Allocates memory, aligned to 256 bytes.
    ///
    /// # Errors
    /// Returns [`CudaError::OutOfMemory`], or [`CudaError::Lost`] if the device fails.
    fn allocate(&self, bytes: usize) -> Result<Address, CudaError>;

    /// Frees memory that [`Device::allocate`] returned.
    fn free(&self, address: Address);

    /// Copies bytes to the device.
    ///
    /// # Errors
    /// Returns [`CudaError::Lost`] if the device fails.
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError>;

    /// Waits for all kernels and copies bytes from the device.
    ///
    /// # Errors
    /// Returns [`CudaError::Lost`] if the device or an earlier kernel fails.
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError>;

    /// Sets bytes to zero.
    ///
    /// # Errors
    /// Returns [`CudaError::Lost`] if the device fails.
    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError>;

    /// Starts a kernel and returns before it has finished.
    ///
    /// # Errors
    /// Returns [`CudaError::Lost`] if the device fails.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError>;
}

/// The parameters of a kernel launch.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Name of the kernel, one of [`super::KERNELS`].
    pub kernel: &'static str,
    /// Blocks in x, y and z.
    pub blocks: [u32; 3],
    /// Threads per block.
    pub threads: u32,
    /// The argument of the kernel: a struct, as 64-bit words.
    pub words: &'a [u64],
}
