//! Kernels compile for every generation that they may meet: NVRTC needs no GPU for that.

use pada_engine::cuda::{
    CudaError, KERNELS, ResourceUsage, compile, compile_with_report, compiler, declarations, macros,
    precompile, source,
};
use pada_exec::Precision;

/// Makes tests fail, instead of saying that they skip, where NVRTC is missing.
const REQUIRE: &str = "PADA_REQUIRE_NVRTC";

/// Every generation and every precision once, because a compilation takes 10 seconds or more. The file of Hopper's f32 kernels is written
/// in another test, and `cargo xtask gpu-kit` compiles all of them.
const COMPILED: [(Precision, &str); 3] =
    [(Precision::F32, "sm_80"), (Precision::Bf16, "sm_90"), (Precision::F64, "sm_100")];

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
fn every_kernel_compiles_for_each_generation_and_each_precision_without_spills() {
    if !is_there() {
        return;
    }
    for (precision, target) in COMPILED {
        let compiled = compile_with_report(target, precision);
        let (image, usage) = compiled.unwrap_or_else(|error| panic!("{error}"));
        assert_fits(&usage, precision, target);
        for kernel in KERNELS {
            let section = format!(".text.{}\0", kernel.name);
            assert!(contains(&image, &section), "{} is not in the cubin of {target}", kernel.name);
        }
    }
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
fn kernels_are_compiled_into_a_folder_once() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let first = precompile("sm_90", Precision::F32, folder.path()).unwrap();
    let written = || std::fs::metadata(&first.file).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(precompile("sm_90", Precision::F32, folder.path()).unwrap(), first);
    assert_eq!(written(), before);
    assert_fits(&first.usage, Precision::F32, "sm_90");
    // The kernels and the report about them.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
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
