//! Convolutions in bf16.

use pada_engine::{Isa, has_bf16};
use pada_exec::{Executor, Precision};
use pada_graph::{Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::case::{Case, distance};

/// bf16 numbers have 8 bits: logits and gradients are near those of f64, and the name says what was computed with.
#[test]
fn bf16_is_near_and_says_so() {
    let (space, shape) = (Nb201::new(), Shape::new(3, 16, 16));
    let of_16: &[&str] = &["333333", "323412"];
    for (channels, archs, seed) in [(16, of_16, 7), (8, &["212121"], 8), (20, &["444444", "323412"], 9)] {
        let net = Nb201Net::new(channels, 1, shape, 10, Norms::Plain);
        let case = Case::new(net.weights(), shape, 24, 10, seed);
        for arch in archs {
            let graph = net.lower(&space.parse(arch).unwrap()).unwrap().simplified();
            let theirs = case.step(&mut case.candle(), &graph);
            let mut engine = case.engine(Precision::Bf16, Isa::Avx512);
            let ours = case.step(&mut engine, &graph);
            let off = distance(&ours.logits, &theirs.logits);
            assert!(off < 0.1, "{channels} {arch}: logits off by {off}");
            assert!(
                (ours.loss - theirs.loss).abs() < 0.02 * theirs.loss,
                "{channels} {arch}: loss {}",
                ours.loss
            );
            let products = ours.gradient.iter().zip(&theirs.gradient).map(|(a, b)| f64::from(a * b));
            let norm = |list: &[f32]| list.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            let cosine = products.sum::<f64>() / norm(&ours.gradient) / norm(&theirs.gradient);
            assert!(cosine > 0.95, "{channels} {arch}: the gradient points elsewhere, cosine {cosine}");

            let single = case.step(&mut case.engine(Precision::F32, Isa::Avx512), &graph);
            let says_f32 = engine.name().contains("f32 for want of bf16");
            assert_eq!(says_f32, !has_bf16(), "{}", engine.name());
            assert_eq!(says_f32, single == ours, "{channels} {arch}: {}", engine.name());
        }
    }
}
