//! Every operation, forward and backward, against PyTorch in float64: `ops.safetensors` of the golden folder.
//! It is written by `make_golden_ops.py`, which lies beside that folder.

use pada_engine::Engine;
use pada_exec::{Executor, Precision};
use pada_graph::{Conv, GraphBuilder, NodeId, Norm, Pool, Shape, Statistics, WeightId};
use safetensors::SafeTensors;

use crate::case::ISAS;
use crate::probe::Probe;
use crate::shared;

/// |ours − theirs| ≤ 1e-4 · max|theirs| + 1e-6
fn assert_close(name: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let bound = 1e-4 * theirs.iter().fold(0.0_f32, |m, v| m.max(v.abs())) + 1e-6;
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= bound, "{name}: off by {worst:e}, allowed {bound:e}");
}

/// A number behind a letter in `conv_k3_s1_d1_g1_c16x16_8x8_bias`.
fn setting(name: &str, letter: char) -> usize {
    let part = name.split('_').find_map(|p| p.strip_prefix(letter).and_then(|n| n.parse().ok()));
    part.unwrap_or_else(|| panic!("no setting {letter} in {name}"))
}

/// The operation a case name stands for; weight and bias come in this order.
fn build(name: &str, b: &mut GraphBuilder<'_>, x: NodeId, weights: &[WeightId]) -> NodeId {
    let same = |b: &GraphBuilder<'_>, kernel, stride| {
        let out = if name.starts_with("conv_") { 0 } else { b.shape(x).channels };
        Conv { bias: weights.get(1).copied(), ..Conv::same(weights[0], out, kernel, stride) }
    };
    let norm = |affine, eps| Norm { affine, eps, statistics: Statistics::Batch };
    let pool = |kernel, padding| Pool { kernel, stride: setting(name, 's'), padding };
    if name.starts_with("conv_") {
        let (kernel, dilation, groups) = (setting(name, 'k'), setting(name, 'd'), setting(name, 'g'));
        let channels = name.split('_').find_map(|p| p.strip_prefix('c')?.split_once('x')).unwrap();
        let out_channels = channels.1.parse().unwrap();
        let padding = dilation * (kernel - 1) / 2;
        let same = same(b, kernel, setting(name, 's'));
        return b.conv(x, Conv { dilation, groups, padding, out_channels, ..same }).unwrap();
    }
    match name {
        "batch_norm_batch_stats" => b.norm(x, norm(None, 1e-5)).unwrap(),
        "batch_norm_affine" => b.norm(x, norm(Some((weights[0], weights[1])), 1e-3)).unwrap(),
        "relu" => b.relu(x),
        "relu6" => b.relu6(x),
        "global_avg_pool" => b.global_avg_pool(x),
        "linear" => b.linear(x, weights[0], weights[1]).unwrap(),
        "relu_conv_bn" => {
            let x = b.relu(x);
            let conv = same(b, 3, 1);
            let y = b.conv(x, conv).unwrap();
            b.norm(y, norm(None, 1e-5)).unwrap()
        }
        _ if name.starts_with("avg_pool_3x3") => b.avg_pool(x, pool(3, 1)).unwrap(),
        _ if name.starts_with("max_pool_3x3") => b.max_pool(x, pool(3, 1)).unwrap(),
        _ if name.starts_with("avg_pool_2x2") => b.avg_pool(x, pool(2, 0)).unwrap(),
        _ => panic!("no operation for {name}"),
    }
}

struct Golden<'a>(SafeTensors<'a>);

impl Golden<'_> {
    /// Shape and numbers.
    fn get(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let tensor = self.0.tensor(name).ok()?;
        assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        Some((tensor.shape().to_vec(), tensor.data().chunks_exact(4).map(number).collect()))
    }

    fn check(&self, name: &str) {
        let get = |key: &str| self.get(&format!("{name}.{key}"));
        let (dims, x) = get("x").unwrap();
        let extent = |i: usize| dims.get(i).copied().unwrap_or(1);
        let input = Shape::new(extent(1), extent(2), extent(3));
        let parts: Vec<_> = ["w", "b"].into_iter().filter_map(|key| Some((key, get(key)?))).collect();
        let shapes: Vec<_> = parts.iter().map(|(key, (shape, _))| (*key, shape.clone())).collect();
        let probe = Probe::new(dims[0], input, &shapes, &|b, x, weights| build(name, b, x, weights));
        let numbers: Vec<&[f32]> = parts.iter().map(|(_, (_, numbers))| numbers.as_slice()).collect();
        let weights = probe.weights(&x, &numbers);
        let (y, gy) = (get("y").unwrap().1, get("gy").unwrap().1);
        let check = |engine: &mut dyn Executor, what: &str| {
            assert_close(&format!("{name}.y, {what}"), &probe.values(engine, &weights), &y);
            let gradient = probe.gradient(engine, &weights, &gy);
            let gx: Vec<f32> = probe.x_places().map(|place| gradient[place]).collect();
            assert_close(&format!("{name}.gx, {what}"), &gx, &get("gx").unwrap().1);
            for (key, _) in &parts {
                let theirs = get(&format!("g{key}")).unwrap().1;
                let range = probe.layout.range(probe.layout.find(key).unwrap());
                assert_close(&format!("{name}.g{key}, {what}"), &gradient[range], &theirs);
            }
        };
        let engine = |precision, isa| Engine::with_isa(probe.layout.clone(), weights.clone(), precision, isa);
        check(&mut engine(Precision::F64, ISAS[0]), "f64");
        ISAS.into_iter().for_each(|isa| check(&mut engine(Precision::F32, isa), &isa.to_string()));
        for (precision, what) in [(Precision::F64, "GPU, f64"), (Precision::F32, "GPU, f32")] {
            if let Some(mut gpu) = pada_emulated_gpu::engine(probe.layout.clone(), &weights, precision) {
                check(&mut gpu, what);
            }
        }
    }
}

#[test]
fn golden_operations_in_f32_and_f64() {
    let Some(path) = shared::golden_file("ops.safetensors") else { return };
    let bytes = std::fs::read(path).unwrap();
    let golden = Golden(SafeTensors::deserialize(&bytes).unwrap());
    let mut names: Vec<&str> =
        golden.0.names().into_iter().filter_map(|key| key.strip_suffix(".gy")).collect();
    names.sort_unstable();
    assert!(!names.is_empty(), "the golden file holds no case");
    names.into_iter().for_each(|name| golden.check(name));
}
