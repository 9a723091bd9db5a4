//! The path samplers of the other methods, by the rule that defines each.
use std::collections::{HashMap, HashSet};

use pada_sampler::{
    ConnectedPaths, ConstantPaths, DistributionScope, FairPaths, ImportanceWeights, LinearSchedule,
    OneChangePaths, ParetoPaths, ParetoPathsConfig, ParetoPathsState, PathImportance, PathImportanceConfig,
    PathObservation, PathSampler, Progress, SamplerError, Variant,
};
use pada_space::{Arch, Darts, DartsCell, Nb201, Proxyless, ProxylessWidths, SearchSpace, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const WHOLE: LinearSchedule = LinearSchedule { first: 1.0, last: 1.0 };

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

fn space() -> SubSpace {
    SubSpace::from_op_counts(&[5; 6]).unwrap()
}

fn seen<'a>(path: &'a Arch, position_norms: &'a [f64], loss: f64) -> PathObservation<'a> {
    PathObservation::new(path, position_norms, loss)
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
    let part = space().restrict(2, &[0, 1, 2, 3, 4]).unwrap();
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
            sampler.end_epoch(Progress::new(epoch, 2).unwrap()).unwrap();
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
    let error = FairPaths::new(space().restrict(1, &[0, 3]).unwrap(), Variant::Paper).unwrap_err();
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
        sampler.observe(&seen(&path, &[9.0; 6], 1.0)).unwrap();
        path.choices().iter().for_each(|&op| counts[usize::from(op)] += 1);
    }
    sampler.end_epoch(Progress::new(1, 2).unwrap()).unwrap();
    for (count, p) in counts.iter().zip(target) {
        let (n, count) = (60_000.0, f64::from(*count));
        assert!((count - n * p).abs() < 5.0 * (n * p * (1.0 - p)).sqrt(), "{counts:?}");
    }
    let row = &sampler.distribution()[0];
    assert!(row.iter().zip(target).all(|(p, t)| (p - t).abs() < 1e-12), "{row:?}");
}

#[test]
fn a_ramp_leads_from_uniform_to_the_target() {
    let ramp = LinearSchedule { first: 0.0, last: 1.0 };
    let mut sampler = ConstantPaths::new(space(), &[0.0, 0.0, 0.38, 0.62, 0.0], ramp).unwrap();
    assert_eq!(sampler.distribution()[0], [0.2; 5]);
    sampler.end_epoch(Progress::new(1, 2).unwrap()).unwrap();
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
    let part = (0..6).fold(space(), |part, e| part.restrict(e, &[1, 3]).unwrap());
    let error = ConstantPaths::new(part, &[0.2; 5], WHOLE).unwrap_err();
    assert!(matches!(error, SamplerError::BadConfig { name: "distribution", .. }), "{error}");
}

/// Two positions that saw different norms get different rows.
#[test]
fn importance_per_position_learns_from_its_own_position() {
    let config = PathImportanceConfig::default()
        .with_scope(DistributionScope::Position)
        .with_smoothing(WHOLE)
        .with_variant(Variant::Paper);
    let mut sampler = PathImportance::new(SubSpace::from_op_counts(&[3; 2]).unwrap(), config).unwrap();
    sampler.observe(&seen(&Arch::new(vec![1, 2]), &[1.0, 6.0], 0.0)).unwrap();
    sampler.observe(&seen(&Arch::new(vec![2, 2]), &[3.0, 2.0], 0.0)).unwrap();
    sampler.observe(&seen(&Arch::new(vec![1, 1]), &[1.0, 12.0], 0.0)).unwrap();
    sampler.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
    assert_eq!(sampler.distribution(), [[0.0, 0.25, 0.75], [0.0, 0.75, 0.25]]);
}

/// Paths 00 (loss 3, cost 0), 11 (loss 1, cost 2) are on the front; 20 (loss 4, cost 2) is not.
#[test]
fn pareto_paths_stay_near_what_no_other_path_beats() {
    let cost = || Box::new(|arch: &Arch| arch.choices().iter().map(|&c| f64::from(c)).sum());
    let config = ParetoPathsConfig::new(WHOLE, 8);
    let new = || ParetoPaths::new(SubSpace::from_op_counts(&[3; 2]).unwrap(), config, cost()).unwrap();
    let (mut sampler, mut rng) = (new(), rng());
    for (digits, loss) in [([0, 0], 3.0), ([1, 1], 1.0), ([2, 0], 4.0)] {
        sampler.observe(&seen(&Arch::new(digits.to_vec()), &[0.0; 2], loss)).unwrap();
    }
    let front = [Arch::new(vec![0, 0]), Arch::new(vec![1, 1])];
    for _ in 0..200 {
        let path = sampler.next_paths(&mut rng).remove(0);
        assert!(front.iter().any(|centre| centre.distance(&path).unwrap() <= 1), "{path}");
    }
    assert_goes_on(sampler, new());
}

#[test]
fn pareto_paths_forget_the_oldest() {
    let config = ParetoPathsConfig::new(WHOLE, 2);
    let mut sampler =
        ParetoPaths::new(SubSpace::from_op_counts(&[3; 2]).unwrap(), config, Box::new(|_| 1.0)).unwrap();
    for (digits, loss) in [([0, 0], 1.0), ([1, 1], 2.0), ([2, 2], 3.0)] {
        sampler.observe(&seen(&Arch::new(digits.to_vec()), &[0.0; 2], loss)).unwrap();
    }
    let state: ParetoPathsState = sampler.state().read(ParetoPathsState::KIND).unwrap();
    let remembered: Vec<&Arch> = state.paths.iter().map(|remembered| &remembered.path).collect();
    assert_eq!(remembered, [&Arch::new(vec![1, 1]), &Arch::new(vec![2, 2])]);
}

/// Two positions, the second without operation 2: it draws from what the first two have of p.
#[test]
fn one_p_serves_positions_that_lack_an_operation() {
    let space = SubSpace::from_op_counts(&[3, 2]).unwrap();
    let config = PathImportanceConfig::default().with_smoothing(WHOLE).with_variant(Variant::Paper);
    let mut sampler = PathImportance::new(space.clone(), config).unwrap();
    for (digits, norms) in [([0, 0], [1.0, 1.0]), ([1, 1], [3.0, 3.0]), ([2, 1], [4.0, 3.0])] {
        sampler.observe(&seen(&Arch::new(digits.to_vec()), &norms, 0.0)).unwrap();
    }
    sampler.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
    assert_eq!(sampler.distribution(), [[0.125, 0.375, 0.5]]);
    let (mut rng, mut counts) = (rng(), [[0_u32; 3]; 2]);
    for _ in 0..8_000 {
        let path = sampler.next_paths(&mut rng).remove(0);
        path.choices().iter().enumerate().for_each(|(e, &op)| counts[e][usize::from(op)] += 1);
    }
    for (counts, p) in counts.iter().zip([[0.125, 0.375, 0.5], [0.25, 0.75, 0.0]]) {
        for (count, p) in counts.iter().zip(p) {
            let off = (f64::from(*count) - 8_000.0 * p).abs();
            assert!(off <= 5.0 * (8_000.0_f64 * p * (1.0 - p)).sqrt(), "{counts:?}");
        }
    }
    // u/p is 1/3 ÷ 1/8 at the first position, 1/2 ÷ 3/4 at the second.
    let unbiased = config.with_importance_weights(ImportanceWeights::Unbiased);
    let mut weighted = PathImportance::new(space, unbiased).unwrap();
    weighted.restore(&sampler.state()).unwrap();
    let weight = weighted.loss_weight(&Arch::new(vec![0, 1])).unwrap();
    assert!((weight - 8.0 / 3.0 * 2.0 / 3.0).abs() < 1e-12, "{weight}");
}

/// A path of DARTS with the same operation on all edges of a cell, and norms as large as the numbers of the positions.
fn darts_path(normal: u8, reduce: u8) -> (Arch, Vec<f64>) {
    let mut choices = vec![normal; 17];
    choices.extend([reduce; 17]);
    for pair in [14, 15, 16, 31, 32, 33] {
        choices[pair] = 0;
    }
    (Arch::new(choices), (0..34).map(f64::from).collect())
}

/// Pair 0 of every node keeps the edges from nodes 0 and 1: positions 0, 1, 2, 3, 5, 6, 9, 10 of a cell.
#[test]
fn importance_in_darts_learns_from_the_edges_that_are_kept() {
    let kept = [0, 1, 2, 3, 5, 6, 9, 10];
    let mean = |first: usize| kept.iter().map(|e| (e + first) as f64).sum::<f64>() / 8.0;
    let distribution = |share| {
        let config = PathImportanceConfig::default()
            .with_smoothing(WHOLE)
            .with_variant(Variant::Paper)
            .with_scope(share);
        let mut sampler = PathImportance::new(SubSpace::full(&Darts), config).unwrap();
        let (path, norms) = darts_path(4, 6);
        sampler.observe(&seen(&path, &norms, 0.0)).unwrap();
        sampler.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
        let path = sampler.next_paths(&mut rng()).remove(0);
        Darts.check(&path).unwrap();
        sampler.distribution()
    };
    let all = distribution(DistributionScope::All);
    assert_eq!((all.len(), all[0].len()), (1, 8));
    assert!((all[0][4] - mean(0) / (mean(0) + mean(17))).abs() < 1e-12, "{all:?}");
    assert!((all[0][6] - mean(17) / (mean(0) + mean(17))).abs() < 1e-12, "{all:?}");
    let kinds = distribution(DistributionScope::Kind);
    assert_eq!((kinds.len(), kinds[0][4], kinds[1][6]), (2, 1.0, 1.0));
    let positions = distribution(DistributionScope::Position);
    assert_eq!(positions.len(), 34);
    for (e, row) in positions.iter().enumerate() {
        match e % 17 {
            // The norm at position 0 is 0.
            here if kept.contains(&here) && e > 0 => {
                assert_eq!(row[if e < 17 { 4 } else { 6 }], 1.0, "position {e}");
            }
            here if here < 14 => assert_eq!(row[..8], [0.125; 8], "position {e} was not seen"),
            here => assert!(row.iter().filter(|p| **p > 0.0).count() == [3, 6, 10][here - 14], "pair {e}"),
        }
    }
}

#[test]
fn fair_paths_in_darts_train_every_operation_of_the_edges_they_keep() {
    let (mut sampler, mut rng) = (FairPaths::new(SubSpace::full(&Darts), Variant::Paper).unwrap(), rng());
    let mut kept = HashSet::new();
    for _ in 0..10 {
        let paths = sampler.next_paths(&mut rng);
        assert_eq!(paths.len(), 8);
        for cell in [DartsCell::Normal, DartsCell::Reduce] {
            let edges: Vec<_> = paths.iter().map(|path| Darts::edges(path, cell).unwrap()).collect();
            for e in 0..8 {
                let here: HashSet<_> = edges.iter().map(|edges| edges[e].decision).collect();
                let ops: HashSet<_> = edges.iter().map(|edges| edges[e].op).collect();
                assert_eq!((here.len(), ops.len()), (1, 8));
                kept.extend(here);
            }
        }
    }
    assert!(kept.len() > 16, "the inputs change from step to step");
    // Some layers of ProxylessNAS can be skipped and some cannot, so no set of paths is fair to both.
    let space = Proxyless::new(ProxylessWidths::SEARCH);
    let error = FairPaths::new(SubSpace::full(&space), Variant::Paper).unwrap_err();
    assert!(error.to_string().contains("strict fairness"), "{error}");
    // Without skips, as in FairNAS's own space, all layers have the same six blocks.
    let blocks: Vec<&str> = space.op_names().iter().copied().take(6).collect();
    let part = SubSpace::with_ops(&space, &blocks).unwrap();
    let paths = FairPaths::new(part, Variant::Paper).unwrap().next_paths(&mut rng);
    assert_eq!(paths.len(), 6);
    for position in 0..space.n_ops().len() {
        let ops: HashSet<u8> = paths.iter().map(|path| path.choices()[position]).collect();
        assert_eq!(ops, (0..6).collect::<HashSet<u8>>());
    }
}

#[test]
fn one_change_in_darts_is_a_change_of_the_genotype() {
    let (mut sampler, mut rng) = (OneChangePaths::new(SubSpace::full(&Darts)).unwrap(), rng());
    let mut last = sampler.next_paths(&mut rng).remove(0);
    for _ in 0..200 {
        let path = sampler.next_paths(&mut rng).remove(0);
        assert_eq!(path.distance(&last), Ok(1));
        assert_ne!(Darts.without_dead_edges(&path).unwrap(), Darts.without_dead_edges(&last).unwrap());
        last = path;
    }
}

/// The rule of GM's public code, `check_connect`, written out: four ways lead from node 0 to node 3.
fn connected_by_hand(arch: &Arch) -> bool {
    let is = |e: usize| arch.choices()[e] != 0;
    is(3) || (is(1) && is(5)) || (is(0) && is(4)) || (is(0) && is(2) && is(5))
}

#[test]
fn connected_paths_are_the_connected_architectures_with_equal_probabilities() {
    let is_connected = |arch: &Arch| Nb201::new().active(arch).unwrap().contains(&true);
    for arch in Nb201::new().archs() {
        assert_eq!(is_connected(&arch), connected_by_hand(&arch), "{arch}");
    }
    // Two operations on six edges, so every connected architecture is drawn often.
    let part = SubSpace::with_ops(&Nb201::new(), &["none", "nor_conv_3x3"]).unwrap();
    let (mut sampler, mut rng) = (ConnectedPaths::new(part, Box::new(is_connected)).unwrap(), rng());
    let mut counts: HashMap<Arch, usize> = HashMap::new();
    const DRAWS: usize = 40_000;
    for _ in 0..DRAWS {
        *counts.entry(sampler.next_paths(&mut rng).remove(0)).or_default() += 1;
    }
    let all: Vec<Arch> =
        Nb201::new().archs().filter(|a| a.choices().iter().all(|c| [0, 3].contains(c))).collect();
    let connected: Vec<&Arch> = all.iter().filter(|arch| connected_by_hand(arch)).collect();
    assert!(connected.len() < 64 && counts.len() == connected.len());
    let mean = DRAWS as f64 / connected.len() as f64;
    for arch in &connected {
        assert!((counts[*arch] as f64 - mean).abs() < 6.0 * mean.sqrt(), "{arch}: {}", counts[*arch]);
    }
    // The marginal distribution is exact.
    let share =
        |op: u8| connected.iter().filter(|a| a.choices()[0] == op).count() as f64 / connected.len() as f64;
    assert_eq!(sampler.distribution()[0], [share(0), 0.0, 0.0, share(3)]);
    assert!(share(3) > share(0));
}

#[test]
fn a_part_without_a_connected_architecture_is_refused() {
    let part = SubSpace::with_ops(&Nb201::new(), &["none"]).unwrap();
    let is_connected = |arch: &Arch| Nb201::new().active(arch).unwrap().contains(&true);
    assert!(matches!(ConnectedPaths::new(part, Box::new(is_connected)), Err(SamplerError::Empty)));
    let error = ConnectedPaths::new(SubSpace::full(&Darts), Box::new(|_| true)).err().unwrap();
    assert!(error.to_string().contains("at most a million"), "{error}");
}
