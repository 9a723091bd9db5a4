//! Kernels compile for every generation that they may meet: NVRTC needs no GPU for that.

use pada_engine::cuda::{CudaError, KERNELS, compile, compiler, declarations, macros, source};
use pada_graph::Precision;

/// Makes tests fail, instead of saying that they skip, where NVRTC is missing.
const REQUIRE: &str = "PADA_REQUIRE_NVRTC";

const PRECISIONS: [Precision; 3] = [Precision::Single, Precision::Half, Precision::Double];

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

#[test]
fn every_kernel_compiles_for_ampere_hopper_and_blackwell() {
    if !is_there() {
        return;
    }
    for precision in PRECISIONS {
        for target in ["sm_80", "sm_90a", "compute_100"] {
            let image = compile(target, precision).unwrap_or_else(|error| panic!("{error}"));
            let holds = |name: &str| image.windows(name.len()).any(|part| part == name.as_bytes());
            // PTX says where a kernel begins, a cubin has a section for it.
            for kernel in KERNELS {
                let mark = match target.starts_with("sm_") {
                    true => format!(".text.{}\0", kernel.name),
                    false => format!(".entry {}(", kernel.name),
                };
                assert!(holds(&mark), "{} is not in the kernels for {target}, {precision:?}", kernel.name);
            }
            // Arrays that do not fit into registers would lie in local memory.
            assert!(precision == Precision::Double || !holds(".local "), "{target} {precision:?} spills");
            let multiplies = match (precision, target.starts_with("compute_")) {
                (_, false) => continue,
                (Precision::Single, _) => "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
                (Precision::Half, _) => "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
                (Precision::Double, _) => "fma.rn.f64",
            };
            assert!(holds(multiplies), "{precision:?} has no {multiplies}");
        }
    }
}

#[test]
fn an_unknown_target_is_refused_with_what_the_compiler_says() {
    if !is_there() {
        return;
    }
    let error = compile("sm_1", Precision::Single).unwrap_err();
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
