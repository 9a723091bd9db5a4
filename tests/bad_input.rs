//! Bad input gets an error that says which file, where, and what to do; nothing is lost.

use std::path::Path;

use crate::program::{Call, call, program, small_run};

fn config(folder: &Path, change: impl FnOnce(String) -> String) -> String {
    let mini = pada::RunConfig::mini().to_toml();
    let path = folder.join("config.toml");
    std::fs::write(&path, change(mini)).unwrap();
    path.display().to_string()
}

/// Calls the small run with further arguments that stop it before it starts: then it leaves no folder.
fn run(folder: &Path, further: &[&str]) -> Call {
    let out = folder.join("run").display().to_string();
    let mut args = small_run(folder);
    args.extend(further.iter().map(|s| (*s).to_owned()));
    if !further.contains(&"--out") {
        args.extend(["--out".to_owned(), out]);
    }
    let there = folder.join("run").exists();
    let done = call(&args);
    assert_eq!(folder.join("run").exists(), there, "it left a folder");
    done
}

#[test]
fn an_unknown_config_key_is_named_with_its_line_and_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), |text| text.replace("momentum =", "momentun ="));
    let line =
        std::fs::read_to_string(&path).unwrap().lines().position(|l| l.starts_with("momentun")).unwrap();
    let place = format!("`{path}:{}`", line + 1);
    let said = "unknown key `train.momentun`; did you mean `train.momentum`?";
    call(&["--config", &path]).fails(2, &[&place, said, "weight_decay", "clip_norm"]);
}

#[test]
fn a_missing_config_key_and_a_missing_file_are_named() {
    call(&["--set", "paths.rule=constant"]).fails(2, &["`paths.distribution`", "\"constant\""]);
    call(&["--config", "no/such.toml"]).fails(2, &["no/such.toml"]);
}

#[test]
fn a_wrong_assignment_is_named_with_the_valid_keys() {
    call(&["--set", "train.epoch=3"]).fails(2, &["train.epoch=3", "epoch", "epochs"]);
    call(&["--set", "trian.epochs=3"]).fails(2, &["trian", "train"]);
    call(&["--set", "train.epochs=many"]).fails(2, &["many"]);
    call(&["--set", "train.epochs=0"]).fails(2, &["train.epochs", "an integer, 1 or larger"]);
    call(&["--set", "rank.split=valid"]).fails(2, &["rank.split", "data.train"]);
    call(&["--set", "sampler.path=fixed"]).fails(2, &["unknown key `sampler.path`; use `paths.rule`"]);
}

#[test]
fn an_architecture_with_a_bad_operation_or_length_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    for (bad, word) in [
        ("333335", "\"5\" is not an operation of nb201 at decision 5"),
        ("33333", "5 decisions"),
        ("|nor_conv_5x5~0|", "nor_conv_5x5"),
    ] {
        std::fs::write(&list, format!("000000\n{bad}\n")).unwrap();
        let set = format!("rank.archs={}", list.display());
        run(folder.path(), &["--set", &set]).fails(2, &["list.txt, line 2", word]);
        call(&["cost", "--arch", bad]).fails(2, &[word]);
    }
    std::fs::write(&list, "000000\n\n333333\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|\n").unwrap();
    call(&["cost", "--file", list.to_str().unwrap()])
        .fails(2, &["list.txt, line 4", "000000 occurs already in line 1"]);
    std::fs::write(&list, "# nothing\n").unwrap();
    call(&["cost", "--file", list.to_str().unwrap()]).fails(2, &["list.txt", "no architecture"]);
}

#[test]
fn images_that_are_not_there_are_named_with_the_command_that_fetches_them() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--set", "data.source=cifar10"])
        .fails(2, &["data_batch_1.bin is missing", "pada download cifar10"]);
    run(folder.path(), &["--set", "data.source=cifar100"])
        .fails(2, &["train.bin is missing", "pada download cifar100"]);
    run(folder.path(), &["--set", "data.source=imagenet"]).fails(2, &["imagenet", "mini", "cifar10"]);
}

#[test]
fn a_truth_table_that_is_not_there_or_damaged_stops_before_training() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--set", "rank.truth=nb201"]).fails(2, &["nasbench201.csv", "pada download nb201"]);
    let tables = folder.path().join("nasbench201");
    std::fs::create_dir(&tables).unwrap();
    std::fs::write(tables.join("nasbench201.csv"), "index,ops\n0,000000\n").unwrap();
    let out = folder.path().join("again");
    let output = program()
        .args(small_run(folder.path()))
        .args(["--set", "rank.truth=nb201", "--out"])
        .arg(&out)
        .env("PADA_DATA", folder.path())
        .output()
        .unwrap();
    Call::from(output).fails(2, &["nasbench201.csv", "arch_str"]);
    assert!(!out.exists());
}

#[test]
fn an_output_folder_that_exists_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("run");
    std::fs::create_dir(&run_folder).unwrap();
    std::fs::write(run_folder.join("mine.txt"), "mine").unwrap();
    run(folder.path(), &[]).fails(2, &["run exists and is not the folder of a run", "--out"]);
    assert_eq!(std::fs::read_dir(&run_folder).unwrap().count(), 1);
    call(&["--resume", run_folder.to_str().unwrap()]).fails(2, &["is not a run folder", "config.toml"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_cannot_be_written_is_named() {
    // Not even the system's administrator can make a folder there.
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--out", "/sys/pada-run"]).fails(1, &["/sys/pada-run"]);
}

#[test]
fn weights_of_another_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pt = concat!(env!("CARGO_MANIFEST_DIR"), "/../pada-models/tests/data/plain.pt");
    let out = folder.path().join("out.csv").display().to_string();
    let rank = |channels, cells| {
        call(&[
            "rank",
            "--weights",
            pt,
            "--channels",
            channels,
            "--cells",
            cells,
            "--data",
            "mini",
            "--out",
            &out,
        ])
    };
    rank("4", "1").fails(2, &["plain.pt", "stem.0.weight", "channels"]);
    rank("2", "2").fails(2, &["plain.pt", "missing", "cells"]);
}

#[test]
fn a_file_of_scores_that_cannot_be_written_stops_before_scoring() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("no/such/out.csv").display().to_string();
    // The weights do not exist either: the first error is that of the file to write.
    let rank = |out: &str| {
        let done = call(&["rank", "--weights", "no.pt", "--data", "mini", "--out", out]);
        assert_eq!(done.stderr.matches("No such file").count(), 1, "said once: {}", done.stderr);
        done
    };
    rank(&out).fails(2, &["no/such/out.csv", "create its folder", "--out"]);
    rank(&folder.path().join("out.csv").display().to_string()).fails(2, &["no.pt"]);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
    let refused = |args: &[&str], words: &[&str]| {
        let out = folder.path().join("out.csv").display().to_string();
        call(&[&["rank", "--weights", "no.pt", "--data", "mini", "--out", &out], args].concat())
            .fails(2, words)
    };
    refused(&["--limit", "0"], &["--limit"]);
    refused(&["--archs", "truth"], &["--archs", "--truth"]);
    refused(&["--archs", "random:0"], &["--archs", "random:1"]);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn scores_that_cannot_be_compared_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let truth = write("truth.csv", "arch,accuracy\n000000,1\n111111,2\n");
    let metrics = |pred: &str| call(&["metrics", "--pred", &write("pred.csv", pred), "--truth", &truth]);
    metrics("arch,accuracy\n000000,1\n000000,2\n").fails(2, &["pred.csv, line 3", "second time"]);
    metrics("arch,accuracy\n000000,x\n").fails(2, &["pred.csv, line 2"]);
    metrics("arch,accuracy\n000000,NaN\n").fails(2, &["pred.csv, line 2", "NaN"]);
    metrics("arch,loss\n000000,1\n").fails(2, &["pred.csv", "accuracy"]);
    metrics("arch,accuracy\n000000,1\n222222,1\n").fails(2, &["truth.csv has no row for 222222"]);
    metrics("arch,accuracy\n000000,1\n111111,1\n").fails(2, &["equal"]);
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--device", "cuda:977"]).fails(2, &["cuda:977", "--device cpu"]);
    run(folder.path(), &["--device", "tpu"]).fails(2, &["tpu", "cuda:N"]);
    run(folder.path(), &["--threads", "0"]).fails(2, &["--threads"]);
}

#[test]
fn wrong_usage_exits_with_2() {
    call(&["--no-such-flag"]).fails(2, &["--no-such-flag"]);
    call(&["rank"]).fails(2, &["--weights"]);
    call(&["--resume", "x", "--seed", "1"]).fails(2, &["--resume"]);
    call(&["--threads", "100000"]).fails(2, &["--threads", "1024"]);
    // A run folder has its own network and images.
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().to_str().unwrap();
    for flag in [["--space", "darts"], ["--limit", "100"], ["--precision", "bf16"]] {
        call(&["search", run, flag[0], flag[1]]).fails(2, &[flag[0]]);
    }
    for flag in [["--channels", "16"], ["--image-size", "16"]] {
        call(&["export", "--weights", run, "--out", "no.onnx", flag[0], flag[1]])
            .fails(2, &[flag[0], "run folder"]);
    }
}

#[test]
fn weights_that_a_rule_places_are_not_ranked_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let close = "update={rule=\"close\", openings=[0.0], gate={embedding=4, hidden=8, temperature=5.0}}";
    let set = ["paths.rule=uniform", "images.rule=uniform", "train.epochs=1", close];
    let mut args: Vec<String> = small_run(folder.path());
    args.extend(set.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]));
    args.extend(["--out".to_owned(), out.display().to_string()]);
    assert_eq!(call(&args).code, 0);
    let weights = out.join("epoch-0001.safetensors");
    let csv = folder.path().join("out.csv");
    let [weights, csv] = [weights.to_str().unwrap(), csv.to_str().unwrap()];
    call(&["rank", "--weights", weights, "--channels", "8", "--cells", "1", "--data", "mini", "--out", csv])
        .fails(2, &["epoch-0001.safetensors", "CLOSE"]);
}

#[test]
fn architectures_outside_the_operations_of_a_run_are_named_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--set", "supernet.ops=[\"avg_pool_3x3\"]"]).fails(2, &["supernet.ops", "000000"]);
}

#[test]
fn a_resumed_run_of_another_sampler_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut args = small_run(folder.path());
    args.extend(["--out".to_owned(), out.display().to_string()]);
    assert_eq!(call(&args).code, 0);
    let config = out.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("smoothing.last = 1.0"), "{text}");
    std::fs::write(&config, text.replace("smoothing.last = 1.0", "smoothing.last = 0.5")).unwrap();
    call(&["--resume", out.to_str().unwrap()]).fails(2, &["belongs to another run", "smoothing"]);
}

/// Nothing is left behind by a run that cannot start, and no advice fails.
#[test]
fn a_run_that_cannot_start_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let run = |out: &str, set: &str| call(&["--set", "train.epochs=1", "--set", set, "--out", out]);
    std::fs::write(path("file"), "").unwrap();
    std::fs::create_dir(path("full")).unwrap();
    std::fs::write(path("full/other"), "").unwrap();
    for name in ["file", "full"] {
        let done = run(&path(name), "train.batch=64");
        done.fails(2, &["exists and is not the folder of a run", "--out"]);
        assert!(!done.stderr.contains("--resume"), "{}", done.stderr);
    }
    let out = path("new");
    run(&out, "augment.crop_padding=100").fails(2, &["augment.crop_padding", "smaller than the images"]);
    assert!(!std::path::Path::new(&out).exists());
    let limit = ["search", &out, "--latency", "a.csv", "--max-latency", "nan"];
    call(&[&["search", "--scores", "mini", "--out", &out][..], &limit[2..]].concat())
        .fails(2, &["--max-latency", "larger than 0"]);
}
