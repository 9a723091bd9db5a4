//! Steps with running statistics, auxiliary heads, drop path and label smoothing, which NAS-Bench-201 does not have; and the same bits every time.

use pada_engine::Isa;
use pada_exec::{
    Decayed, Executor, Optimizer, Precision, RmsProp, RmsPropForm, SgdStep, State, UnusedWeights,
};
use pada_graph::{Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use super::emulated::engine;
use crate::case::{Case, distance};
use crate::running::{NAMES, all_passes, paths};
use crate::side::{cases, pass};

#[test]
fn running_statistics_on_a_gpu_equal_the_cpu() {
    for (case, graph) in paths() {
        let Some(mut engine) = engine(&case, Precision::F64) else { return };
        let ours = all_passes(&case, &mut engine, &graph);
        let theirs = all_passes(&case, &mut case.engine(Precision::F64, Isa::Portable), &graph);
        for ((name, ours), theirs) in NAMES.iter().zip(&ours).zip(&theirs) {
            let off = distance(ours, theirs);
            assert!(off < 1e-5, "{name} off by {off}");
        }
    }
}

#[test]
fn side_losses_and_dropped_paths_on_a_gpu_equal_the_cpu() {
    for (case, graph) in cases() {
        let Some(mut engine) = engine(&case, Precision::F64) else { return };
        let ours = pass(&case, &mut engine, &graph);
        let theirs = pass(&case, &mut case.engine(Precision::F64, Isa::Portable), &graph);
        assert!(distance(&ours[0], &theirs[0]) < 1e-6);
        assert!(distance(&ours[1], &theirs[1]) < 1e-5);
    }
}

#[test]
fn weights_move_on_a_gpu_as_on_the_cpu() {
    let shape = Shape::new(3, 8, 8);
    let net = Nb201Net::new(4, 1, shape, 10, Norms::Affine);
    let case = Case::new(net.weights(), shape, 4, 10, 5);
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap().simplified();
    let rms = |form| Optimizer::RmsProp(RmsProp { decay: 0.9, eps: 1e-3, form });
    for (decayed, unused, optimizer) in [
        (Decayed::All, UnusedWeights::Frozen, Optimizer::Sgd),
        (Decayed::Kernels, UnusedWeights::Decay, Optimizer::Sgd),
        (Decayed::All, UnusedWeights::Decay, Optimizer::Nesterov),
        (Decayed::Kernels, UnusedWeights::Frozen, rms(RmsPropForm::PyTorch)),
        (Decayed::All, UnusedWeights::Decay, rms(RmsPropForm::TensorFlow)),
    ] {
        let (lr, momentum, weight_decay, gradient_scale) = (0.1, 0.9, 0.5, 0.5);
        let sgd = SgdStep { optimizer, lr, momentum, weight_decay, decayed, gradient_scale, unused };
        let moved = |executor: &mut dyn Executor| {
            case.step(executor, &graph);
            if unused == UnusedWeights::Decay {
                executor.write(State::SecondMoment, &vec![1.0; case.weights.len()]);
            }
            executor.update(&sgd);
            executor.update(&sgd);
            [State::Weights, State::Momentum, State::SecondMoment].map(|state| executor.read(state))
        };
        let Some(mut ours) = engine(&case, Precision::F64) else { return };
        let theirs = moved(&mut case.engine(Precision::F64, Isa::Portable));
        for (ours, theirs) in moved(&mut ours).iter().zip(&theirs) {
            assert!(distance(ours, theirs) < 1e-5, "{decayed:?}, {unused:?}, {optimizer:?}");
        }
    }
}

#[test]
fn a_step_on_a_gpu_has_the_same_bits_every_time_and_bf16_is_near() {
    let shape = Shape::new(3, 8, 8);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Affine);
    let case = Case::new(net.weights(), shape, 6, 10, 3);
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap().simplified();
    for precision in [Precision::F32, Precision::Bf16] {
        let Some(mut used) = engine(&case, precision) else { return };
        let first = case.step(&mut used, &graph);
        assert!(case.step(&mut used, &graph) == first, "other bits in memory that was used before");
        let mut fresh = engine(&case, precision).expect("there is a compiler");
        assert!(case.step(&mut fresh, &graph) == first, "other bits in fresh memory");
        let theirs = case.step(&mut case.engine(Precision::F64, Isa::Portable), &graph);
        let off = distance(&first.logits, &theirs.logits);
        assert!(off < if precision == Precision::Bf16 { 0.1 } else { 1e-3 }, "{precision:?}: off by {off}");
        assert_eq!(precision == Precision::Bf16, off > 1e-4, "bf16 has fewer bits: off by {off}");
    }
}
