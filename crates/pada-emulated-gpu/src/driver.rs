//! Builds an emulated CUDA driver, for programs that open a GPU themselves.

use std::io;
use std::path::Path;

use pada_engine::cuda::{Version, put_in_cache};
use pada_exec::Precision;

use crate::kernels::{compile, compile_text};

/// The target of the emulated GPU, which has compute capability 9.0.
const TARGET: &str = "sm_90";
/// The version of CUDA that the emulated driver supports.
const CUDA: Version = Version { major: 13, minor: 0 };

/// Builds an emulated CUDA driver, `libcuda.so`, in `folder`, and writes its kernels to the kernel cache `cache`.
///
/// A process has a GPU `cuda:0` whose kernels run on the host if the folder is first in `LD_LIBRARY_PATH`, `PADA_CACHE` is the cache, and
/// no NVRTC is found. Returns `false` if there is no C++ compiler (`g++`).
///
/// # Errors
/// Returns an error if a file cannot be written.
///
/// # Panics
/// Panics with the compiler's messages if the kernels are not valid C++.
pub fn install(folder: &Path, cache: &Path) -> io::Result<bool> {
    std::fs::create_dir_all(folder)?;
    if !compile_text(include_str!("driver.cpp"), &[], &folder.join("libcuda.so"))? {
        return Ok(false);
    }
    for (precision, name) in [(Precision::F32, "f32"), (Precision::Bf16, "bf16"), (Precision::F64, "f64")] {
        let library = format!("libpada-kernels-{name}.so");
        compile(precision, &folder.join(&library))?;
        let image = [library.as_bytes(), b"\0"].concat();
        put_in_cache(cache, TARGET, precision, CUDA, &image).map_err(io::Error::other)?;
    }
    Ok(true)
}
