//! Retraining that starts from the weights of a supernet.

use std::collections::BTreeMap;
use std::path::Path;

use pada::report::RunRecord;

use crate::program::{Call, call, small_run};

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");

/// Few steps with a learning rate that changes no weight by more than rounding.
const STILL: [&str; 6] = [
    "train.epochs=1",
    "data.train_images=64",
    "test.images=60",
    "test.batch=30",
    "train.lr=1e-20",
    "train.weight_decay=0.0",
];

fn sets(settings: &[&str]) -> Vec<String> {
    settings.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect()
}

/// Trains a small supernet of the embedded images.
fn supernet(folder: &Path, further: &[&str]) -> String {
    let run = folder.join("supernet").display().to_string();
    let mut args = small_run(folder);
    args.extend(sets(further));
    args.extend(["--out".to_owned(), run.clone()]);
    let done = call(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    run
}

fn retrain(args: &[&str], settings: &[&str]) -> Call {
    let args = ["retrain"].iter().chain(args).map(|arg| (*arg).to_owned()).chain(sets(settings));
    call(&args.collect::<Vec<_>>())
}

/// Reads the tensors of a `.safetensors` file as bytes.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let head = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + head]).unwrap();
    let data = &bytes[8 + head..];
    let entries = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    let range = |entry: &serde_json::Value| {
        let [start, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
        data[start..end].to_vec()
    };
    entries.map(|(name, entry)| (name.clone(), range(entry))).collect()
}

#[test]
fn a_path_of_the_supernet_starts_with_its_weights_and_score() {
    let folder = tempfile::tempdir().unwrap();
    let run = supernet(folder.path(), &[]);
    let tuned = folder.path().join("tuned");
    let out = tuned.to_str().unwrap();
    let done = retrain(&["--arch", "333333", "--init", &run, "--out", out, "--json"], &STILL);
    let json = done.json();
    assert!(done.stdout.contains(&format!("started from the weights of {run}")), "{}", done.stdout);
    assert_eq!((json["init"]["run"].as_str(), json["init"]["initialised"].as_u64()), (Some(&*run), Some(0)));
    let [theirs, ours] = [
        tensors(&Path::new(&run).join("epoch-0003.safetensors")),
        tensors(&tuned.join("epoch-0001.safetensors")),
    ];
    for (name, values) in ours.iter().filter(|(name, _)| !name.starts_with("pada")) {
        assert_eq!(Some(values), theirs.get(name), "{name}");
    }
    let ranking = std::fs::read_to_string(Path::new(&run).join("ranking.csv")).unwrap();
    let row = ranking.lines().find(|line| line.starts_with("333333,")).unwrap();
    let score: f64 = row.split(',').nth(3).unwrap().parse().unwrap();
    assert_eq!(json["accuracy"].as_f64(), Some(score));

    // The other run is not needed any more.
    let record = RunRecord::read(&tuned.join("record.json")).unwrap();
    std::fs::rename(&run, folder.path().join("moved")).unwrap();
    let again = call(&["retrain", "--resume", out, "--json"]);
    assert_eq!(again.json()["accuracy"], json["accuracy"]);
    assert_eq!(RunRecord::read(&tuned.join("record.json")).unwrap().init, record.init);
    call(&["retrain", "--resume", out, "--init", &run]).fails(2, &["--init", "--resume"]);
    let config = std::fs::read_to_string(tuned.join("config.toml")).unwrap();
    std::fs::write(
        tuned.join("config.toml"),
        config.replace("supernet\"", "other\"").replace("network = \"other\"", "network = \"supernet\""),
    )
    .unwrap();
    call(&["retrain", "--resume", out]).fails(2, &["retrain.init", "other"]);
}

#[test]
fn stand_alone_networks_inherit_what_they_share_with_the_supernet() {
    let folder = tempfile::tempdir().unwrap();
    let run = supernet(folder.path(), &[]);
    let config = format!("{CONFIGS}/nb201/retrain-mini.toml");
    let out = folder.path().join("tuned");
    let args =
        ["--config", &config, "--arch", "132420", "--init", &run, "--out", out.to_str().unwrap(), "--json"];
    let json = retrain(&args, &STILL).json();
    // Scale, shift and running statistics of batch norms are not in the supernet.
    assert!(json["init"]["inherited"].as_u64() > json["init"]["initialised"].as_u64(), "{json}");
    let [theirs, ours] = [
        tensors(&Path::new(&run).join("epoch-0003.safetensors")),
        tensors(&out.join("epoch-0001.safetensors")),
    ];
    let convs: Vec<&String> =
        ours.keys().filter(|name| theirs.contains_key(*name) && !name.starts_with("pada")).collect();
    assert!(convs.iter().any(|name| name.contains("edges.3<-1")) && convs.len() > 8, "{convs:?}");
    for name in convs {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    // A network that was retrained is a start as well, of the same architecture.
    let second = folder.path().join("second").display().to_string();
    let tuned = out.display().to_string();
    let args = ["--config", &config, "--arch", "132420", "--init", &tuned, "--out", &second, "--json"];
    assert_eq!(retrain(&args, &STILL).json()["init"]["initialised"], 0);
    let other = ["--config", &config, "--arch", "333333", "--init", &tuned];
    retrain(&other, &STILL).fails(2, &["132420", "333333"]);
    retrain(&["--arch", "132420", "--init", &tuned], &STILL).fails(2, &["another kind of network"]);
}

#[test]
fn cells_of_darts_inherit_the_operations_of_their_edges() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("supernet").display().to_string();
    let size = ["cells=5", "channels=4"];
    let [search, retrained] =
        ["supernet", "network"].map(|section| size.map(|key| format!("{section}.{key}")));
    let config = format!("{CONFIGS}/darts/mini.toml");
    let mut args = vec!["--config".to_owned(), config, "--out".to_owned(), run.clone()];
    let few =
        ["train.epochs=1", "data.train_images=64", "rank.images=30", "rank.batch=30", "rank.archs=random:2"];
    args.extend(sets(&[&few[..], &search.each_ref().map(String::as_str)].concat()));
    let done = call(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let out = folder.path().join("tuned");
    let config = format!("{CONFIGS}/darts/retrain-mini.toml");
    let args =
        ["--config", &config, "--arch", "DARTS_V2", "--init", &run, "--out", out.to_str().unwrap(), "--json"];
    let json = retrain(&args, &[&STILL[..], &retrained.each_ref().map(String::as_str)].concat()).json();
    let [theirs, ours] = [
        tensors(&Path::new(&run).join("epoch-0001.safetensors")),
        tensors(&out.join("epoch-0001.safetensors")),
    ];
    // DARTS_V2: sep_conv_3x3 from node 0 and 1, sep_conv_3x3 from 0 and 1, …, dil_conv_3x3 from node 2; layer 1 is a reduction cell.
    for (own, shared) in [
        ("stem.0.weight", "stem.0.weight"),
        ("classifier.weight", "classifier.weight"),
        ("cells.0.preprocess0.op.1.weight", "cells.0.pre0.1.weight"),
        ("cells.2.preprocess0.conv_1.weight", "cells.2.pre0.conv_1.weight"),
        ("cells.0._ops.0.op.1.weight", "cells.0.edges.2<-0.sep_conv_3x3.1.weight"),
        ("cells.0._ops.1.op.6.weight", "cells.0.edges.2<-1.sep_conv_3x3.6.weight"),
        ("cells.2._ops.7.op.2.weight", "cells.2.edges.5<-2.dil_conv_3x3.2.weight"),
    ] {
        assert_eq!(ours[own], theirs[shared], "{own}");
    }
    // Scale, shift and running statistics of batch norms are not in the supernet.
    assert!(json["init"]["inherited"].as_u64() > json["init"]["initialised"].as_u64(), "{json}");
}

#[test]
fn the_sub_supernet_of_the_architecture_is_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let split = "split={rule=\"few-shot\", positions=[4], leaf_epochs=1}";
    let run = supernet(folder.path(), &[split, "train.epochs=1", "data.train_images=64"]);
    let out = folder.path().join("tuned");
    let args = ["--arch", "333323", "--init", &run, "--out", out.to_str().unwrap()];
    assert_eq!(retrain(&args, &STILL).code, 0);
    // Stage 0 is the whole supernet, and the sub-supernets follow in the order of the operation on edge 4.
    let theirs = tensors(&Path::new(&run).join("stage-03/epoch-0001.safetensors"));
    let ours = tensors(&out.join("epoch-0001.safetensors"));
    for (name, values) in ours.iter().filter(|(name, _)| !name.starts_with("pada")) {
        assert_eq!(Some(values), theirs.get(name), "{name}");
    }
}

#[test]
fn a_start_that_does_not_fit_is_refused_with_both_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let run = supernet(folder.path(), &["train.epochs=1"]);
    let out = folder.path().join("tuned").display().to_string();
    let with = |settings: &[&str]| {
        let done =
            retrain(&["--arch", "333333", "--init", &run, "--out", &out], &[&STILL[..], settings].concat());
        assert!(!Path::new(&out).exists());
        done
    };
    with(&["network.channels=4"]).fails(2, &[&run, "channels: 8 in the run, 4 here", "network.channels"]);
    with(&["network.cells=2"]).fails(2, &["cells: 1 in the run, 2 here", "network.cells"]);
    let darts = format!("{CONFIGS}/darts/retrain-mini.toml");
    let args = ["--config", &darts, "--arch", "DARTS_V2", "--init", &run, "--out", &out];
    retrain(&args, &STILL).fails(2, &["the search space: nb201 in the run, darts here"]);
    let args = ["--arch", "333333", "--init", "no-such-run", "--out", &out];
    retrain(&args, &STILL).fails(2, &["no-such-run", "config.toml"]);
    std::fs::remove_file(Path::new(&run).join("epoch-0001.safetensors")).unwrap();
    with(&[]).fails(2, &["is not finished", "pada --resume"]);
}
