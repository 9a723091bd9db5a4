//! Weights files: what is read, what is refused. The `.pt` files were written by PyTorch with `tests/data/make_pt.py`.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use pada_graph::{Init, Lower, Shape, WeightLayout, WeightSpec};
use pada_models::{
    CHECKPOINT_PREFIX, WeightsError, read_metadata, read_weights, read_weights_under, to_safetensors,
};
use pada_models::{Nb201Net, Norms};

fn layout() -> WeightLayout {
    Nb201Net::new(2, 1, Shape::new(3, 16, 16), 10, Norms::Plain).weights().clone()
}

/// Returns the numbers that `make_pt.py` fills the network with.
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

/// A file with the weights of a network and their average has every tensor twice.
#[test]
fn two_tensors_of_one_name_are_named() {
    let error = refused(|tensors| {
        let average = tensors["classifier.weight"].affine(0.5, 0.0).unwrap();
        tensors.insert("module.classifier.weight".into(), average);
    });
    let WeightsError::SameName { name, both, .. } = &error else { panic!("{error}") };
    assert_eq!(name, "classifier.weight");
    assert_eq!(both.iter().min().map(String::as_str), Some("classifier.weight"), "{error}");
    assert_eq!(both.iter().max().map(String::as_str), Some("module.classifier.weight"), "{error}");
    // Counters are passed over, however many there are.
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), |tensors| {
        for name in ["n_averaged", "module.n_averaged"] {
            tensors.insert(name.to_owned(), Tensor::new(7_i64, &Device::Cpu).unwrap());
        }
    });
    assert_eq!(read_weights(&path, &layout()).unwrap(), numbers());
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
        Tensor::zeros(10, DType::I64, &Device::Cpu).unwrap(),
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
fn the_length_of_a_cut_or_prolonged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let whole = to_safetensors(&layout(), &numbers(), None);
    let (cut, longer) = (whole[..whole.len() / 2].to_vec(), [&whole[..], &[0; 100]].concat());
    let header = whole[..40].to_vec();
    for (bytes, text) in [
        (cut, format!("its tensors end at byte {}, but the file has {} bytes", whole.len(), whole.len() / 2)),
        (longer, "it has 100 bytes behind the end of its tensors".to_owned()),
        (header, "its header is longer than the file".to_owned()),
    ] {
        std::fs::write(&path, bytes).unwrap();
        for error in [read_weights(&path, &layout()).unwrap_err(), read_metadata(&path).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains(&text), "{error}");
        }
    }
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
    assert!(matches!(read("d.bin", b"junk"), WeightsError::UnknownFormat { .. }));
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for name in ["e.safetensors", "e.pt", "e.bin"] {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (lfs, "git lfs pull"),
            (b"\n<!DOCTYPE html><html></html>", "a web page"),
            (&tar, "PyTorch 0.1"),
        ] {
            let error = read(name, bytes);
            assert!(matches!(error, WeightsError::NotWeights { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    let absent = read_weights(&folder.path().join("no.pt"), &layout()).unwrap_err();
    assert!(matches!(absent, WeightsError::Io { .. }), "{absent}");
}

/// A PyTorch file with this pickle and one storage of four bytes.
fn pt(folder: &Path, pickle: &[u8]) -> PathBuf {
    let path = folder.join("crafted.pt");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", &[0; 4])] {
        archive.start_file(name, stored).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

/// A dict of one tensor: its arguments behind the storage, as a pickle.
fn one_tensor(name: &str, arguments: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    let storage =
        [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text("0"), text("cpu"), b"K\x01tQ".to_vec()];
    [b"\x80\x02}".to_vec(), text(name), rebuild, storage.concat(), arguments.to_vec(), b"tRs.".to_vec()]
        .concat()
}

/// No content of a pickle is a reason to panic, or to ask for memory.
#[test]
fn damaged_pytorch_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let read = |pickle: &[u8]| read_weights(&pt(folder.path(), pickle), &one_weight()).unwrap_err();
    // A tensor that is rebuilt from its storage alone.
    assert!(matches!(read(&one_tensor("w", b"")), WeightsError::Unreadable { format: "PyTorch", .. }));
    // 2³¹ − 1 by 2³¹ − 1 numbers.
    let shape = b"K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86K\x01K\x01\x86";
    assert!(matches!(read(&one_tensor("w", shape)), WeightsError::WrongTensor { .. }));
    // Number 2 of a storage of one; places that overflow.
    for (offset, stride) in
        [(&b"K\x01"[..], &b"K\x01"[..]), (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"K\x01")]
    {
        let arguments = [offset, b"K\x01\x85", stride, b"\x85"].concat();
        assert!(matches!(read(&one_tensor("w", &arguments)), WeightsError::Unreadable { .. }), "{offset:?}");
    }
    // A text of 4 GiB, of which nothing is there.
    assert!(matches!(read(b"\x80\x02X\xff\xff\xff\xff"), WeightsError::Unreadable { .. }));
    // A tuple in a tuple, a million deep; and one that holds the last twice, 64 times.
    assert!(matches!(read(&[&[b')'][..], &[0x85; 1 << 20], b"."].concat()), WeightsError::Unreadable { .. }));
    let doubled = b"q\x00h\x00\x86".repeat(64);
    assert!(matches!(read(&[b")", &doubled[..], b"."].concat()), WeightsError::Unreadable { .. }));
    // The same tensor as it should be.
    let whole = read_weights(&pt(folder.path(), &one_tensor("w", b"K\x00K\x01\x85K\x01\x85")), &one_weight());
    assert_eq!(whole.unwrap(), [0.0]);
}

/// A view that begins inside of its storage, and one that is transposed.
#[test]
fn views_of_a_pytorch_storage_are_read_as_pytorch_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("views.pt");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let numbers: Vec<u8> = (0..8).flat_map(|i| (i as f32).to_le_bytes()).collect();
    // Offset 1, shape [2, 3], strides [1, 2]: transposed.
    let pickle = one_tensor("w", b"K\x01K\x02K\x03\x86K\x01K\x02\x86");
    for (name, bytes) in [("a/data.pkl", &pickle), ("a/data/0", &numbers)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    }
    archive.finish().unwrap();
    assert_eq!(read_weights(&path, &layout_of(vec![2, 3])).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
}

/// `tests/data/make_variants.py` saves the same tensor as other projects do.
#[test]
fn the_forms_in_which_other_projects_save_weights_load() {
    let (no_weights, module) = ("no_weights.pt", "module.pt");
    let folder = fixture("variants");
    let mut read = 0;
    for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !(file.ends_with(no_weights) || file.ends_with(module)) {
            assert_eq!(read_weights(&file, &layout_of(vec![3])).unwrap(), [0.5, -2.0, 3.0], "{file:?}");
            read += 1;
        }
    }
    assert_eq!(read, 22);
    for (name, word) in [(no_weights, "its keys are epoch, losses"), (module, "model.state_dict()")] {
        let error = read_weights(&folder.join(name), &layout_of(vec![3])).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_key_chooses_among_the_state_dicts_of_a_file() {
    let (path, layout) = (fixture("variants/two.pt"), layout_of(vec![3]));
    assert_eq!(read_weights_under(&path, &layout, "ema").unwrap(), [1.5, -1.0, 4.0]);
    let error = read_weights_under(&path, &layout, "model").unwrap_err().to_string();
    assert!(error.contains(r#"it has "ema", "state_dict""#), "{error}");
    let nested = read_weights_under(&fixture("variants/nested.pt"), &layout, "model.state_dict");
    assert_eq!(nested.unwrap(), [0.5, -2.0, 3.0]);
}

#[test]
fn numbers_of_sixteen_and_64_bits_are_converted() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        let path = changed(folder.path(), |tensors| {
            let bias = Tensor::full(0.5f32, 10, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            tensors.insert("classifier.bias".into(), bias);
        });
        let values = read_weights(&path, &layout()).unwrap();
        assert_eq!(values[values.len() - 10..], [0.5; 10], "{dtype:?}");
    }
}

fn one_weight() -> WeightLayout {
    layout_of(vec![1])
}

fn layout_of(shape: Vec<usize>) -> WeightLayout {
    let mut layout = WeightLayout::new();
    layout.push(WeightSpec { name: "w".to_owned(), shape, init: Init::Constant(0.0), owner: None });
    layout
}
