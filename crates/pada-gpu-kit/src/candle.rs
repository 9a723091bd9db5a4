//! Builds the program with the candle executor on GPUs. It links CUDA's libraries, which a machine without a GPU does not have, so it is
//! linked with stub libraries of the same names and symbols. On a machine with a GPU, the loader uses the real libraries.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use xtask::{candle_cuda, cargo};

/// The crate that declares CUDA's functions.
const DECLARATIONS: &str = "cudarc";

/// A library that is replaced by a stub for linking.
struct Library {
    /// The module of [`DECLARATIONS`] that declares its functions.
    module: &'static str,
    /// The name of the library for the linker.
    name: &'static str,
    /// The file name of the library for the loader, in CUDA 13.
    file: &'static str,
    /// Common prefix of its functions.
    prefix: &'static str,
}

const LIBRARIES: [Library; 5] = [
    Library { module: "driver", name: "cuda", file: "libcuda.so.1", prefix: "cu" },
    Library { module: "nvrtc", name: "nvrtc", file: "libnvrtc.so.13", prefix: "nvrtc" },
    Library { module: "curand", name: "curand", file: "libcurand.so.10", prefix: "curand" },
    Library { module: "cublas", name: "cublas", file: "libcublas.so.13", prefix: "cublas" },
    Library { module: "cublaslt", name: "cublasLt", file: "libcublasLt.so.13", prefix: "cublasLt" },
];

/// Builds pada with the candle executor on GPUs, and returns its path. The first time takes many minutes.
pub(super) fn build() -> anyhow::Result<PathBuf> {
    let target = cargo::target_dir()?.join("candle-kit");
    let libraries = target.join("libraries");
    std::fs::create_dir_all(&libraries).with_context(|| libraries.display().to_string())?;
    let declarations = declarations()?;
    for library in &LIBRARIES {
        stand_in(library, &declarations, &libraries)?;
    }
    link_runtime(&candle_cuda::toolkit()?.join("lib"), &libraries)?;
    let mut command =
        cargo::command(&["build", "--release", "-p", "pada-train", "--features", "candle-cuda"])?;
    command.env("CARGO_TARGET_DIR", &target).env("LIBRARY_PATH", &libraries);
    command.envs(candle_cuda::environment()?);
    // `cargo xtask candle-cuda` compiles kernels without optimisation. These kernels are optimised, because they run.
    command.env_remove(candle_cuda::NVCC_OPTIONS);
    cargo::finish(&mut command)?;
    Ok(target.join("release/pada"))
}

/// The folder of the sources that declare CUDA's functions.
fn declarations() -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }
    let json = cargo::stdout(&["metadata", "--format-version", "1", "--locked"])?;
    let Metadata { packages } = serde_json::from_str(&json).context("what cargo metadata prints")?;
    let package = packages.iter().find(|package| package.name == DECLARATIONS);
    let manifest = &package.with_context(|| format!("no package is called {DECLARATIONS}"))?.manifest_path;
    Ok(manifest.parent().context("a manifest is in a folder")?.join("src"))
}

/// Compiles a stub library. Its functions are never called.
fn stand_in(library: &Library, declarations: &Path, folder: &Path) -> anyhow::Result<()> {
    let source = declarations.join(library.module).join("sys/mod.rs");
    let text = std::fs::read_to_string(&source).with_context(|| source.display().to_string())?;
    let names = functions(&text, library.prefix);
    ensure!(!names.is_empty(), "{} declares no function {}…", source.display(), library.prefix);
    let mut code = String::new();
    for name in names {
        let _ = writeln!(code, "int {name}(void) {{ return 1; }}");
    }
    let c = folder.join(format!("{}.c", library.name));
    std::fs::write(&c, code).with_context(|| c.display().to_string())?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-fno-builtin", "-w"]).arg(format!("-Wl,-soname,{}", library.file));
    cc.arg("-o").arg(folder.join(format!("lib{}.so", library.name))).arg(&c);
    cargo::finish(&mut cc)
}

/// Names of the functions with a prefix that a Rust source declares.
fn functions<'a>(source: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |rest: &'a str| rest.split(|c| !is_name(c)).next().unwrap_or_default();
    let names = source.split("fn ").skip(1).map(name);
    // `culib` and such are functions of the crate itself.
    let begins = |name: &&str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    names.filter(begins).collect()
}

/// The runtime library comes with the compiler; only the name that the linker looks for is missing.
fn link_runtime(from: &Path, folder: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(from).with_context(|| from.display().to_string())?;
    let is_runtime = |name: &str| name.starts_with("libcudart.so");
    let runtime = entries.flatten().find(|entry| entry.file_name().to_str().is_some_and(is_runtime));
    let runtime = runtime.with_context(|| format!("{}: no libcudart.so", from.display()))?.path();
    let link = folder.join("libcudart.so");
    std::fs::copy(&runtime, &link).with_context(|| runtime.display().to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_with_the_prefix_of_their_library() {
        let source = "pub unsafe fn cublasCreate_v2(handle: H) {\n extern \"C\" {\n fn cublasCreate_v2(handle: H);\n }\n}\n\
            pub unsafe fn culib() {}\nfn cuInit(flags: u32);\npub fn is_culib_present() -> bool {}\n";
        assert_eq!(Vec::from_iter(functions(source, "cublas")), ["cublasCreate_v2"]);
        assert_eq!(Vec::from_iter(functions(source, "cu")), ["cuInit"]);
    }
}
