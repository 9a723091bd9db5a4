//! A GPU behind the CUDA driver.
#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::path::PathBuf;

use cudarc::driver::{DriverError, result as driver, sys};
use pada_exec::Precision;

use super::cache::{Cache, Key};
use super::compile::{Target, compile};
use super::found::{Gpu, Version, compiler, driver_version, gpus, refused};
use super::timing::Timer;
use super::{Address, CudaError, Device, KERNELS, KernelName, KernelTime, Launch};

/// The oldest driver whose events can be read: `cuEventElapsedTime_v2` came with it.
const OLDEST_WITH_TIMES: Version = Version { major: 12, minor: 8 };

/// How [`Driver::open`] opens a GPU.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DriverOptions {
    /// Folder of compiled kernels, see [`super::kernel_cache`]; `None` compiles them every time.
    pub cache: Option<PathBuf>,
    /// Whether the time of every kernel is measured.
    pub timing: KernelTiming,
}

/// Whether the time of every kernel is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelTiming {
    /// No kernel is timed.
    #[default]
    Off,
    /// A pair of events around every launch; costs some microseconds a launch.
    Events,
}

/// What one loaded kernel takes of a GPU, as its driver reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelResources {
    /// Name of the kernel, one of [`KERNELS`].
    pub kernel: &'static str,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of local memory of a thread: arrays and spilled registers, which lie in device memory.
    pub local_bytes: u32,
    /// Bytes of static shared memory of a block.
    pub shared_bytes: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Blocks that a multiprocessor runs at the same time.
    pub blocks_per_multiprocessor: u32,
}

/// A GPU with all kernels loaded. All work runs on the default stream, in the order of the calls.
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
    /// Opens GPU `ordinal`. Its kernels come from the cache of `options`, or NVRTC compiles them. NVRTC is not needed if kernels that the
    /// driver loads are in the cache.
    ///
    /// # Errors
    /// Returns a [`CudaError`] that says what is missing, too old, or failed.
    pub fn open(ordinal: usize, precision: Precision, options: &DriverOptions) -> Result<Self, CudaError> {
        let all = gpus()?;
        let last = all.len() - 1;
        let gpu = all.into_iter().nth(ordinal).ok_or(CudaError::NoSuchGpu { ordinal, last })?.check()?;
        let found = driver_version()?;
        if options.timing == KernelTiming::Events && found < OLDEST_WITH_TIMES {
            return Err(CudaError::OldDriver { found, needed: OLDEST_WITH_TIMES });
        }
        let image = kernels(&gpu, precision, &Cache { folder: options.cache.as_deref() })?;
        let device = driver::device::get(ordinal as i32).map_err(refused("cuDeviceGet"))?;
        // SAFETY: the driver has just handed out `device`.
        let context = unsafe { driver::primary_ctx::retain(device) };
        let context = context.map_err(refused("cuDevicePrimaryCtxRetain"))?;
        let name = format!("{} (cuda:{ordinal})", gpu.name);
        let timer = (options.timing == KernelTiming::Events).then(RefCell::default);
        let module = std::ptr::null_mut();
        let mut driver = Self { name, device, context, module, kernels: HashMap::new(), timer };
        driver.load(&image)?;
        Ok(driver)
    }

    fn load(&mut self, image: &[u8]) -> Result<(), CudaError> {
        self.enter()?;
        // SAFETY: an image that NVRTC made; PTX ends in a NUL.
        let module = unsafe { driver::module::load_data(image.as_ptr().cast()) };
        self.module = module.map_err(refused("cuModuleLoadData"))?;
        for kernel in KERNELS {
            let name = CString::new(kernel.name).expect("names of kernels hold no NUL");
            // SAFETY: the module stays loaded as long as `self`.
            let function = unsafe { driver::module::get_function(self.module, name) };
            self.kernels.insert(kernel.name, function.map_err(refused("cuModuleGetFunction"))?);
        }
        Ok(())
    }

    /// Waits for all kernels, then returns their times since the last call; nothing unless [`DriverOptions::timing`] asks for them.
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

    /// Registers, memory and occupancy of every kernel, in the order of [`KERNELS`].
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

    /// Waits until the GPU has done everything that it was asked for.
    fn synchronize(&self) -> Result<(), CudaError> {
        driver::ctx::synchronize().map_err(|error| self.lost("cuCtxSynchronize", error))
    }

    /// Makes this GPU the one that the calling thread speaks to.
    pub(super) fn enter(&self) -> Result<(), CudaError> {
        // SAFETY: the context is kept until `self` is dropped.
        unsafe { driver::ctx::set_current(self.context) }.map_err(|error| self.lost("cuCtxSetCurrent", error))
    }

    fn lost(&self, call: &'static str, error: DriverError) -> CudaError {
        let CudaError::Call { message, .. } = refused(call)(error) else {
            unreachable!("it is a refused call")
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
        // Kernels that were started may still use the memory.
        if self.enter().and_then(|()| self.synchronize()).is_err() {
            return; // a lost GPU has no memory to give back
        }
        // SAFETY: `allocate` handed it out, and no kernel uses it any more.
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
        // SAFETY: the kernel takes one struct of these words, which the driver copies before the call returns; they hold addresses
        // that the caller allocated.
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

/// The kernels for a GPU: what NVRTC compiles, or what is in the cache where NVRTC is missing or too new for the driver.
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
        // SAFETY: nothing uses module and context any more; what a lost GPU says about that is of no use.
        unsafe {
            if !self.module.is_null() {
                let _ = driver::module::unload(self.module);
            }
            let _ = driver::primary_ctx::release(self.device);
        }
    }
}
