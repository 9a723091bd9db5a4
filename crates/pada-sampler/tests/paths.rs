//! The path samplers of the other methods, by the rule that defines each.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;

use pada_sampler::{
    ConstantPaths, FairPaths, ParetoPaths, ParetoPathsConfig, PathImportance, PathImportanceConfig,
    PathSampler, PathSeen, PathShare, Ramp, SamplerError, Variant,
};
use pada_space::{Arch, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const WHOLE: Ramp = Ramp { first: 1.0, last: 1.0 };

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

fn space() -> SubSpace {
    SubSpace::whole(&[5; 6])
}

fn seen<'a>(path: &'a Arch, position_norms: &'a [f64], loss: f64) -> PathSeen<'a> {
    PathSeen { path, position_norms, loss }
}

/// Goes on in both and demands the same paths.
fn assert_goes_on(mut whole: impl PathSampler, mut restored: impl PathSampler) {
    restored.restore(&whole.state()).unwrap();
    let (mut a, mut b) = (rng(), rng());
    for _ in 0..20 {
        assert_eq!(whole.next_paths(&mut a), restored.next_paths(&mut b));
    }
    assert_eq!(whole.state(), restored.state());
}

#[test]
fn fair_paths_hold_every_operation_of_every_position_once() {
    let part = space().only(2, &[0, 1, 2, 3, 4]);
    for variant in [Variant::Paper, Variant::Released] {
        let (mut sampler, mut rng) = (FairPaths::new(part.clone(), variant).unwrap(), rng());
        for _ in 0..30 {
            let paths = sampler.next_paths(&mut rng);
            assert_eq!(paths.len(), 5);
            for e in 0..6 {
                let ops: HashSet<u8> = paths.iter().map(|path| path.choices()[e]).collect();
                assert_eq!(ops.len(), 5, "position {e}");
            }
        }
    }
}

#[test]
fn released_fair_paths_repeat_all_epoch_and_paper_ones_do_not() {
    let steps = |variant| {
        let (mut sampler, mut rng) = (FairPaths::new(space(), variant).unwrap(), rng());
        let mut epochs = Vec::new();
        for epoch in 0..2 {
            let drawn: HashSet<Vec<Arch>> = (0..20).map(|_| sampler.next_paths(&mut rng)).collect();
            epochs.push(drawn);
            sampler.end_epoch(f64::from(epoch) / 2.0);
        }
        epochs
    };
    let released = steps(Variant::Released);
    assert_eq!((released[0].len(), released[1].len()), (1, 1));
    assert_ne!(released[0], released[1]);
    assert_eq!(steps(Variant::Paper)[0].len(), 20);
}

#[test]
fn a_fair_set_needs_equally_many_operations_everywhere() {
    let error = FairPaths::new(space().only(1, &[0, 3]), Variant::Paper).unwrap_err();
    assert!(error.to_string().contains("number of operations is 2"), "{error}");
}

#[test]
fn fair_paths_go_on_in_the_middle_of_an_epoch() {
    let mut whole = FairPaths::new(space(), Variant::Released).unwrap();
    whole.next_paths(&mut rng());
    assert_goes_on(whole, FairPaths::new(space(), Variant::Released).unwrap());
}

#[test]
fn constant_paths_follow_their_distribution_whatever_is_seen() {
    let target = [0.1, 0.1, 0.3, 0.4, 0.1];
    let mut sampler = ConstantPaths::new(space(), &target, WHOLE).unwrap();
    let (mut rng, mut counts) = (rng(), [0_u32; 5]);
    for _ in 0..10_000 {
        let path = sampler.next_paths(&mut rng).remove(0);
        sampler.observe(&seen(&path, &[9.0; 6], 1.0));
        path.choices().iter().for_each(|&op| counts[usize::from(op)] += 1);
    }
    sampler.end_epoch(0.5);
    for (count, p) in counts.iter().zip(target) {
        let (n, count) = (60_000.0, f64::from(*count));
        assert!((count - n * p).abs() < 5.0 * (n * p * (1.0 - p)).sqrt(), "{counts:?}");
    }
    let row = &sampler.distribution()[0];
    assert!(row.iter().zip(target).all(|(p, t)| (p - t).abs() < 1e-12), "{row:?}");
}

#[test]
fn a_ramp_leads_from_uniform_to_the_target() {
    let ramp = Ramp { first: 0.0, last: 1.0 };
    let mut sampler = ConstantPaths::new(space(), &[0.0, 0.0, 0.38, 0.62, 0.0], ramp).unwrap();
    assert_eq!(sampler.distribution()[0], [0.2; 5]);
    sampler.end_epoch(0.5);
    let expected = [0.1, 0.1, 0.29, 0.41, 0.1];
    let row = &sampler.distribution()[0];
    assert!(row.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-12), "{row:?}");
    assert_goes_on(sampler, ConstantPaths::new(space(), &[0.0, 0.0, 0.38, 0.62, 0.0], ramp).unwrap());
}

#[test]
fn a_distribution_that_does_not_fit_is_refused() {
    let new = |target: &[f64]| ConstantPaths::new(space(), target, WHOLE).unwrap_err();
    assert!(matches!(new(&[0.5, 0.5]), SamplerError::BadConfig { name: "distribution", .. }));
    assert!(matches!(new(&[0.5, -0.1, 0.2, 0.2, 0.2]), SamplerError::BadWeights { index: 1, .. }));
    let part = (0..6).fold(space(), |part, e| part.only(e, &[1, 3]));
    let error = ConstantPaths::new(part, &[0.2; 5], WHOLE).unwrap_err();
    assert!(matches!(error, SamplerError::BadConfig { name: "distribution", .. }), "{error}");
}

/// Two positions that saw different norms get different rows.
#[test]
fn importance_per_position_learns_from_its_own_position() {
    let config = PathImportanceConfig {
        share: PathShare::Position,
        smoothing: WHOLE,
        variant: Variant::Paper,
        ..PathImportanceConfig::default()
    };
    let mut sampler = PathImportance::new(SubSpace::whole(&[3; 2]), config).unwrap();
    sampler.observe(&seen(&Arch::new(vec![1, 2]), &[1.0, 6.0], 0.0));
    sampler.observe(&seen(&Arch::new(vec![2, 2]), &[3.0, 2.0], 0.0));
    sampler.observe(&seen(&Arch::new(vec![1, 1]), &[1.0, 12.0], 0.0));
    sampler.end_epoch(0.0);
    assert_eq!(sampler.distribution(), [[0.0, 0.25, 0.75], [0.0, 0.75, 0.25]]);
}

/// Paths 00 (loss 3, cost 0), 11 (loss 1, cost 2) are on the front; 20 (loss 4, cost 2) is not.
#[test]
fn pareto_paths_stay_near_what_no_other_path_beats() {
    let cost = || Box::new(|arch: &Arch| arch.choices().iter().map(|&c| f64::from(c)).sum());
    let config = ParetoPathsConfig { smoothing: WHOLE, memory: 8 };
    let new = || ParetoPaths::new(SubSpace::whole(&[3; 2]), config, cost()).unwrap();
    let (mut sampler, mut rng) = (new(), rng());
    for (digits, loss) in [([0, 0], 3.0), ([1, 1], 1.0), ([2, 0], 4.0)] {
        sampler.observe(&seen(&Arch::new(digits.to_vec()), &[0.0; 2], loss));
    }
    let front = [Arch::new(vec![0, 0]), Arch::new(vec![1, 1])];
    for _ in 0..200 {
        let path = sampler.next_paths(&mut rng).remove(0);
        assert!(front.iter().any(|centre| centre.distance(&path) <= 1), "{path}");
    }
    assert_goes_on(sampler, new());
}

#[test]
fn pareto_paths_forget_the_oldest() {
    let config = ParetoPathsConfig { smoothing: WHOLE, memory: 2 };
    let mut sampler = ParetoPaths::new(SubSpace::whole(&[3; 2]), config, Box::new(|_| 1.0)).unwrap();
    for (digits, loss) in [([0, 0], 1.0), ([1, 1], 2.0), ([2, 2], 3.0)] {
        sampler.observe(&seen(&Arch::new(digits.to_vec()), &[0.0; 2], loss));
    }
    assert_eq!(sampler.state().0["seen"], [1.0, 1.0, 2.0, 2.0]);
}
