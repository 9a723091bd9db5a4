//! Whatever is observed, what samplers draw from is a distribution.
use pada_sampler::{
    AliasTable, DataImportance, DataImportanceConfig, DataSampler, PathImportance, PathImportanceConfig,
    PathObservation, PathSampler, Progress, Variant,
};
use pada_space::{Arch, SubSpace};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Tells a sampler of a path with these norms of its operations.
fn tell(sampler: &mut PathImportance, path: &Arch, op_norms: &[f64]) {
    let position_norms: Vec<f64> = path.choices().iter().map(|&op| op_norms[usize::from(op)]).collect();
    sampler.observe(&PathObservation::new(path, &position_norms, 1.0)).unwrap();
}

fn variant() -> impl Strategy<Value = Variant> {
    prop_oneof![Just(Variant::Released), Just(Variant::Paper)]
}

fn is_distribution(p: &[f64]) -> bool {
    p.iter().all(|v| v.is_finite() && *v >= 0.0) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12
}

proptest! {
    #[test]
    fn path_distributions_sum_to_one(
        variant in variant(),
        steps in prop::collection::vec((prop::collection::vec(0..5_u8, 6), prop::collection::vec(0.0..1e6_f64, 5)), 0..20),
        (epoch, epochs) in (0..50_usize, 50..100_usize),
    ) {
        let config = PathImportanceConfig::default().with_variant(variant);
        let mut sampler = PathImportance::new(SubSpace::from_op_counts(&[5; 6]).unwrap(), config).unwrap();
        for (path, norms) in steps {
            let path = Arch::new(path);
            let on_path: Vec<f64> = norms.iter().enumerate().map(|(op, n)| if path.count(op) > 0 { *n } else { 0.0 }).collect();
            tell(&mut sampler, &path, &on_path);
        }
        sampler.end_epoch(Progress::new(epoch, epochs).unwrap()).unwrap();
        prop_assert!(is_distribution(&sampler.distribution()[0]));
    }

    #[test]
    fn image_distributions_sum_to_one_and_epochs_have_n_images(
        variant in variant(),
        steps in prop::collection::vec(prop::collection::vec((0..30_u32, 0.0..1.5_f32), 0..8), 0..20),
        (epoch, epochs) in (0..50_usize, 50..100_usize),
    ) {
        let config = DataImportanceConfig::default().with_variant(variant);
        let mut sampler = DataImportance::new(30, config).unwrap();
        for step in steps {
            let (images, norms): (Vec<u32>, Vec<f32>) = step.into_iter().unzip();
            sampler.observe(&images, &norms).unwrap();
        }
        sampler.end_epoch(Progress::new(epoch, epochs).unwrap()).unwrap();
        prop_assert!(is_distribution(sampler.distribution().unwrap()));
        let order = sampler.epoch_order(&mut ChaCha8Rng::seed_from_u64(0));
        prop_assert!(order.len() == 30 && order.iter().all(|&i| i < 30));
    }

    #[test]
    fn an_alias_table_never_draws_what_has_no_weight(weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-12..1e12_f64], 1..40)) {
        prop_assume!(weights.iter().any(|w| *w > 0.0));
        let (table, mut rng) = (AliasTable::new(&weights).unwrap(), ChaCha8Rng::seed_from_u64(0));
        prop_assert!((0..200).all(|_| weights[table.draw(&mut rng)] > 0.0));
    }
}
