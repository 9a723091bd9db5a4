//! A GPU behind the CUDA driver.
#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::collections::HashMap;
use std::ffi::CString;
use std::path::Path;

use cudarc::driver::{DriverError, result as driver, sys};
use pada_graph::Precision;

use super::cache::{Cache, Key};
use super::compile::{Target, compile};
use super::found::{compiler, driver_version, gpus, refused};
use super::{Address, CudaError, Device, KERNELS, Launch};

/// A GPU with all kernels loaded. Everything runs on the default stream, in the order of the calls.
#[derive(Debug)]
pub struct Driver {
    name: String,
    device: sys::CUdevice,
    context: sys::CUcontext,
    module: sys::CUmodule,
    kernels: HashMap<&'static str, sys::CUfunction>,
}

impl Driver {
    /// GPU `ordinal`; its kernels are compiled, or taken from `cache`.
    ///
    /// # Errors
    /// [`CudaError`]: what is missing, too old, or failed.
    pub fn open(ordinal: usize, precision: Precision, cache: Option<&Path>) -> Result<Self, CudaError> {
        let all = gpus()?;
        let last = all.len() - 1;
        let gpu = all.into_iter().nth(ordinal).ok_or(CudaError::NoSuchGpu { ordinal, last })?.check()?;
        let (compiler, found) = (compiler()?, driver_version()?);
        if compiler.major > found.major {
            return Err(CudaError::NewerCompiler { compiler, driver: found });
        }
        let target = Target::of(gpu.capability)?;
        let key = Key { target: &target.name, precision, compiler, driver: found };
        let image = Cache { folder: cache }.get(&key, || compile(&target.name, precision))?;
        let device = driver::device::get(ordinal as i32).map_err(refused("cuDeviceGet"))?;
        // SAFETY: the driver has just handed out `device`.
        let context = unsafe { driver::primary_ctx::retain(device) };
        let context = context.map_err(refused("cuDevicePrimaryCtxRetain"))?;
        let name = format!("{} (cuda:{ordinal})", gpu.name);
        let module = std::ptr::null_mut();
        let mut driver = Self { name, device, context, module, kernels: HashMap::new() };
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
        // SAFETY: `allocate` handed it out. A lost GPU has no memory to give back.
        let _ = self.enter().map(|()| unsafe { driver::free_sync(address) });
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
        done.map_err(|error| self.lost(launch.kernel, error))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.enter().is_err() {
            return;
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
