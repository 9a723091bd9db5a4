//! Kendall's tau-b at the size of NAS-Bench-201 and at a million.

use criterion::{Criterion, criterion_group, criterion_main};
use pada_metrics::kendall_tau_b;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Correlated scores with ties: accuracies in hundredths.
fn scores(n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let ground_truth: Vec<f64> = (0..n).map(|_| rng.random_range(0..10_000) as f64 / 100.0).collect();
    let predicted = ground_truth.iter().map(|t| (t + rng.random_range(-20.0..20.0_f64)).round()).collect();
    (predicted, ground_truth)
}

fn tau_b(c: &mut Criterion) {
    for (n, checksum) in [(15_625, 0.764), (1_000_000, 0.764)] {
        let (predicted, ground_truth) = scores(n);
        let tau = kendall_tau_b(&predicted, &ground_truth).expect("the lists have no NaN");
        assert!((tau - checksum).abs() < 0.005, "the work changed: tau is {tau}");
        c.bench_function(&format!("tau_b/{n}"), |b| b.iter(|| kendall_tau_b(&predicted, &ground_truth)));
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = tau_b }
criterion_main!(benches);
