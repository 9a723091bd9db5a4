//! Epochs of both importance samplers, number by number: against plain Python (`tests/data/make_epochs.py`) and by hand.
use pada_sampler::{
    DataImportance, DataImportanceConfig, DataSampler, DistributionScope, ImportanceWeights, LinearSchedule,
    PathImportance, PathImportanceConfig, PathObservation, PathSampler, Progress, Replacement, Unseen,
    Variant,
};
use pada_space::{Arch, SubSpace};

/// Tells a sampler of a path with these norms of its operations.
fn tell(sampler: &mut PathImportance, path: &Arch, op_norms: &[f64]) {
    let position_norms: Vec<f64> = path.choices().iter().map(|&op| op_norms[usize::from(op)]).collect();
    sampler.observe(&PathObservation::new(path, &position_norms, 1.0)).unwrap();
}
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    total_epochs: usize,
    epochs: Vec<Vec<Step>>,
    expected: std::collections::BTreeMap<String, Vec<Expected>>,
}

#[derive(Deserialize)]
struct Step {
    path: Vec<u8>,
    op_norms: Vec<f64>,
    images: Vec<u32>,
    image_norms: Vec<f32>,
}

#[derive(Deserialize)]
struct Expected {
    p: Vec<f64>,
    q: Vec<f64>,
}

fn samplers(variant: Variant, smoothing: LinearSchedule, images: u32) -> (PathImportance, DataImportance) {
    let paths = PathImportanceConfig::default().with_variant(variant).with_smoothing(smoothing);
    let data = DataImportanceConfig::default().with_variant(variant).with_smoothing(smoothing);
    (
        PathImportance::new(SubSpace::from_op_counts(&[5; 6]).unwrap(), paths).unwrap(),
        DataImportance::new(images, data).unwrap(),
    )
}

#[track_caller]
fn assert_close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-12, "{ours:?} against {theirs:?}");
    }
}

#[test]
fn four_epochs_of_every_variant_equal_python() {
    let fixture: Fixture = serde_json::from_str(include_str!("../data/epochs.json")).unwrap();
    for (name, variant, unseen) in [
        ("released", Variant::Released, Unseen::Zero),
        ("paper", Variant::Paper, Unseen::Zero),
        ("keep", Variant::Released, Unseen::Keep),
    ] {
        let (mut paths, _) = samplers(variant, LinearSchedule::default(), 7);
        let config = DataImportanceConfig::default().with_variant(variant).with_unseen(unseen);
        let mut data = DataImportance::new(7, config).unwrap();
        for (epoch, (steps, expected)) in fixture.epochs.iter().zip(&fixture.expected[name]).enumerate() {
            for step in steps {
                tell(&mut paths, &Arch::new(step.path.clone()), &step.op_norms);
                data.observe(&step.images, &step.image_norms).unwrap();
            }
            let progress = Progress::new(epoch, fixture.total_epochs).unwrap();
            paths.end_epoch(progress).unwrap();
            data.end_epoch(progress).unwrap();
            assert_close(&paths.distribution()[0], &expected.p);
            assert_close(data.distribution().unwrap(), &expected.q);
        }
    }
}

/// Two steps by hand, with half of the importance distribution.
#[test]
fn an_epoch_by_hand() {
    let half = LinearSchedule { first: 0.5, last: 0.5 };
    let observe = |paths: &mut PathImportance| {
        // Operation 2 stands once and three times, operation 3 only in the second path.
        tell(paths, &Arch::new(vec![2, 0, 0, 1, 4, 0]), &[0.0, 0.0, 4.0, 0.0, 0.0]);
        tell(paths, &Arch::new(vec![2, 2, 2, 3, 4, 0]), &[0.0, 0.0, 1.0, 3.0, 0.0]);
        paths.end_epoch(Progress::new(3, 10).unwrap()).unwrap();
    };
    // Released: G₂ = ((0 + 4)/2 + 1)/2 = 1.5, G₃ = (0 + 3)/2 = 1.5: half each.
    let (mut paths, mut data) = samplers(Variant::Released, half, 4);
    observe(&mut paths);
    assert_close(&paths.distribution()[0], &[0.1, 0.1, 0.35, 0.35, 0.1]);
    // Paper: G₂ = (4 + 1)/2 = 2.5, G₃ = 3.
    let (mut of_paper, _) = samplers(Variant::Paper, half, 4);
    observe(&mut of_paper);
    let (p2, p3) = (0.5 * 2.5 / 5.5 + 0.1, 0.5 * 3.0 / 5.5 + 0.1);
    assert_close(&of_paper.distribution()[0], &[0.1, 0.1, p2, p3, 0.1]);

    // Image 0 is seen twice: (0.5 + 1.0)/2 = 0.75; image 2 once: 0.25; images 1 and 3 never: 0.
    data.observe(&[0, 2], &[0.5, 0.25]).unwrap();
    data.observe(&[0], &[1.0]).unwrap();
    data.end_epoch(Progress::new(3, 10).unwrap()).unwrap();
    assert_close(data.distribution().unwrap(), &[0.5, 0.125, 0.25, 0.125]);
}

#[test]
fn an_unseen_image_has_no_importance_in_both_variants_unless_it_keeps_its_own() {
    let whole = LinearSchedule { first: 1.0, last: 1.0 };
    let (zero, kept) = ([0.0, 1.0], [0.75, 0.25]);
    for (variant, unseen, expected) in [
        (Variant::Released, Unseen::Zero, zero),
        (Variant::Paper, Unseen::Zero, zero),
        (Variant::Released, Unseen::Keep, kept),
        (Variant::Paper, Unseen::Keep, kept),
    ] {
        let config = DataImportanceConfig::default().with_variant(variant).with_smoothing(whole);
        let mut data = DataImportance::new(2, config.with_unseen(unseen)).unwrap();
        data.observe(&[0, 1], &[0.75, 0.5]).unwrap();
        data.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
        data.observe(&[1], &[0.25]).unwrap();
        data.end_epoch(Progress::new(1, 10).unwrap()).unwrap();
        assert_close(data.distribution().unwrap(), &expected);
    }
}

/// Algorithm 1 of the paper on a hand-made case of two epochs: line 9 grows δ and τ to j/E, lines 10 and 11 mix. The released code mixes
/// with (j − 1)/E, so its distributions are still uniform after the first epoch.
#[test]
fn the_factor_grows_before_the_update_in_the_paper_and_after_it_in_the_released_code() {
    for (variant, shares) in [(Variant::Released, [0.0, 0.5]), (Variant::Paper, [0.5, 1.0])] {
        let (mut paths, mut data) = samplers(variant, LinearSchedule::default(), 2);
        for (epoch, share) in shares.into_iter().enumerate() {
            tell(&mut paths, &Arch::new(vec![2, 2, 2, 2, 2, 2]), &[0.0, 0.0, 4.0, 0.0, 0.0]);
            data.observe(&[1], &[0.5]).unwrap();
            let progress = Progress::new(epoch, 2).unwrap();
            paths.end_epoch(progress).unwrap();
            data.end_epoch(progress).unwrap();
            let rest = (1.0 - share) / 5.0;
            assert_close(&paths.distribution()[0], &[rest, rest, share + rest, rest, rest]);
            assert_close(data.distribution().unwrap(), &[(1.0 - share) / 2.0, share + (1.0 - share) / 2.0]);
        }
    }
}

#[test]
fn g_starts_at_zero_every_epoch() {
    let whole = LinearSchedule { first: 1.0, last: 1.0 };
    for variant in [Variant::Released, Variant::Paper] {
        let (mut paths, _) = samplers(variant, whole, 1);
        let path = Arch::new(vec![2, 2, 2, 2, 2, 3]);
        tell(&mut paths, &path, &[0.0, 0.0, 5.0, 1.0, 0.0]);
        paths.end_epoch(Progress::new(0, 10).unwrap()).unwrap();
        tell(&mut paths, &path, &[0.0, 0.0, 1.0, 1.0, 0.0]);
        paths.end_epoch(Progress::new(1, 10).unwrap()).unwrap();
        assert_close(&paths.distribution()[0], &[0.0, 0.0, 0.5, 0.5, 0.0]);
    }
}

/// Weights of an epoch by hand: 1/(N·q) for images, u/p multiplied over the positions for paths.
#[test]
fn weights_of_an_epoch_by_hand() {
    let (importance_weights, smoothing) =
        (ImportanceWeights::Unbiased, LinearSchedule { first: 0.5, last: 0.5 });
    for variant in [Variant::Released, Variant::Paper] {
        let config = PathImportanceConfig::default()
            .with_variant(variant)
            .with_smoothing(smoothing)
            .with_importance_weights(importance_weights)
            .with_weight_bound(10.0)
            .with_scope(DistributionScope::All);
        let mut paths = PathImportance::new(SubSpace::from_op_counts(&[5; 6]).unwrap(), config).unwrap();
        let all_two = Arch::new(vec![2; 6]);
        assert_eq!(paths.loss_weight(&all_two).unwrap(), 1.0, "the first epoch is uniform");
        tell(&mut paths, &all_two, &[0.0, 0.0, 4.0, 0.0, 0.0]);
        paths.end_epoch(Progress::new(3, 10).unwrap()).unwrap();
        // Only operation 2 has a norm: p = 0.5 + 0.1 there and 0.1 elsewhere; u = 0.2.
        assert_close(&paths.distribution()[0], &[0.1, 0.1, 0.6, 0.1, 0.1]);
        let weight = |choices: [u8; 6]| paths.loss_weight(&Arch::new(choices)).unwrap();
        let third = 1.0 / 3.0_f64;
        assert_close(
            &[weight([2; 6]), weight([2, 2, 2, 0, 1, 4]), weight([2, 0, 1, 3, 4, 4])],
            &[third.powi(6), third.powi(3) * 8.0, 10.0],
        );

        for (replacement, expected) in
            [(Replacement::With, [0.5, 2.0, 1.0, 2.0]), (Replacement::Without, [1.0; 4])]
        {
            let config = DataImportanceConfig::default()
                .with_variant(variant)
                .with_smoothing(smoothing)
                .with_importance_weights(importance_weights)
                .with_replacement(replacement);
            let mut data = DataImportance::new(4, config).unwrap();
            assert_eq!(data.loss_weight(0).unwrap(), 1.0, "the first epoch is uniform");
            data.observe(&[0, 2, 0], &[0.5, 0.25, 1.0]).unwrap();
            data.end_epoch(Progress::new(3, 10).unwrap()).unwrap();
            // s = 0.75, 0, 0.25, 0.
            assert_close(data.distribution().unwrap(), &[0.5, 0.125, 0.25, 0.125]);
            assert_eq!([0, 1, 2, 3].map(|image| data.loss_weight(image).unwrap()), expected);
        }
    }
}
