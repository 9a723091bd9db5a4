//! Compiles the kernels as C++ for the host.

use std::io;
use std::path::Path;
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

/// Compiles C++ to a shared library. Returns `false` if there is no `g++`.
pub(crate) fn compile_text(text: &str, options: &[&str], library: &Path) -> io::Result<bool> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("source.cpp");
    std::fs::write(&file, text)?;
    let mut command = Command::new("g++");
    // Without this option, all libraries of the process would share the static variables of templates.
    command.args(["-fno-gnu-unique", "-fvisibility=hidden", "-std=c++17", "-O2", "-fPIC", "-shared", "-w"]);
    command.args(["-U_FORTIFY_SOURCE", "-o"]).arg(library).args(options).arg(&file);
    match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(output) => {
            assert!(output.status.success(), "g++: {}", String::from_utf8_lossy(&output.stderr));
            Ok(true)
        }
    }
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
