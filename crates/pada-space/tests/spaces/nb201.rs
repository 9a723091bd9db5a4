//! The NAS-Bench-201 space against its published counts and against slow references.
use std::collections::{HashMap, HashSet};

use pada_space::{Arch, Equivalence, Nb201, Nb201Encoding, SearchSpace, SpaceError};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn arch(text: &str) -> Arch {
    Nb201::new().parse(text).unwrap()
}

fn same(a: &str, b: &str, equivalence: Equivalence) -> bool {
    let space = Nb201::new();
    space.canonical(&arch(a), equivalence).unwrap() == space.canonical(&arch(b), equivalence).unwrap()
}

#[test]
fn every_architecture_survives_both_codecs() {
    let space = Nb201::new();
    let mut seen = HashSet::new();
    for a in space.archs() {
        assert_eq!(space.parse(&a.to_string()), Ok(a.clone()));
        assert_eq!(space.parse(&space.format(&a).unwrap()), Ok(a.clone()));
        assert!(seen.insert(a));
    }
    assert_eq!(seen.len(), 15_625);
}

#[test]
fn every_architecture_survives_the_notations_of_naslib_and_nni() {
    let naslib = Nb201::with_encoding(Nb201Encoding::Naslib);
    for a in Nb201::new().archs() {
        assert_eq!(naslib.parse(&Nb201::op_indices(&a).unwrap()), Ok(a.clone()));
        assert_eq!(Nb201::new().parse(&Nb201::dict(&a).unwrap()), Ok(a));
    }
    assert_eq!(Nb201::op_indices(&arch("410242")).unwrap(), "(4, 0, 3, 1, 4, 3)");
    assert!(
        Nb201::dict(&arch("310000"))
            .unwrap()
            .starts_with("{'0_1': 'conv_3x3', '0_2': 'skip_connect', '1_2': ")
    );
    assert!(Nb201::dict(&Arch::new([9; 6])).is_err());
}

#[test]
fn long_form_lists_the_edges_by_target_node() {
    let long =
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|";
    assert_eq!(arch(long).to_string(), "421211");
    assert_eq!(Nb201::new().format(&arch("421211")).unwrap(), long);
}

#[test]
fn bad_texts_say_where_and_what_is_valid() {
    let space = Nb201::new();
    let unknown = space.parse("333533").unwrap_err();
    assert!(matches!(&unknown, SpaceError::UnknownOp { decision: 3, op, .. } if op == "5"));
    assert!(unknown.to_string().contains("3 nor_conv_3x3"), "{unknown}");
    assert!(matches!(space.parse("33333"), Err(SpaceError::WrongLength { found: 5, expected: 6, .. })));
    assert!(matches!(space.parse("３３３３３３"), Err(SpaceError::UnknownOp { decision: 0, .. })));
    let name = space.parse("|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|").unwrap_err();
    assert!(matches!(&name, SpaceError::UnknownOp { decision: 0, op, .. } if op == "nor_conv_5x5"));
    for malformed in [
        "|",
        "|none~0|+|none~0|none~1|",
        "|none~0|+|none~0|+|none~0|none~1|none~2|",
        "|none|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
    ] {
        assert!(matches!(space.parse(malformed), Err(SpaceError::Malformed { .. })), "{malformed}");
    }
    assert!(matches!(space.check(&Arch::new([9; 6])), Err(SpaceError::UnknownOp { decision: 0, .. })));
    assert!(matches!(space.check(&Arch::new([0; 3])), Err(SpaceError::WrongLength { found: 3, .. })));
}

/// Slow reference: an edge is active if it lies on a path from node 0 to node 3 without any `none`.
#[test]
fn active_edges_lie_on_a_path_to_the_output() {
    let paths: [&[usize]; 4] = [&[3], &[0, 4], &[1, 5], &[0, 2, 5]];
    let space = Nb201::new();
    for a in space.archs() {
        let open = |e: usize| a.choices()[e] != 0;
        let active = |e| paths.iter().any(|path| path.contains(&e) && path.iter().all(|&e| open(e)));
        assert_eq!(space.active(&a).unwrap(), (0..6).map(active).collect::<Vec<_>>(), "{a}");
    }
}

#[test]
fn same_function_same_canonical_form() {
    use Equivalence::{OwnWeights, SharedWeights};
    // A dead edge does not matter: node 1 is never read.
    assert!(same("300300", "000300", SharedWeights));
    // A skip from node 0 makes node 1 the input again; pooling has no weights, so it may start at either.
    assert!(same("100040", "000400", SharedWeights));
    // The same with a convolution: another edge, other weights.
    assert!(!same("100030", "000300", SharedWeights));
    assert!(same("100030", "000300", OwnWeights));
    // Pooling a sum is summing pools: pool(conv x + x) = pool(conv x) + pool x, the second over the edge from node 0.
    assert!(same("311004", "300440", SharedWeights));
    // Two readers of one convolution share its weights; two convolutions do not.
    assert!(!same("300021", "330021", OwnWeights));
    // Everything dead is the all-none cell.
    assert!(same("333000", "000000", SharedWeights));
}

#[test]
fn canonical_forms_are_idempotent_smallest_and_nested() {
    let space = Nb201::new();
    let mut shared = HashSet::new();
    let mut own = HashMap::new();
    for a in space.archs() {
        let s = space.canonical(&a, Equivalence::SharedWeights).unwrap();
        let o = space.canonical(&a, Equivalence::OwnWeights).unwrap();
        assert!(o <= s && s <= a);
        assert_eq!(space.canonical(&s, Equivalence::SharedWeights).unwrap(), s);
        assert_eq!(space.canonical(&s, Equivalence::OwnWeights).unwrap(), o);
        shared.insert(s);
        own.entry(o).or_insert_with(Vec::new).push(a);
    }
    // No published count to compare with: the rules here are finer (who shares weights) and coarser (linear pooling)
    // than the benchmark's. The logits of equal forms are compared in pada-models.
    assert_eq!((shared.len(), own.len()), (7548, 5044));
}

/// The benchmark's own notion of equal cells (`CellStructure.to_unique_str(consider_zero=True)` of its public code):
/// nested expressions, in which a skip keeps its place in a nested sum and a zero its place in a sum.
fn benchmark_expression(a: &Arch) -> String {
    let mut nodes = vec!["0".to_owned()];
    for to in 1..4 {
        let term = |e: usize| match (a.choices()[e], nodes[Nb201::EDGES[e].0].as_str()) {
            (0, _) | (_, "#") => "#".to_owned(),
            (1, source) => source.to_owned(),
            (op, source) => format!("({source})@{op}"),
        };
        let mut terms: Vec<String> = (0..6).filter(|&e| Nb201::EDGES[e].1 == to).map(term).collect();
        terms.sort();
        nodes.push(terms.join("+"));
    }
    nodes.pop().unwrap()
}

#[test]
fn the_benchmark_counts_6466_expressions() {
    let space = Nb201::new();
    let expressions: HashSet<String> = space.archs().map(|a| benchmark_expression(&a)).collect();
    assert_eq!(expressions.len(), 6466);
}

#[test]
fn moves_stay_in_the_space() {
    let space = Nb201::new();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..100 {
        let (a, b) = (space.sample(&mut rng), space.sample(&mut rng));
        let neighbours = space.neighbours(&a).unwrap();
        assert_eq!(neighbours.len(), 24);
        assert!(neighbours.iter().all(|n| n.distance(&a) == Ok(1) && space.check(n).is_ok()));
        assert_eq!(neighbours.iter().collect::<HashSet<_>>().len(), 24);
        let child = space.crossover(&a, &b, &mut rng).unwrap();
        assert!((0..6).all(|e| [a.choices()[e], b.choices()[e]].contains(&child.choices()[e])));
        assert_eq!(space.mutate(&a, 0.0, &mut rng).unwrap(), a);
        assert!(space.check(&space.mutate(&a, 1.0, &mut rng).unwrap()).is_ok());
    }
}
