//! Graphs that no search space has, against the readable executor.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::recipe::recipes;

/// The same graphs every time; others with `PROPTEST_RNG_SEED`.
pub(crate) fn config(cases: u32) -> ProptestConfig {
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
}
