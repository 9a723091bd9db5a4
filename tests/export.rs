//! `pada export`: files of inherited and of retrained weights, and what it refuses.

use std::path::Path;

use pada::exec::{Executor, Images, Precision};
use pada::graph::Lower;
use pada::graph::onnx::ModelProto;
use pada::read_exported;
use serde_json::json;

use crate::program::{Call, call, small_retrain};

/// A PyTorch file of the supernet with C=2, N=1; `make_pt.py` beside it wrote it.
const PT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pada-models/tests/data/plain.pt");

fn export(folder: &Path, weights: &str, further: &[&str]) -> Call {
    let out = folder.join("net");
    let mut args = vec!["export", "--weights", weights, "--recalibrate", "100", "--json"];
    if !further.contains(&"--out") {
        args.extend(["--out", out.to_str().unwrap()]);
    }
    args.extend(further);
    call(&args)
}

/// The values of an ONNX file's initialisers that are weights of the layout, in its order.
fn initialisers(model: &ModelProto, net: &pada::ExportedNet) -> Vec<f32> {
    let tensors = &model.graph.as_ref().unwrap().initializer;
    let of = |name: &str| {
        let name = pada::graph::onnx::valid_name(name);
        &tensors.iter().find(|tensor| tensor.name == name).unwrap().raw_data
    };
    let bytes =
        net.frozen.weights().iter().flat_map(|(_, spec)| of(&spec.name)).copied().collect::<Vec<u8>>();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn a_retrained_architecture_is_the_same_in_both_formats_and_can_be_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = vec!["retrain".to_owned(), "--arch".into(), "243012".into()];
    args.extend(small_retrain());
    args.extend(["--out".into(), run.display().to_string()]);
    assert_eq!(call(&args).code, 0);
    let [onnx, safetensors] = ["net.onnx", "net.safetensors"].map(|name| folder.path().join(name));
    let weights = run.to_str().unwrap();

    let done = export(folder.path(), weights, &["--out", onnx.to_str().unwrap()]);
    let json = done.json();
    assert_eq!(json["file"].as_str(), onnx.to_str());
    assert_eq!(json["inputs"], json!([{"name": "images", "type": "f32", "shape": ["batch", 3, 16, 16]}]));
    assert_eq!(json["outputs"], json!([{"name": "logits", "type": "f32", "shape": ["batch", 10]}]));
    assert_eq!(json["arch"], "243012");
    assert_eq!(json["norms"]["count"], json["norms"]["used_batch_statistics"]);
    let frozen = "mean of mean and unbiased variance over batches of 100, 100 images of mini train";
    assert_eq!(json["norms"]["statistics"], frozen);
    assert!(done.stderr.contains(&format!("norms frozen: {frozen}")), "{}", done.stderr);
    let (out, format) = (safetensors.to_str().unwrap(), "safetensors");
    assert_eq!(export(folder.path(), weights, &["--out", out, "--format", format]).code, 0);

    let net = read_exported(&safetensors).unwrap();
    let model = ModelProto::from_bytes(&std::fs::read(&onnx).unwrap()).unwrap();
    assert_eq!(initialisers(&model, &net), net.values);
    let about = model.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(net.about, about);
    for (key, value) in [
        ("arch", "243012"),
        ("space", "nb201"),
        ("channels", "8"),
        ("cells", "1"),
        ("norms", frozen),
        ("input", "3 16 16"),
        ("classes", "10"),
        ("weights", "run"),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(net.about[key], value, "{key}");
    }
    assert_eq!(json["params"].as_u64(), Some(net.cost().params));
    assert_eq!(json["stored"].as_u64(), Some(net.values.len() as u64));
    // One architecture has one cost.
    let size = ["--channels", "8", "--cells", "1", "--size", "16", "--json"];
    let cost = call(&[&["cost", "--arch", "243012"][..], &size].concat()).json();
    assert_eq!((&json["params"], &json["macs"]), (&cost["params"], &cost["macs"]));
    assert!(net.values.iter().all(|v| v.is_finite()));

    // What was loaded classifies as the readable executor does, image by image.
    let test = pada::data::mini().unwrap().test;
    let (layout, shape) = (net.frozen.weights(), net.frozen.input());
    let mut engine = pada::engine::Engine::new(layout.clone(), net.values.clone(), Precision::F32);
    let mut candle = pada_candle::CandleExecutor::new(layout.clone(), net.values.clone(), Precision::F64);
    let pixels = pada::data::normalised(&test, &[0, 1, 2]).unwrap();
    let all = engine.logits(net.frozen.graph(), &Images::given(&pixels, shape)).unwrap();
    for (image, pixels) in pixels.chunks(shape.numel()).enumerate() {
        let alone = candle.logits(net.frozen.graph(), &Images::given(pixels, shape)).unwrap();
        let off = alone.values.iter().zip(all.row(image)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4, "off by {off}");
    }

    // The state dict of PyTorch has the same weights, and the module beside it the same names.
    // A user's own file of Python stays as it is, whatever is replaced.
    let own = folder.path().join("train.py");
    std::fs::write(&own, "print(1)\n").unwrap();
    let beside = folder.path().join("train.pt").display().to_string();
    export(folder.path(), weights, &["--out", &beside, "--overwrite"])
        .fails(2, &["not written by `pada export`"]);
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "print(1)\n");

    let pt = folder.path().join("net.pt");
    assert_eq!(export(folder.path(), weights, &["--out", pt.to_str().unwrap()]).code, 0);
    assert_eq!(pada::models::read_weights(&pt, layout).unwrap(), net.values);
    let module = std::fs::read_to_string(folder.path().join("net.py")).unwrap();
    let named = |spec: &pada::graph::WeightSpec| module.matches(&format!("{:?}", spec.name)).count() == 2;
    assert!(layout.iter().all(|(_, spec)| named(spec)), "{module}");
    in_pytorch(folder.path(), &pixels, &all.values);

    // The weights of any other architecture were not trained.
    let other = ["--arch", "333333", "--out", "other.onnx"];
    export(folder.path(), weights, &other).fails(2, &["only the architecture 243012", "333333"]);
    // Nor are those of a run that was stopped.
    std::fs::remove_file(run.join("epoch-0003.safetensors")).unwrap();
    let further = ["--out", "other.onnx"];
    export(folder.path(), weights, &further).fails(2, &["the training of", "is not finished", "--resume"]);
}

/// Compares the exported module with the engine, where `$PADA_TORCH` names a Python with PyTorch. PyTorch's own state dict is then read back.
fn in_pytorch(folder: &Path, pixels: &[f32], logits: &[f32]) {
    let Some(python) = std::env::var_os("PADA_TORCH") else { return };
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(folder.join("images.bin"), bytes(pixels)).unwrap();
    std::fs::write(folder.join("logits.bin"), bytes(logits)).unwrap();
    let script = "import torch, net\n\
        read = lambda name: torch.frombuffer(bytearray(open(name, 'rb').read()), dtype=torch.float32)\n\
        model = net.load('net.pt')\n\
        off = (model(read('images.bin').reshape(3, 3, 16, 16)).flatten() - read('logits.bin')).abs().max().item()\n\
        assert off < 1e-4, off\n\
        torch.save(model.state_dict(), 'back.pt')\n";
    let done = std::process::Command::new(python).args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let net = read_exported(&folder.join("net.safetensors")).unwrap();
    let back = pada::models::read_weights(&folder.join("back.pt"), net.frozen.weights()).unwrap();
    assert_eq!(back, net.values);
}

#[test]
fn weights_of_a_file_need_their_network_and_images() {
    let folder = tempfile::tempdir().unwrap();
    let net = ["--channels", "2", "--cells", "1", "--data", "mini", "--arch"];
    let with = |arch: &'static str, further: &[&'static str]| {
        export(folder.path(), PT, &[&net[..], &[arch], further].concat())
    };
    let done = with("212121", &[]).json();
    assert_eq!((done["arch"].as_str(), done["bytes"].is_u64()), (Some("212121"), true));
    // The benchmark's string means the same file.
    let first = std::fs::read(folder.path().join("net")).unwrap();
    with("212121", &[]).fails(2, &["net exists", "--overwrite"]);
    let string =
        "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|";
    assert_eq!(with(string, &["--overwrite"]).code, 0);
    assert_eq!(std::fs::read(folder.path().join("net")).unwrap(), first);

    with("212121", &["--overwrite", "--statistics", "stored"]).fails(2, &["212121", "--statistics stored"]);
    with("21212", &["--overwrite"]).fails(2, &["21212"]);
    export(folder.path(), PT, &["--overwrite", "--arch", "212121"]).fails(2, &["--data", "mini"]);
    export(folder.path(), PT, &["--overwrite", "--data", "mini"]).fails(2, &["--arch"]);
    let small = ["--overwrite", "--data", "mini", "--arch", "212121", "--channels", "4", "--cells", "1"];
    export(folder.path(), PT, &small).fails(2, &["plain.pt", "do channels, cells and space match"]);
    export(folder.path(), "no-such.pt", &[&net[..], &["212121", "--overwrite"]].concat())
        .fails(2, &["no-such.pt"]);
    let no_run = folder.path().to_str().unwrap();
    export(folder.path(), no_run, &["--overwrite"]).fails(2, &["is not a run folder", "config.toml"]);
    with("212121", &["--out", "/no/such/folder/net.onnx"]).fails(2, &["/no/such/folder/net.onnx"]);
    // Nothing that failed touched the file.
    assert_eq!(std::fs::read(folder.path().join("net")).unwrap(), first);
    assert!(matches!(
        read_exported(Path::new(PT)),
        Err(pada::PadaError::Weights(pada::models::WeightsError::Unreadable { .. }))
    ));
}

#[test]
fn weights_that_do_not_say_their_network_are_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.safetensors");
    let out = path.to_str().unwrap();
    let imported = call(&["import", "--from", PT, "--out", out, "--channels", "2", "--cells", "1"]);
    assert_eq!(imported.code, 0);
    let error = read_exported(&path).unwrap_err();
    assert!(
        matches!(&error, pada::PadaError::NotExported { reason, .. } if reason.contains("supernet")),
        "{error}"
    );
}
