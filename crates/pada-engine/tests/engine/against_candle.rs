//! Whole networks against the readable executor.

use pada_graph::{Lower, Nb201Net, Norms, Shape};
use pada_space::{Nb201, SearchSpace};

use crate::case::Case;

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
        for arch in [
            "333333", "323412", "130224", "434141", "000000", "111111", "444444", "300000", "000300",
            "212121",
        ] {
            let arch = space.parse(arch).unwrap();
            let graph = net.lower(&arch).unwrap();
            case.check(&graph.simplified(), &format!("{channels} {arch} simplified"));
            case.check(&graph, &format!("{channels} {arch}"));
        }
    }
}
