//! Ranks that share a batch find what one process finds, to the last bit.

use std::time::Duration;

use pada_dist::{DistError, ProcessGroup, threads};
use pada_exec::{BatchNormSync, Precision};
use pada_graph::{Graph, Lower, Shape};
use pada_models::{MacroNet, Nb201Net, Norms};
use pada_space::{NasBenchMacro, Nb201, SearchSpace};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::case::{Case, LEVELS};
use crate::recipe::recipes;

/// Logits, losses, gradient and weights (running statistics are among them) as bits.
fn bits(case: &Case, graph: &Graph, world: &ProcessGroup) -> Vec<u64> {
    let of = |level| {
        let mut engine = case.engine(Precision::F32, level).across(world.clone(), BatchNormSync::Sync);
        let found = case.step(&mut engine, graph);
        let weights = pada_exec::Executor::read(&engine, pada_exec::State::Weights);
        let numbers = found.logits.into_iter().chain(found.gradient).chain(weights);
        let numbers = numbers.map(|v| u64::from(v.to_bits())).collect::<Vec<_>>();
        numbers.into_iter().chain([found.loss.to_bits(), found.alignment.to_bits()])
    };
    [LEVELS[0], LEVELS[2]].into_iter().flat_map(of).collect()
}

fn check(case: &Case, graph: &Graph) {
    let one = bits(case, graph, &ProcessGroup::single());
    for size in [2, 4, 8] {
        let worlds = threads(size, Duration::from_secs(60));
        std::thread::scope(|scope| {
            let ranks: Vec<_> = worlds.iter().map(|world| scope.spawn(|| bits(case, graph, world))).collect();
            for (rank, found) in ranks.into_iter().enumerate() {
                assert!(found.join().unwrap() == one, "rank {rank} of {size} has other bits");
            }
        });
    }
}

#[test]
fn a_step_has_the_same_bits_for_1_2_4_and_8_ranks() {
    let shape = Shape::new(3, 12, 8);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Affine);
    // 37 images are five chunks: of eight ranks three have nothing to do. Five images are one.
    for images in [5, 37, 64] {
        let case = Case::new(net.weights(), shape, images, 10, 1);
        for arch in ["333333", "323412"] {
            let [arch, anchor] = [arch, "142323"].map(|digits| Nb201::new().parse(digits).unwrap());
            check(&case, &net.lower(&arch).unwrap());
            check(&case, &net.lower_aligned(&arch, &anchor, 2.0).unwrap());
        }
    }
    // Running statistics.
    let layers = MacroNet::new(Shape::new(3, 16, 16), 10, Norms::Running);
    let case = Case::new(layers.weights(), layers.input(), 19, 10, 2);
    check(&case, &layers.lower(&NasBenchMacro.parse("02101201").unwrap()).unwrap());
    let mut runner = TestRunner::deterministic();
    for _ in 0..15 {
        let mut recipe = recipes().new_tree(&mut runner).unwrap().current();
        recipe.images = 37;
        let (case, graph) = recipe.build();
        check(&case, &graph);
    }
}

#[test]
fn ranks_that_cannot_share_a_batch_and_one_that_hangs_are_errors() {
    let net = Nb201Net::new(4, 1, Shape::new(3, 8, 8), 10, Norms::Plain);
    let case = Case::new(net.weights(), Shape::new(3, 8, 8), 16, 10, 1);
    let graph = net.lower(&Nb201::new().parse("333333").unwrap()).unwrap();
    let step = |world: &ProcessGroup| {
        let mut engine = case.engine(Precision::F32, LEVELS[0]).across(world.clone(), BatchNormSync::Sync);
        let images = pada_exec::Images::given(&case.pixels, case.shape);
        let batch = pada_exec::Batch { images, labels: &case.labels };
        let result = pada_exec::Executor::gradients(&mut engine, &graph, &batch, &Default::default());
        match result {
            Err(pada_exec::ExecError::ProcessGroup(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let worlds = threads(3, Duration::from_secs(60));
    assert_eq!(step(&worlds[0]), DistError::NotPowerOfTwo { size: 3 });
    let worlds = threads(2, Duration::from_millis(50));
    assert_eq!(step(&worlds[1]), DistError::Timeout { index: 1, peer: 0, seconds: 0.05 });
}
