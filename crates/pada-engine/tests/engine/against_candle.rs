//! Whole networks against the readable executor.

use pada_engine::Isa;
use pada_exec::Precision;
use pada_graph::{Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::case::{Case, distance};

#[test]
fn nb201_steps_equal_candle() {
    let space = Nb201::new();
    for (i, (channels, cells, shape, images, norms)) in [
        (16, 1, Shape::new(3, 16, 16), 10, Norms::Plain),
        (8, 2, Shape::new(3, 8, 12), 5, Norms::Plain),
        (6, 1, Shape::new(1, 12, 8), 17, Norms::Plain),
        (16, 1, Shape::new(3, 16, 8), 9, Norms::Affine),
        (20, 1, Shape::new(4, 8, 8), 8, Norms::Plain),
    ]
    .into_iter()
    .enumerate()
    {
        let net = Nb201Net::new(channels, cells, shape, 10, norms);
        let case = Case::new(net.weights(), shape, images, 10, i as u64 + 1);
        let archs = [
            "333333", "323412", "130224", "434141", "000000", "111111", "444444", "300000", "000300",
            "212121",
        ];
        // Four architectures each, so that every one meets two supernets.
        for arch in archs.iter().cycle().skip(4 * i).take(4) {
            let arch = space.parse(arch).unwrap();
            let graph = net.lower(&arch).unwrap();
            case.check_both(&graph, &format!("{channels} {arch}"));
        }
    }
}

#[test]
fn aligned_nb201_steps_equal_candle() {
    let space = Nb201::new();
    for (i, (channels, cells, shape, images, norms)) in [
        (16, 1, Shape::new(3, 16, 16), 9, Norms::Plain),
        (5, 2, Shape::new(2, 8, 12), 10, Norms::Plain),
        (20, 1, Shape::new(3, 8, 8), 7, Norms::Affine),
    ]
    .into_iter()
    .enumerate()
    {
        let net = Nb201Net::new(channels, cells, shape, 10, norms);
        let case = Case::new(net.weights(), shape, images, 10, i as u64 + 31);
        let pairs = [
            ("323412", "323432"),
            ("130224", "434141"),
            ("111111", "333333"),
            ("000000", "323412"),
            ("323412", "000000"),
            ("444444", "212121"),
        ];
        // Four pairs each, so that every one meets two supernets.
        for (path, anchor) in pairs.iter().cycle().skip(4 * i).take(4) {
            let [of_path, of_anchor] = [*path, *anchor].map(|digits| space.parse(digits).unwrap());
            let graph = net.lower_aligned(&of_path, &of_anchor, 3.0).unwrap();
            case.check_both(&graph, &format!("{channels} {path} beside {anchor}"));
            let mut engine = case.engine(Precision::F64, Isa::Portable);
            let (alone, beside) = (
                case.step(&mut engine, &net.lower(&of_path).unwrap()),
                case.step(&mut engine, &graph.simplified()),
            );
            assert!(distance(&beside.logits, &alone.logits) < 1e-6, "{path} beside {anchor}: other logits");
            assert!(beside.alignment > 0.0 && alone.alignment == 0.0, "{path} beside {anchor}");
        }
    }
}
