//! Every operation, forward and backward, against PyTorch in float64: `ops.safetensors` of the golden folder.
//! It is written by `make_golden_ops.py`, which lies beside that folder.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use pada_candle::ops;
use pada_graph::{Conv, Pool, WeightId};

use crate::shared;

type Tensors = HashMap<String, Tensor>;

/// |ours − theirs| ≤ 1e-4 · max|theirs| + 1e-6
///
/// One exception, in f32: the bias before a batch norm. Its gradient is the sum of 256 rounded numbers that is zero in truth;
/// networks skip it (see `Graph::cancels_bias`), here it may be what 256 roundings and those of the sum can leave.
fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let numbers =
        |t: &Tensor| t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
    let ours_type = ours.dtype();
    let (ours, theirs) = (numbers(ours), numbers(theirs));
    let floor = if name == "relu_conv_bn.gb" && ours_type == DType::F32 { 1e-4 } else { 1e-6 };
    let bound = 1e-4 * theirs.iter().fold(0.0_f64, |m, v| m.max(v.abs())) + floor;
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= bound, "{name}: off by {worst:e}, allowed {bound:e}");
}

/// A number behind a letter in `conv_k3_s1_d1_g1_c16x16_8x8_bias`.
fn setting(name: &str, letter: char) -> usize {
    let part = name.split('_').find_map(|p| p.strip_prefix(letter).and_then(|n| n.parse().ok()));
    part.unwrap_or_else(|| panic!("no setting {letter} in {name}"))
}

/// The operation a case name stands for; `None` for names no operation here has.
fn run(name: &str, x: &Tensor, w: Option<&Tensor>, b: Option<&Tensor>) -> Option<Result<Tensor>> {
    let channelwise = |t: &Tensor| t.reshape((1, (), 1, 1));
    let same = |k, s| Conv::same(WeightId(0), 0, k, s);
    Some(if name.starts_with("conv_") {
        let (k, d) = (setting(name, 'k'), setting(name, 'd'));
        let groups = setting(name, 'g');
        let conv = Conv { dilation: d, groups, padding: d * (k - 1) / 2, ..same(k, setting(name, 's')) };
        ops::conv2d(x, w.unwrap(), b, &conv)
    } else if name.starts_with("avg_pool_3x3") {
        ops::avg_pool2d(x, Pool { kernel: 3, stride: setting(name, 's'), padding: 1 })
    } else if name.starts_with("max_pool_3x3") {
        ops::max_pool2d(x, Pool { kernel: 3, stride: setting(name, 's'), padding: 1 })
    } else if name.starts_with("avg_pool_2x2") {
        ops::avg_pool2d(x, Pool { kernel: 2, stride: 2, padding: 0 })
    } else {
        match name {
            "batch_norm_batch_stats" => ops::batch_norm(x, 1e-5),
            "batch_norm_affine" => ops::batch_norm(x, 1e-3).and_then(|y| {
                y.broadcast_mul(&channelwise(w.unwrap())?)?.broadcast_add(&channelwise(b.unwrap())?)
            }),
            "relu" => ops::relu(x),
            "relu6" => ops::relu6(x),
            "global_avg_pool" => x.mean((2, 3)),
            "linear" => ops::linear(x, w.unwrap(), b.unwrap()),
            "relu_conv_bn" => ops::relu(x)
                .and_then(|x| ops::conv2d(&x, w.unwrap(), b, &same(3, 1)))
                .and_then(|x| ops::batch_norm(&x, 1e-5)),
            _ => return None,
        }
    })
}

fn check(name: &str, tensors: &Tensors, dtype: DType) {
    let get = |key: &str| tensors.get(&format!("{name}.{key}")).map(|t| t.to_dtype(dtype).unwrap());
    let leaf = |key: &str| get(key).map(|t| Var::from_tensor(&t).unwrap());
    let (x, w, b) = (leaf("x").unwrap(), leaf("w"), leaf("b"));
    let y = run(name, &x, w.as_deref(), b.as_deref())
        .unwrap_or_else(|| panic!("no operation for {name}"))
        .unwrap();
    assert_close(&format!("{name}.y"), &y, &get("y").unwrap());
    let grads = (y * get("gy").unwrap()).unwrap().sum_all().unwrap().backward().unwrap();
    for (key, var) in [("gx", Some(&x)), ("gw", w.as_ref()), ("gb", b.as_ref())] {
        if let Some(var) = var {
            assert_close(&format!("{name}.{key}"), grads.get(var).unwrap(), &get(key).unwrap());
        }
    }
}

#[test]
fn golden_operations_in_f32_and_f64() {
    let Some(path) = shared::golden_file("ops.safetensors") else { return };
    let tensors: Tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let mut names: Vec<&str> = tensors.keys().filter_map(|key| key.strip_suffix(".gy")).collect();
    names.sort_unstable();
    assert!(!names.is_empty(), "the golden file holds no case");
    for name in names {
        check(name, &tensors, DType::F32);
        check(name, &tensors, DType::F64);
    }
}
