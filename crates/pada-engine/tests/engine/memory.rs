//! Memory is kept from pass to pass; what an earlier one left there must not be seen.

use pada_exec::{Executor, Precision, State};
use proptest::prelude::*;

use crate::case::{Case, ISAS};
use crate::random_graphs::config;
use crate::recipe::recipes;

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn a_pass_over_numbers_that_are_none_leaves_nothing_behind(recipe in recipes()) {
        let (case, graph) = recipe.build();
        let images = case.labels.len() + 3;
        let poison = Case {
            layout: case.layout.clone(),
            weights: vec![f32::NAN; case.weights.len()],
            pixels: vec![f32::NAN; images * case.shape.numel()],
            labels: vec![0; images],
            ..case
        };
        for (precision, isa) in [
            (Precision::F64, ISAS[0]),
            (Precision::F32, ISAS[0]),
            (Precision::F32, ISAS[1]),
            (Precision::F32, ISAS[2]),
        ] {
            let mut used = poison.engine(precision, isa);
            poison.step(&mut used, &graph);
            used.write(State::Weights, &case.weights);
            let fresh = case.step(&mut case.engine(precision, isa), &graph);
            prop_assert!(case.step(&mut used, &graph) == fresh, "{isa}");
        }
    }
}
