//! The DARTS space: decisions, notations, named genotypes, equal cells.

use pada_space::{
    AGNAS, Arch, DARTS_NAMED, Darts, DartsCell, DartsCells, DartsOp, Equivalence, Genotype, SearchSpace,
    SpaceError, find_named,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::shared;

const V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
    ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), \
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
    ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

#[test]
fn decisions_are_edges_and_then_pairs() {
    assert_eq!(Darts.n_ops().len(), 34);
    assert_eq!(&Darts.n_ops()[13..18], [8, 3, 6, 10, 8]);
    assert_eq!(Darts.len(), (8_u128.pow(14) * 180).pow(2));
    assert_eq!(Darts::GENOTYPES, (8_u128.pow(8) * 180).pow(2));
    assert_eq!(Darts::edge_decision(DartsCell::Normal, 0, 2), Some(0));
    assert_eq!(Darts::edge_decision(DartsCell::Normal, 1, 4), Some(6));
    assert_eq!(Darts::edge_decision(DartsCell::Reduce, 4, 5), Some(17 + 13));
    for index in [0, 1, 12_345_678_901_234_567, Darts.len() - 1] {
        let arch = Darts.nth(index).unwrap();
        Darts.check(&arch).unwrap();
        let place = arch.choices().iter().zip(Darts.n_ops());
        let place = place.fold(0_u128, |place, (&c, &n)| place * n as u128 + u128::from(c));
        assert_eq!(place, index);
    }
}

#[test]
fn darts_v2_is_read_and_written() {
    let arch = Darts.parse("DARTS_V2").unwrap();
    assert_eq!(arch, Darts.parse(V2).unwrap());
    // Edges 2<-0 2<-1 | 3<-0 3<-1 3<-2 | 4<-0 … | 5<-0 …, pairs (0,1) of 3, (0,1) of 4, (0,2) of 5.
    assert_eq!(&arch.to_string()[..17], "44440340030600001");
    assert_eq!(Darts.parse(&arch.to_string()).unwrap(), arch);
    assert_eq!(Darts.parse(&Darts.format(&arch).unwrap()).unwrap(), arch);
    assert!(
        Darts
            .format(&arch)
            .unwrap()
            .starts_with("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ")
    );
    let genotype = Genotype::parse(V2).unwrap();
    assert_eq!(genotype.to_string(), V2);
    let json = genotype.to_json();
    assert!(json.starts_with(r#"{"normal":[["sep_conv_3x3",0],"#), "{json}");
    assert_eq!(Genotype::parse(&json).unwrap(), genotype);
    assert_eq!(Darts.parse(&json).unwrap(), arch);
}

#[test]
fn python_notation_is_read_as_people_write_it() {
    let genotype = Genotype::parse(V2).unwrap();
    let variants = [
        format!("DARTS_V2 = {V2}"),
        V2.replace('\'', "\""),
        V2.replace(' ', ""),
        V2.replace(", ", " ,\n\t"),
        V2.replace("range(2, 6)", "[2, 3, 4, 5,]"),
        V2.replace("range(2, 6))", "(2,3,4,5),)"),
        V2.trim_start_matches("Genotype(").trim_end_matches(')').to_owned() + ")",
    ];
    for text in variants {
        assert_eq!(Genotype::parse(&text).unwrap(), genotype, "{text}");
    }
}

#[test]
fn bad_genotypes_say_what_is_wrong() {
    let reason = |text: &str| match Darts.parse(text).unwrap_err() {
        SpaceError::Malformed { reason, .. } => reason,
        other => other.to_string(),
    };
    let edge = |from: &str, to: &str| V2.replacen(from, to, 1);
    assert!(
        reason(&edge("('skip_connect', 0)", "('skip_connect', 4)")).contains("leads from node 4 to node 4")
    );
    assert!(reason(&edge("('sep_conv_3x3', 1)", "('sep_conv_3x3', 0)")).contains("reads node 0 twice"));
    assert!(
        reason(&edge("sep_conv_3x3", "sep_conv_9x9"))
            .contains("\"sep_conv_9x9\" is not an operation of darts at decision 0")
    );
    assert!(
        reason(&edge("sep_conv_3x3", "sep_conv_7x7"))
            .contains("sep_conv_7x7 is not an operation of the space")
    );
    assert!(reason(&edge("range(2, 6)", "range(2, 5)")).contains("concatenates nodes 2, 3, 4 and 5"));
    assert!(reason(&edge("range(2, 6)", "range(2, 99)")).contains("a node from 0 to 64"));
    assert!(reason(&edge("normal_concat=range(2, 6), ", "")).contains("normal_concat is missing"));
    assert!(reason(&edge("normal=[", "norm=[")).contains("not a field"));
    assert!(reason("NASNet").contains("5 nodes"));
    assert!(reason("{}").contains("normal"));
    assert!(matches!(Darts.parse("3333"), Err(SpaceError::WrongLength { found: 4, expected: 34, .. })));
    let unknown = Darts.parse("DARTS_V9").unwrap_err();
    assert!(matches!(unknown, SpaceError::UnknownName { space: "darts", .. }), "{unknown}");
    assert!(
        unknown.to_string().contains("\"DARTS_V9\" is neither a published name")
            && unknown.to_string().contains("DARTS_V2")
    );
}

#[test]
fn every_named_genotype_is_read() {
    let mut outside = Vec::new();
    for named in DARTS_NAMED {
        let genotype = Genotype::parse(named.text).unwrap();
        assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
        assert_eq!(find_named(DARTS_NAMED, named.name), Some(named));
        match Darts.parse(named.name) {
            Ok(arch) => {
                assert_eq!(Darts.parse(&Darts.format(&arch).unwrap()).unwrap(), arch, "{}", named.name)
            }
            Err(_) => outside.push(named.name),
        }
    }
    assert_eq!(outside, ["NASNet", "AmoebaNet", "PNASNet", "ENAS"]);
    assert_eq!(DARTS_NAMED.len(), 28);
    let agnas: DartsCells = "AGNAS".parse().unwrap();
    assert_eq!(agnas.to_string().parse::<DartsCells>().unwrap(), agnas);
    let cells = agnas.layers(20);
    let first = |layer: usize| cells[layer].edges[0].0;
    assert_eq!(AGNAS.len(), 5);
    assert_eq!([first(0), first(5)], [DartsOp::SepConv3x3; 2]);
    assert_eq!([first(6), first(13)], [DartsOp::MaxPool3x3, DartsOp::Skip]);
    assert_eq!((cells[7] == cells[12], cells[7] == cells[14]), (true, false));
}

#[test]
fn every_genotype_of_the_shared_table_is_read() {
    let Some(tables) = shared::tables() else { return };
    let path = tables.join("darts_214/darts_214.json");
    if !path.exists() {
        return shared::skip("darts_214.json");
    }
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(rows.len(), 214);
    for row in rows {
        let genotype = Genotype::parse(&row.to_string()).unwrap();
        let arch = Darts::arch(&genotype).unwrap();
        assert_eq!(Darts::arch(&Darts::genotype(&arch).unwrap()).unwrap(), arch);
    }
}

fn arch_of(normal: [(DartsOp, usize); 8]) -> Arch {
    let mut genotype = Genotype::parse(V2).unwrap();
    genotype.normal.edges = normal.to_vec();
    Darts::arch(&genotype).unwrap()
}

fn same(a: &Arch, b: &Arch, equivalence: Equivalence) -> bool {
    Darts.canonical(a, equivalence).unwrap() == Darts.canonical(b, equivalence).unwrap()
}

#[test]
fn inactive_edges_do_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        let arch = Darts.sample(&mut rng);
        let canonical = Darts.canonical(&arch, Equivalence::SharedWeights).unwrap();
        assert_eq!(Darts.canonical(&canonical, Equivalence::SharedWeights).unwrap(), canonical);
        assert!(canonical <= arch);
        let active = Darts.active(&arch).unwrap();
        for (edge, active) in active.iter().enumerate().filter(|(e, _)| e % 17 < 14) {
            let other = arch.with(edge, (arch.choices()[edge] + 3) % 8).unwrap();
            if !active && other.choices()[edge] != 0 && arch.choices()[edge] != 0 {
                assert!(same(&arch, &other, Equivalence::SharedWeights), "{arch} {edge}");
            }
        }
    }
}

#[test]
fn equal_cells_have_equal_canonical_forms() {
    use DartsOp::{MaxPool3x3 as Max, None as Zero, SepConv3x3 as Sep, Skip};
    let rest = [(Sep, 0), (Sep, 1), (Sep, 0), (Sep, 1)];
    let cell = |four: [(DartsOp, usize); 4]| arch_of([four, rest].concat().try_into().unwrap());
    // A `none` may stand on any edge; a skip of a skip is a skip.
    let direct = cell([(Skip, 0), (Zero, 1), (Max, 0), (Sep, 1)]);
    assert!(same(&direct, &cell([(Skip, 0), (Zero, 1), (Max, 2), (Sep, 1)]), Equivalence::SharedWeights));
    let one = cell([(Sep, 0), (Zero, 1), (Skip, 2), (Zero, 0)]);
    assert!(same(&one, &cell([(Sep, 0), (Zero, 1), (Skip, 2), (Zero, 1)]), Equivalence::SharedWeights));
    // The convolution on 3<-0 has other weights than that on 2<-0: not the same network, nor the same family, for here both
    // nodes share one convolution and there each has its own.
    let two = cell([(Sep, 0), (Zero, 1), (Sep, 0), (Zero, 1)]);
    assert!(!same(&one, &two, Equivalence::SharedWeights));
    assert!(!same(&one, &two, Equivalence::OwnWeights));
    // Nodes that change places.
    let a = cell([(Sep, 0), (Max, 1), (Max, 0), (Sep, 1)]);
    let b = cell([(Max, 0), (Sep, 1), (Sep, 0), (Max, 1)]);
    assert!(!same(&a, &b, Equivalence::SharedWeights));
    assert!(same(&a, &b, Equivalence::OwnWeights));
    // A convolution of a node that is input 0, or of input 0 itself.
    let through = cell([(Skip, 0), (Zero, 1), (Sep, 2), (Sep, 1)]);
    let past = cell([(Skip, 0), (Zero, 1), (Sep, 0), (Sep, 1)]);
    assert!(!same(&through, &past, Equivalence::SharedWeights));
    assert!(same(&through, &past, Equivalence::OwnWeights));
}

/// Any renaming of nodes that keeps sources before targets, of random cells with many skips and zeros.
#[test]
fn renamed_nodes_are_the_same_with_own_weights() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let orders =
        [[2, 3, 4, 5], [3, 2, 4, 5], [2, 4, 3, 5], [2, 3, 5, 4], [4, 3, 2, 5], [3, 4, 5, 2], [5, 4, 3, 2]];
    let mut renamed = 0;
    for _ in 0..200 {
        let mut edges = Darts::genotype(&Darts.sample(&mut rng)).unwrap().normal.edges;
        edges.iter_mut().step_by(3).for_each(|edge| edge.0 = DartsOp::Skip);
        let first = arch_of(edges.clone().try_into().unwrap());
        for order in orders {
            let new = |node: usize| if node < 2 { node } else { order[node - 2] };
            let mut moved = vec![(DartsOp::None, 0); 8];
            let mut valid = true;
            for (i, &(op, from)) in edges.iter().enumerate() {
                let to = new(i / 2 + 2);
                valid &= new(from) < to;
                moved[2 * (to - 2) + i % 2] = (op, new(from));
            }
            if valid {
                let second = arch_of(moved.try_into().unwrap());
                assert!(same(&first, &second, Equivalence::OwnWeights), "{first} {second}");
                renamed += usize::from(first != second);
            }
        }
    }
    assert!(renamed > 100, "{renamed}");
}

/// A slow reference: of all pairs of inputs the one with the largest sum of ranks, which is the two largest strengths.
#[test]
fn the_strongest_architecture_keeps_two_inputs_per_node() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..50 {
        let draw = |&n: &usize| (0..n).map(|_| rng.random::<f64>()).collect::<Vec<f64>>();
        let strengths: Vec<Vec<f64>> = Darts.n_ops().iter().map(draw).collect();
        let arch = Darts.strongest(&strengths);
        Darts.check(&arch).unwrap();
        for cell in [DartsCell::Normal, DartsCell::Reduce] {
            let edges = Darts::edges(&arch, cell).unwrap();
            for to in 2..6 {
                let best = |from: usize| {
                    let list = &strengths[Darts::edge_decision(cell, from, to).unwrap()];
                    list[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max)
                };
                let kept: Vec<_> = edges.iter().filter(|edge| edge.to == to).collect();
                assert_eq!(kept.len(), 2);
                let weakest = kept.iter().map(|edge| best(edge.from)).fold(f64::INFINITY, f64::min);
                let stronger = (0..to).filter(|&from| best(from) > weakest).count();
                assert!(stronger < 2, "an input that was left out is stronger than one that was kept");
                for edge in kept {
                    assert_ne!(edge.op, DartsOp::None);
                    assert_eq!(strengths[edge.decision][edge.op as usize], best(edge.from));
                }
            }
        }
    }
}
