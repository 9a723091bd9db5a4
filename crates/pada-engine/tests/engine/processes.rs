//! Several processes compute a step with the same bits as one process.

use std::time::Duration;

use pada_dist::{DistError, ProcessGroup, threads};
use pada_exec::{BatchNormSync, Precision};
use pada_graph::{Graph, Lower, Shape};
use pada_models::{MacroNet, Nb201Net, Norms};
use pada_space::{NasBenchMacro, Nb201, SearchSpace};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::case::{Case, ISAS};
use crate::recipe::recipes;

/// Logits, losses, gradient and weights (running statistics are among them) as bits.
fn bits(case: &Case, graph: &Graph, group: &ProcessGroup) -> Vec<u64> {
    let of = |isa| {
        let mut engine = case.engine(Precision::F32, isa).across(group.clone(), BatchNormSync::Sync);
        let result = case.step(&mut engine, graph);
        let weights = pada_exec::Executor::read(&engine, pada_exec::State::Weights);
        let numbers = result.logits.into_iter().chain(result.gradient).chain(weights);
        let numbers = numbers.map(|v| u64::from(v.to_bits())).collect::<Vec<_>>();
        numbers.into_iter().chain([result.loss.to_bits(), result.alignment.to_bits()])
    };
    [ISAS[0], ISAS[2]].into_iter().flat_map(of).collect()
}

fn check(case: &Case, graph: &Graph) {
    let one = bits(case, graph, &ProcessGroup::single());
    for size in [2, 4, 8] {
        let groups = threads(size, Duration::from_secs(60));
        std::thread::scope(|scope| {
            let processes: Vec<_> =
                groups.iter().map(|group| scope.spawn(|| bits(case, graph, group))).collect();
            for (index, result) in processes.into_iter().enumerate() {
                assert!(result.join().unwrap() == one, "process {index} of {size} has other bits");
            }
        });
    }
}

#[test]
fn a_step_has_the_same_bits_for_1_2_4_and_8_processes() {
    let shape = Shape::new(3, 12, 8);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Affine);
    // 37 images are five chunks: of eight processes three have nothing to do. Five images are one.
    for (images, arch) in [(5, "333333"), (37, "323412"), (64, "333333")] {
        let case = Case::new(net.weights(), shape, images, 10, 1);
        let [arch, anchor] = [arch, "142323"].map(|digits| Nb201::new().parse(digits).unwrap());
        check(&case, &net.lower(&arch).unwrap());
        check(&case, &net.lower_aligned(&arch, &anchor, 2.0).unwrap());
    }
    // Running statistics.
    let layers = MacroNet::new(Shape::new(3, 16, 16), 10, Norms::Running);
    let case = Case::new(layers.weights(), layers.input(), 19, 10, 2);
    check(&case, &layers.lower(&NasBenchMacro.parse("02101201").unwrap()).unwrap());
    let mut runner = TestRunner::deterministic();
    for _ in 0..8 {
        let mut recipe = recipes().new_tree(&mut runner).unwrap().current();
        recipe.images = 37;
        let (case, graph) = recipe.build();
        check(&case, &graph);
    }
}

#[test]
fn processes_that_cannot_share_a_batch_and_one_that_stalls_are_errors() {
    let net = Nb201Net::new(4, 1, Shape::new(3, 8, 8), 10, Norms::Plain);
    let case = Case::new(net.weights(), Shape::new(3, 8, 8), 16, 10, 1);
    let graph = net.lower(&Nb201::new().parse("333333").unwrap()).unwrap();
    let step = |group: &ProcessGroup| {
        let mut engine = case.engine(Precision::F32, ISAS[0]).across(group.clone(), BatchNormSync::Sync);
        let images = pada_exec::Images::given(&case.pixels, case.shape);
        let batch = pada_exec::Batch { images, labels: &case.labels };
        let result = pada_exec::Executor::gradients(&mut engine, &graph, &batch, &Default::default());
        match result {
            Err(pada_exec::ExecError::ProcessGroup(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let groups = threads(3, Duration::from_secs(60));
    assert_eq!(step(&groups[0]), DistError::NotPowerOfTwo { size: 3 });
    let groups = threads(2, Duration::from_millis(50));
    assert_eq!(step(&groups[1]), DistError::Timeout { index: 1, peer: 0, seconds: 0.05 });
}
