//! Compiles the kernels as C++ for the host.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use pada_engine::cuda::{KERNELS, KernelName, macros, source};
use pada_exec::Precision;

/// Compiles all kernels of a precision to a shared library, whose only public function is `run`. Returns `false` if there is no `g++`.
///
/// # Panics
/// Panics with the compiler's messages if the kernels are not valid C++.
pub(crate) fn compile(precision: Precision, library: &Path) -> io::Result<bool> {
    let text = [include_str!("fibers.h"), &source(), &dispatch()].join("\n");
    let mut options = vec!["-Wl,-Bsymbolic"];
    options.extend(macros(precision));
    compile_text(&text, &options, library)
}

/// Options of all libraries.
///
/// Without `-fno-gnu-unique`, all libraries of the process would share the static variables of templates. Multiplications and additions are
/// not fused, so that results do not depend on the processor.
const OPTIONS: [&str; 9] = [
    "-ffp-contract=off",
    "-fno-gnu-unique",
    "-fvisibility=hidden",
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-shared",
    "-w",
    "-U_FORTIFY_SOURCE",
];

/// Compiles C++ to a shared library. Returns `false` if there is no `g++`.
///
/// A library that this or another process has compiled from the same text is copied.
pub(crate) fn compile_text(text: &str, options: &[&str], library: &Path) -> io::Result<bool> {
    let mut options = [&OPTIONS[..], options].concat();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        options.push("-mavx2");
    }
    let mut hasher = DefaultHasher::new();
    let version = match Command::new("g++").arg("--version").output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
        Ok(output) => output.stdout,
    };
    (text, &options, version).hash(&mut hasher);
    let cache = cache()?;
    let compiled = cache.join(format!("{:016x}.so", hasher.finish()));
    if !compiled.is_file() {
        let folder = tempfile::tempdir_in(&cache)?;
        let [source, new] = ["source.cpp", "new.so"].map(|name| folder.path().join(name));
        std::fs::write(&source, text)?;
        let output = Command::new("g++").args(&options).arg("-o").arg(&new).arg(&source).output()?;
        assert!(output.status.success(), "g++: {}", String::from_utf8_lossy(&output.stderr));
        // Another process may have compiled the same library meanwhile. Renaming replaces it at once.
        std::fs::rename(&new, &compiled)?;
    }
    // A library that is replaced while it is in use must not change, so it is a new file.
    std::fs::remove_file(library).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    std::fs::copy(&compiled, library)?;
    Ok(true)
}

/// Returns the folder of compiled libraries: beside the running test, in cargo's target folder.
fn cache() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new(".")).join("emulated-gpu");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Returns the C++ source of `run`, which starts a kernel by its name.
fn dispatch() -> String {
    let arm = |kernel: &KernelName| {
        let KernelName { name, argument, threads } = kernel;
        format!(
            "    if (!strcmp(name, \"{name}\")) {{\n        if (threads != {threads}) abort();\n        return fibers::grid(blocks, threads, \
             [](const void *words) {{ {name}(*(const {argument} *)words); }}, words);\n    }}\n"
        )
    };
    let arms: String = KERNELS.iter().map(arm).collect();
    let head = "extern \"C\" __attribute__((visibility(\"default\"))) void run(const char *name, const unsigned *blocks, unsigned threads, const void *words)";
    format!("{head} {{\n{arms}    abort();\n}}\n")
}
