//! Rankings that cost nothing, on the real table, against scipy.

use pada::active_conv_params;
use pada::graph::{Lower, Shape};
use pada::metrics::Metrics;
use pada::models::{Nb201Net, Norms};
use pada::nasbench::Nb201Table;

use crate::shared;

#[test]
fn golden_zero_cost_rows_of_nb201_equal_scipy() {
    let (Some(golden), Some(table)) = (shared::golden_file("metrics.json"), shared::nb201_table()) else {
        return;
    };
    let table = Nb201Table::load(table).unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let (truth, column) =
        (table.column("cifar10_test_200").unwrap(), table.column("params_cifar10").unwrap());

    // The table's weights are those that are counted from the graph.
    let net = Nb201Net::new(16, 5, Shape::new(3, 32, 32), 10, Norms::Affine);
    let count = |arch| pada::graph::Cost::of(&net.lower(arch).unwrap(), net.weights()).params as f64;
    let params: Vec<f64> = table.archs().iter().map(count).collect();
    assert_eq!(params, column);

    let convs: Vec<f64> = table.archs().iter().map(|arch| active_conv_params(arch).unwrap()).collect();
    for (name, list, given) in
        [("params", &params, None), ("live_conv_weight", &convs, Some(params.as_slice()))]
    {
        let ours = serde_json::to_value(Metrics::compute(list, truth, given).unwrap()).unwrap();
        for (metric, theirs) in golden[name].as_object().unwrap().iter().filter(|(m, _)| *m != "against") {
            match (ours[metric].as_f64(), theirs.as_f64()) {
                (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-12, "{name} {metric}: {a} against {b}"),
                (a, b) => assert_eq!(a, b, "{name} {metric}"),
            }
        }
    }
}
