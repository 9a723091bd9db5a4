//! From the kernels' text to what a GPU runs, by NVRTC.
#![allow(unsafe_code, reason = "calls of NVRTC")]

use std::ffi::CString;

use cudarc::nvrtc::{result as nvrtc, sys};
use pada_graph::Precision;

use super::found::{Version, compiler};
use super::{CudaError, macros, source};

/// What kernels are compiled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `sm_90` for the instructions of a GPU, `compute_90` for those that a driver translates.
    pub(super) name: String,
}

impl Target {
    /// The instructions of a GPU, or, where the compiler does not know it yet, the newest ones that it does know.
    ///
    /// # Errors
    /// Where the compiler is missing, or only knows newer GPUs.
    pub(super) fn of(capability: Version) -> Result<Self, CudaError> {
        let known = architectures()?;
        let number = (capability.major * 10 + capability.minor) as i32;
        if known.contains(&number) {
            return Ok(Self { name: format!("sm_{number}") });
        }
        match known.into_iter().filter(|&known| known < number).max() {
            Some(older) => Ok(Self { name: format!("compute_{older}") }),
            None => Err(CudaError::UnknownGpu { compiler: compiler()?, capability }),
        }
    }
}

/// All kernels for a target: a cubin for `sm_…`, PTX for `compute_…`.
///
/// # Errors
/// [`CudaError::NoCompiler`], or [`CudaError::Compile`] with what the compiler said.
pub fn compile(target: &str, precision: Precision) -> Result<Vec<u8>, CudaError> {
    compiler()?;
    let text = CString::new(source()).expect("kernels hold no NUL");
    let program = Program::new(&text)?;
    let mut options: Vec<String> = macros(precision).map(str::to_owned).into();
    options.push(format!("--gpu-architecture={target}"));
    options.push("--std=c++17".to_owned());
    program.compile(&options, target)?;
    program.image(target)
}

/// The architectures that the compiler knows, as 90 for `sm_90`.
fn architectures() -> Result<Vec<i32>, CudaError> {
    compiler()?;
    let mut count = 0;
    // SAFETY: the library is there, and the place lives until the call returns.
    checked("nvrtcGetNumSupportedArchs", unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) })?;
    let mut list = vec![0; count as usize];
    // SAFETY: the list has the length that the call before asked for.
    checked("nvrtcGetSupportedArchs", unsafe { sys::nvrtcGetSupportedArchs(list.as_mut_ptr()) })?;
    Ok(list)
}

struct Program(sys::nvrtcProgram);

impl Program {
    fn new(text: &CString) -> Result<Self, CudaError> {
        nvrtc::create_program(text, Some(c"kernels.cu"))
            .map(Self)
            .map_err(|error| refused("nvrtcCreateProgram", error.0))
    }

    fn compile(&self, options: &[String], target: &str) -> Result<(), CudaError> {
        // SAFETY: the program is destroyed only when it is dropped.
        let done = unsafe { nvrtc::compile_program(self.0, options) };
        done.map_err(|error| {
            // SAFETY: as above.
            let log = unsafe { nvrtc::get_program_log(self.0) }.unwrap_or_default();
            let log: Vec<u8> = log.into_iter().map(i8::cast_unsigned).take_while(|&b| b != 0).collect();
            let said = String::from_utf8_lossy(&log).trim().to_owned();
            let log = if said.is_empty() { format!("{:?}", error.0) } else { said };
            CudaError::Compile { target: target.to_owned(), log }
        })
    }

    fn image(&self, target: &str) -> Result<Vec<u8>, CudaError> {
        let mut len = 0;
        if target.starts_with("compute_") {
            // SAFETY: the program is compiled and not yet destroyed.
            let ptx = unsafe { nvrtc::get_ptx(self.0) }.map_err(|error| refused("nvrtcGetPTX", error.0))?;
            return Ok(ptx.into_iter().map(i8::cast_unsigned).collect());
        }
        // SAFETY: as above; the place lives until the call returns.
        checked("nvrtcGetCUBINSize", unsafe { sys::nvrtcGetCUBINSize(self.0, &mut len) })?;
        let mut image = vec![0_u8; len];
        // SAFETY: as above; the list has the length that the call before asked for.
        checked("nvrtcGetCUBIN", unsafe { sys::nvrtcGetCUBIN(self.0, image.as_mut_ptr().cast()) })?;
        Ok(image)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: nothing uses the program any more. What it says about that is of no use.
        let _ = unsafe { nvrtc::destroy_program(self.0) };
    }
}

fn checked(call: &'static str, code: sys::nvrtcResult) -> Result<(), CudaError> {
    match code {
        sys::nvrtcResult::NVRTC_SUCCESS => Ok(()),
        other => Err(refused(call, other)),
    }
}

fn refused(call: &'static str, code: sys::nvrtcResult) -> CudaError {
    CudaError::Call { call, message: format!("{code:?}") }
}
