//! A device that uses the memory and the processor of the host.
#![allow(
    unsafe_code,
    reason = "calls of a library that was just compiled, and memory at addresses of a device"
)]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, OnceLock};

use libloading::Library;
use pada_engine::cuda::{Address, CudaError, Device, Launch};
use pada_exec::Precision;

use crate::kernels::compile;

type Run = unsafe extern "C" fn(*const c_char, *const u32, u32, *const u64);

/// An emulated GPU. Every launch runs the kernel on the host, with the arithmetic, tiles and barriers of a GPU.
///
/// A test panics if it copies from or to memory that was not allocated, or if it does not free all memory. A launch with a wrong number of
/// threads aborts the process. Fresh memory is filled with NaN.
#[derive(Debug)]
pub struct EmulatedGpu {
    kernels: &'static Kernels,
    blocks: Mutex<HashMap<Address, Layout>>,
}

/// The compiled kernels of a precision. Every copy has static memory of its own, which the blocks of a launch share, so each copy runs one
/// launch at a time, and as many launches run at once as there are copies.
#[derive(Debug)]
struct Kernels {
    copies: Vec<Mutex<Library>>,
}

impl Kernels {
    /// Returns the kernels of a precision, which are compiled once.
    fn of(precision: Precision) -> Option<&'static Self> {
        static KERNELS: [OnceLock<Option<Kernels>>; 3] = [const { OnceLock::new() }; 3];
        KERNELS[precision as usize].get_or_init(|| Self::load(precision)).as_ref()
    }

    fn load(precision: Precision) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let library = folder.path().join("libkernels.so");
        if !compile(precision, &library).expect("the source can be written and g++ can be started") {
            eprintln!("there is no g++, so tests of CUDA kernels on the emulated GPU are skipped");
            return None;
        }
        let copies = std::thread::available_parallelism().map_or(1, NonZero::get);
        let open = |i: usize| {
            // A library that is opened twice is one library, unless its file is another one.
            let copy = folder.path().join(format!("libkernels-{i}.so"));
            std::fs::copy(&library, &copy).expect("a library that was just compiled can be copied");
            // SAFETY: the library was just compiled, and its initialisers have no effects.
            Mutex::new(unsafe { Library::new(copy) }.expect("a library that was just compiled can be opened"))
        };
        Some(Self { copies: (0..copies).map(open).collect() })
    }

    /// Returns a copy that runs no launch, or waits for one.
    fn free_copy(&self) -> MutexGuard<'_, Library> {
        let free = self.copies.iter().find_map(|copy| copy.try_lock().ok());
        free.unwrap_or_else(|| self.copies[0].lock().expect("a kernel that fails aborts the process"))
    }
}

impl EmulatedGpu {
    /// Creates an emulated GPU with the kernels of a precision.
    ///
    /// Returns `None` if the host has no C++ compiler (`g++`), which is reported once on stderr.
    pub fn new(precision: Precision) -> Option<Self> {
        Some(Self { kernels: Kernels::of(precision)?, blocks: Mutex::default() })
    }

    fn check(&self, at: Address, bytes: usize) {
        let blocks = self.blocks.lock().expect("no thread panics while it holds the lock");
        let contains = |(first, layout): (&Address, &Layout)| {
            *first <= at && at + bytes as Address <= *first + layout.size() as Address
        };
        assert!(bytes == 0 || blocks.iter().any(contains), "{bytes} bytes at {at:#x} were not allocated");
    }
}

impl Device for EmulatedGpu {
    fn name(&self) -> &str {
        "an emulated GPU"
    }

    fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
        let layout = Layout::from_size_align(bytes.max(1), 256).expect("a test needs less than all memory");
        // SAFETY: the layout is not empty. All bits are set, so that uninitialised numbers are NaN.
        let at = unsafe {
            let at = alloc(layout);
            at.write_bytes(0xFF, layout.size());
            at
        };
        self.blocks.lock().expect("no thread panics while it holds the lock").insert(at as Address, layout);
        Ok(at as Address)
    }

    fn free(&self, address: Address) {
        let mut blocks = self.blocks.lock().expect("no thread panics while it holds the lock");
        let layout = blocks.remove(&address).expect("only allocated memory is freed, and only once");
        // SAFETY: the memory was allocated with this layout.
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
        let library = self.kernels.free_copy();
        let name = CString::new(launch.kernel).expect("names of kernels contain no NUL");
        // SAFETY: `run` has this type, and reads only the struct, whose fields are the words.
        unsafe {
            let run = library.get::<Run>(b"run").expect("every library of kernels exports `run`");
            run(name.as_ptr(), launch.blocks.as_ptr(), launch.threads, launch.words.as_ptr());
        }
        Ok(())
    }
}

impl Drop for EmulatedGpu {
    fn drop(&mut self) {
        let left = self.blocks.lock().map_or(0, |blocks| blocks.len());
        assert!(left == 0 || std::thread::panicking(), "{left} blocks of memory were not freed");
    }
}
