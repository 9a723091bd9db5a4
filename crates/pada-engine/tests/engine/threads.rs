//! The number of threads changes nothing, not even the last bit.

use pada_exec::Precision;
use pada_graph::{Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::case::{Case, ISAS};
use crate::recipe::recipes;

/// Logits, losses and gradient as bits.
fn bits(case: &Case, graph: &pada_graph::Graph, threads: usize) -> Vec<u64> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        ISAS.into_iter()
            .flat_map(|isa| {
                let result = case.step(&mut case.engine(Precision::F32, isa), graph);
                let numbers = result.logits.into_iter().chain(result.gradient);
                let numbers = numbers.map(|v| u64::from(v.to_bits())).collect::<Vec<_>>();
                numbers.into_iter().chain([result.loss.to_bits(), result.alignment.to_bits()])
            })
            .collect()
    })
}

fn check(case: &Case, graph: &pada_graph::Graph) {
    let one = bits(case, graph, 1);
    for threads in [2, 3, 7] {
        assert!(bits(case, graph, threads) == one, "{threads} threads give other bits");
    }
}

#[test]
fn a_step_has_the_same_bits_for_1_2_3_and_7_threads() {
    let shape = Shape::new(3, 12, 8);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Affine);
    let case = Case::new(net.weights(), shape, 37, 10, 1);
    for arch in ["333333", "323412"] {
        let [arch, anchor] = [arch, "142323"].map(|digits| Nb201::new().parse(digits).unwrap());
        check(&case, &net.lower(&arch).unwrap());
        check(&case, &net.lower_aligned(&arch, &anchor, 2.0).unwrap());
    }
    let mut runner = TestRunner::deterministic();
    for _ in 0..15 {
        let mut recipe = recipes().new_tree(&mut runner).unwrap().current();
        recipe.images = 37;
        let (case, graph) = recipe.build();
        check(&case, &graph);
    }
}
