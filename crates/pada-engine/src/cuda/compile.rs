//! Compiles the kernels with NVRTC.
#![allow(unsafe_code, reason = "calls of NVRTC")]

use std::ffi::{CString, c_char};

use cudarc::nvrtc::{result as nvrtc, sys};
use pada_exec::Precision;

use super::discover::{Version, compiler};
use super::usage::{self, ResourceUsage};
use super::{CudaError, macros, source};

/// The option that makes the assembler report registers, stack and spills of every kernel in the compiler's log.
const VERBOSE: &str = "--ptxas-options=--verbose";

/// The architecture that kernels are compiled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `sm_90` for machine code of a GPU, `compute_90` for PTX that the driver translates.
    pub(super) name: String,
}

impl Target {
    /// The target for machine code of a GPU of this compute capability: `sm_90` for 9.0.
    pub(super) fn native(capability: Version) -> Self {
        Self { name: format!("sm_{}", number(capability)) }
    }

    /// Returns the native target of a GPU, or the newest virtual target that NVRTC supports if it does not support the GPU yet.
    ///
    /// # Errors
    /// Returns an error if NVRTC is missing, or if it only supports newer GPUs.
    pub(super) fn of(capability: Version) -> Result<Self, CudaError> {
        let known = architectures()?;
        let number = number(capability);
        if known.contains(&number) {
            return Ok(Self::native(capability));
        }
        match known.into_iter().filter(|&known| known < number).max() {
            Some(older) => Ok(Self { name: format!("compute_{older}") }),
            None => Err(CudaError::UnknownGpu { compiler: compiler()?, capability }),
        }
    }
}

/// Returns a compute capability as NVRTC numbers it: 90 for 9.0.
fn number(capability: Version) -> i32 {
    (capability.major * 10 + capability.minor) as i32
}

/// Returns all options of NVRTC. They are part of the cache key of compiled kernels.
pub(super) fn options(target: &str, precision: Precision) -> Vec<String> {
    let mut options: Vec<String> = macros(precision).map(str::to_owned).into();
    options.extend([format!("--gpu-architecture={target}"), "--std=c++17".to_owned()]);
    options
}

/// Compiles all kernels for a target with NVRTC. No GPU is needed.
///
/// Returns a cubin for `sm_…` and PTX for `compute_…`.
///
/// # Errors
/// Returns [`CudaError::NoCompiler`] if NVRTC is not found, or [`CudaError::Compile`] with NVRTC's log.
pub fn compile(target: &str, precision: Precision) -> Result<Vec<u8>, CudaError> {
    Ok(compiled(target, precision, &[])?.image)
}

/// Compiles all kernels for a target `sm_…`, and returns the cubin with registers, stack and spills of every kernel, which the assembler reports.
///
/// # Errors
/// Returns the errors of [`compile`], or [`CudaError::Compile`] if the log does not report all kernels.
pub(super) fn compile_with_log(
    target: &str,
    precision: Precision,
) -> Result<(Compiled, Vec<ResourceUsage>), CudaError> {
    let compiled = compiled(target, precision, &[VERBOSE])?;
    match usage::parse(&compiled.log) {
        Some(usage) => Ok((compiled, usage)),
        None => Err(CudaError::Compile { target: target.to_owned(), log: compiled.log }),
    }
}

/// The output of NVRTC.
pub(super) struct Compiled {
    pub(super) image: Vec<u8>,
    /// Messages of NVRTC and of the assembler.
    pub(super) log: String,
}

fn compiled(target: &str, precision: Precision, more: &[&str]) -> Result<Compiled, CudaError> {
    compiler()?;
    let text = CString::new(source()).expect("the source contains no NUL");
    let program = Program::new(&text)?;
    let mut options = options(target, precision);
    options.extend(more.iter().map(|&option| option.to_owned()));
    program.compile(&options, target)?;
    Ok(Compiled { image: program.image(target)?, log: program.log() })
}

/// Returns the architectures that NVRTC supports, 90 for `sm_90`.
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
            .map_err(|error| call_error("nvrtcCreateProgram", error.0))
    }

    fn compile(&self, options: &[String], target: &str) -> Result<(), CudaError> {
        // SAFETY: the program is destroyed only when it is dropped.
        let done = unsafe { nvrtc::compile_program(self.0, options) };
        done.map_err(|error| {
            let said = self.log();
            let log = if said.is_empty() { format!("{:?}", error.0) } else { said };
            CudaError::Compile { target: target.to_owned(), log }
        })
    }

    /// The log of [`Program::compile`]; empty if NVRTC has none.
    fn log(&self) -> String {
        // SAFETY: the program is destroyed only when it is dropped.
        let log = unsafe { nvrtc::get_program_log(self.0) }.unwrap_or_default();
        let log: Vec<u8> = log.into_iter().map(byte).take_while(|&b| b != 0).collect();
        String::from_utf8_lossy(&log).trim().to_owned()
    }

    fn image(&self, target: &str) -> Result<Vec<u8>, CudaError> {
        let mut len = 0;
        if target.starts_with("compute_") {
            // SAFETY: the program is compiled and not yet destroyed.
            let ptx =
                unsafe { nvrtc::get_ptx(self.0) }.map_err(|error| call_error("nvrtcGetPTX", error.0))?;
            return Ok(ptx.into_iter().map(byte).collect());
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
        // SAFETY: nothing uses the program any more. An error of this call does not matter.
        let _ = unsafe { nvrtc::destroy_program(self.0) };
    }
}

/// Returns a character of C as a byte. It is signed on x86-64 and unsigned on ARM.
fn byte(c: c_char) -> u8 {
    u8::from_ne_bytes(c.to_ne_bytes())
}

fn checked(call: &'static str, code: sys::nvrtcResult) -> Result<(), CudaError> {
    match code {
        sys::nvrtcResult::NVRTC_SUCCESS => Ok(()),
        other => Err(call_error(call, other)),
    }
}

fn call_error(call: &'static str, code: sys::nvrtcResult) -> CudaError {
    CudaError::Call { call, message: format!("{code:?}") }
}
