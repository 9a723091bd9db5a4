//! Gradients against finite differences in f64, and what the operations refuse.
use candle_core::{Device, Result, Tensor, Var};
use pada_candle::ops;
use pada_graph::{Conv, Pool, WeightId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(seed: u64, dims: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let numbers: Vec<f64> = (0..dims.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

fn conv(kernel: usize, stride: usize, dilation: usize, groups: usize) -> Conv {
    Conv {
        padding: dilation * (kernel - 1) / 2,
        dilation,
        groups,
        ..Conv::same(WeightId(0), 0, kernel, stride)
    }
}

/// Central differences of `Σ f(x) · direction` for every coordinate of `x`.
fn check_gradient(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let var = Var::from_tensor(x).unwrap();
    let y = f(&var).unwrap();
    let direction = random(99, y.dims());
    let objective = |y: &Tensor| (y * &direction).unwrap().sum_all().unwrap();
    let grads = objective(&y).backward().unwrap();
    let grad = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let start = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for (i, g) in grad.iter().enumerate() {
        let at = |shift: f64| {
            let mut moved = start.clone();
            moved[i] += shift;
            let x = Tensor::from_vec(moved, x.dims(), &Device::Cpu).unwrap();
            objective(&f(&x).unwrap()).to_scalar::<f64>().unwrap()
        };
        let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        assert!((slope - g).abs() < 1e-6 * (1.0 + slope.abs()), "coordinate {i}: {g} against {slope}");
    }
}

#[test]
fn convolution_gradients() {
    for (k, s, d, groups, h, w, offset) in [
        (3, 1, 1, 1, 5, 4, 0),
        (3, 2, 1, 2, 6, 3, 0),
        (5, 2, 2, 4, 7, 9, 0),
        (1, 2, 1, 1, 4, 6, 1),
        (1, 1, 1, 2, 3, 2, 0),
    ] {
        let (x, weight) = (random(1, &[2, 4, h, w]), random(2, &[8, 4 / groups, k, k]));
        let conv = Conv { offset, ..conv(k, s, d, groups) };
        check_gradient(&x, |x| ops::conv2d(x, &weight, None, &conv));
        check_gradient(&weight, |weight| ops::conv2d(&x, weight, None, &conv));
    }
}

#[test]
fn pool_norm_bias_and_relu_gradients() {
    let (x, weight, bias) = (random(3, &[2, 3, 5, 4]), random(8, &[3, 3, 1, 1]), random(9, &[3]));
    for stride in [1, 2] {
        let pool = Pool { kernel: 3, stride, padding: 1 };
        check_gradient(&x, |x| ops::avg_pool2d(x, pool));
        check_gradient(&x, |x| ops::max_pool2d(x, pool));
    }
    check_gradient(&x, |x| ops::batch_norm(x, 1e-5));
    check_gradient(&x, ops::relu);
    check_gradient(&(&x * 9.0).unwrap(), ops::relu6);
    check_gradient(&bias, |bias| ops::conv2d(&x, &weight, Some(bias), &conv(1, 1, 1, 1)));
}

/// Values and gradient of max pooling with a 3×3 window, stride 1 and padding 1, by the definition: the first maximum in row order gets the
/// gradient, and NaN is larger than any number.
fn pooled_by_definition([planes, height, width]: [usize; 3], x: &[f64], gy: &[f64]) -> [Vec<f64>; 2] {
    let (mut y, mut gx) = (vec![], vec![0.0; x.len()]);
    for (plane, row, column) in
        (0..planes).flat_map(|p| (0..height).flat_map(move |r| (0..width).map(move |c| (p, r, c))))
    {
        let rows = row.saturating_sub(1)..(row + 2).min(height);
        let columns = column.saturating_sub(1)..(column + 2).min(width);
        let window = rows.flat_map(|r| columns.clone().map(move |c| (plane * height + r) * width + c));
        let first = window.reduce(|best, i| if x[i] > x[best] || x[i].is_nan() { i } else { best }).unwrap();
        gx[first] += gy[y.len()];
        y.push(x[first]);
    }
    [y, gx]
}

/// Finite differences cannot show kinks, equal numbers and NaN, so these are compared with definitions.
#[test]
fn kinks_equal_numbers_and_nan_are_those_of_the_definition() {
    type Function = fn(&Tensor) -> Result<Tensor>;
    type Definition = fn(&[f64], &[f64]) -> [Vec<f64>; 2];
    let functions: [(Function, Definition); 3] = [
        (ops::relu, |x, gy| {
            let slope = |(x, g): (&f64, &f64)| if *x > 0.0 { *g } else { 0.0 };
            [
                x.iter().map(|v| if *v < 0.0 { 0.0 } else { *v }).collect(),
                x.iter().zip(gy).map(slope).collect(),
            ]
        }),
        (ops::relu6, |x, gy| {
            let value = |v: &f64| if v.is_nan() { *v } else { v.clamp(0.0, 6.0) };
            let slope = |(x, g): (&f64, &f64)| if *x > 0.0 && *x < 6.0 { *g } else { 0.0 };
            [x.iter().map(value).collect(), x.iter().zip(gy).map(slope).collect()]
        }),
        (
            |x| ops::max_pool2d(x, Pool { kernel: 3, stride: 1, padding: 1 }),
            |x, gy| pooled_by_definition([4, 3, 4], x, gy),
        ),
    ];
    let mut numbers: Vec<f64> = (0..48).map(|i| f64::from(i % 5) * 3.0 - 6.0).collect();
    numbers[30] = f64::INFINITY;
    let tensor = |numbers: &[f64]| Tensor::from_slice(numbers, (2, 2, 3, 4), &Device::Cpu).unwrap();
    let list = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let direction = random(5, &[2, 2, 3, 4]);
    for (ours, definition) in functions {
        let x = Var::from_tensor(&tensor(&numbers)).unwrap();
        let y = ours(&x).unwrap();
        let grads = (&y * &direction).unwrap().sum_all().unwrap().backward().unwrap();
        let [expected, gradient] = definition(&numbers, &list(&direction));
        assert_eq!(list(&y), expected);
        let found = list(grads.get(&x).unwrap());
        let worst = found.iter().zip(&gradient).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f64::max) < 1e-14);
    }
    numbers[17] = f64::NAN;
    for (ours, definition) in functions {
        let ours = list(&ours(&tensor(&numbers)).unwrap());
        let [expected, _] = definition(&numbers, &list(&direction));
        assert!(ours.iter().any(|v| v.is_nan()));
        assert!(
            ours.iter().zip(&expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())),
            "{ours:?} {expected:?}"
        );
    }
}

#[test]
fn moments_are_those_of_the_definition() {
    let x = random(10, &[3, 2, 4, 5]);
    let list = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let [means, vars] = ops::moments(&x).unwrap();
    assert_eq!([means.dims(), vars.dims()], [&[1, 2, 1, 1]; 2]);
    for (channel, (mean, var)) in list(&means).into_iter().zip(list(&vars)).enumerate() {
        let plane = list(&x.narrow(1, channel, 1).unwrap());
        let expected = plane.iter().sum::<f64>() / plane.len() as f64;
        let spread = plane.iter().map(|v| (v - expected).powi(2)).sum::<f64>() / plane.len() as f64;
        assert!((mean - expected).abs() < 1e-14 && (var - spread).abs() < 1e-14);
    }
}

/// Slow reference: the definition, six loops.
#[test]
fn convolution_is_its_definition() {
    let (x, weight) = (random(4, &[2, 4, 6, 5]), random(5, &[6, 2, 3, 3]));
    let (stride, dilation, padding) = (2, 2, 2);
    let y = ops::conv2d(&x, &weight, None, &conv(3, stride, dilation, 2)).unwrap().to_vec4_f64();
    let (x, weight) = (x.to_vec4_f64(), weight.to_vec4_f64());
    for (b, image) in y.iter().enumerate() {
        for (o, plane) in image.iter().enumerate() {
            for (i, row) in plane.iter().enumerate() {
                for (j, &ours) in row.iter().enumerate() {
                    let mut sum = 0.0;
                    for c in 0..2 {
                        for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                            let (y, xx) = (i * stride + ky * dilation, j * stride + kx * dilation);
                            let inside =
                                (padding..6 + padding).contains(&y) && (padding..5 + padding).contains(&xx);
                            if inside {
                                sum += weight[o][c][ky][kx] * x[b][o / 3 * 2 + c][y - padding][xx - padding];
                            }
                        }
                    }
                    assert!((ours - sum).abs() < 1e-12);
                }
            }
        }
    }
}

trait Nested {
    fn to_vec4_f64(&self) -> Vec<Vec<Vec<Vec<f64>>>>;
}

impl Nested for Tensor {
    fn to_vec4_f64(&self) -> Vec<Vec<Vec<Vec<f64>>>> {
        (0..self.dim(0).unwrap()).map(|b| self.get(b).unwrap().to_vec3().unwrap()).collect()
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let pass = || {
        let (x, w) = (random(6, &[19, 4, 9, 7]), random(7, &[8, 4, 3, 3]));
        let (x, w) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&w).unwrap());
        let y = ops::conv2d(&ops::relu(&x).unwrap(), &w, None, &conv(3, 1, 1, 1)).unwrap();
        let y = ops::batch_norm(&y, 1e-5).unwrap();
        let y = ops::avg_pool2d(&y, Pool { kernel: 3, stride: 1, padding: 1 }).unwrap();
        let grads = (&y * random(8, y.dims())).unwrap().sum_all().unwrap().backward().unwrap();
        [grads.get(&x), grads.get(&w)].map(|g| g.unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap())
    };
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(pass);
    assert_eq!(with(1), with(3));
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let x = random(0, &[1, 2, 3, 3]);
    let bare = Conv { padding: 0, ..conv(5, 1, 1, 1) };
    assert!(ops::conv2d(&x, &random(1, &[2, 2, 5, 5]), None, &bare).is_err());
    assert!(ops::conv2d(&x, &random(1, &[2, 3, 1, 1]), None, &conv(1, 1, 1, 1)).is_err());
    assert!(ops::avg_pool2d(&x, Pool { kernel: 3, stride: 1, padding: 2 }).is_err());
    assert!(ops::max_pool2d(&x, Pool { kernel: 5, stride: 1, padding: 0 }).is_err());
}
