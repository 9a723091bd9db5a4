//! From images to a network to take away: search on a supernet, retrain what was found, export it. And what `retrain` says.

use std::path::{Path, PathBuf};

use pada::graph::onnx::ModelProto;
use serde_json::json;

use crate::program::{Call, call, program, small_retrain};
use crate::shared;

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");

/// Photographs of ten classes in ImageNet's layout; none where they are not there.
fn photographs() -> Option<PathBuf> {
    shared::tables().map(|tables| tables.join("imagenette224_subset"))
}

/// Calls the program where it finds the tables that configs of supernets name.
fn with_tables<S: AsRef<str>>(args: &[S]) -> Call {
    let mut command = program();
    command.args(args.iter().map(AsRef::as_ref)).env("PADA_DATA", shared::tables().unwrap_or_default());
    Call::from(command.output().unwrap())
}

/// Settings that make a run of photographs small: few of them, small ones, a small network.
fn small(space: &str, network: &str, scored: &str, images: &Path) -> Vec<String> {
    let (pixels, size): (&str, [&str; 2]) = match space {
        "nb201" => ("16", ["channels=4", "cells=1"]),
        "darts" => ("32", ["channels=2", "cells=3"]),
        _ => ("32", [""; 2]),
    };
    let size = size.iter().filter(|key| !key.is_empty()).map(|key| format!("{network}.{key}"));
    let mut set = vec![format!("data.source={}", images.display()), format!("data.image_size={pixels}")];
    let few = ["data.train_images=40", "train.epochs=2", "train.batch=20"];
    let scored = ["images=20", "batch=20"].map(|key| format!("{scored}.{key}"));
    let crop = ["augment.crop_padding=0", "augment.resized_crop={area=[0.5,1.0],ratio=[0.75,1.33]}"];
    set.extend(few.iter().chain(&crop).map(|s| (*s).to_owned()).chain(size).chain(scored));
    set.into_iter().flat_map(|set| ["--set".to_owned(), set]).collect()
}

fn retrain(space: &str, arch: &str, settings: &[String], further: &[&str]) -> Call {
    let config = format!("{CONFIGS}/{space}/retrain-mini.toml");
    let args = ["retrain", "--config", &config, "--arch", arch, "--json"];
    let args = args.into_iter().chain(settings.iter().map(String::as_str)).chain(further.iter().copied());
    call(&args.collect::<Vec<_>>())
}

/// Trains a supernet on photographs, looks for a network with it, trains that from scratch with the parts of the published recipe that the
/// space has, and writes it as ONNX.
fn search_retrain_export(space: &str, recipe: &[&str]) {
    let Some(images) = photographs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [supernet, alone, onnx] = ["supernet", "alone", "net.onnx"].map(path);
    let settings = small(space, "supernet", "rank", &images);

    let config = if space == "nb201" { "mini" } else { space };
    let file = if space == "nb201" { "pada" } else { "mini" };
    let mut args = vec!["--config".to_owned(), format!("{CONFIGS}/{config}/{file}.toml")];
    args.extend(settings);
    let mut set = vec!["rank.archs=random:2", "train.epochs=1"];
    match space {
        // No table is of photographs; a supernet without running statistics has none to take anew.
        "nb201" => set.push("rank.compare=[]"),
        "darts" => {}
        _ => set.push("rank.recalibrate={images=20,batch=20}"),
    }
    args.extend(set.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]));
    args.extend(["--out".to_owned(), supernet.clone()]);
    let trained = with_tables(&args);
    assert_eq!(trained.code, 0, "{}", trained.stderr);
    let found = call(&[
        "search",
        &supernet,
        "--method",
        "random",
        "--population",
        "2",
        "--generations",
        "1",
        "--json",
    ]);
    let found = found.json()["archs"][0]["arch"].as_str().unwrap().to_owned();

    let recipe: Vec<&str> = recipe.iter().flat_map(|set| ["--set", set]).chain(["--out", &alone]).collect();
    let retrained = retrain(space, &found, &small(space, "network", "test", &images), &recipe).json();
    assert_eq!(retrained["epochs"], 2);
    let record = pada::report::RunRecord::read(&Path::new(&alone).join("record.json")).unwrap();
    let ranking = record.ranking.unwrap();
    assert_eq!((ranking.best.len(), ranking.best[0].arch.as_str()), (1, found.as_str()));
    assert_eq!(ranking.recalibrated_on, None);
    assert_eq!(retrained["accuracy"].as_f64(), Some(ranking.best[0].score));

    let exported = call(&["export", "--weights", &alone, "--out", &onnx, "--json"]).json();
    assert_eq!(exported["arch"].as_str(), Some(found.as_str()));
    assert_eq!(exported["norms"]["statistics"], "running statistics of the weights");
    assert_eq!(exported["norms"]["used_batch_statistics"], 0);
    let pixels = if space == "nb201" { 16 } else { 32 };
    assert_eq!(exported["inputs"][0]["shape"], json!(["batch", 3, pixels, pixels]));
    let model = ModelProto::from_bytes(&std::fs::read(&onnx).unwrap()).unwrap();
    assert!(model.metadata_props.iter().any(|entry| entry.key == "alone"));
    let graph = model.graph.unwrap();
    assert_eq!(graph.name, format!("{space}_{found}"));
    // What is there only in training is not in it.
    assert!(graph.initializer.iter().all(|tensor| !tensor.name.starts_with("auxiliary")));
    call(&["search", &alone]).fails(2, &["RUN_DIR", "a run of one architecture"]);
}

#[test]
fn nb201_from_photographs_to_onnx() {
    search_retrain_export("nb201", &[]);
}

#[test]
fn darts_from_photographs_to_onnx() {
    let whole = "retrain={auxiliary=0.4,drop_path=0.2,dropout=0.2,warm_up=1,ema=0.9}";
    search_retrain_export("darts", &[whole, "train.label_smoothing=0.1", "augment.cutout=16"]);
}

#[test]
fn proxyless_from_photographs_to_onnx() {
    search_retrain_export("proxyless", &[]);
}

#[test]
fn nas_bench_macro_from_photographs_to_onnx() {
    search_retrain_export("macro", &[]);
}

#[test]
fn what_a_recipe_asks_for_and_the_network_lacks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run").display().to_string();
    let try_it = |space: &str, arch: &str, set: &str| {
        let done = retrain(space, arch, &[], &["--set", set, "--out", &out]);
        assert!(!Path::new(&out).exists(), "{set}");
        done
    };
    try_it("darts", "DARTS_V2", "retrain.auxiliary=0.4").fails(2, &["retrain.auxiliary", "32×32"]);
    try_it("darts", "DARTS_V2", "retrain.drop_path=1.5").fails(2, &["`retrain.drop_path` is 1.5", "below 1"]);
    try_it("darts", "DARTS_V3", "seed=1").fails(2, &["DARTS_V3"]);
    try_it("proxyless", "GM_ProxylessNAS", "retrain.drop_path=0.2")
        .fails(2, &["`retrain.drop_path` has no effect", "proxyless"]);
    try_it("nb201", "333333", "retrain.ema=1.0").fails(2, &["`retrain.ema` is 1", "below 1"]);
    // A supernet has no recipe of this kind.
    let config = format!("{CONFIGS}/nb201/retrain-mini.toml");
    call(&["--config", config.as_str()]).fails(2, &["retrain-mini.toml:", "`retrain.ema`", "pada retrain"]);
}

#[test]
fn a_config_can_name_the_architecture() {
    let folder = tempfile::tempdir().unwrap();
    call(&["retrain"]).fails(2, &["retrain.arch", "--arch"]);
    let mut args = vec!["retrain".to_owned(), "--json".to_owned()];
    args.extend(small_retrain());
    args.extend(["--set", "train.epochs=1", "--set", "retrain.arch=\"333333\"", "--out"].map(str::to_owned));
    args.push(folder.path().join("run").display().to_string());
    let done = call(&args);
    assert_eq!(done.json()["epochs"].as_u64(), Some(1));
    assert!(done.stdout.contains("333333: "), "{}", done.stdout);
}
