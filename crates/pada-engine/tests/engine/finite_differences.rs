//! Backward kernels against central differences of the engine's own forward pass in f64.

use pada_engine::{Engine, Isa};
use pada_exec::Precision;
use pada_graph::{Conv, Norm, Pool, Shape, Statistics};

use crate::case::noise;
use crate::probe::{Build, Probe};

/// Weights and logits are rounded to f32, 6e-8 of their size: a step at which neither this nor curvature is more than a
/// thousandth of the gradient.
const STEP: f32 = 1.0 / 64.0;

/// The distribution of the numbers of x.
#[derive(Clone, Copy)]
enum Numbers {
    /// Anywhere in −1..1.
    Smooth,
    /// Far below 0 to far above 6, each 12 steps from the next and 6 from 0 and 6, in no order: no step makes another the
    /// largest or passes a kink of a ReLU.
    Apart,
}

impl Numbers {
    fn draw(self, n: usize) -> Vec<f32> {
        // 41 has no divisor in common with the sizes below, so that every place is taken once.
        let apart = |i: usize| (i * 41 % n) as f32 - (n / 2) as f32 + 0.5;
        match self {
            Self::Smooth => noise(n, 5),
            Self::Apart => (0..n).map(|i| apart(i) * 12.0 * STEP).collect(),
        }
    }
}

/// Compares every gradient with respect to the input and all weights.
fn check(images: usize, input: Shape, numbers: Numbers, weights: &[(&str, Vec<usize>)], build: Build<'_>) {
    let probe = Probe::new(images, input, weights, build);
    let draws: Vec<Vec<f32>> =
        (1..).zip(weights).map(|(i, (_, shape))| noise(shape.iter().product(), i * 7)).collect();
    let x = numbers.draw(images * input.numel());
    let start = probe.weights(&x, &draws.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let direction = noise(images * probe.output(), 3);
    let mut engine = Engine::with_isa(probe.layout.clone(), start.clone(), Precision::F64, Isa::Portable);
    let gradient = probe.gradient(&mut engine, &start, &direction);
    let mut objective = |weights: &[f32]| {
        let values = probe.values(&mut engine, weights);
        values.iter().zip(&direction).map(|(&y, &d)| f64::from(y) * f64::from(d)).sum::<f64>()
    };
    let own = weights.iter().map(|(name, _)| (*name, probe.layout.range(probe.layout.find(name).unwrap())));
    let x_places: Vec<usize> = probe.x_places().collect();
    let parts = std::iter::once(("x", x_places)).chain(own.map(|(name, range)| (name, range.collect())));
    for (name, places) in parts {
        let largest = places.iter().fold(0.0, |m: f64, &i| m.max(f64::from(gradient[i].abs())));
        assert!(largest > 0.01, "{name} has no gradient");
        for place in places {
            let mut moved = start.clone();
            let mut at = |shift: f32| {
                moved[place] = start[place] + shift;
                (objective(&moved), f64::from(moved[place]))
            };
            let (above, below) = (at(STEP), at(-STEP));
            let numeric = (above.0 - below.0) / (above.1 - below.1);
            let ours = f64::from(gradient[place]);
            assert!((numeric - ours).abs() < 2e-3 * largest, "{name} {place}: {ours} against {numeric}");
        }
    }
}

fn check_conv(shape: Shape, conv: &Conv) {
    let (k, groups, out) = (conv.kernel, conv.groups, conv.out_channels);
    let weights = [("w", vec![out, shape.channels / groups, k, k]), ("b", vec![out])];
    check(2, shape, Numbers::Smooth, &weights, &|b, x, ids| {
        b.conv(x, Conv { weight: ids[0], bias: Some(ids[1]), ..conv.clone() }).unwrap()
    });
}

fn conv(out: usize, kernel: usize, stride: usize, dilation: usize, groups: usize) -> Conv {
    let padding = dilation * (kernel - 1) / 2;
    Conv { dilation, groups, padding, ..Conv::same(pada_graph::WeightId(0), out, kernel, stride) }
}

#[test]
fn gradients_of_dense_convolutions() {
    check_conv(Shape::new(3, 5, 4), &conv(9, 3, 1, 1, 1));
    check_conv(Shape::new(9, 4, 5), &conv(3, 3, 2, 1, 1));
    check_conv(Shape::new(2, 5, 5), &conv(4, 5, 2, 2, 1));
    check_conv(Shape::new(5, 3, 4), &conv(6, 1, 2, 1, 1));
    check_conv(Shape::new(4, 5, 4), &conv(6, 3, 1, 1, 2));
    check_conv(Shape::new(2, 6, 5), &Conv { padding: 0, ..conv(3, 3, 2, 1, 1) });
    check_conv(Shape::new(3, 6, 5), &Conv { offset: 1, ..conv(4, 1, 2, 1, 1) });
    check_conv(Shape::new(3, 5, 6), &Conv { offset: 1, ..conv(4, 3, 2, 1, 1) });
}

#[test]
fn gradients_of_depthwise_convolutions() {
    check_conv(Shape::new(9, 5, 4), &conv(9, 3, 1, 1, 9));
    check_conv(Shape::new(3, 6, 5), &conv(3, 5, 2, 1, 3));
    check_conv(Shape::new(4, 6, 5), &conv(4, 3, 2, 2, 4));
}

#[test]
fn gradients_of_batch_norms() {
    let affine = [("scale", vec![3]), ("shift", vec![3])];
    let shape = Shape::new(3, 5, 4);
    check(3, shape, Numbers::Smooth, &[], &|b, x, _| {
        b.norm(x, Norm { affine: None, eps: 1e-5, statistics: Statistics::Batch }).unwrap()
    });
    check(10, Shape::new(3, 2, 3), Numbers::Smooth, &affine, &|b, x, ids| {
        b.norm(x, Norm { affine: Some((ids[0], ids[1])), eps: 1e-3, statistics: Statistics::Batch }).unwrap()
    });
    // A convolution's output that is read with its norm and without, and a sum that is, too.
    let weights = [("scale", vec![4]), ("shift", vec![4]), ("w", vec![4, 3, 3, 3])];
    check(3, shape, Numbers::Smooth, &weights, &|b, x, ids| {
        let y = b.conv(x, Conv::same(ids[2], 4, 3, 1)).unwrap();
        let affine = b
            .norm(y, Norm { affine: Some((ids[0], ids[1])), eps: 1e-5, statistics: Statistics::Batch })
            .unwrap();
        let pool = b.avg_pool(y, Pool { kernel: 3, stride: 1, padding: 1 }).unwrap();
        let sum = b.add(&[pool, affine, y]).unwrap();
        let plain = b.norm(sum, Norm { affine: None, eps: 1e-5, statistics: Statistics::Batch }).unwrap();
        b.add(&[plain, sum]).unwrap()
    });
}

#[test]
fn gradients_of_poolings() {
    for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (2, 2, 0), (2, 1, 1)] {
        let pool = Pool { kernel, stride, padding };
        check(2, Shape::new(3, 5, 4), Numbers::Smooth, &[], &|b, x, _| b.avg_pool(x, pool).unwrap());
        check(2, Shape::new(3, 5, 4), Numbers::Apart, &[], &|b, x, _| b.max_pool(x, pool).unwrap());
    }
    check(2, Shape::new(3, 5, 4), Numbers::Smooth, &[], &|b, x, _| b.global_avg_pool(x));
    check(2, Shape::new(3, 5, 4), Numbers::Apart, &[], &|b, x, _| {
        let x = b.relu6(x);
        b.global_avg_pool(x)
    });
}

#[test]
fn gradients_of_activations_sums_and_concatenations() {
    let shape = Shape::new(3, 5, 4);
    check(2, shape, Numbers::Apart, &[], &|b, x, _| b.relu(x));
    check(2, shape, Numbers::Apart, &[], &|b, x, _| b.relu6(x));
    check(2, shape, Numbers::Apart, &[("w", vec![4, 3, 3, 3])], &|b, x, ids| {
        let x = b.relu6(x);
        b.conv(x, Conv::same(ids[0], 4, 3, 1)).unwrap()
    });
    check(2, shape, Numbers::Apart, &[("w", vec![3, 1, 3, 3])], &|b, x, ids| {
        let x = b.relu6(x);
        b.conv(x, Conv { groups: 3, ..Conv::same(ids[0], 3, 3, 1) }).unwrap()
    });
    check(2, shape, Numbers::Apart, &[], &|b, x, _| {
        let pool = b.avg_pool(x, Pool { kernel: 3, stride: 1, padding: 1 }).unwrap();
        let relu = b.relu(x);
        let sum = b.add(&[x, pool, x, relu]).unwrap();
        b.concat(&[sum, x, sum]).unwrap()
    });
}

#[test]
fn gradients_of_linear_layers() {
    let weights = [("w", vec![5, 24]), ("b", vec![5])];
    check(3, Shape::new(2, 4, 3), Numbers::Smooth, &weights, &|b, x, ids| {
        b.linear(x, ids[0], ids[1]).unwrap()
    });
    let weights = [("w", vec![5, 9]), ("b", vec![5])];
    check(3, Shape::vector(9), Numbers::Smooth, &weights, &|b, x, ids| b.linear(x, ids[0], ids[1]).unwrap());
}
