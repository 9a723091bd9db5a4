//! Graphs that no search space has, against the readable executor.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::case::distance;
use crate::recipe::recipes;

/// Miri computes a thousand times slower.
const CASES_OF_MIRI: u32 = 2;

/// The same graphs every time; others with `PROPTEST_RNG_SEED`.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let cases = if cfg!(miri) { CASES_OF_MIRI } else { cases };
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        chosen => chosen,
    };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn random_graphs_equal_candle(recipe in recipes()) {
        let (case, graph) = recipe.build();
        case.check(&graph, "random graph");
    }

    #[test]
    fn simplified_random_graphs_find_the_same(recipe in recipes()) {
        let (case, graph) = recipe.build();
        let [whole, simple] = [&graph, &graph.simplified()].map(|graph| case.step(&mut case.candle(), graph));
        let distances = [
            distance(&simple.logits, &whole.logits),
            distance(&simple.gradient, &whole.gradient),
            (simple.alignment - whole.alignment).abs() / whole.alignment.max(1.0),
        ];
        prop_assert!(distances.iter().all(|&off| off < 1e-5), "logits, gradient, alignment off by {distances:?}");
    }
}
