//! Searches on a trained supernet: limits, repetition, resumption.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Call, call, program, small_run};
use crate::spaces::tiny_run;

/// A trained supernet of NAS-Bench-201.
fn trained(folder: &Path) -> String {
    let run = folder.join("run").display().to_string();
    let mut args = small_run(folder);
    args.extend(["--set".into(), "train.epochs=1".into(), "--out".into(), run.clone()]);
    assert_eq!(call(&args).code, 0);
    run
}

/// A run that left images out selects on them, and reports the accuracy on test images.
#[test]
fn a_search_selects_on_validation_images_if_the_run_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run").display().to_string();
    let mut args = small_run(folder.path());
    for setting in
        ["train.epochs=1", "data.train=half", "data.train_images=64", "rank.fuse=[]", "rank.zero_cost=[]"]
    {
        args.extend(["--set".to_owned(), setting.to_owned()]);
    }
    args.extend(["--out".to_owned(), run.clone()]);
    assert_eq!(call(&args).code, 0);
    let small = ["--method", "random", "--population", "3", "--generations", "1"];
    let done = call(&[&["search", &run, "--json"][..], &small].concat());
    let found = done.json();
    assert_eq!(found["selected_on"], "60 images of mini train, validation half");
    assert_eq!(found["tested_on"], "60 images of mini test");
    assert!(done.stdout.contains("test %") && !done.stdout.contains("optimistic"), "{}", done.stdout);

    // The reported accuracy is that of `rank` on the same test images.
    let best = &found["archs"][0];
    let [list, ranked] =
        ["list.txt", "ranked.csv"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&list, best["arch"].as_str().unwrap()).unwrap();
    let images = ["--limit", "60", "--batch", "30"];
    let rank = ["rank", "--weights", &run, "--data", "mini", "--archs", &list, "--out", &ranked];
    assert_eq!(call(&[&rank[..], &images].concat()).code, 0);
    let text = std::fs::read_to_string(&ranked).unwrap();
    let accuracy: f64 = text.trim_end().rsplit(',').next().unwrap().parse().unwrap();
    assert_eq!(best["test"].as_f64(), Some(accuracy));
}

fn search(run: &str, further: &[&str]) -> Call {
    let small = ["--population", "12", "--generations", "3", "--json", "--seed", "4"];
    call(&[&["search", run][..], &small, further].concat())
}

#[test]
fn a_search_stays_within_its_limits_and_a_second_one_scores_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let found = search(&run, &["--max-params", "50K", "--max-macs", "1.4M", "--top", "5"]).json();
    let archs = found["archs"].as_array().unwrap();
    assert!(archs.len() == 5 && found["scored"] == found["visited"], "{found}");
    let score = |arch: &serde_json::Value| arch["score"].as_f64().unwrap();
    assert!(archs.windows(2).all(|pair| score(&pair[0]) >= score(&pair[1])), "{found}");
    for arch in archs {
        let digits = arch["arch"].as_str().unwrap();
        let cost =
            call(&["cost", "--arch", digits, "--channels", "8", "--cells", "1", "--size", "16", "--json"])
                .json();
        assert_eq!((&arch["params"], &arch["macs"]), (&cost["params"], &cost["macs"]));
        assert!(
            cost["params"].as_u64() <= Some(50_000) && cost["macs"].as_u64() <= Some(1_400_000),
            "{cost}"
        );
    }
    assert_eq!(
        (found["selected_on"].as_str(), &found["tested_on"]),
        (Some("60 images of mini test"), &serde_json::Value::Null)
    );
    let again = search(&run, &["--max-params", "50K", "--max-macs", "1.4M", "--top", "5"]).json();
    assert_eq!((&again["archs"], again["scored"].as_u64()), (&found["archs"], Some(0)));

    // A search with other limits leaves the first one's result as it is.
    let first = format!("{run}/search/archs-evolution-macs1400000-params50000-s4.csv");
    let text = std::fs::read_to_string(&first).unwrap();
    assert_eq!(text.lines().count(), 1 + 5, "{text}");
    assert_eq!(search(&run, &["--max-params", "60K"]).code, 0);
    assert!(Path::new(&format!("{run}/search/archs-evolution-params60000-s4.csv")).is_file());
    assert_eq!(std::fs::read_to_string(&first).unwrap(), text);

    // The scores of the folder are those of `rank` on the same images.
    let [list, ranked] =
        ["list.txt", "ranked.csv"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&list, archs[0]["arch"].as_str().unwrap()).unwrap();
    let weights = format!("{run}/epoch-0001.safetensors");
    let mut args = vec!["rank", "--weights", &weights, "--channels", "8", "--cells", "1", "--data", "mini"];
    args.extend(["--limit", "60", "--batch", "30", "--archs", &list, "--out", &ranked]);
    assert_eq!(call(&args).code, 0);
    let accuracy = std::fs::read_to_string(&ranked).unwrap();
    let accuracy: f64 = accuracy.lines().nth(1).unwrap().split(',').nth(3).unwrap().parse().unwrap();
    assert_eq!(accuracy, score(&archs[0]));

    // The weights alone find the same architectures.
    let out = folder.path().join("alone").display().to_string();
    let net = ["--channels", "8", "--cells", "1", "--limit", "60", "--batch", "30", "--data", "mini"];
    let limits = ["--max-params", "50K", "--max-macs", "1.4M", "--top", "5", "--population", "12"];
    let further = [
        "--generations",
        "3",
        "--json",
        "--seed",
        "4",
        "--weights",
        &weights,
        "--out",
        &out,
        "--truth",
        "mini",
    ];
    let alone = call(&[&["search"][..], &net, &limits, &further].concat()).json();
    assert_eq!(alone["archs"], found["archs"]);
}

#[test]
fn a_pareto_search_reports_a_front_of_score_against_latency() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let latencies = folder.path().join("latency.csv");
    let space = pada::space::Nb201::new();
    use pada::space::SearchSpace;
    // Architectures with a pooling have no latency here: they are left out.
    let rows = space
        .archs()
        .filter(|arch| arch.count(4) == 0)
        .map(|arch| format!("{},{arch}\n", 1.0 + arch.count(2) as f64 + 3.0 * arch.count(3) as f64));
    std::fs::write(&latencies, format!("latency,arch\n{}", rows.collect::<String>())).unwrap();
    let file = latencies.display().to_string();
    let found = search(&run, &["--method", "pareto", "--latency", &file, "--max-latency", "12"]).json();
    let archs = found["archs"].as_array().unwrap();
    let number = |arch: &serde_json::Value, name: &str| arch[name].as_f64().unwrap();
    assert!(!archs.is_empty());
    for pair in archs.windows(2) {
        assert!(number(&pair[0], "latency") < number(&pair[1], "latency"), "{found}");
        assert!(number(&pair[0], "score") < number(&pair[1], "score"), "{found}");
    }
    for arch in archs {
        assert!(number(arch, "latency") <= 12.0 && !arch["arch"].as_str().unwrap().contains('4'), "{arch}");
    }
    // A short list is the list of candidates: random draws would hardly meet it.
    std::fs::write(&latencies, "arch,latency\n333333,3\n123123,2\n242424,9\n").unwrap();
    let short = search(&run, &["--method", "random", "--latency", &file, "--max-latency", "5"]);
    assert_eq!(short.json()["archs"].as_array().unwrap().len(), 2);
    assert!(short.stderr.contains("latencies of 3 of 15625 architectures"), "{}", short.stderr);
    search(&run, &["--method", "pareto", "--cost", "latency"]).fails(2, &["--latency", "arch,latency"]);
    search(&run, &["--latency", "no/such.csv"]).fails(2, &["no/such.csv"]);
}

/// A table of operations written by hand: every convolution of 3×3 takes 2 ms, every other operation 0.001 ms.
fn table_of_operations(path: &std::path::Path, channels: usize) {
    use pada::graph::{Frozen, Shape};
    use pada::models::{Nb201Net, Norms};
    use pada::space::SearchSpace;
    let net = Nb201Net::new(channels, 1, Shape::new(3, 16, 16), 10, Norms::Affine);
    let mut rows = std::collections::BTreeSet::new();
    for arch in pada::space::Nb201::new().archs().step_by(7) {
        for piece in Frozen::new(&net, &arch).unwrap().graph().pieces() {
            let shape = |s: Shape| format!("{}x{}x{}", s.channels, s.height, s.width);
            let time = if piece.name.contains("conv3x3") { 2.0 } else { 0.001 };
            rows.insert(format!("{},{},{},{time}\n", piece.name, shape(piece.input), shape(piece.output)));
        }
    }
    let rows: String = rows.into_iter().collect();
    std::fs::write(path, format!("operation,input,output,milliseconds\n{rows}")).unwrap();
}

#[test]
fn a_table_of_operations_gives_every_architecture_a_latency() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let table = folder.path().join("operations.csv");
    table_of_operations(&table, 8);
    let file = table.display().to_string();
    // The stem and the two reductions have five convolutions of 3×3, each of which takes 2 ms. An edge adds one in each of three stages.
    let found = search(&run, &["--method", "random", "--latency", &file, "--max-latency", "23"]).json();
    for arch in found["archs"].as_array().unwrap() {
        let (digits, latency) = (arch["arch"].as_str().unwrap(), arch["latency"].as_f64().unwrap());
        let active = digits.matches('3').count() as f64;
        assert!(latency <= 23.0 && latency <= 10.5 + 6.0 * active, "{arch}");
    }
    let out = folder.path().join("latencies.csv").display().to_string();
    let net = ["--channels", "8", "--cells", "1", "--size", "16"];
    let predict = |more: &[&str]| {
        call(&[&["latency", "predict", "--table", &file, "--out", &out][..], &net, more].concat())
    };
    assert_eq!(predict(&["--json"]).json()["archs"], 15_625);
    let text = std::fs::read_to_string(&out).unwrap();
    let latency = |arch: &str| -> f64 {
        let row = text.lines().find_map(|line| line.strip_prefix(&format!("{arch},")));
        row.unwrap().parse().unwrap()
    };
    assert!(text.starts_with("arch,latency\n"), "{text}");
    assert!((latency("333333") - latency("222222") - 3.0 * 6.0 * (2.0 - 0.001)).abs() < 1e-9);
    // The written file is a list of architectures for a search.
    let listed = search(&run, &["--method", "random", "--latency", &out, "--max-latency", "23"]).json();
    assert!(!listed["archs"].as_array().unwrap().is_empty());
    predict(&["--archs", "truth"]).fails(2, &["--archs", "random:N"]);
    let wide = ["latency", "predict", "--table", &file, "--out", &out, "--cells", "1", "--size", "16"];
    call(&wide).fails(2, &["operations.csv has no latency of", "64×4×4", "pada latency measure"]);
    call(&["latency", "predict", "--table", &file, "--out", &file]).fails(2, &["would be overwritten"]);
    std::fs::write(&table, "operation,input,output,milliseconds\nnorm,8x8,8x8,1\n").unwrap();
    search(&run, &["--latency", &file]).fails(2, &["operations.csv, line 2", "16x32x32"]);
    table_of_operations(&table, 4);
    search(&run, &["--latency", &file]).fails(2, &["operations.csv has no latency of", "another size"]);
}

#[test]
fn a_search_says_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    search(&run, &["--max-params", "1K"]).fails(2, &["10000", "within the limits"]);
    search(&run, &["--max-params", "many"]).fails(2, &["many", "400M"]);
    search(&run, &["--rate", "1.5"]).fails(2, &["`mutation_rate` is 1.5"]);
    let alone = call(&["search", &run, "--method", "pareto", "--population", "1"]);
    alone.fails(2, &["`population` is 1", "at least 2"]);
    call(&["search"]).fails(2, &["RUN_DIR"]);
    search("no/such/run", &[]).fails(2, &["no/such/run is not a run folder"]);
    // A folder with scores of another supernet.
    let other = folder.path().join("other").display().to_string();
    let mut args = small_run(folder.path());
    args.extend(["--set", "train.epochs=1", "--seed", "7", "--out", &other].map(str::to_owned));
    assert_eq!(call(&args).code, 0);
    assert_eq!(search(&run, &["--method", "random"]).code, 0);
    let scores = format!("{run}/search");
    search(&other, &["--out", &scores]).fails(2, &["subject.json", "another supernet", "--out"]);
    // A run that is not over.
    let unfinished = folder.path().join("unfinished");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::copy(format!("{run}/config.toml"), unfinished.join("config.toml")).unwrap();
    search(unfinished.to_str().unwrap(), &[]).fails(2, &["the training of", "is not finished", "--resume"]);
}

/// Every method searches the embedded table, finds each network once, and looks it up.
#[test]
fn a_benchmark_table_is_searched_by_every_method() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let search = |further: &[&str]| {
        call(
            &[&["search", "--scores", "MINI", "--out", &out, "--json", "--top", "300"][..], further].concat(),
        )
    };
    let table = pada::nasbench::mini().unwrap();
    let space = pada::space::Nb201::new();
    for (method, settings) in [
        ("random", &["samples=1000"][..]),
        ("evolution", &["population=10", "generations=3"]),
        ("pareto", &["population=10", "generations=3"]),
        ("ageing-evolution", &["samples=30"]),
        ("reinforce", &["samples=30"]),
        ("enas", &["samples=30", "policy.lstm.hidden=4"]),
        ("pnas", &["beam=5"]),
        ("predictor", &["initial=10", "rounds=2", "per_round=5"]),
        ("random-nas", &["archs=20", "finalists=5"]),
    ] {
        let set: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let found = search(&[&["--method", method, "--truth", "MINI"][..], &set].concat()).json();
        let archs = found["archs"].as_array().unwrap();
        let mut networks: Vec<_> = archs
            .iter()
            .map(|arch| {
                use pada::space::{Equivalence, SearchSpace};
                let parsed = space.parse(arch["arch"].as_str().unwrap()).unwrap();
                assert_eq!(arch["score"], arch["truth"], "{method}: {arch}");
                space.canonical(&parsed, Equivalence::OwnWeights).unwrap()
            })
            .collect();
        let visited = networks.len();
        assert!(visited > 1 && visited <= table.archs().len(), "{method}: {visited}");
        if method != "pareto" {
            assert_eq!(found["visited"].as_u64(), Some(visited as u64), "{method}");
        }
        networks.sort();
        networks.dedup();
        assert_eq!(networks.len(), visited, "{method} counts a network twice");
    }
    let set = |setting: &str| search(&["--method", "pnas", "--set", setting]);
    set("beem=5").fails(2, &["pnas has no setting `beem`", "did you mean `beam`?"]);
    set("beam=many").fails(2, &["`beam` is \"many\", but it must be a whole number"]);
    search(&["--method", "reinforce", "--set", "learning_rate=1e308"]).fails(2, &["learning_rate"]);
}

/// RandomNAS scores its finalists on all images too, which are not other architectures.
#[test]
fn random_nas_counts_its_finalists_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let settings = ["--set", "archs=6", "--set", "finalists=2", "--set", "images=20"];
    let found = call(&[&["search", &run, "--json", "--method", "random-nas"][..], &settings].concat()).json();
    assert_eq!((found["asked"].as_u64(), found["visited"].as_u64()), (Some(8), Some(6)), "{found}");
    assert_eq!(found["scored"].as_u64(), Some(6), "{found}");
}

/// Waits until the folder of a search holds some scores.
fn wait_for_scores(run: &str, n: usize, child: &mut Child) {
    let patience = Instant::now() + Duration::from_secs(120);
    let path = Path::new(run).join("search/scores.csv");
    while std::fs::read_to_string(&path).map_or(0, |text| text.lines().count()) < n + 1 {
        assert!(
            Instant::now() < patience && child.try_wait().unwrap().is_none(),
            "the search ended by itself"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// On cells of DARTS, whose scores take long enough to be caught in the middle.
#[test]
fn a_search_that_was_killed_goes_on_with_its_scores_and_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [run, whole] = ["run", "whole"].map(|name| folder.path().join(name).display().to_string());
    assert_eq!(call(&tiny_run("darts", Path::new(&run))).code, 0);
    let args = ["search", &run, "--population", "20", "--generations", "4", "--json"];
    let expected = call(&[&args[..], &["--out", &whole]].concat()).json();

    for name in ["-KILL", "-TERM"] {
        let mut command = program();
        let mut child = command.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let wanted = if name == "-KILL" { 5 } else { 15 };
        wait_for_scores(&run, wanted, &mut child);
        crate::survival::signal(&child, name);
        let ended = child.wait_with_output().unwrap();
        if name == "-TERM" {
            Call::from(ended).fails(130, &["the scores so far are kept"]);
        }
    }
    let found = call(&args).json();
    assert_eq!((&found["archs"], &found["visited"]), (&expected["archs"], &expected["visited"]));
    let (scored, visited) = (found["scored"].as_u64().unwrap(), found["visited"].as_u64().unwrap());
    assert!(scored + 15 <= visited && expected["scored"] == expected["visited"], "{found}");
    let results = |folder: &str| std::fs::read_to_string(format!("{folder}/archs-evolution-s0.csv")).unwrap();
    assert_eq!(results(&whole), results(&format!("{run}/search")));
}

/// A differentiable search trains, names its architecture and looks it up. The same command continues a search that was stopped, and the
/// folder is that of a training run.
#[test]
fn a_differentiable_search_trains_and_names_an_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let small = [
        "--set",
        "train.epochs=2",
        "--set",
        "data.train_images=128",
        "--set",
        "supernet.channels=4",
        "--set",
        "rank.images=60",
    ];
    let search = |method: &str, further: &[&str]| {
        call(&[&["search", "--method", method, "--out", &out, "--json"][..], &small, further].concat())
    };
    let done = search("gdas", &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let found = done.json();
    let arch = found["found"]["arch"].as_str().unwrap();
    let epochs = found["epochs"].as_array().unwrap();
    assert_eq!((epochs.len(), epochs[1]["arch"].as_str().unwrap()), (2, arch));
    assert_eq!([0, 1].map(|epoch| epochs[epoch]["temperature"].as_f64().unwrap()), [10.0, 0.1]);
    assert_eq!(found["selected_on"], "60 images of mini train, validation half");
    assert_eq!(found["tested_on"], "60 images of mini test");
    assert!(done.stdout.contains("skip_connect") && done.stdout.contains("strongest"), "{}", done.stdout);
    // Nothing is left to train.
    let again = search("gdas", &[]).json();
    assert_eq!(again["found"], found["found"]);
    assert_eq!(again["epochs"], found["epochs"]);
    search("snas", &[]).fails(2, &["--out", "update.rule"]);
    search("gdas", &["--seed", "3"]).fails(2, &["the folder of a search with another seed"]);

    let [list, ranked] =
        ["list.txt", "ranked.csv"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&list, arch).unwrap();
    let rank = ["rank", "--weights", &out, "--data", "mini", "--archs", &list, "--out", &ranked];
    assert_eq!(call(&[&rank[..], &["--limit", "60"]].concat()).code, 0);
    let page = folder.path().join("page.html").display().to_string();
    let report = call(&["report", &out, "--out", &page]);
    assert!(report.code == 0 && !report.stderr.contains("not finished"), "{}", report.stderr);
    let onnx = folder.path().join("net.onnx").display().to_string();
    let export = call(&["export", "--weights", &out, "--arch", arch, "--out", &onnx]);
    assert_eq!(export.code, 0, "{}", export.stderr);
    assert!(std::fs::read_to_string(&page).unwrap().contains("Mixtures of operations"));
}

/// A supernet that is split ends in the architecture of one of its parts, which the output names.
#[test]
fn a_differentiable_search_on_sub_supernets_keeps_the_most_accurate() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let sets = [
        "train.epochs=1",
        "data.train_images=128",
        "supernet.channels=4",
        "rank.images=60",
        "split={rule=\"few-shot\", positions=[5], leaf_epochs=2}",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let search = || call(&[&["search", "--method", "darts", "--out", &out, "--json"][..], &sets].concat());
    let done = search();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let found = done.json();
    let leaf = found["sub_supernet"].as_u64().unwrap();
    assert!(done.stdout.contains(&format!("sub-supernet {} of 5", leaf + 1)), "{}", done.stdout);
    let arch = found["found"]["arch"].as_str().unwrap();
    assert!(arch.ends_with(&leaf.to_string()), "{arch} of part {leaf}");
    assert_eq!(found["epochs"].as_array().unwrap().len(), 2, "the epochs of one part");
    let record = std::fs::read_to_string(Path::new(&out).join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let epochs = record["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 1 + 5 * 2);
    let accuracy = |part: u64| {
        let last = epochs.iter().rfind(|epoch| epoch["stage"] == part + 1).unwrap();
        last["mixture"]["validation_accuracy"].as_f64().unwrap()
    };
    assert!((0..5).all(|part| accuracy(part) <= accuracy(leaf)));
    assert_eq!(search().json()["found"], found["found"]);
}

#[test]
fn a_differentiable_search_says_what_it_cannot_do() {
    call(&["search", "--method", "darts", "--scores", "mini"]).fails(2, &["--scores", "one architecture"]);
    call(&["search", "--method", "gdas", "--max-macs", "1M"]).fails(2, &["--max-macs", "cost_target"]);
    call(&["search", "--method", "gdas", "--population", "3"]).fails(2, &["--population"]);
    call(&["search", "--method", "darts", "--set", "orde=second"]).fails(2, &["update.order"]);
    call(&["search", "--method", "darts", "--set", "order=third"]).fails(2, &["second"]);
    call(&["search", "--method", "darts", "--set", "data.train=all"])
        .fails(2, &["data.train", "validation images"]);
    call(&["search", "--method", "darts", "--channels", "4"]).fails(2, &["--channels", "supernet.space"]);
    call(&["search", "--method", "fbnet", "--set", "first_temperature=-1"]).fails(2, &["first_temperature"]);
    call(&["search", "--method", "zarts", "--set", "arch_lr=0.1"]).fails(2, &["update.arch_lr", "zarts"]);
    call(&["search", "--method", "zarts", "--set", "train.epochs=1"])
        .fails(2, &["update.start", "at least one epoch"]);
    call(&["search", "--method", "enas", "--set", "samples=20"])
        .fails(2, &["update.samples", "trains a supernet"]);
    call(&["search", "--method", "zarts", "--set", "undirected=1.5"])
        .fails(2, &["update.undirected", "at most 1"]);
    call(&["search", "--method", "balenas", "--set", "arch_weight_decay=0.0"])
        .fails(2, &["whose prior it is"]);
    let of_macro = ["--set", "supernet.space=macro"];
    call(&[&["search", "--method", "agnas"][..], &of_macro].concat())
        .fails(2, &["update.rule", "edges of a cell"]);
    // Only the keys that belong to the rule are listed.
    let unknown = call(&["search", "--method", "agnas", "--set", "update.speed=3"]);
    assert!(unknown.stderr.contains("with rule = \"agnas\" is rule."), "{}", unknown.stderr);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    call(&["search", "--method", "darts", "--set", "start=2.0", "--out", &out]).fails(2, &["update.start"]);
    assert!(!Path::new(&out).exists(), "a search that cannot start leaves no folder");
    let config = ["search", "--method", "random", "--config", "no.toml"];
    call(&config).fails(2, &["--config", "trained supernet"]);
}
