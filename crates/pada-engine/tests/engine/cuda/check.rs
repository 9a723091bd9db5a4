//! The check that a GPU must pass before it is used.

use std::rc::Rc;

use pada_engine::cuda::{Address, CudaError, Device, KERNELS, Launch, check};
use pada_graph::Precision;

use super::emulated::Emulated;

/// A device that leaves one kernel out.
struct Broken {
    device: Emulated,
    kernel: &'static str,
}

impl Device for Broken {
    fn name(&self) -> &str {
        "a broken GPU"
    }

    fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
        self.device.allocate(bytes)
    }

    fn free(&self, address: Address) {
        self.device.free(address);
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError> {
        self.device.upload(to, bytes)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.device.download(from, bytes)
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError> {
        self.device.clear(at, bytes)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        if launch.kernel == self.kernel { Ok(()) } else { self.device.launch(launch) }
    }
}

#[test]
fn a_device_that_computes_as_the_cpu_does_passes() {
    for precision in [Precision::Single, Precision::Half, Precision::Double] {
        let Some(device) = Emulated::new(precision) else { return };
        check(Rc::new(device), precision).unwrap();
    }
}

/// Those of alignments, drop path, running statistics and sums that are handed on, which the check's networks do not have.
const UNUSED: &[&str] = &["running", "difference", "add_up", "multiple", "hand_on"];

#[test]
fn a_device_whose_kernels_do_nothing_does_not_pass() {
    for kernel in KERNELS.iter().map(|kernel| kernel.name).filter(|name| !UNUSED.contains(name)) {
        let Some(device) = Emulated::new(Precision::Double) else { return };
        let error = check(Rc::new(Broken { device, kernel }), Precision::Double);
        let found = matches!(&error, Err(CudaError::Differs { device, .. }) if device == "a broken GPU");
        assert!(found, "without {kernel}: {error:?}");
    }
}
