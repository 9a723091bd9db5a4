//! Kernels compile for every generation that they may meet: NVRTC needs no GPU for that.

use pada_engine::cuda::{
    CudaError, KERNELS, ResourceUsage, compile, compiler, declarations, macros, precompile, source,
};
use pada_exec::Precision;

/// Makes tests fail, instead of saying that they skip, where NVRTC is missing.
const REQUIRE: &str = "PADA_REQUIRE_NVRTC";

/// A compilation takes 10 seconds or more. `cargo xtask gpu-kit` compiles the kernels of f32 and bf16 for every generation, and fails if
/// one spills; its test, which `cargo xtask ci` runs, does this for Hopper.
const COMPILED: (Precision, &str) = (Precision::F32, "sm_80");

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F64];

fn is_there() -> bool {
    match compiler() {
        Ok(_) => true,
        Err(error) => {
            assert!(std::env::var_os(REQUIRE).is_none(), "{error}");
            eprintln!("kernels are not compiled for a GPU: {error}");
            false
        }
    }
}

/// A spilled register is written to and read from device memory. f64 is there to check results with, and may be slow.
fn assert_fits(all: &[ResourceUsage], precision: Precision, target: &str) {
    assert_eq!(all.len(), KERNELS.len());
    for (usage, kernel) in all.iter().zip(KERNELS) {
        let spills = usage.spill_store_bytes + usage.spill_load_bytes;
        assert!(precision == Precision::F64 || spills == 0, "{target} {precision:?}: {usage:?}");
        // A multiprocessor has 64 Ki registers, and a block at most 48 KiB of static shared memory.
        let registers = usage.registers * kernel.threads;
        assert!(registers <= 65_536 && usage.shared_bytes <= 49_152, "{target} {precision:?}: {usage:?}");
    }
}

/// Returns whether a compiled image contains a text.
fn contains(image: &[u8], text: &str) -> bool {
    image.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn every_kernel_is_compiled_into_a_folder_once_and_spills_nothing() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (precision, target) = COMPILED;
    let first = precompile(target, precision, folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_fits(&first.usage, precision, target);
    let image = std::fs::read(&first.file).unwrap();
    for kernel in KERNELS {
        let section = format!(".text.{}\0", kernel.name);
        assert!(contains(&image, &section), "{} is not in the cubin of {target}", kernel.name);
    }
    let written = || std::fs::metadata(&first.file).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(precompile(target, precision, folder.path()).unwrap(), first);
    assert_eq!(written(), before);
    // The kernels and the report about them.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// PTX is for GPUs that are newer than the compiler.
#[test]
fn every_kernel_compiles_to_ptx_that_multiplies_as_its_precision_says() {
    if !is_there() {
        return;
    }
    let multiplies = [
        (Precision::F32, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"),
        (Precision::Bf16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"),
        (Precision::F64, "fma.rn.f64"),
    ];
    for (precision, multiplies) in multiplies {
        let image = compile("compute_100", precision).unwrap_or_else(|error| panic!("{error}"));
        for kernel in KERNELS {
            let entry = format!(".entry {}(", kernel.name);
            assert!(contains(&image, &entry), "{} is not in the PTX, {precision:?}", kernel.name);
        }
        assert!(contains(&image, multiplies), "{precision:?} has no {multiplies}");
    }
}

#[test]
fn an_unknown_target_is_refused_with_what_the_compiler_says() {
    if !is_there() {
        return;
    }
    let error = compile("sm_1", Precision::F32).unwrap_err();
    let CudaError::Compile { target, log } = &error else { panic!("{error}") };
    assert!(target == "sm_1" && log.contains("gpu-architecture"), "{error}");
}

#[test]
fn no_kernel_adds_atomically() {
    assert!(!source().contains("atomic"), "a sum must have one order");
    for precision in PRECISIONS {
        assert!(macros(precision).iter().all(|option| option.starts_with("-D")));
    }
    for kernel in KERNELS {
        assert!(declarations().contains(&format!("struct {} {{", kernel.argument)), "{kernel:?}");
    }
}
