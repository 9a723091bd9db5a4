//! Builds the emulated driver in a folder, and prints the environment variables with which programs of this workspace load it.
//!
//! ```text
//! cargo run --release -p pada-emulated-gpu --example install -- target/emulated-gpu
//! ```
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("the folder is missing; call it as `install target/emulated-gpu`")?;
    let folder = std::path::absolute(PathBuf::from(folder))?;
    let cache = folder.join("cache");
    if !pada_emulated_gpu::install(&folder, &cache)? {
        return Err("g++ was not found; install it".into());
    }
    println!("export LD_LIBRARY_PATH={} PADA_CACHE={}", folder.display(), cache.display());
    Ok(())
}
