//! Runs on a folder of photographs.

use std::path::{Path, PathBuf};

use crate::program::{Call, call, own_columns};

/// Made by `make_photographs.py` beside the folder.
fn photograph(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pada-data/tests/photographs").join(name)
}

/// Two classes; `damaged` adds a file that ends early.
fn data_set(folder: &Path, damaged: bool) {
    let mut files = vec![("val/a/1.jpeg", "colour.jpeg"), ("val/b/1.jpeg", "grey.jpeg")];
    let train = ["colour.jpeg", "grey.jpeg", "inks.jpeg", "progressive.jpeg", "colour.png", "palette.png"];
    let names: Vec<String> =
        (0..train.len()).map(|i| format!("train/{}/{i}.jpeg", ["a", "b"][i % 2])).collect();
    files.extend(names.iter().map(String::as_str).zip(train));
    if damaged {
        files.push(("train/b/damaged.jpg", "cut.jpeg"));
    }
    for (file, photo) in files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(photograph(photo), path).unwrap();
    }
}

fn train(folder: &Path, run: &str, further: &[&str]) -> Call {
    let archs = folder.join("archs.txt");
    std::fs::write(&archs, "333333\n222222\n").unwrap();
    let (source, archs, run) = (
        format!("data.source={}", folder.display()),
        format!("rank.archs={}", archs.display()),
        folder.join(run),
    );
    let mut args = vec!["--out", run.to_str().unwrap(), "--set", &source, "--set", &archs];
    let crop = "augment.resized_crop={area=[0.08,1.0],ratio=[0.75,1.3333]}";
    let jitter = "augment.color_jitter={brightness=0.4,contrast=0.4,saturation=0.4,hue=0.1}";
    for setting in [
        "data.image_size=16",
        "augment.crop_padding=0",
        "augment.cutout=4",
        crop,
        jitter,
        "train.epochs=2",
        "train.batch=2",
        "supernet.channels=2",
        "rank.batch=2",
    ] {
        args.extend(["--set", setting]);
    }
    args.extend(further);
    call(&args)
}

#[test]
fn photographs_train_and_rank_and_threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    data_set(folder.path(), false);
    let done = [("one", "1"), ("three", "3")].map(|(run, threads)| {
        let done = train(folder.path(), run, &["--threads", threads]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        std::fs::read(folder.path().join(run).join("epoch-0002.safetensors")).unwrap()
    });
    let weights = |bytes: &[u8]| safetensors_of(bytes);
    assert_eq!(weights(&done[0]), weights(&done[1]));
    let record = pada::report::RunRecord::read(&folder.path().join("one/record.json")).unwrap();
    assert_eq!(record.train_images.images, 6);
    // As many as there are, although the default is 2,000; and no table, because the tables belong to other images.
    let ranking = record.ranking.unwrap();
    assert_eq!((ranking.images.images, ranking.agreements.len()), (2, 0));

    let source = folder.path().to_str().unwrap();
    let weights = folder.path().join("one/epoch-0002.safetensors");
    let (archs, out) = (folder.path().join("archs.txt"), folder.path().join("scores.csv"));
    let mut rank = vec!["rank", "--weights", weights.to_str().unwrap(), "--channels", "2", "--cells", "1"];
    rank.extend(["--data", source, "--archs", archs.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    call(&rank).fails(2, &["photographs", "image_size"]);
    rank.extend(["--image-size", "16"]);
    assert_eq!(call(&rank).code, 0);
    assert_eq!(own_columns(&out), own_columns(&folder.path().join("one/ranking.csv")));
}

/// All tensors of a checkpoint, as bytes.
fn safetensors_of(bytes: &[u8]) -> Vec<u8> {
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

#[test]
fn a_damaged_photograph_stops_a_run_or_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    data_set(folder.path(), true);
    train(folder.path(), "stops", &[]).fails(2, &["train/b/damaged.jpg", "--set data.damaged=skip"]);
    let done = train(folder.path(), "skips", &["--set", "data.damaged=skip"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("damaged.jpg"), "{}", done.stderr);
}

#[test]
fn settings_that_do_not_suit_the_images_are_named() {
    for (setting, words) in [
        ("data.image_size=16", ["mini", "a fixed size"]),
        ("data.damaged=skip", ["data.damaged", "unless data.image_size"]),
        ("augment.resized_crop={area=[0.1,1.0],ratio=[1.0,1.0]}", ["augment.resized_crop", "photographs"]),
        ("augment.cutout=0", ["augment.cutout", "1 or larger"]),
    ] {
        let padding = if setting.starts_with("data.image") { "augment.crop_padding=0" } else { "name=x" };
        call(&["--set", setting, "--set", padding]).fails(2, &words);
    }
    let folder = tempfile::tempdir().unwrap();
    data_set(folder.path(), false);
    train(folder.path(), "run", &["--set", "augment.crop_padding=2"])
        .fails(2, &["augment.crop_padding", "0"]);
    train(folder.path(), "odd", &["--set", "data.image_size=15"]).fails(2, &["3×15×15", "multiples of 4"]);
    assert!(!folder.path().join("odd").exists(), "nothing was started");
    let hue = "augment.color_jitter.hue=0.7";
    train(folder.path(), "run", &["--set", hue]).fails(2, &["augment.color_jitter.hue", "from 0 to 0.5"]);
    let area = "augment.resized_crop.area=[0.5,2.0]";
    train(folder.path(), "run", &["--set", area]).fails(2, &["augment.resized_crop.area"]);
}

#[test]
fn images_that_were_moved_are_found_and_their_classes_are_named() {
    let parent = tempfile::tempdir().unwrap();
    let [before, after, other] = ["before", "after", "other"].map(|name| parent.path().join(name));
    data_set(&before, false);
    let run = parent.path().join("run");
    assert_eq!(train(&before, run.to_str().unwrap(), &[]).code, 0);
    let record = pada::report::RunRecord::read(&run.join("record.json")).unwrap();
    assert_eq!(record.train_images.class_names, ["a", "b"]);
    let supernet = pada::RunConfig::read(&run.join("config.toml")).unwrap().supernet;
    let layout = pada::weight_layout(&supernet, 2).unwrap();
    let (_, checkpoint) = pada::trainer::Checkpoint::latest(&run, &layout).unwrap().unwrap();
    assert_eq!(checkpoint.class_names(), ["a", "b"]);
    std::fs::rename(&before, &after).unwrap();
    data_set(&other, true);

    let run = run.to_str().unwrap();
    let [after, other] = [&after, &other].map(|path| path.to_str().unwrap());
    let search = |further: &[&str]| {
        let usual =
            ["search", run, "--method", "random", "--population", "2", "--generations", "1", "--json"];
        call(&[&usual, further].concat())
    };
    search(&[]).fails(2, &["before"]);
    search(&["--data", other]).fails(2, &["does not have the images", "other"]);
    search(&["--data", "mini"]).fails(2, &["mini"]);
    assert!(!search(&["--data", after]).json()["archs"].as_array().unwrap().is_empty());

    let out = parent.path().join("net.onnx");
    let export = |further: &[&str]| {
        let usual = ["export", "--weights", run, "--arch", "333333", "--out", out.to_str().unwrap()];
        call(&[&usual, further].concat())
    };
    export(&[]).fails(2, &["before"]);
    export(&["--data", other]).fails(2, &["does not have the images"]);
    assert_eq!(export(&["--data", after]).code, 0);
    let model = pada::graph::onnx::ModelProto::from_bytes(&std::fs::read(&out).unwrap()).unwrap();
    let names = model.metadata_props.iter().find(|entry| entry.key == "class_names").unwrap();
    assert_eq!(names.value, r#"["a","b"]"#);
    let scores = parent.path().join("scores.csv");
    let archs = ["--archs", "random:2", "--image-size", "16", "--out", scores.to_str().unwrap()];
    assert_eq!(call(&[&["rank", "--weights", run, "--data", after][..], &archs].concat()).code, 0);
}
