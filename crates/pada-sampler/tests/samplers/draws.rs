//! Samplers draw, weight and save what they should, and reject what does not fit.
use pada_sampler::{
    AliasTable, DataImportance, DataImportanceConfig, DataImportanceState, DataSampler, FixedPath,
    ImportanceWeights, LinearSchedule, OneChangePaths, PathImportance, PathImportanceConfig,
    PathImportanceState, PathObservation, PathSampler, Progress, Replacement, SamplerError, SavedState,
    UniformData, UniformPaths, Variant, draw_without_replacement,
};
use pada_space::{Arch, SpaceError, SubSpace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Tells a sampler of a path with these norms of its operations.
fn tell(sampler: &mut PathImportance, path: &Arch, op_norms: &[f64]) {
    let position_norms: Vec<f64> = path.choices().iter().map(|&op| op_norms[usize::from(op)]).collect();
    sampler.observe(&PathObservation::new(path, &position_norms, 1.0)).unwrap();
}

const WHOLE: LinearSchedule = LinearSchedule { first: 1.0, last: 1.0 };
const MOST: LinearSchedule = LinearSchedule { first: 0.8, last: 0.8 };

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// Every count lies within five standard deviations of what its probability promises.
#[track_caller]
fn assert_frequencies(counts: &[usize], p: &[f64]) {
    let n = counts.iter().sum::<usize>() as f64;
    for (i, (&count, p)) in counts.iter().zip(p).enumerate() {
        let sd = (n * p * (1.0 - p)).sqrt();
        assert!((count as f64 - n * p).abs() <= 5.0 * sd, "{i}: {count} of {n}, p = {p}");
    }
}

fn data(config: DataImportanceConfig) -> DataImportance {
    let mut sampler = DataImportance::new(4, config).unwrap();
    sampler.observe(&[0, 1, 2, 3], &[0.5, 1.0, 0.25, 0.75]).unwrap();
    sampler.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
    sampler
}

fn paths(config: PathImportanceConfig) -> PathImportance {
    let mut sampler = PathImportance::new(SubSpace::from_op_counts(&[3; 2]).unwrap(), config).unwrap();
    tell(&mut sampler, &Arch::new(vec![1, 2]), &[0.0, 1.0, 3.0]);
    sampler.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
    sampler
}

#[test]
fn an_alias_table_draws_in_proportion() {
    let table = AliasTable::new(&[1.0, 0.0, 4.0, 5.0]).unwrap();
    let (mut rng, mut counts) = (rng(), [0; 4]);
    (0..200_000).for_each(|_| counts[table.draw(&mut rng)] += 1);
    assert_frequencies(&counts, &[0.1, 0.0, 0.4, 0.5]);
}

#[test]
fn draws_without_replacement_are_different_and_the_first_is_in_proportion() {
    let (weights, mut rng, mut first) = ([1.0, 0.0, 4.0, 5.0], rng(), [0; 4]);
    for _ in 0..20_000 {
        let mut drawn = draw_without_replacement(&weights, 3, &mut rng).unwrap();
        first[drawn[0] as usize] += 1;
        drawn.sort_unstable();
        assert_eq!(drawn, [0, 2, 3]);
    }
    assert_frequencies(&first, &[0.1, 0.0, 0.4, 0.5]);
}

/// Slow reference: one after the other, the smallest of E/w among those that are left, E exponential from the same stream.
#[test]
fn draws_without_replacement_equal_their_definition() {
    let weights = [0.3, 0.0, 2.0, 0.5, 0.2, 7.0];
    let (mut fast, mut slow) = (rng(), rng());
    for _ in 0..100 {
        let ours = draw_without_replacement(&weights, 5, &mut fast).unwrap();
        let keys = weights.map(|w| -(1.0 - slow.random::<f64>()).ln() / w);
        let mut left = vec![0, 2, 3, 4, 5];
        let mut theirs = Vec::new();
        while !left.is_empty() {
            let first = (0..left.len()).min_by(|&a, &b| keys[left[a]].total_cmp(&keys[left[b]])).unwrap();
            theirs.push(left.remove(first) as u32);
        }
        assert_eq!(ours, theirs);
    }
}

#[test]
fn paths_and_images_are_drawn_from_their_distribution() {
    let mut sampler = paths(PathImportanceConfig::default().with_smoothing(MOST));
    let (mut rng, mut counts) = (rng(), vec![0; 3]);
    for _ in 0..50_000 {
        let path = sampler.next_paths(&mut rng).remove(0);
        path.choices().iter().for_each(|&op| counts[usize::from(op)] += 1);
    }
    assert_frequencies(&counts, &sampler.distribution()[0]);

    let mut sampler = data(DataImportanceConfig::default().with_smoothing(MOST));
    let mut counts = vec![0; 4];
    for _ in 0..20_000 {
        sampler.epoch_order(&mut rng).iter().for_each(|&image| counts[image as usize] += 1);
    }
    assert_frequencies(&counts, sampler.distribution().unwrap());
}

#[test]
fn the_uniform_samplers_and_the_first_epoch_show_every_image_once() {
    let mut importance = DataImportance::new(50, DataImportanceConfig::default()).unwrap();
    let samplers: [&mut dyn DataSampler; 2] = [&mut UniformData::new(50).unwrap(), &mut importance];
    for sampler in samplers {
        let mut order = sampler.epoch_order(&mut rng());
        assert_eq!(sampler.distribution(), None);
        assert_ne!(order, (0..50).collect::<Vec<u32>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<u32>>());
    }
}

#[test]
fn uniform_paths_use_every_operation_and_a_fixed_path_is_fixed() {
    let (mut sampler, mut rng, mut counts) =
        (UniformPaths::new(SubSpace::from_op_counts(&[5; 6]).unwrap()).unwrap(), rng(), [0; 5]);
    for _ in 0..20_000 {
        for &op in sampler.next_paths(&mut rng)[0].choices() {
            counts[usize::from(op)] += 1;
        }
    }
    assert_frequencies(&counts, &[0.2; 5]);
    let arch = Arch::new(vec![3, 1]);
    assert_eq!(FixedPath::new(arch.clone()).unwrap().next_paths(&mut rng), [arch]);
}

#[test]
fn one_change_paths_differ_from_the_last_in_one_position_also_after_a_restore() {
    let space =
        SubSpace::from_op_counts(&[5; 6]).unwrap().restrict(2, &[3]).unwrap().restrict(4, &[0, 2]).unwrap();
    let (mut sampler, mut rng) = (OneChangePaths::new(space.clone()).unwrap(), rng());
    let mut last = sampler.next_paths(&mut rng).remove(0);
    let (mut changed, mut drawn) = ([0; 6], [0; 5]);
    for step in 0..20_000 {
        if step == 10_000 {
            let state = sampler.state();
            sampler = OneChangePaths::new(space.clone()).unwrap();
            sampler.restore(&state).unwrap();
        }
        let paths = sampler.next_paths(&mut rng);
        let [path] = &paths[..] else { panic!("{} paths", paths.len()) };
        assert!(space.contains(path), "{path}");
        assert_eq!(path.distance(&last), Ok(1), "{last} {path}");
        let pairs = path.choices().iter().zip(last.choices());
        changed[pairs.map(|(a, b)| a != b).position(|moved| moved).unwrap()] += 1;
        drawn[usize::from(path.choices()[0])] += 1;
        last = path.clone();
    }
    // Position 2 has no choice; the others change equally often.
    assert_frequencies(&changed, &[0.2, 0.2, 0.0, 0.2, 0.2, 0.2]);
    // Steps depend on each other, so that counts of operations spread more; all come about equally often.
    assert!(drawn.iter().all(|&count| (3_300..4_700).contains(&count)), "{drawn:?}");
    let only = (0..6).fold(space, |part, e| {
        let first = part.allowed()[e][0];
        part.restrict(e, &[first]).unwrap()
    });
    // A space of one architecture: always that one.
    let mut alone = OneChangePaths::new(only).unwrap();
    assert_eq!(alone.next_paths(&mut rng), alone.next_paths(&mut rng));
}

#[test]
fn without_replacement_every_image_comes_once_also_where_its_score_is_zero() {
    let replacement = Replacement::Without;
    let config = DataImportanceConfig::default().with_replacement(replacement).with_smoothing(WHOLE);
    let mut sampler = DataImportance::new(4, config).unwrap();
    sampler.observe(&[0, 2], &[0.5, 0.25]).unwrap();
    sampler.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
    let mut order = sampler.epoch_order(&mut rng());
    assert_eq!(order[2..], [1, 3]);
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3]);
}

/// E[weight · f] under the sampler's distribution is the uniform mean of f.
#[test]
fn unbiased_weights_give_back_the_uniform_mean() {
    let importance_weights = ImportanceWeights::Unbiased;
    let sampler = data(
        DataImportanceConfig::default().with_importance_weights(importance_weights).with_smoothing(MOST),
    );
    let f = [3.0, -1.0, 7.0, 11.0];
    let q = sampler.distribution().unwrap();
    let mean: f64 = (0..4).map(|i| q[i] * f64::from(sampler.loss_weight(i as u32).unwrap()) * f[i]).sum();
    // The weights are f32.
    assert!((mean - 5.0).abs() < 1e-6, "{mean}");

    let weight_bound = f64::INFINITY;
    let config = PathImportanceConfig::default()
        .with_importance_weights(importance_weights)
        .with_smoothing(MOST)
        .with_weight_bound(weight_bound);
    let (sampler, bounded) = (paths(config), paths(config.with_weight_bound(1.5)));
    let p = &sampler.distribution()[0];
    let (mut mean, mut uniform) = (0.0, 0.0);
    for (a, b) in (0..3_u8).flat_map(|a| (0..3_u8).map(move |b| (a, b))) {
        let (path, value) = (Arch::new(vec![a, b]), f64::from(a * 5 + b));
        let weight = sampler.loss_weight(&path).unwrap();
        mean += p[usize::from(a)] * p[usize::from(b)] * weight * value;
        uniform += value / 9.0;
        assert_eq!(bounded.loss_weight(&path).unwrap(), weight.min(1.5));
    }
    assert!((mean - uniform).abs() < 1e-12, "{mean} against {uniform}");
}

#[test]
fn without_weights_every_loss_counts_the_same() {
    let (paths, data) = (paths(PathImportanceConfig::default()), data(DataImportanceConfig::default()));
    assert_eq!(
        (paths.loss_weight(&Arch::new(vec![2, 2])).unwrap(), data.loss_weight(1).unwrap()),
        (1.0, 1.0)
    );
}

#[test]
fn a_restored_sampler_goes_on_bit_for_bit() {
    let (mut whole, mut restored) = (
        paths(PathImportanceConfig::default()),
        PathImportance::new(SubSpace::from_op_counts(&[3; 2]).unwrap(), PathImportanceConfig::default())
            .unwrap(),
    );
    // In the middle of an epoch.
    tell(&mut whole, &Arch::new(vec![1, 1]), &[0.0, 0.3, 0.0]);
    restored.restore(&whole.state()).unwrap();
    for sampler in [&mut whole, &mut restored] {
        tell(sampler, &Arch::new(vec![2, 1]), &[0.0, 0.1, 0.7]);
        sampler.end_epoch(Progress::new(7, 10).unwrap()).unwrap();
    }
    assert_eq!(whole.distribution(), restored.distribution());
    assert_eq!(whole.state(), restored.state());

    let config = DataImportanceConfig::default().with_variant(Variant::Paper);
    let (mut whole, mut restored) = (data(config), DataImportance::new(4, config).unwrap());
    whole.observe(&[3, 3], &[0.3, 0.9]).unwrap();
    restored.restore(&whole.state()).unwrap();
    for sampler in [&mut whole, &mut restored] {
        sampler.observe(&[3, 0], &[0.1, 0.7]).unwrap();
        sampler.end_epoch(Progress::new(7, 10).unwrap()).unwrap();
    }
    assert_eq!(whole.state(), restored.state());
    assert_eq!(whole.epoch_order(&mut rng()), restored.epoch_order(&mut rng()));
}

#[test]
fn a_state_of_another_sampler_is_refused_and_changes_nothing() {
    let (mut paths, mut data) =
        (paths(PathImportanceConfig::default()), data(DataImportanceConfig::default()));
    let (of_paths, of_data) = (paths.state(), data.state());
    let error = paths.restore(&of_data).unwrap_err();
    assert!(matches!(&error, SamplerError::OtherKind { .. }));
    assert!(
        error.to_string().contains("`data-importance`") && error.to_string().contains("`path-importance`"),
        "{error}"
    );
    assert!(matches!(data.restore(&of_paths), Err(SamplerError::OtherKind { .. })));
    assert!(matches!(paths.restore(&SavedState::stateless()), Err(SamplerError::OtherKind { .. })));
    let mut uniform = UniformPaths::new(SubSpace::from_op_counts(&[3; 2]).unwrap()).unwrap();
    assert!(matches!(uniform.restore(&of_paths), Err(SamplerError::OtherKind { .. })));
    uniform.restore(&uniform.state()).unwrap();
    let mut larger = DataImportance::new(5, DataImportanceConfig::default()).unwrap();
    let error = larger.restore(&of_data).unwrap_err();
    assert!(
        matches!(&error, SamplerError::State { reason, .. } if reason.contains("4 elements instead of 5")),
        "{error}"
    );
    let mut wider =
        PathImportance::new(SubSpace::from_op_counts(&[4; 2]).unwrap(), PathImportanceConfig::default())
            .unwrap();
    assert!(matches!(wider.restore(&of_paths), Err(SamplerError::State { .. })));
    assert_eq!((paths.state(), data.state()), (of_paths, of_data));
}

/// States are serde types: JSON text gives them back bit for bit.
#[test]
fn states_survive_json_bit_for_bit() {
    let mut sampler = data(DataImportanceConfig::paper());
    sampler.observe(&[1, 3], &[0.1, f32::MIN_POSITIVE]).unwrap();
    sampler.end_epoch(Progress::new(1, 3).unwrap()).unwrap();
    let json = serde_json::to_string(&sampler.state()).unwrap();
    let state: SavedState = serde_json::from_str(&json).unwrap();
    assert_eq!(state, sampler.state());
    let typed: DataImportanceState = state.read(DataImportanceState::KIND).unwrap();
    assert_eq!((typed.probability.as_slice(), typed.epochs), (sampler.distribution().unwrap(), 2));

    let mut sampler = paths(PathImportanceConfig::paper());
    tell(&mut sampler, &Arch::new(vec![1, 1]), &[0.0, 0.3, 0.0]);
    let json = serde_json::to_string(&sampler.state()).unwrap();
    let typed: PathImportanceState =
        serde_json::from_str::<SavedState>(&json).unwrap().read(PathImportanceState::KIND).unwrap();
    assert_eq!(typed.probability, sampler.distribution());
    assert_eq!((&typed.importance, &typed.steps), (&vec![vec![0.0, 0.3, 0.0]], &vec![vec![0, 1, 0]]));
}

/// A state whose numbers are no distribution would end in a panic when it is drawn from.
#[test]
fn a_state_that_is_no_distribution_is_refused() {
    let mut sampler = data(DataImportanceConfig::default());
    let start = sampler.state();
    let mut state: DataImportanceState = start.read(DataImportanceState::KIND).unwrap();
    for probability in [vec![0.0; 4], vec![-1.0, 1.0, 1.0, 1.0], vec![f64::NAN; 4]] {
        state.probability = probability;
        let error = sampler.restore(&SavedState::new(DataImportanceState::KIND, &state)).unwrap_err();
        assert!(matches!(error, SamplerError::State { .. }), "{error}");
    }
    assert_eq!(sampler.state(), start);
    let mut sampler = OneChangePaths::new(SubSpace::from_op_counts(&[3; 2]).unwrap()).unwrap();
    let foreign = serde_json::json!({"kind": "one-change-paths", "state": {"last": [1, 7]}});
    let error = sampler.restore(&serde_json::from_value(foreign).unwrap()).unwrap_err();
    assert!(matches!(&error, SamplerError::State { reason, .. } if reason.contains("17")), "{error}");
}

/// Observations that do not fit are refused with a reason and change nothing.
#[test]
fn misuse_is_an_error_with_a_reason() {
    let mut sampler = paths(PathImportanceConfig::default());
    let before = sampler.state();
    let path = Arch::new(vec![1, 2]);
    let mut observe = |path: &Arch, norms: &[f64], loss| {
        sampler.observe(&PathObservation::new(path, norms, loss)).unwrap_err()
    };
    let short = observe(&path, &[1.0], 1.0);
    assert!(matches!(short, SamplerError::LengthMismatch { found: 1, expected: 2, .. }), "{short}");
    let long = observe(&path, &[1.0; 3], 1.0);
    assert!(matches!(long, SamplerError::LengthMismatch { found: 3, expected: 2, .. }), "{long}");
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let error = observe(&path, &[1.0, bad], 1.0);
        assert!(matches!(error, SamplerError::BadObservation { index: 1, .. }), "{error}");
    }
    assert!(matches!(observe(&path, &[1.0; 2], f64::NAN), SamplerError::BadObservation { what: "loss", .. }));
    for stranger in [vec![1], vec![1, 2, 0], vec![1, 3]] {
        let (norms, stranger) = (vec![1.0; stranger.len()], Arch::new(stranger));
        let error = observe(&stranger, &norms, 1.0);
        assert!(
            matches!(&error, SamplerError::NotInSpace { path, positions: 2 } if *path == stranger),
            "{error}"
        );
    }
    assert!(matches!(sampler.loss_weight(&Arch::new(vec![0, 9])), Err(SamplerError::NotInSpace { .. })));
    for (epoch, epochs) in [(7, 7), (0, 0), (usize::MAX, 1)] {
        let error = Progress::new(epoch, epochs).unwrap_err();
        assert!(
            matches!(error, SamplerError::BadProgress { epoch: e, epochs: n } if (e, n) == (epoch, epochs))
        );
    }
    assert_eq!(sampler.state(), before);

    let mut sampler = data(DataImportanceConfig::default());
    let before = sampler.state();
    let error = sampler.observe(&[0, 4], &[0.1, 0.1]).unwrap_err();
    assert!(matches!(error, SamplerError::NoSuchImage { image: 4, images: 4 }), "{error}");
    assert!(matches!(sampler.loss_weight(4), Err(SamplerError::NoSuchImage { .. })));
    let error = sampler.observe(&[0, 1], &[0.1]).unwrap_err();
    assert!(matches!(error, SamplerError::LengthMismatch { found: 1, expected: 2, .. }), "{error}");
    let error = sampler.observe(&[0, 1], &[0.1, f32::NAN]).unwrap_err();
    assert!(matches!(error, SamplerError::BadObservation { index: 1, .. }), "{error}");
    assert_eq!(sampler.state(), before);
}

#[test]
fn nothing_to_sample_from_is_an_error() {
    let space = SubSpace::from_op_counts(&[]).unwrap();
    assert_eq!(UniformPaths::new(space.clone()).unwrap_err(), SamplerError::Empty);
    assert_eq!(OneChangePaths::new(space).unwrap_err(), SamplerError::Empty);
    // A decision without operations is no space at all.
    let error = SubSpace::from_op_counts(&[3, 0]).unwrap_err();
    assert_eq!(error, SpaceError::BadOpCount { decision: 1, count: 0 });
    assert_eq!(UniformData::new(0).unwrap_err(), SamplerError::Empty);
    assert_eq!(FixedPath::new(Arch::new(vec![])).unwrap_err(), SamplerError::Empty);
    assert!(matches!(LinearSchedule::new(0.0, 1.5), Err(SamplerError::BadConfig { name: "last", .. })));
}

#[test]
fn settings_out_of_range_are_named() {
    let smoothing = LinearSchedule { first: 0.0, last: 1.5 };
    let path = |config| PathImportance::new(SubSpace::from_op_counts(&[5; 6]).unwrap(), config).unwrap_err();
    let bad = path(PathImportanceConfig::default().with_smoothing(smoothing));
    assert!(matches!(bad, SamplerError::BadConfig { name: "smoothing.last", value: 1.5, .. }), "{bad}");
    let bad = path(PathImportanceConfig::default().with_weight_bound(0.0));
    assert!(matches!(bad, SamplerError::BadConfig { name: "weight_bound", .. }), "{bad}");
    assert_eq!(
        PathImportance::new(SubSpace::from_op_counts(&[]).unwrap(), PathImportanceConfig::default())
            .unwrap_err(),
        SamplerError::Empty
    );
    let smoothing = LinearSchedule { first: -0.1, last: 1.0 };
    let bad = DataImportance::new(3, DataImportanceConfig::default().with_smoothing(smoothing)).unwrap_err();
    assert!(matches!(bad, SamplerError::BadConfig { name: "smoothing.first", .. }), "{bad}");
    assert_eq!(DataImportance::new(0, DataImportanceConfig::default()).unwrap_err(), SamplerError::Empty);
}

#[test]
fn lists_that_are_no_weights_are_refused() {
    assert_eq!(AliasTable::new(&[]).unwrap_err(), SamplerError::Empty);
    for (weights, index) in
        [([1.0, -1.0], 1), ([f64::NAN, 1.0], 0), ([0.0, 0.0], 1), ([1.0, f64::INFINITY], 1)]
    {
        let error = AliasTable::new(&weights).unwrap_err();
        assert!(matches!(error, SamplerError::BadWeights { index: i, len: 2, .. } if i == index), "{error}");
    }
    let error = draw_without_replacement(&[1.0, 0.0], 2, &mut rng()).unwrap_err();
    assert_eq!(error, SamplerError::TooMany { requested: 2, available: 1 });
}
