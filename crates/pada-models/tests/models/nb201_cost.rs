//! Weights and MACs of NAS-Bench-201 against the benchmark's table.

use pada_graph::{Cost, Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::shared;

fn benchmark() -> Nb201Net {
    Nb201Net::new(16, 5, Shape::new(3, 32, 32), 10, Norms::Affine)
}

fn check(net: &Nb201Net, digits: &str, params: u64, macs: u64) {
    let cost = Cost::of(&net.lower(&Nb201::new().parse(digits).unwrap()).unwrap(), net.weights());
    assert_eq!(cost, Cost { params, macs }, "{digits}");
}

/// Rows of the table at official indices 0, 1, 11 and the empty cell.
#[test]
fn published_costs() {
    let net = benchmark();
    check(&net, "421211", 129_306, 15_647_370);
    check(&net, "334131", 802_426, 113_951_370);
    check(&net, "000000", 73_306, 7_783_050);
}

#[test]
fn every_cost_of_the_shared_table() {
    let Some(path) = shared::nb201_table() else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let net = benchmark();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name| header.iter().position(|h| *h == name).unwrap();
    let (ops, params, mflops) = (column("ops"), column("params_cifar10"), column("mflops_cifar10"));
    let mut rows = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let macs = (cells[mflops].parse::<f64>().unwrap() * 1e6).round() as u64;
        check(&net, cells[ops], cells[params].parse().unwrap(), macs);
        rows += 1;
    }
    assert_eq!(rows, 15_625);
}

#[test]
fn the_supernet_has_as_many_weights_as_the_released_one() {
    let net = Nb201Net::new(16, 5, Shape::new(3, 32, 32), 10, Norms::Plain);
    assert_eq!(net.weights().numel(), 1_692_474);
}
