//! An architecture of another space, or of a wrong length, is an error with a reason in every function that takes one.
use pada_space::{
    Arch, Darts, DartsCell, DartsOp, Decision, Equivalence, NasBenchMacro, Nb201, Nb201Op, Proxyless,
    ProxylessWidths, SearchSpace, SpaceError, SubSpace, parse_digits,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

fn proxyless() -> Proxyless {
    Proxyless::new(ProxylessWidths::SEARCH)
}

/// Calls `f` for every space with architectures that are empty, too short, too long, and of the right length with an unknown choice.
fn each_foreign<T>(f: impl Fn(&dyn SearchSpace, &Arch) -> Result<T, SpaceError>) {
    let spaces: [&dyn SearchSpace; 4] = [&Nb201::new(), &Darts, &proxyless(), &NasBenchMacro];
    for space in spaces {
        let len = space.n_ops().len();
        for wrong in [0, len - 1, len + 1] {
            match f(space, &Arch::new(vec![0; wrong])).err() {
                Some(SpaceError::WrongLength { found, expected, .. }) => {
                    assert_eq!((found, expected), (wrong, len), "{}", space.name());
                }
                other => panic!("{}: {other:?}", space.name()),
            }
        }
        for choice in [30, u8::MAX] {
            match f(space, &space.nth(0).unwrap().with(len - 1, choice).unwrap()).err() {
                Some(SpaceError::UnknownOp { decision, .. }) => assert_eq!(decision, len - 1),
                other => panic!("{}: {other:?}", space.name()),
            }
        }
    }
}

#[test]
fn check_refuses_foreign_architectures() {
    each_foreign(|space, arch| space.check(arch));
}

#[test]
fn format_refuses_foreign_architectures() {
    each_foreign(|space, arch| space.format(arch));
}

#[test]
fn active_refuses_foreign_architectures() {
    each_foreign(|space, arch| space.active(arch));
}

#[test]
fn canonical_refuses_foreign_architectures() {
    each_foreign(|space, arch| space.canonical(arch, Equivalence::SharedWeights));
    each_foreign(|space, arch| space.canonical(arch, Equivalence::OwnWeights));
}

#[test]
fn without_dead_edges_refuses_foreign_architectures() {
    each_foreign(|space, arch| space.without_dead_edges(arch));
}

#[test]
fn neighbours_refuses_foreign_architectures() {
    each_foreign(|space, arch| space.neighbours(arch));
}

#[test]
fn mutate_refuses_foreign_architectures_and_bad_rates() {
    each_foreign(|space, arch| space.mutate(arch, 0.5, &mut rng()));
    for rate in [-0.1, 7.0, f64::NAN] {
        let error = Nb201::new().mutate(&Arch::new([0; 6]), rate, &mut rng()).unwrap_err();
        assert!(matches!(error, SpaceError::BadRate { .. }), "{error}");
    }
}

#[test]
fn crossover_refuses_either_foreign_parent() {
    each_foreign(|space, arch| space.crossover(arch, &space.nth(0).unwrap(), &mut rng()));
    each_foreign(|space, arch| space.crossover(&space.nth(0).unwrap(), arch, &mut rng()));
}

#[test]
fn nb201_ops_refuses_foreign_architectures() {
    assert!(matches!(Nb201::ops(&Arch::new([0; 5])), Err(SpaceError::WrongLength { found: 5, .. })));
    assert!(matches!(Nb201::ops(&Arch::new([9; 6])), Err(SpaceError::UnknownOp { decision: 0, .. })));
    assert_eq!(Nb201::ops(&Arch::new([3; 6])).unwrap(), [Nb201Op::Conv3x3; 6]);
}

#[test]
fn darts_edges_and_genotype_refuse_foreign_architectures() {
    let [short, unknown] = [Arch::new([0; 17]), Darts.nth(0).unwrap().with(14, 3).unwrap()];
    for cell in [DartsCell::Normal, DartsCell::Reduce] {
        assert!(matches!(Darts::edges(&short, cell), Err(SpaceError::WrongLength { found: 17, .. })));
        assert!(matches!(Darts::edges(&unknown, cell), Err(SpaceError::UnknownOp { decision: 14, .. })));
    }
    assert!(matches!(Darts::genotype(&short), Err(SpaceError::WrongLength { .. })));
    assert!(matches!(Darts::genotype(&unknown), Err(SpaceError::UnknownOp { .. })));
}

#[test]
fn darts_edge_decision_knows_which_edges_exist() {
    for (from, to) in [(0, 0), (0, 1), (2, 2), (3, 2), (0, 6), (usize::MAX, usize::MAX)] {
        assert_eq!(Darts::edge_decision(DartsCell::Normal, from, to), None, "{from} {to}");
    }
}

#[test]
fn proxyless_spec_refuses_foreign_architectures() {
    assert!(matches!(proxyless().spec(&Arch::new([0; 8])), Err(SpaceError::WrongLength { found: 8, .. })));
    assert!(matches!(proxyless().spec(&Arch::new([6; 21])), Err(SpaceError::UnknownOp { decision: 0, .. })));
}

#[test]
fn arch_with_needs_an_existing_decision() {
    let error = Arch::new([0; 6]).with(6, 1).unwrap_err();
    assert_eq!(error, SpaceError::NoSuchDecision { decision: 6, decisions: 6 });
}

#[test]
fn arch_distance_needs_equal_lengths() {
    let (six, eight) = (Arch::new([0; 6]), Arch::new([0; 8]));
    for (a, b) in [(&six, &eight), (&eight, &six)] {
        assert!(matches!(a.distance(b), Err(SpaceError::WrongLength { .. })));
    }
}

#[test]
fn a_decision_refuses_architectures_without_the_decision_that_it_depends_on() {
    let decision = Decision::operation(0).active_if(8, [1]);
    let error = decision.is_active(&Arch::new([0; 6])).unwrap_err();
    assert_eq!(error, SpaceError::NoSuchDecision { decision: 8, decisions: 6 });
}

#[test]
fn is_active_refuses_wrong_lengths_and_decisions() {
    for (space, len) in [(SubSpace::full(&Darts), 34), (SubSpace::full(&Nb201::new()), 6)] {
        let error = space.is_active(0, &Arch::new([0; 8])).unwrap_err();
        assert!(matches!(error, SpaceError::WrongLength { found: 8, .. }), "{error}");
        let error = space.is_active(len, &Arch::new(vec![0; len])).unwrap_err();
        assert_eq!(error, SpaceError::NoSuchDecision { decision: len, decisions: len });
        assert_eq!(space.kind(len), None);
    }
}

#[test]
fn a_sub_space_does_not_contain_foreign_architectures() {
    let space = SubSpace::full(&Nb201::new());
    assert!(!space.contains(&Arch::new([0; 5])) && !space.contains(&Arch::new([5; 6])));
    assert!(matches!(space.check(&Arch::new([0; 5])), Err(SpaceError::WrongLength { found: 5, .. })));
    let outside = SpaceError::OutsideSubSpace { decision: 0, choice: 5, allowed: vec![0, 1, 2, 3, 4] };
    assert_eq!(space.check(&Arch::new([5; 6])), Err(outside));
}

#[test]
fn sub_space_mutate_refuses_foreign_architectures_and_bad_rates() {
    let space = SubSpace::full(&Nb201::new()).restrict(2, &[1, 3]).unwrap();
    let mutate = |arch: Arch, rate| space.mutate(&arch, rate, &mut rng()).unwrap_err();
    assert!(matches!(mutate(Arch::new([1; 7]), 0.5), SpaceError::WrongLength { found: 7, .. }));
    assert!(matches!(mutate(Arch::new([0; 6]), 0.5), SpaceError::OutsideSubSpace { decision: 2, .. }));
    assert!(matches!(mutate(Arch::new([1; 6]), 7.0), SpaceError::BadRate { .. }));
}

#[test]
fn restrict_takes_a_decision_and_choices_of_the_sub_space() {
    let space = SubSpace::full(&Nb201::new()).restrict(0, &[1, 3]).unwrap();
    assert_eq!(space.restrict(6, &[0]), Err(SpaceError::NoSuchDecision { decision: 6, decisions: 6 }));
    assert!(matches!(space.restrict(0, &[]), Err(SpaceError::NoOps { .. })));
    let outside = SpaceError::OutsideSubSpace { decision: 0, choice: 2, allowed: vec![1, 3] };
    assert_eq!(space.restrict(0, &[3, 2]), Err(outside));
}

#[test]
fn op_counts_are_from_1_to_256() {
    for count in [0, 257, usize::MAX] {
        let error = SubSpace::from_op_counts(&[3, count]).unwrap_err();
        assert_eq!(error, SpaceError::BadOpCount { decision: 1, count });
    }
    assert_eq!(SubSpace::from_op_counts(&[256]).unwrap().allowed()[0].len(), 256);
    assert_eq!(SubSpace::from_op_counts(&[256; 20]).unwrap().len(), u128::MAX);
}

#[test]
fn an_index_outside_of_the_space_has_no_architecture() {
    let space = Nb201::new();
    assert_eq!(space.nth(15_624), Some(Arch::new([4; 6])));
    assert_eq!((space.nth(15_625), space.nth(u128::MAX)), (None, None));
}

#[test]
fn texts_of_architectures_and_operations_are_read_back() {
    for text in ["333213", "0z", "<36>1<255>"] {
        assert_eq!(text.parse::<Arch>().unwrap().to_string(), text);
    }
    for text in ["", "3 3", "<300>", "<3", "３"] {
        assert!(matches!(text.parse::<Arch>(), Err(SpaceError::Malformed { .. })), "{text}");
    }
    assert!(matches!(parse_digits(&Nb201::new(), ""), Err(SpaceError::WrongLength { found: 0, .. })));
    assert!(Nb201Op::ALL.into_iter().all(|op| op.to_string().parse() == Ok(op)));
    assert!(DartsOp::ALL.into_iter().all(|op| op.to_string().parse() == Ok(op)));
    let error = "conv".parse::<Nb201Op>().unwrap_err();
    assert!(error.to_string().contains("3 nor_conv_3x3"), "{error}");
}

#[test]
fn a_stored_sub_space_is_checked() {
    let space = SubSpace::full(&Darts).restrict(3, &[1, 2]).unwrap();
    let json = serde_json::to_string(&space).unwrap();
    assert_eq!(serde_json::from_str::<SubSpace>(&json).unwrap(), space);
    // The names of earlier versions.
    let earlier = json
        .replace("\"decisions\"", "\"positions\"")
        .replace("\"kind\":{\"operation\"", "\"chooses\":{\"operation\"")
        .replace("\"condition\"", "\"active_where\"")
        .replace("\"decision\"", "\"position\"");
    assert_eq!(serde_json::from_str::<SubSpace>(&earlier).unwrap(), space);
    for bad in [
        r#"{"allowed": [[0], []]}"#,
        r#"{"allowed": [[1, 0]]}"#,
        r#"{"allowed": [[0], [0]], "decisions": [{"kind": "inputs"}]}"#,
        r#"{"allowed": [[0]], "decisions": [{"kind": "inputs", "condition": {"decision": 1, "choices": [0]}}]}"#,
    ] {
        assert!(serde_json::from_str::<SubSpace>(bad).is_err(), "{bad}");
    }
}
