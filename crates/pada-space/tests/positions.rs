//! What positions choose, when they are read, and parts of spaces whose positions differ.
#![allow(clippy::unwrap_used, reason = "a test")]

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

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// Slow reference: the edges that the genotype keeps.
#[test]
fn an_edge_of_darts_is_read_where_its_node_keeps_it() {
    let (space, mut rng) = (SubSpace::of(&Darts), rng());
    for _ in 0..100 {
        let arch = Darts.sample(&mut rng);
        let kept: HashSet<usize> = [DartsCell::Normal, DartsCell::Reduce]
            .into_iter()
            .flat_map(|cell| Darts::edges(&arch, cell).into_iter().map(|edge| edge.position))
            .collect();
        for position in 0..34 {
            let pair = space.kind(position).is_none();
            assert_eq!(
                space.is_active(position, &arch),
                pair || kept.contains(&position),
                "{arch} {position}"
            );
        }
        let cleared = Darts.without_dead_edges(&arch);
        assert_eq!(cleared, Darts::arch(&Darts::genotype(&arch)).unwrap());
        assert_eq!(Darts.parse(&arch.to_string()).unwrap(), cleared);
    }
}

#[test]
fn kinds_tell_cells_and_places_in_a_stage_apart() {
    let kinds = |space: &dyn SearchSpace| {
        let part = SubSpace::of(space);
        (0..space.n_ops().len())
            .map(|e| part.kind(e).map_or('i', |kind| char::from(b'0' + kind)))
            .collect::<String>()
    };
    assert_eq!(kinds(&Nb201::new()), "000000");
    assert_eq!(kinds(&Darts), "00000000000000iii11111111111111iii");
    assert_eq!(kinds(&Proxyless::new(ProxylessWidths::SEARCH)), "011101110111011101110");
    assert_eq!(kinds(&NasBenchMacro), "01011011");
    assert_eq!(SubSpace::of(&Nb201::new()), SubSpace::full(&[5; 6]));
    assert!(Darts.positions().iter().any(|position| position.chooses == DecisionKind::Inputs));
}

#[test]
fn a_part_by_names_leaves_inputs_free_and_needs_an_operation_everywhere() {
    let part = SubSpace::with_ops(&Darts, &names(&["skip_connect", "sep_conv_3x3"])).unwrap();
    assert_eq!((part.common(), part.allowed()[16].len()), (Some(&[3_u8, 4][..]), 10));
    // A genotype has `none` on the edges that it does not keep: that does not put it outside.
    let inside = Darts.without_dead_edges(&part.sample(&mut rng()));
    assert!(part.contains(&inside) && inside.count(0) > 0);
    assert!(!part.contains(&Darts.parse("DARTS_V2").unwrap()));

    let space = Proxyless::new(ProxylessWidths::SEARCH);
    let part = SubSpace::with_ops(&space, &names(&["mb3_k3", "skip"])).unwrap();
    assert_eq!((&part.allowed()[0][..], &part.allowed()[1][..]), (&[0_u8][..], &[0_u8, 6][..]));
    let error = SubSpace::with_ops(&space, &names(&["skip"])).unwrap_err();
    assert!(
        matches!(&error, SpaceError::NoOpLeft { position: 0, valid, .. } if !valid.contains("skip")),
        "{error}"
    );
}

#[test]
fn mutation_stays_in_its_part_and_changes_as_often_as_it_says() {
    let (part, mut rng) = (SubSpace::full(&[5; 6]).restrict(2, &[1, 3]), rng());
    let arch = Arch::new(vec![0, 0, 1, 0, 0, 0]);
    let mut changed = 0;
    for _ in 0..2_000 {
        let other = part.mutate(&arch, 0.25, &mut rng);
        assert!(part.contains(&other));
        changed += arch.distance(&other);
    }
    // Five positions change with .25 · 4/5, one with .25 · 1/2: 1.125 a mutation, and a deviation of .94.
    assert!((f64::from(changed as u32) / 2_000.0 - 1.125).abs() < 0.1, "{changed}");
    assert_eq!(part.mutate(&arch, 0.0, &mut rng), arch);
}
