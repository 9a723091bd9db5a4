//! Decisions: what they choose, when they are active, and sub-spaces of spaces whose decisions differ.
use std::collections::HashSet;

use pada_space::{
    Arch, Darts, DartsCell, DecisionKind, NasBenchMacro, Nb201, Proxyless, ProxylessWidths, SearchSpace,
    SpaceError, SubSpace,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(11)
}

/// Slow reference: the edges of the genotype.
#[test]
fn an_edge_of_darts_is_active_if_its_node_chooses_it() {
    let (space, mut rng) = (SubSpace::full(&Darts), rng());
    for _ in 0..100 {
        let arch = Darts.sample(&mut rng);
        let kept: HashSet<usize> = [DartsCell::Normal, DartsCell::Reduce]
            .into_iter()
            .flat_map(|cell| Darts::edges(&arch, cell).unwrap().into_iter().map(|edge| edge.decision))
            .collect();
        for decision in 0..34 {
            let pair = space.kind(decision).is_none();
            assert_eq!(
                space.is_active(decision, &arch),
                Ok(pair || kept.contains(&decision)),
                "{arch} {decision}"
            );
        }
        let cleared = Darts.without_dead_edges(&arch).unwrap();
        assert_eq!(cleared, Darts::arch(&Darts::genotype(&arch).unwrap()).unwrap());
        assert_eq!(Darts.parse(&arch.to_string()).unwrap(), cleared);
    }
}

#[test]
fn kinds_differ_between_cells_and_within_a_stage() {
    let kinds = |space: &dyn SearchSpace| {
        let part = SubSpace::full(space);
        (0..space.n_ops().len())
            .map(|e| part.kind(e).map_or('i', |kind| char::from(b'0' + kind)))
            .collect::<String>()
    };
    assert_eq!(kinds(&Nb201::new()), "000000");
    assert_eq!(kinds(&Darts), "00000000000000iii11111111111111iii");
    assert_eq!(kinds(&Proxyless::new(ProxylessWidths::SEARCH)), "011101110111011101110");
    assert_eq!(kinds(&NasBenchMacro), "01011011");
    assert_eq!(SubSpace::full(&Nb201::new()), SubSpace::from_op_counts(&[5; 6]).unwrap());
    assert!(Darts.decisions().iter().any(|decision| decision.kind == DecisionKind::Inputs));
}

#[test]
fn a_sub_space_by_names_leaves_inputs_free_and_needs_an_operation_everywhere() {
    let part = SubSpace::with_ops(&Darts, &["skip_connect", "sep_conv_3x3"]).unwrap();
    assert_eq!((part.common(), part.allowed()[16].len()), (Some(&[3_u8, 4][..]), 10));
    // A genotype has `none` on its inactive edges, and is in the sub-space nevertheless.
    let inside = Darts.without_dead_edges(&part.sample(&mut rng())).unwrap();
    assert!(part.contains(&inside) && inside.count(0) > 0);
    assert!(!part.contains(&Darts.parse("DARTS_V2").unwrap()));

    let space = Proxyless::new(ProxylessWidths::SEARCH);
    let part = SubSpace::with_ops(&space, &["mb3_k3", "skip"]).unwrap();
    assert_eq!((&part.allowed()[0][..], &part.allowed()[1][..]), (&[0_u8][..], &[0_u8, 6][..]));
    let error = SubSpace::with_ops(&space, &["skip"]).unwrap_err();
    assert!(
        matches!(&error, SpaceError::NoOpLeft { decision: 0, valid, .. } if !valid.contains("skip")),
        "{error}"
    );
}

#[test]
fn mutation_stays_in_its_sub_space_and_changes_as_often_as_it_says() {
    let (part, mut rng) = (SubSpace::from_op_counts(&[5; 6]).unwrap().restrict(2, &[1, 3]).unwrap(), rng());
    let arch = Arch::new(vec![0, 0, 1, 0, 0, 0]);
    let mut changed = 0;
    for _ in 0..2_000 {
        let other = part.mutate(&arch, 0.25, &mut rng).unwrap();
        assert!(part.contains(&other));
        changed += arch.distance(&other).unwrap();
    }
    // Five decisions change with .25 · 4/5, one with .25 · 1/2: 1.125 a mutation, and a deviation of .94.
    assert!((f64::from(changed as u32) / 2_000.0 - 1.125).abs() < 0.1, "{changed}");
    assert_eq!(part.mutate(&arch, 0.0, &mut rng).unwrap(), arch);
}

/// New inputs of a node activate edges that had `none`, which is not in the sub-space.
#[test]
fn mutation_of_a_genotype_stays_in_its_sub_space() {
    let part = SubSpace::with_ops(&Darts, &["skip_connect", "sep_conv_3x3"]).unwrap();
    let mut rng = rng();
    for _ in 0..200 {
        let genotype = Darts.without_dead_edges(&part.sample(&mut rng)).unwrap();
        let child = part.mutate(&genotype, 0.2, &mut rng).unwrap();
        assert!(part.contains(&child), "{genotype} {child}");
    }
}
