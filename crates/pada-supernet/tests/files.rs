//! Weights files: what is read, what is refused. The `.pt` files were written by PyTorch with `tests/data/make_pt.py`.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use pada_graph::{Lower, Nb201Net, Norms, Shape, WeightLayout};
use pada_supernet::{CHECKPOINT_PREFIX, WeightsError, read_weights, to_safetensors};

fn layout() -> WeightLayout {
    Nb201Net::new(2, 1, Shape::new(3, 16, 16), 10, Norms::Plain).weights().clone()
}

/// What `make_pt.py` fills the network with.
fn numbers() -> Vec<f32> {
    (0..layout().numel()).map(|i| (i % 4096) as f32 / 4096.0).collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A `.safetensors` file of the network after `change`.
fn changed(folder: &Path, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> PathBuf {
    let path = folder.join("weights.safetensors");
    std::fs::write(&path, to_safetensors(&layout(), &numbers(), None)).unwrap();
    let mut tensors: BTreeMap<_, _> =
        candle_core::safetensors::load(&path, &Device::Cpu).unwrap().into_iter().collect();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors.into_iter().collect(), &path).unwrap();
    path
}

fn refused(change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> WeightsError {
    let folder = tempfile::tempdir().unwrap();
    let error = read_weights(&changed(folder.path(), change), &layout()).unwrap_err();
    assert!(error.to_string().contains("weights.safetensors"), "{error} names the file");
    error
}

#[test]
fn files_of_the_released_code_load() {
    for name in ["plain.pt", "wrapped.pt"] {
        assert_eq!(read_weights(&fixture(name), &layout()).unwrap(), numbers(), "{name}");
    }
}

#[test]
fn safetensors_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_weights(&changed(folder.path(), |_| ()), &layout()).unwrap(), numbers());
}

#[test]
fn what_a_checkpoint_keeps_beside_the_weights_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let one = Tensor::ones(3, DType::F64, &Device::Cpu).unwrap();
    let path = changed(folder.path(), |tensors| {
        tensors.insert(format!("{CHECKPOINT_PREFIX}paths.g"), one);
    });
    assert_eq!(read_weights(&path, &layout()).unwrap(), numbers());
}

/// `BatchNorm2d` saves a counter beside its running statistics.
#[test]
fn counters_of_norms_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let count = Tensor::new(7_i64, &Device::Cpu).unwrap();
    let path = changed(folder.path(), |tensors| {
        tensors.insert("stem.1.num_batches_tracked".to_owned(), count);
    });
    assert_eq!(read_weights(&path, &layout()).unwrap(), numbers());
}

#[test]
fn a_missing_tensor_is_named() {
    let error = refused(|tensors| {
        tensors.remove("stem.0.weight");
    });
    assert!(
        matches!(&error, WeightsError::Missing { first, count: 1, .. } if first == "stem.0.weight"),
        "{error}"
    );
}

#[test]
fn an_extra_tensor_is_named() {
    let error = refused(|tensors| {
        tensors.insert("head.weight".into(), tensors["classifier.weight"].clone());
    });
    assert!(
        matches!(&error, WeightsError::Unexpected { first, count: 1, .. } if first == "head.weight"),
        "{error}"
    );
}

#[test]
fn a_tensor_of_another_shape_or_type_is_named() {
    let bias = |tensor: Tensor| {
        move |tensors: &mut BTreeMap<String, Tensor>| {
            tensors.insert("classifier.bias".into(), tensor);
        }
    };
    for tensor in [
        Tensor::zeros(11, DType::F32, &Device::Cpu).unwrap(),
        Tensor::zeros(10, DType::F64, &Device::Cpu).unwrap(),
    ] {
        let error = refused(bias(tensor));
        assert!(
            matches!(&error, WeightsError::WrongTensor { name, expected, .. } if name == "classifier.bias" && *expected == [10]),
            "{error}"
        );
    }
}

#[test]
fn a_weight_that_is_not_finite_is_named() {
    let error = refused(|tensors| {
        let bad = Tensor::full(f32::NAN, 10, &Device::Cpu).unwrap();
        tensors.insert("classifier.bias".into(), bad);
    });
    assert!(matches!(&error, WeightsError::NotFinite { name, .. } if name == "classifier.bias"), "{error}");
}

#[test]
fn files_that_are_no_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_weights(&path, &layout()).unwrap_err()
    };
    assert!(matches!(read("a.safetensors", b"junk"), WeightsError::Unreadable { format: "safetensors", .. }));
    let whole = to_safetensors(&layout(), &numbers(), None);
    let cut = &whole[..whole.len() / 2];
    assert!(matches!(read("b.safetensors", cut), WeightsError::Unreadable { format: "safetensors", .. }));
    assert!(matches!(read("c.pt", b"junk"), WeightsError::Unreadable { format: "PyTorch", .. }));
    assert!(matches!(read("d.bin", b""), WeightsError::UnknownFormat { .. }));
    let absent = read_weights(&folder.path().join("no.pt"), &layout()).unwrap_err();
    assert!(matches!(absent, WeightsError::Io { .. }), "{absent}");
}
