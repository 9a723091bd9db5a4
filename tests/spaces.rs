//! Every search space is trained, ranked and exported.

use std::path::Path;

use crate::program::{Call, call, program};
use crate::shared;

/// A run of one epoch on the embedded images, from the space's own config.
pub(crate) fn tiny_run(space: &str, out: &Path) -> Vec<String> {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");
    let mut args = vec!["--config".to_owned(), format!("{config}/{space}/mini.toml")];
    let mut set =
        vec!["train.epochs=2", "data.train_images=96", "train.batch=32", "rank.images=40", "rank.batch=20"];
    set.push("rank.archs=random:4");
    match space {
        "darts" => set.extend(["supernet.channels=4", "supernet.cells=3"]),
        _ => set.push("rank.recalibrate={images=32,batch=16}"),
    }
    args.extend(set.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]));
    args.extend(["--out".to_owned(), out.display().to_string()]);
    args
}

/// Trains, ranks, and ranks the last checkpoint again; `further` are arguments of the second ranking.
fn trains_and_ranks(space: &str, further: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = tiny_run(space, &run);
    // The table of its config is not there.
    args.extend(["--set".to_owned(), "paths.scope=kind".to_owned(), "--json".to_owned()]);
    let output =
        program().args(&args).env("PADA_DATA", shared::tables().unwrap_or_default()).output().unwrap();
    let done = Call::from(output);
    assert_eq!(done.json()["archs_ranked"], 4);
    assert!(done.stdout.contains("p per kind of positions"), "{}", done.stdout);
    let record = pada::report::RunRecord::read(&run.join("record.json")).unwrap();
    assert_eq!((record.supernet.space.as_str(), record.epochs.len()), (space, 2));
    // The stand-alone networks have the size of the supernet, so they are smaller.
    let ranking = record.ranking.as_ref().unwrap();
    assert!(
        ranking.best.iter().all(|best| best.params < record.supernet.params as u64),
        "{:?}",
        ranking.best
    );
    let rows = &record.epochs[1].path_distribution;
    assert!(rows.len() == 2 && rows.iter().all(|p| (p.iter().sum::<f64>() - 1.0).abs() < 1e-12), "{rows:?}");

    let scores = std::fs::read_to_string(run.join("ranking.csv")).unwrap();
    let [list, again] = ["list.txt", "again.csv"].map(|name| folder.path().join(name).display().to_string());
    let archs: String =
        scores.lines().skip(1).map(|line| format!("{}\n", line.split(',').next().unwrap())).collect();
    std::fs::write(&list, archs).unwrap();
    let checkpoint = run.join("epoch-0002.safetensors").display().to_string();
    let mut args =
        vec!["rank", "--weights", &checkpoint, "--space", space, "--data", "mini", "--limit", "40"];
    args.extend(["--batch", "20", "--archs", &list, "--out", &again]);
    args.extend(further);
    assert_eq!(call(&args).code, 0, "{}", call(&args).stderr);
    let column = |text: &str| {
        text.lines().map(|line| line.split(',').take(3).collect::<Vec<_>>().join(",")).collect::<Vec<_>>()
    };
    let again = std::fs::read_to_string(again).unwrap();
    exports(space, &run, scores.lines().nth(1).unwrap().split(',').next().unwrap());
    match space {
        // Recalibration on the command line has batches of 128.
        "darts" => assert_eq!(column(&again), column(&scores)),
        _ => assert_eq!(column(&again).len(), column(&scores).len()),
    }
}

/// An architecture of a run as a file, whose norms have the statistics of images, or those of the supernet where it has any.
fn exports(space: &str, run: &Path, arch: &str) {
    let out = run.join("net.onnx").display().to_string();
    let export = |statistics: &str| {
        let run = run.display().to_string();
        let args = ["export", "--weights", &run, "--arch", arch, "--out", &out, "--overwrite", "--json"];
        call(&[&args[..], &["--statistics", statistics]].concat())
    };
    let done = export("images");
    let json = done.json();
    assert_eq!(json["arch"], arch);
    assert_eq!(json["outputs"][0]["shape"], serde_json::json!(["batch", 10]));
    // As the run took them for its scores; one whose norms need none has a choice of the program's.
    let taken = if space == "darts" { "batches of 96, 96 images" } else { "batches of 16, 32 images" };
    assert!(done.stderr.contains(&format!("over {taken} of mini train")), "{}", done.stderr);
    let model = pada::graph::onnx::ModelProto::from_bytes(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(model.graph.unwrap().name, format!("{space}_{arch}"));
    match space {
        "darts" => export("stored").fails(2, &[arch, "use batch statistics"]),
        _ => assert_eq!(export("stored").json()["norms"]["statistics"], "running statistics of the weights"),
    }
}

#[test]
fn darts_trains_and_ranks() {
    trains_and_ranks("darts", &["--channels", "4", "--cells", "3"]);
}

#[test]
fn proxyless_trains_and_ranks() {
    trains_and_ranks("proxyless", &["--recalibrate", "32"]);
}

#[test]
fn nas_bench_macro_trains_and_ranks_against_its_table() {
    if shared::tables().is_some() {
        trains_and_ranks("macro", &["--recalibrate", "32"]);
    }
}

#[test]
fn a_setting_that_does_not_suit_the_space_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (space, set, words) in [
        ("darts", "supernet.widths=search", &["`supernet.widths` has no effect", "\"proxyless\""][..]),
        ("darts", "supernet.cells=2", &["`supernet.cells` is 2", "at least 3"]),
        ("proxyless", "supernet.cells=4", &["`supernet.cells` has no effect", "\"nb201\" or \"darts\""]),
        ("macro", "supernet.channels=16", &["`supernet.channels` has no effect", "\"nb201\""]),
        ("darts", "rank.recalibrate={images=10,batch=5}", &["`rank.recalibrate` has no effect", "batch"]),
        ("proxyless", "rank.recalibrate={images=0,batch=5}", &["rank.recalibrate.images", "1 or larger"]),
        ("darts", "rank.archs=all", &["`rank.archs` is all", "too large"]),
        ("darts", "rank.truth=nb201", &["rank.truth", "darts-214 or darts-1000 of darts"]),
        ("darts", "rank.archs=truth", &["`rank.archs` is truth", "no rank.truth"]),
        ("proxyless", "paths.rule=fair", &["leave operations out"]),
        ("darts", "supernet.ops=[\"conv\"]", &["conv", "sep_conv_3x3"]),
        ("proxyless", "supernet.ops=[\"skip\"]", &["decision 0", "mb3_k3"]),
        ("darts", "update={rule=\"magic-at\",weight=0.5}", &["magic-at", "anchor"]),
        (
            "proxyless",
            "update={rule=\"close\",openings=[0.0],gate={embedding=4,hidden=4,temperature=5.0}}",
            &["close", "weights of different shapes"],
        ),
    ] {
        let mut args = tiny_run(space, &out);
        if space == "macro" {
            args.extend(["--set".to_owned(), "rank.truth=nas-bench-macro".to_owned()]);
        }
        args.extend(["--set".to_owned(), set.to_owned()]);
        call(&args).fails(2, words);
        assert!(!out.exists(), "{set}");
    }
    call(&tiny_run("macro", &out))
        .fails(2, &["nas_bench_macro_cifar10.csv", "pada download nas-bench-macro"]);
}

/// Fair sets exist where skips are left out, as in FairNAS' own space.
#[test]
fn proxyless_without_skips_is_trained_with_fair_paths() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = tiny_run("proxyless", &folder.path().join("run"));
    let blocks = "supernet.ops=[\"mb3_k3\", \"mb6_k3\", \"mb3_k5\", \"mb6_k5\", \"mb3_k7\", \"mb6_k7\"]";
    for set in [blocks, "paths.rule=fair", "images.rule=uniform", "train.epochs=1", "data.train_images=32"] {
        args.extend(["--set".to_owned(), set.to_owned()]);
    }
    let done = call(&args);
    assert!(done.code == 0 && done.stdout.contains("FairNAS (released)"), "{} {}", done.stdout, done.stderr);
}

#[test]
fn metrics_know_the_tables_of_other_spaces() {
    let Some(data) = shared::tables() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pred = folder.path().join("pred.csv");
    let measure = |truth: &str, rows: &str| {
        std::fs::write(&pred, format!("arch,accuracy\n{rows}")).unwrap();
        let args =
            ["metrics", "--truth", truth, "--resamples", "40", "--json", "--pred", pred.to_str().unwrap()];
        Call::from(program().args(args).env("PADA_DATA", &data).output().unwrap()).json()
    };
    // Accuracies from scratch are 45.36, 64.22 and 65.86: one of three pairs is the other way round.
    let json = measure("nas-bench-macro", "00000000,2\n00000001,1\n00000002,3\n");
    assert!((json["tau_b"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-15, "{json}");
    // Its own genotypes, by number of the entry.
    let text = std::fs::read_to_string(data.join("darts_214/darts_214.json")).unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let rows: String = all
        .iter()
        .map(|entry| {
            let genotype = pada::space::Genotype::parse(&entry.to_string()).unwrap();
            let arch = pada::space::Darts::arch(&genotype).unwrap();
            format!("{arch},{}\n", entry["last10_mean_test_acc"])
        })
        .collect();
    let json = measure("darts-214", &rows);
    assert_eq!((json["n"].as_u64(), json["tau_b"].as_f64()), (Some(214), Some(1.0)));
}

#[test]
fn metrics_compare_with_the_genotypes_of_darts_1000_that_are_in_the_space() {
    let data = tempfile::tempdir().unwrap();
    let path = pada::nasbench::Download::Darts1000.path(data.path());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (mut file, mut pred) = (String::new(), "arch,accuracy\n".to_owned());
    let genotypes =
        pada::space::DARTS_NAMED.iter().map(|named| pada::space::Genotype::parse(named.text).unwrap());
    let inside = genotypes.filter_map(|genotype| Some((pada::space::Darts::arch(&genotype).ok()?, genotype)));
    for ((arch, genotype), (score, accuracy)) in inside.zip([(1, 80), (3, 82), (2, 84), (5, 83), (4, 81)]) {
        file += &format!("\"{genotype}\",{accuracy}\n");
        pred += &format!("{arch},{score}\n");
    }
    std::fs::write(path, file).unwrap();
    let list = data.path().join("pred.csv");
    std::fs::write(&list, pred).unwrap();
    let args = ["metrics", "--truth", "darts-1000", "--json", "--pred", list.to_str().unwrap()];
    let json = Call::from(program().args(args).env("PADA_DATA", data.path()).output().unwrap()).json();
    assert_eq!(json["n"].as_u64(), Some(5));
    // Six of ten pairs have the same order.
    assert!((json["tau_b"].as_f64().unwrap() - 0.2).abs() < 1e-15, "{json}");
    assert!(json["partial_tau_given_params"].is_number(), "{json}");
}
