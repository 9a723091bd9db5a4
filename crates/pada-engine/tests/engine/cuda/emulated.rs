//! A device that is none: kernels compiled as C++ for the host, with the arithmetic, tiles and barriers that a GPU would run.
#![allow(unsafe_code, reason = "a library that was just compiled")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::CString;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock};

use libloading::Library;
use pada_engine::cuda::{Address, CudaEngine, CudaError, Device, KERNELS, Launch, macros, source};
use pada_graph::Precision;

use crate::case::Case;

type Run = unsafe extern "C" fn(*const std::ffi::c_char, *const u32, u32, *const u64);

/// The engine on such a device; none where there is no compiler, which is said once.
pub(crate) fn engine(case: &Case, precision: Precision) -> Option<CudaEngine> {
    let device = Rc::new(Emulated::new(precision)?);
    Some(CudaEngine::with_device(device, case.layout.clone(), &case.weights, precision).unwrap())
}

pub(crate) struct Emulated {
    library: &'static Mutex<Library>,
    blocks: Mutex<HashMap<Address, Layout>>,
}

/// Compiled once for each way to multiply. Blocks of one library share its static memory: only one launch runs at a time.
fn library(precision: Precision) -> Option<&'static Mutex<Library>> {
    static LIBRARIES: [OnceLock<Option<Mutex<Library>>>; 3] = [const { OnceLock::new() }; 3];
    LIBRARIES[precision as usize].get_or_init(|| compile(precision)).as_ref()
}

fn compile(precision: Precision) -> Option<Mutex<Library>> {
    let folder = tempfile::tempdir().unwrap();
    let (text, library) = (folder.path().join("kernels.cpp"), folder.path().join("libkernels.so"));
    std::fs::write(&text, format!("{}\n{}\n{}", include_str!("emulation.h"), source(), glue())).unwrap();
    let mut command = Command::new("g++");
    // Static memory of templates would be one for all libraries of the process.
    command.args(["-fno-gnu-unique", "-fvisibility=hidden", "-Wl,-Bsymbolic"]);
    command.args(["-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-U_FORTIFY_SOURCE", "-o"]);
    let Ok(output) = command.arg(&library).args(macros(precision)).arg(&text).output() else {
        eprintln!("no g++: kernels of the GPU are not run on the host");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // SAFETY: it was just compiled from kernels and an emulation that has no initialisers with effects.
    Some(Mutex::new(unsafe { Library::new(library) }.unwrap()))
}

/// Starts a kernel by its name.
fn glue() -> String {
    let arm = |kernel: &pada_engine::cuda::KernelName| {
        let (name, argument) = (kernel.name, kernel.argument);
        format!(
            "    if (!strcmp(name, \"{name}\")) return fibers::grid(blocks, threads, \
             [](const void *words) {{ {name}(*(const {argument} *)words); }}, words);\n"
        )
    };
    let arms: String = KERNELS.iter().map(arm).collect();
    let head = "extern \"C\" __attribute__((visibility(\"default\"))) void run(const char *name, const unsigned *blocks, unsigned threads, const void *words)";
    format!("{head} {{\n{arms}    abort();\n}}\n")
}

impl Device for Emulated {
    fn name(&self) -> &str {
        "an emulated GPU"
    }

    fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
        let layout = Layout::from_size_align(bytes.max(1), 256).unwrap();
        // SAFETY: the layout is not empty. All bits set: what is read before it is written is no number.
        let at = unsafe {
            let at = alloc(layout);
            at.write_bytes(0xFF, layout.size());
            at
        };
        self.blocks.lock().unwrap().insert(at as Address, layout);
        Ok(at as Address)
    }

    fn free(&self, address: Address) {
        let layout =
            self.blocks.lock().unwrap().remove(&address).expect("it was allocated, and is freed once");
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(address as *mut u8, layout) }
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError> {
        self.check(to, bytes.len());
        // SAFETY: `check` has found the block that holds all of it.
        unsafe { (to as *mut u8).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
        Ok(())
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.check(from, bytes.len());
        // SAFETY: `check` has found the block that holds all of it.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(from as *const u8, bytes.len()) }
        Ok(())
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError> {
        self.check(at, bytes);
        // SAFETY: `check` has found the block that holds all of it.
        unsafe { (at as *mut u8).write_bytes(0, bytes) }
        Ok(())
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        let library = self.library.lock().unwrap();
        let name = CString::new(launch.kernel).unwrap();
        // SAFETY: `run` has this type, and copies nothing beyond the struct, whose fields are the words.
        unsafe {
            let run = library.get::<Run>(b"run").unwrap();
            run(name.as_ptr(), launch.blocks.as_ptr(), launch.threads, launch.words.as_ptr());
        }
        Ok(())
    }
}

impl Emulated {
    /// None where there is no compiler, which is said once.
    pub(crate) fn new(precision: Precision) -> Option<Self> {
        Some(Self { library: library(precision)?, blocks: Mutex::default() })
    }

    fn check(&self, at: Address, bytes: usize) {
        let blocks = self.blocks.lock().unwrap();
        let holds = |(first, layout): (&Address, &Layout)| {
            *first <= at && at + bytes as Address <= *first + layout.size() as Address
        };
        assert!(bytes == 0 || blocks.iter().any(holds), "{bytes} bytes at {at:#x} were not allocated");
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        assert!(self.blocks.lock().unwrap().is_empty(), "memory was not given back");
    }
}
