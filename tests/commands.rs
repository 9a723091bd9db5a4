//! Each command does its work and prints the fields that scripts read.

use std::path::Path;

use crate::program::{call, own_columns, program, small_retrain, small_run};

/// A PyTorch file of the supernet with C=2, N=1; `make_pt.py` beside it wrote it.
const PT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pada-models/tests/data/plain.pt");

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn train_without_a_command_trains_ranks_and_keeps_everything_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    let further = ["--set", "rank.archs=truth", "--json", "--seed", "5", "--out", text(&run)];
    args.extend(further.map(str::to_owned));
    let done = call(&args);
    let json = done.json();
    let fused = ["fused_tau_b", "fused_p_at_top5"];
    assert!(json["tau_b"].is_f64(), "{json}");
    for field in
        ["run_dir", "p_at_top5", "archs_ranked", "train_s", "rank_s", "device"].into_iter().chain(fused)
    {
        assert!(json.get(field).is_some(), "{field} is not in {json}");
    }
    let truth = pada::nasbench::mini().unwrap();
    assert_eq!(json["archs_ranked"].as_u64(), Some(truth.archs().len() as u64));
    assert_eq!(json["run_dir"].as_str(), run.to_str());
    for word in ["PA&DA (released), seed 5", "#params", "active-conv-params", "best", text(&run)] {
        assert!(done.stdout.contains(word), "{word} is not in {}", done.stdout);
    }
    for file in ["config.toml", "record.json", "ranking.csv", "epoch-0003.safetensors"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let record = pada::report::RunRecord::read(&run.join("record.json")).unwrap();
    assert_eq!((record.seed, record.epochs.len(), record.train_images.images), (5, 3, 192));

    // The run's own checkpoint, ranked again, gives the same scores.
    let again = folder.path().join("again.csv");
    let checkpoint = run.join("epoch-0003.safetensors");
    let archs = folder.path().join("truth.txt");
    let list: Vec<String> = truth.archs().iter().map(ToString::to_string).collect();
    std::fs::write(&archs, list.join("\n")).unwrap();
    let ranked = call(&[
        "rank",
        "--weights",
        text(&checkpoint),
        "--channels",
        "8",
        "--cells",
        "1",
        "--data",
        "mini",
        "--limit",
        "60",
        "--batch",
        "30",
        "--archs",
        text(&archs),
        "--out",
        text(&again),
        "--json",
    ]);
    let json = ranked.json();
    for field in ["archs", "images", "seconds", "images_per_s", "tau_b", "p_at_top5"] {
        assert!(json.get(field).is_some(), "{field} is not in {json}");
    }
    assert_eq!(own_columns(&again), own_columns(&run.join("ranking.csv")));
}

#[test]
fn a_run_folder_stands_for_its_newest_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    args.extend(["--set", "train.epochs=1", "--out", text(&run)].map(str::to_owned));
    assert_eq!(call(&args).code, 0);
    let csv = folder.path().join("scores.csv");
    let rank = |weights: &Path| {
        call(&[
            "rank",
            "--weights",
            text(weights),
            "--data",
            "mini",
            "--out",
            text(&csv),
            "--archs",
            "random:2",
        ])
    };
    assert_eq!(rank(&run).code, 0);
    let of_folder = std::fs::read_to_string(&csv).unwrap();
    let file = run.join("epoch-0001.safetensors");
    let sized = ["--channels", "8", "--cells", "1"];
    let rank_file =
        ["rank", "--weights", text(&file), "--data", "mini", "--out", text(&csv), "--archs", "random:2"];
    assert_eq!(call(&[&rank_file[..], &sized].concat()).code, 0);
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), of_folder);
    std::fs::remove_file(&csv).unwrap();
    let folder_with_size = ["rank", "--weights", text(&run), "--data", "mini", "--out", text(&csv)];
    call(&[&folder_with_size[..], &sized].concat()).fails(2, &["--channels", "the run records its own"]);
    // Without checkpoint, of one architecture, and of no run.
    std::fs::remove_file(run.join("epoch-0001.safetensors")).unwrap();
    rank(&run).fails(2, &["no checkpoint", "pada --resume"]);
    let alone = folder.path().join("alone");
    let mut args =
        [vec!["retrain".to_owned(), "--arch".to_owned(), "333333".to_owned()], small_retrain()].concat();
    args.extend(["--out", text(&alone)].map(str::to_owned));
    assert_eq!(call(&args).code, 0);
    rank(&alone).fails(2, &["trained one architecture", "pada export --weights"]);
    rank(folder.path()).fails(2, &["config.toml"]);
    assert!(!csv.exists());
    // Runs that choose weights for each architecture.
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let close =
        pada::RunConfig::parse(&config, Path::new("config.toml")).unwrap().with("update.rule=close").unwrap();
    std::fs::write(run.join("config.toml"), close.to_toml()).unwrap();
    rank(&run).fails(2, &["chooses weights for each architecture", "pada search"]);
}

#[test]
fn runs_without_out_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = small_run(folder.path());
    args.extend(["--set".into(), "train.epochs=1".into()]);
    for number in ["001", "002"] {
        let output = program().args(&args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success());
        assert!(folder.path().join(format!("runs/mini-s0-{number}/record.json")).is_file());
    }
}

#[test]
fn magic_at_trains() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    for set in ["paths.rule=one-change", "images.rule=uniform", "update={rule=\"magic-at\",weight=0.5}"] {
        args.extend(["--set".to_owned(), set.to_owned()]);
    }
    args.extend(["--out".into(), run.display().to_string(), "--json".into()]);
    let done = call(&args);
    assert_eq!(done.json()["archs_ranked"], 3);
    assert!(done.stdout.contains("Magic-AT, one change a path, seed 0"), "{}", done.stdout);
    let record = pada::report::RunRecord::read(&run.join("record.json")).unwrap();
    let (first, last) = (&record.epochs[0], &record.epochs[2]);
    assert!(last.loss < first.loss, "{} {}", first.loss, last.loss);
}

#[test]
fn retrain_trains_one_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = vec!["retrain".to_owned(), "--arch".into(), "232000".into(), "--json".into()];
    args.extend(small_retrain());
    args.extend(["--out".into(), run.display().to_string()]);
    let json = call(&args).json();
    assert_eq!(json["epochs"], 3);
    assert!((0.0..=100.0).contains(&json["accuracy"].as_f64().unwrap()), "{json}");
    assert!(json["params"].as_u64() > Some(0) && json["macs"].as_u64() > Some(0), "{json}");
}

#[test]
fn cost_is_that_of_the_benchmark_in_both_text_forms() {
    // Index 0 of the benchmark: 0.129306 million weights, 15.64737 million multiply-adds.
    let string =
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|";
    let long = call(&["cost", "--space", "nb201", "--arch", string, "--json"]).json();
    let digits = call(&["cost", "--space", "nb201", "--arch", "421211", "--json"]).json();
    assert_eq!(long, digits);
    assert_eq!((long["params"].as_u64(), long["macs"].as_u64()), (Some(129_306), Some(15_647_370)));
}

/// As the design notes' scripts and the authors' code count them.
#[test]
fn cost_knows_published_architectures_of_other_spaces_by_name() {
    for (space, name, params, macs) in [
        ("darts", "DARTS_V2", 3_349_342, 528),
        ("proxyless", "FairNAS_A", 4_651_352, 388),
        ("proxyless", "FBNet_C", 5_570_664, 378),
    ] {
        let json = call(&["cost", "--space", space, "--genotype", name, "--json"]).json();
        assert_eq!((json["arch"].as_str(), json["params"].as_u64()), (Some(name), Some(params)));
        assert_eq!(json["macs"].as_u64().unwrap() / 1_000_000, macs);
    }
    let json = call(&["cost", "--space", "darts", "--genotype", "AGNAS", "--json"]).json();
    assert_eq!(json["params"].as_u64(), Some(3_611_998));
    let imagenet = ["cost", "--space", "darts", "--skeleton", "imagenet", "--genotype", "DARTS_V2", "--json"];
    let json = call(&imagenet).json();
    assert_eq!((json["params"].as_u64(), json["macs"].as_u64()), (Some(4_718_752), Some(529_912_552)));
    call(&["cost", "--arch", "333333", "--skeleton", "imagenet"]).fails(2, &["--skeleton", "darts"]);
    // Cells with five nodes, which the space itself does not have.
    let json = call(&["cost", "--space", "darts", "--genotype", "PNASNet", "--json"]).json();
    assert_eq!(json["params"].as_u64(), Some(4_481_110));
    call(&["cost", "--arch", "333333", "--channels", "9999999999"]).fails(2, &["--channels", "at most"]);
    call(&["cost", "--space", "macro", "--arch", "00000000", "--cells", "3"]).fails(2, &["--cells"]);
    call(&["cost", "--space", "darts", "--genotype", "DARTS_V3"])
        .fails(2, &["DARTS_V3", "DARTS_V2", "GDAS_V1"]);
    call(&["cost", "--space", "darts", "--arch", "Genotype(normal=[('conv', 1)]"]).fails(2, &["Genotype"]);
    call(&["cost", "--space", "darts"]).fails(2, &["--arch", "--genotype", "--file"]);
}

#[test]
fn import_writes_the_same_weights_that_rank_reads_from_the_pt_file() {
    let folder = tempfile::tempdir().unwrap();
    let [weights, a, b, archs] =
        ["w.safetensors", "a.csv", "b.csv", "archs.txt"].map(|name| folder.path().join(name));
    let import =
        call(&["import", "--from", PT, "--out", text(&weights), "--channels", "2", "--cells", "1", "--json"]);
    assert_eq!(import.json()["tensors"], 85);
    std::fs::write(&archs, "333333\n212121\n").unwrap();
    for (from, out) in [(PT, &a), (text(&weights), &b)] {
        let done = call(&[
            "rank",
            "--weights",
            from,
            "--channels",
            "2",
            "--cells",
            "1",
            "--data",
            "mini",
            "--limit",
            "100",
            "--archs",
            text(&archs),
            "--out",
            text(out),
        ]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let read = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&a), read(&b));
    let first = read(&a).lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(first[0], "arch,correct,total,accuracy");
    assert!(first[1].starts_with("333333,") && first[1].contains(",100,"), "{}", first[1]);
}

#[test]
fn metrics_compares_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let [pred, truth] = ["pred.csv", "truth.csv"].map(|name| folder.path().join(name));
    std::fs::write(&pred, "arch,accuracy\n000000,1\n111111,2\n222222,3\n333333,4\n").unwrap();
    std::fs::write(&truth, "accuracy,arch\n10,000000\n30,111111\n20,222222\n40,333333\n").unwrap();
    let json = call(&["metrics", "--pred", text(&pred), "--truth", text(&truth), "--json"]).json();
    // One of six pairs is the other way round: (5 − 1) / 6.
    assert!((json["tau_b"].as_f64().unwrap() - 4.0 / 6.0).abs() < 1e-15);
    assert_eq!((json["n"].as_u64(), json["p_at_top_0.05"].is_null()), (Some(4), true));
    assert!(json["tau_b_interval"]["low"].is_f64());
    // Four of 24 orders have at most one pair out of order, and four at most one in order.
    assert!((json["tau_b_p_value"].as_f64().unwrap() - 8.0 / 24.0).abs() < 1e-12, "{json}");
    // scipy.stats.spearmanr([1, 2, 3, 4], [10, 30, 20, 40])
    assert!((json["spearman_p_value"].as_f64().unwrap() - 0.2).abs() < 1e-9, "{json}");
}

#[test]
fn metrics_draws_scores_against_accuracies() {
    let folder = tempfile::tempdir().unwrap();
    let [pred, truth, plot] = ["pred.csv", "truth.csv", "plot.svg"].map(|name| folder.path().join(name));
    std::fs::write(&pred, "arch,loss\n000000,4\n111111,3\n222222,nan\n333333,1\n").unwrap();
    std::fs::write(&truth, "arch,accuracy\n000000,10\n111111,30\n222222,20\n333333,40\n").unwrap();
    let args =
        ["metrics", "--pred", text(&pred), "--truth", text(&truth), "--column", "loss", "--lower-is-better"];
    let drawn = call(&[&args[..], &["--plot", text(&plot)]].concat());
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    let svg = std::fs::read_to_string(&plot).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("pred.csv") && svg.contains(">loss<"), "{svg}");
    assert!(svg.contains("n = 4") && svg.contains("stand-alone accuracy"), "{svg}");
    // The score that is not defined ranks last and is not drawn.
    assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
    let refused = |file: &str| call(&[&args[..], &["--plot", file]].concat());
    refused("plot.png").fails(2, &["plot.png", ".svg"]);
    refused(text(&folder.path().join("no/plot.svg"))).fails(2, &["plot.svg", "--out"]);
}

#[test]
fn doctor_says_what_is_missing_and_what_to_do() {
    let done = call(&["doctor", "--json"]);
    let json = done.json();
    assert_eq!(
        (json["mini_images"]["found"].as_bool(), json["cifar10"]["found"].as_bool()),
        (Some(true), Some(false))
    );
    assert!(done.stdout.contains("pada download cifar10"), "{}", done.stdout);
    assert!(done.stdout.contains("pada download nb201"), "{}", done.stdout);
    assert!(done.stdout.contains("plain `pada` runs without them"), "{}", done.stdout);
    for what in ["gpu", "nvrtc"] {
        let detail = json[what]["detail"].as_str().unwrap();
        assert!(!detail.is_empty(), "doctor says nothing about {what}");
    }
}

#[test]
fn every_command_shows_an_example() {
    for command in [
        "train",
        "retrain",
        "rank",
        "search",
        "report",
        "cost",
        "latency",
        "metrics",
        "import",
        "export",
        "download",
        "reproduce",
        "doctor",
        "completions",
        "man",
    ] {
        let help = call(&[command, "--help"]);
        assert!(
            help.code == 0 && help.stdout.contains(&format!("Example: pada {command}")),
            "{}",
            help.stdout
        );
    }
}

#[test]
fn images_of_a_data_set_become_files_that_can_be_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    let json = call(&["data", "export", "mini", text(&images), "--json"]).json();
    assert_eq!(json["images"], 10_000);
    assert_eq!(images.join("train/frog").read_dir().unwrap().count(), 800);
    assert!(images.join("val/airplane").is_dir());
    call(&["data", "export", "mini", text(&images)]).fails(2, &["images", "not empty"]);
    call(&["data", "export", "imagenet", text(&folder.path().join("none"))]).fails(2, &["imagenet"]);
}

#[test]
fn only_who_asks_for_a_gpu_is_told_that_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("scores.csv");
    let score = |device: &[&str]| {
        let usual = ["score", "--data", "mini", "--channels", "2", "--cells", "1", "--archs", "random:2"];
        call(&[&usual[..], &["--proxies", "synflow", "--out", text(&out)], device].concat()).stderr
    };
    let (usual, asked) = (score(&[]), score(&["--device", "auto"]));
    assert!(!usual.contains("NVIDIA driver"), "{usual}");
    // On a machine with a driver, the GPU computes, or the reason is another one.
    assert_eq!(
        asked.contains("on the CPU"),
        asked.contains("NVIDIA") || usual.contains("on the CPU"),
        "{asked}"
    );
}
