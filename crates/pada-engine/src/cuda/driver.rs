//! A GPU that is used through the CUDA driver.
#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::path::PathBuf;

use cudarc::driver::{DriverError, result as driver, sys};
use pada_exec::Precision;

use super::cache::{Cache, Key};
use super::compile::{Target, compile};
use super::discover::{Gpu, Version, call_error, compiler, driver_version, gpus};
use super::timing::Timer;
use super::{Address, CudaError, Device, KERNELS, KernelName, KernelTime, Launch};

/// The oldest driver that can time kernels: it introduced `cuEventElapsedTime_v2`.
const OLDEST_WITH_TIMES: Version = Version { major: 12, minor: 8 };

/// Options of [`Driver::open`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DriverOptions {
    /// Cache folder of compiled kernels, see [`super::kernel_cache`]. `None` compiles them every time.
    pub cache: Option<PathBuf>,
    /// Measurement of kernel times.
    pub timing: KernelTiming,
}

/// Measurement of kernel times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelTiming {
    /// Kernels are not timed.
    #[default]
    Off,
    /// A pair of CUDA events is recorded around every launch, which costs a few microseconds per launch.
    Events,
}

/// The resources of one loaded kernel, as the driver reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelResources {
    /// Name of the kernel, one of [`KERNELS`].
    pub kernel: &'static str,
    /// Registers per thread.
    pub registers: u32,
    /// Bytes of local memory per thread, for arrays and spilled registers. Local memory is in device memory.
    pub local_bytes: u32,
    /// Bytes of static shared memory per block.
    pub shared_bytes: u32,
    /// Threads per block.
    pub threads: u32,
    /// Blocks that a multiprocessor can run at the same time (occupancy).
    pub blocks_per_multiprocessor: u32,
}

/// A GPU with all kernels loaded. All work runs on the default stream, in the order of the calls.
///
/// It is the [`Device`] of a [`super::CudaEngine`]; see [`super::CudaEngine::with_device`].
#[derive(Debug)]
pub struct Driver {
    name: String,
    device: sys::CUdevice,
    context: sys::CUcontext,
    module: sys::CUmodule,
    kernels: HashMap<&'static str, sys::CUfunction>,
    timer: Option<RefCell<Timer>>,
}

impl Driver {
    /// Opens the GPU with number `ordinal`, from 0, and loads the kernels of a precision.
    ///
    /// The kernels come from the cache folder of `options`, or NVRTC compiles them. NVRTC is not needed if the cache contains kernels that the
    /// driver supports.
    ///
    /// # Errors
    /// Returns a [`CudaError`] that says which part is missing or too old, or which call failed.
    pub fn open(ordinal: usize, precision: Precision, options: &DriverOptions) -> Result<Self, CudaError> {
        let all = gpus()?;
        let last = all.len() - 1;
        let gpu = all.into_iter().nth(ordinal).ok_or(CudaError::NoSuchGpu { ordinal, last })?.check()?;
        let found = driver_version()?;
        if options.timing == KernelTiming::Events && found < OLDEST_WITH_TIMES {
            return Err(CudaError::OldDriver { found, needed: OLDEST_WITH_TIMES });
        }
        let image = kernels(&gpu, precision, &Cache { folder: options.cache.as_deref() })?;
        let device = driver::device::get(ordinal as i32).map_err(call_error("cuDeviceGet"))?;
        // SAFETY: the driver has just returned `device`.
        let context = unsafe { driver::primary_ctx::retain(device) };
        let context = context.map_err(call_error("cuDevicePrimaryCtxRetain"))?;
        let name = format!("{} (cuda:{ordinal})", gpu.name);
        let timer = (options.timing == KernelTiming::Events).then(RefCell::default);
        let module = std::ptr::null_mut();
        let mut driver = Self { name, device, context, module, kernels: HashMap::new(), timer };
        driver.load(&image)?;
        Ok(driver)
    }

    fn load(&mut self, image: &[u8]) -> Result<(), CudaError> {
        self.enter()?;
        // SAFETY: NVRTC compiled the image, and PTX ends with a NUL.
        let module = unsafe { driver::module::load_data(image.as_ptr().cast()) };
        self.module = module.map_err(call_error("cuModuleLoadData"))?;
        for kernel in KERNELS {
            let name = CString::new(kernel.name).expect("names of kernels contain no NUL");
            // SAFETY: the module stays loaded as long as `self`.
            let function = unsafe { driver::module::get_function(self.module, name) };
            self.kernels.insert(kernel.name, function.map_err(call_error("cuModuleGetFunction"))?);
        }
        Ok(())
    }

    /// Waits for all kernels and returns their times since the last call. The list is empty if [`DriverOptions::timing`] is off.
    ///
    /// # Errors
    /// Returns [`CudaError::Lost`] if the GPU fails.
    pub fn take_kernel_times(&self) -> Result<Vec<KernelTime>, CudaError> {
        self.enter()?;
        match &self.timer {
            Some(timer) => timer.borrow_mut().take().map_err(|error| self.lost("cuEventElapsedTime", error)),
            None => Ok(vec![]),
        }
    }

    /// Returns registers, memory and occupancy of every kernel, in the order of [`KERNELS`].
    ///
    /// # Errors
    /// Returns [`CudaError::Lost`] if the GPU fails.
    pub fn resources(&self) -> Result<Vec<KernelResources>, CudaError> {
        use sys::CUfunction_attribute_enum as Attribute;
        self.enter()?;
        let of = |kernel: &KernelName| {
            let function = self.kernels[kernel.name];
            let attribute = |which| {
                // SAFETY: the function belongs to the module, which stays loaded as long as `self`.
                let value = unsafe { driver::function::get_function_attribute(function, which) };
                value.map(|value| value as u32).map_err(|error| self.lost("cuFuncGetAttribute", error))
            };
            // SAFETY: as above.
            let blocks = unsafe {
                driver::occupancy::max_active_block_per_multiprocessor(function, kernel.threads as i32, 0)
            };
            Ok(KernelResources {
                kernel: kernel.name,
                registers: attribute(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
                local_bytes: attribute(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
                shared_bytes: attribute(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
                threads: kernel.threads,
                blocks_per_multiprocessor: blocks
                    .map_err(|error| self.lost("cuOccupancyMaxActiveBlocksPerMultiprocessor", error))?
                    as u32,
            })
        };
        KERNELS.iter().map(of).collect()
    }

    /// Waits until all earlier calls have taken effect on the GPU.
    fn synchronize(&self) -> Result<(), CudaError> {
        driver::ctx::synchronize().map_err(|error| self.lost("cuCtxSynchronize", error))
    }

    /// Makes the context of this GPU current in the calling thread.
    pub(super) fn enter(&self) -> Result<(), CudaError> {
        // SAFETY: the context is kept until `self` is dropped.
        unsafe { driver::ctx::set_current(self.context) }.map_err(|error| self.lost("cuCtxSetCurrent", error))
    }

    fn lost(&self, call: &'static str, error: DriverError) -> CudaError {
        let CudaError::Call { message, .. } = call_error(call)(error) else {
            unreachable!("`call_error` returns only this variant")
        };
        CudaError::Lost { gpu: self.name.clone(), call, message }
    }
}

impl Device for Driver {
    fn name(&self) -> &str {
        &self.name
    }

    fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
        self.enter()?;
        // SAFETY: the context is the current one.
        match unsafe { driver::malloc_sync(bytes.max(1)) } {
            Ok(address) => Ok(address),
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                let (free, _) = driver::mem_get_info().unwrap_or_default();
                Err(CudaError::OutOfMemory { gpu: self.name.clone(), needed: bytes, free })
            }
            Err(error) => Err(self.lost("cuMemAlloc", error)),
        }
    }

    fn free(&self, address: Address) {
        // Running kernels may still use the memory.
        if self.enter().and_then(|()| self.synchronize()).is_err() {
            return; // the memory of a failed GPU cannot be freed
        }
        // SAFETY: `allocate` returned the address, and no kernel uses the memory any more.
        let _ = unsafe { driver::free_sync(address) };
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.enter()?;
        // SAFETY: the caller allocated as many bytes there; the call returns when `bytes` is read.
        let done = unsafe { driver::memcpy_htod_sync(to, bytes) };
        done.map_err(|error| self.lost("cuMemcpyHtoD", error))
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.enter()?;
        // SAFETY: the caller allocated as many bytes there; the call returns when `bytes` is written.
        let done = unsafe { driver::memcpy_dtoh_sync(bytes, from) };
        done.map_err(|error| self.lost("cuMemcpyDtoH", error))
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError> {
        if bytes == 0 {
            return Ok(());
        }
        self.enter()?;
        // SAFETY: the caller allocated as many bytes there.
        let done = unsafe { driver::memset_d8_async(at, 0, bytes, std::ptr::null_mut()) };
        done.map_err(|error| self.lost("cuMemsetD8", error))
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.enter()?;
        let function = self.kernels[launch.kernel];
        let timed = match &self.timer {
            Some(timer) => {
                Some(timer.borrow_mut().begin().map_err(|error| self.lost("cuEventRecord", error))?)
            }
            None => None,
        };
        let [x, y, z] = launch.blocks;
        let mut words = launch.words.to_vec();
        // SAFETY: the kernel's argument is one struct of these words, which the driver copies before the call returns. The addresses in
        // them were allocated by the caller.
        let done = unsafe {
            let parameters = &mut [words.as_mut_ptr().cast()];
            driver::launch_kernel(
                function,
                (x, y, z),
                (launch.threads, 1, 1),
                0,
                std::ptr::null_mut(),
                parameters,
            )
        };
        done.map_err(|error| self.lost(launch.kernel, error))?;
        if let (Some(timer), Some(begun)) = (&self.timer, timed) {
            let ended = timer.borrow_mut().end(begun, launch);
            ended.map_err(|error| self.lost("cuEventRecord", error))?;
        }
        Ok(())
    }
}

/// Returns the kernels for a GPU. NVRTC compiles them, or they come from the cache if NVRTC is missing or too new for the driver.
fn kernels(gpu: &Gpu, precision: Precision, cache: &Cache<'_>) -> Result<Vec<u8>, CudaError> {
    let driver = driver_version()?;
    match usable_compiler(driver) {
        Ok(compiler) => {
            let target = Target::of(gpu.capability)?;
            let key = Key { target: &target.name, precision };
            cache.get(key, compiler, || compile(&target.name, precision))
        }
        Err(error) => {
            let target = Target::native(gpu.capability);
            cache.newest(Key { target: &target.name, precision }, driver).ok_or(error)
        }
    }
}

fn usable_compiler(driver: Version) -> Result<Version, CudaError> {
    match compiler()? {
        compiler if compiler.major > driver.major => Err(CudaError::NewerCompiler { compiler, driver }),
        compiler => Ok(compiler),
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.enter().is_err() {
            return;
        }
        if let Some(timer) = &self.timer {
            timer.borrow_mut().destroy();
        }
        // SAFETY: nothing uses module and context any more. Errors of a failed GPU do not matter here.
        unsafe {
            if !self.module.is_null() {
                let _ = driver::module::unload(self.module);
            }
            let _ = driver::primary_ctx::release(self.device);
        }
    }
}
