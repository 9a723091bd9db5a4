//! Builds the programs of a kit with the features of tests and of users, strips their symbols and packs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::build::Candle;
use super::candle;
use super::parts::gzip;
use xtask::{binary, test_binaries};

/// A test program that can use a GPU.
pub(super) struct DeviceTest {
    /// The crate that it belongs to.
    package: &'static str,
    /// The name of the test. In a kit, the program is named `test-<name>`.
    pub(super) target: &'static str,
    /// Arguments of the test program: it runs the tests with one of these in their names, or all tests if there are none.
    pub(super) filters: &'static [&'static str],
}

/// Test programs with tests that use a GPU, and filters for these tests.
pub(super) const TESTS: [DeviceTest; 2] = [
    DeviceTest { package: "pada-engine", target: "engine", filters: &["cuda", "golden", "--skip=nvrtc"] },
    DeviceTest { package: "pada-trainer", target: "trainer", filters: &["golden_nb201", "executors"] },
];

/// Builds all programs, and writes each into a folder, stripped and packed.
pub(super) fn build(folder: &Path, candle: Candle) -> anyhow::Result<()> {
    let mut programs = vec![
        ("pada".to_owned(), binary::build()?),
        ("pada-bench".to_owned(), binary::built("pada-bench")?),
        ("pada-gpu-kit".to_owned(), std::env::current_exe().context("the path of this program")?),
    ];
    programs.extend(tests()?);
    if candle == Candle::Included {
        programs.push(("pada-candle".to_owned(), candle::build()?));
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let write = |(name, program): &(String, PathBuf)| {
        let packed = gzip(&stripped(program)?)?;
        let path = folder.join(format!("{name}.gz"));
        std::fs::write(&path, packed).with_context(|| path.display().to_string())
    };
    std::thread::scope(|scope| {
        let work: Vec<_> = programs.iter().map(|program| scope.spawn(move || write(program))).collect();
        work.into_iter().try_for_each(|work| work.join().expect("no program makes a thread panic"))
    })
}

/// Builds the test programs, with the dependencies that `cargo xtask ci` gives them, and returns their names in a kit with their paths.
fn tests() -> anyhow::Result<Vec<(String, PathBuf)>> {
    let arguments = TESTS.iter().flat_map(|test| ["--test", test.target]).collect::<Vec<_>>();
    let built = test_binaries::build(&arguments)?;
    let program = |DeviceTest { package, target, .. }: &DeviceTest| {
        let found = built.iter().find(|binary| binary.name() == format!("{package} test {target}"));
        let found = found.with_context(|| {
            format!(
                "cargo built no test {target} of {package}; fix TESTS in crates/pada-gpu-kit/src/programs.rs"
            )
        })?;
        Ok((format!("test-{target}"), found.executable.clone()))
    };
    TESTS.iter().map(program).collect()
}

/// Strips symbols and debug information of a program.
fn stripped(program: &Path) -> anyhow::Result<Vec<u8>> {
    let copy = tempfile::NamedTempFile::new()?;
    let mut strip = Command::new("strip");
    strip.arg("--strip-all").arg("-o").arg(copy.path()).arg(program);
    let output = strip.output().context("strip is not installed; it comes with binutils")?;
    ensure!(
        output.status.success(),
        "strip {}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let bytes = std::fs::read(copy.path())?;
    ensure!(!has_symbols(&bytes)?, "{} has symbols, although they were stripped", program.display());
    Ok(bytes)
}

/// Returns `true` if an ELF program has a full symbol table, beyond the symbols that the loader needs.
pub(super) fn has_symbols(elf: &[u8]) -> anyhow::Result<bool> {
    /// Section type of the full symbol table.
    const SYMBOL_TABLE: u64 = 2;
    let number = |at: usize, len: usize| -> anyhow::Result<u64> {
        let bytes = elf.get(at..at + len).context("the file ends early")?;
        Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    // ELF of 64 bits, with the lowest byte first.
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "this is no 64-bit ELF program");
    let (sections, size, count) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?);
    for section in 0..count {
        let header = usize::try_from(sections + section * size)?;
        if number(header + 4, 4)? == SYMBOL_TABLE {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_symbols_until_it_is_stripped() {
        let program = std::env::current_exe().unwrap();
        assert!(has_symbols(&std::fs::read(&program).unwrap()).unwrap());
        let bytes = stripped(&program).unwrap();
        assert!(!has_symbols(&bytes).unwrap());
        assert!(has_symbols(b"#!/bin/sh").is_err());
        assert!(has_symbols(&bytes[..0x3a]).is_err());
    }
}
