//! The check that a GPU must pass before it is used.

use std::rc::Rc;

use pada_emulated_gpu::device;
use pada_engine::cuda::{Address, CudaError, Device, KERNELS, Launch, check};
use pada_exec::Precision;

/// A device that leaves one kernel out.
struct Broken {
    device: Rc<dyn Device>,
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
    for precision in [Precision::F32, Precision::Bf16, Precision::F64] {
        let Some(device) = device(precision) else { return };
        check(device, precision).unwrap();
    }
}

/// Kernels of alignments and running statistics, which the networks of the check do not have.
const UNUSED: &[&str] = &["running", "difference", "add_up"];

/// Returns the result of the check for a device without a kernel.
fn without(kernel: &'static str, precision: Precision) -> Option<Result<(), CudaError>> {
    Some(check(Rc::new(Broken { device: device(precision)?, kernel }), precision))
}

#[test]
fn a_device_whose_kernels_do_nothing_does_not_pass() {
    let is_refused = |kernel, precision| {
        let Some(result) = without(kernel, precision) else { return };
        let found = matches!(&result, Err(CudaError::Differs { device, .. }) if device == "a broken GPU");
        assert!(found, "without {kernel}, {precision:?}: {result:?}");
    };
    for kernel in KERNELS.iter().map(|kernel| kernel.name).filter(|name| !UNUSED.contains(name)) {
        is_refused(kernel, Precision::F64);
    }
    // The bounds of bf16 are wide.
    for kernel in ["update", "load_uploaded", "count_correct"] {
        is_refused(kernel, Precision::Bf16);
    }
}

#[test]
fn kernels_that_the_check_is_said_not_to_use_are_not_used() {
    for kernel in UNUSED {
        let Some(result) = without(kernel, Precision::F64) else { return };
        result.unwrap_or_else(|error| panic!("{kernel} is used: {error}"));
    }
}
