//! Zero-cost scores and fused rankings, from the command line.

use std::collections::HashMap;
use std::path::Path;

use crate::program::{call, program, small_run};

const SIZE: [&str; 6] = ["--data", "mini", "--channels", "8", "--cells", "1"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The columns of a CSV file by name.
fn columns(path: &Path) -> HashMap<String, Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<Vec<String>> = lines.collect();
    let column = |i: usize| rows.iter().map(|row| row[i].clone()).collect();
    names.iter().enumerate().map(|(i, name)| (name.clone(), column(i))).collect()
}

fn numbers(column: &[String]) -> Vec<f64> {
    column.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn scores_are_written_compared_and_continued_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let [list, out, again] = ["list.txt", "scores.csv", "again.csv"].map(|name| folder.path().join(name));
    let archs: Vec<String> =
        pada::nasbench::mini().unwrap().archs().iter().step_by(25).map(ToString::to_string).collect();
    std::fs::write(&list, archs.join("\n")).unwrap();
    let scores = ["--proxies", "params,synflow,nwot,zico", "--images", "16", "--fusion", "log-ranks"];
    let args = [&["score", "--archs", text(&list), "--truth", "mini", "--json"][..], &SIZE, &scores].concat();
    let done = call(&[&args[..], &["--out", text(&out)]].concat());
    let json = done.json();
    assert_eq!(json["archs"].as_u64(), Some(archs.len() as u64));
    assert_eq!(json["proxies"], serde_json::json!(["params", "synflow", "nwot", "zico"]));
    assert!(json["seconds"].is_f64() && json["seconds_of"]["zico"].is_f64(), "{json}");
    for name in ["#params", "params", "synflow", "nwot", "zico", "zero-cost fused"] {
        assert!(
            json["metrics"][name]["tau_b"].is_f64() && done.stdout.contains(name),
            "{name}: {}",
            done.stdout
        );
    }
    let found = columns(&out);
    assert_eq!(found["arch"], archs);
    assert!(!folder.path().join("scores.csv.part").exists());

    // The fused score is the one that `metrics` computes from the columns.
    let fuse: Vec<String> =
        ["params", "synflow", "nwot", "zico"].iter().map(|name| format!("{}:{name}", text(&out))).collect();
    let fused = call(&["metrics", "--fuse", &fuse.join(","), "--truth", "mini", "--json"]).json();
    assert_eq!(fused["tau_b"], json["metrics"]["zero-cost fused"]["tau_b"]);
    let one = call(&["metrics", "--pred", &fuse[1], "--truth", "mini", "--json"]).json();
    assert_eq!(one["tau_b"], json["metrics"]["synflow"]["tau_b"]);

    // A start that was killed in the middle of a line left some scores. Those are not computed again.
    let part = folder.path().join("again.csv.part");
    let subject = part_of(&args, &part, &again);
    let wrong = format!("{subject}\nnwot,{},123.5\nsynflow,{},7", archs[3], archs[4]);
    std::fs::write(&part, wrong).unwrap();
    assert_eq!(call(&[&args[..], &["--out", text(&again)]].concat()).code, 0);
    let (first, mut second) = (columns(&out), columns(&again));
    assert_eq!(numbers(&second["nwot"])[3], 123.5);
    second.get_mut("nwot").unwrap()[3] = first["nwot"][3].clone();
    second.insert("fused".to_owned(), first["fused"].clone());
    assert_eq!(second, first);

    assert!(!part.exists(), "the result is written");

    // Scores of other images are refused.
    std::fs::write(&part, format!("{subject}\n")).unwrap();
    let other = call(&[&args[..], &["--out", text(&again), "--seed", "1"]].concat());
    assert!(other.code == 2 && other.stderr.contains("another network, images or seed"), "{}", other.stderr);
}

/// A cell of zeros has no features, so that the parts of AZ-NAS that read them are not defined.
#[test]
fn a_score_of_several_parts_says_which_part_is_not_defined() {
    let folder = tempfile::tempdir().unwrap();
    let [list, out] = ["list.txt", "scores.csv"].map(|name| folder.path().join(name));
    std::fs::write(&list, "000000\n123123\n242424\n").unwrap();
    let args = ["score", "--archs", text(&list), "--proxies", "az-nas", "--images", "4", "--out", text(&out)];
    let done = call(&[&args[..], &SIZE].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("not defined for 1 architecture: its "), "{}", done.stdout);
}

/// The first line of the part file of these arguments, from a start that is killed as soon as the file exists.
fn part_of(args: &[&str], part: &Path, out: &Path) -> String {
    let mut child = program().args(args).args(["--out", text(out)]).spawn().unwrap();
    let started = std::time::Instant::now();
    loop {
        let line =
            std::fs::read_to_string(part).ok().and_then(|text| Some(text.split_once('\n')?.0.to_owned()));
        if let Some(line) = line {
            child.kill().unwrap();
            child.wait().unwrap();
            std::fs::remove_file(out).ok();
            return line;
        }
        assert!(
            started.elapsed().as_secs() < 60 && child.try_wait().unwrap().is_none(),
            "no {}",
            part.display()
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_run_fuses_and_so_do_rank_and_search() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    let fuse = "rank.fuse=[\"supernet\", \"conv-depth\"]";
    args.extend(
        ["--set", fuse, "--set", "rank.zero_cost=[\"nwot\", \"az-nas\"]", "--out", text(&run)]
            .map(str::to_owned),
    );
    let done = call(&args);
    assert!(done.stdout.contains("fused      supernet, conv-depth (log-ranks)"), "{}", done.stdout);
    let ranking = columns(&run.join("ranking.csv"));
    let az_nas = ["az-nas-expressivity", "az-nas-progressivity", "az-nas-trainability", "flops"];
    let others = ["accuracy", "conv-depth", "active-conv-params", "pools", "nwot", "az-nas", "fused"];
    for name in others.iter().chain(&az_nas) {
        assert!(ranking.contains_key(*name), "{name}");
    }
    // The score of the list is fused from its parts, in which scores that are not defined are the worst.
    let part = |name: &&str| -> Vec<f64> {
        numbers(&ranking[*name]).into_iter().map(|x| if x.is_nan() { f64::NEG_INFINITY } else { x }).collect()
    };
    let parts: Vec<Vec<f64>> = az_nas.iter().map(part).collect();
    let fused = pada::metrics::fuse(&parts, pada::metrics::Fusion::LogRanks).unwrap();
    assert_eq!(numbers(&ranking["az-nas"]), fused);
    let record = pada::report::RunRecord::read(&run.join("record.json")).unwrap().ranking.unwrap();
    let (fused, best) = (numbers(&ranking["fused"]), &record.best[0]);
    assert_eq!(best.fused, fused.iter().copied().max_by(f64::total_cmp));
    assert_eq!(best.part_ranks.len(), 2);

    // The baselines of the file are its columns, and what is fused of them.
    let pada::Config::Run(config) = pada::RunFolder::open(&run).unwrap().1 else { panic!("it is a run") };
    let space = pada::search_space(pada::SpaceName::Nb201);
    let archs: Vec<_> = ranking["arch"].iter().map(|arch| space.parse(arch).unwrap()).collect();
    let baselines = pada::read_baselines(&run.join("ranking.csv"), &config, &archs).unwrap();
    let names: Vec<&str> = baselines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["#params", "active-conv-params", "structural", "nwot", "az-nas"]);
    assert_eq!(baselines[4].1, numbers(&ranking["az-nas"]));

    // The weights of the run, ranked again, give the same fused ranking.
    let [list, again] = ["list.txt", "again.csv"].map(|name| folder.path().join(name));
    std::fs::write(&list, ranking["arch"].join("\n")).unwrap();
    let weights = run.join("epoch-0003.safetensors");
    let rank =
        ["rank", "--weights", text(&weights), "--limit", "60", "--batch", "30", "--archs", text(&list)];
    let further = ["--fuse", "supernet,conv-depth", "--out", text(&again)];
    assert_eq!(call(&[&rank[..], &SIZE, &further].concat()).code, 0);
    assert_eq!(columns(&again)["fused"], ranking["fused"]);

    // Within a budget.
    let cheap = ["--budget", "30 images", "--json", "--out", text(&again)];
    let cheap = call(&[&rank[..], &SIZE, &cheap].concat());
    assert_eq!(cheap.json()["rounds"][0], serde_json::json!({"archs": 3, "images": 30}), "{}", cheap.stdout);
    assert!(
        cheap.stdout.contains("budget     30 images; rounds: 3 architectures on 30 images"),
        "{}",
        cheap.stdout
    );

    // A search orders by the fused score, and still names the accuracy.
    let search = ["search", text(&run), "--population", "10", "--generations", "2", "--json"];
    let az_nas = call(&[&search[..], &["--fuse", "az-nas"]].concat()).json();
    let az_nas = az_nas["archs"].as_array().unwrap();
    assert!(az_nas.len() > 3 && az_nas[0]["fused"].as_f64() >= az_nas[1]["fused"].as_f64(), "{az_nas:?}");
    let fused = call(&[&search[..], &["--fuse", "supernet,jacov", "--fusion", "ranks"]].concat()).json();
    let archs = fused["archs"].as_array().unwrap();
    let of = |arch: &serde_json::Value| arch["fused"].as_f64().unwrap();
    assert!(archs.len() > 3 && archs.windows(2).all(|pair| of(&pair[0]) >= of(&pair[1])), "{fused}");
    let known = pada::read_search_scores(&run.join("search"), 60, &pada::space::Nb201::new()).unwrap();
    let space = pada::search_space(pada::SpaceName::Nb201);
    for arch in archs {
        let parsed = space.parse(arch["arch"].as_str().unwrap()).unwrap();
        // The cache has one of several architectures that compute the same.
        let shared = |arch: &pada::space::Arch| {
            space.canonical(arch, pada::space::Equivalence::SharedWeights).unwrap()
        };
        let same = known.iter().find(|score| shared(&score.arch) == shared(&parsed));
        let accuracy = same.unwrap_or_else(|| panic!("{arch} is not among {known:?}")).accuracy();
        assert_eq!(arch["score"].as_f64(), Some(accuracy), "{arch}");
    }
    assert!(run.join("search/archs-evolution-fused-supernet+jacov-ranks-s0.csv").is_file());
    // The same search reads all scores from its folder.
    let log = std::fs::read_to_string(run.join("search/zero-cost.csv")).unwrap();
    assert!(log.lines().filter(|line| line.starts_with("jacov,")).count() > 3, "{log}");
    let again = call(&[&search[..], &["--fuse", "supernet,jacov", "--fusion", "ranks"]].concat()).json();
    assert_eq!(again["archs"], fused["archs"]);
    // Only a score that is not defined is computed again, and it is not written.
    assert_eq!(std::fs::read_to_string(run.join("search/zero-cost.csv")).unwrap(), log);
}

#[test]
fn what_is_no_score_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("scores.csv");
    let wrong = call(&[&["score", "--proxies", "nwott", "--out", text(&out)][..], &SIZE].concat());
    assert!(
        wrong.code == 2 && wrong.stderr.contains("nwott is not a zero-cost score; use params"),
        "{}",
        wrong.stderr
    );
    let wrong =
        call(&["--set", "rank.fuse=[\"supernet\", \"jacobi\"]", "--out", text(&folder.path().join("run"))]);
    assert!(wrong.code == 2 && wrong.stderr.contains("rank.fuse"), "{}", wrong.stderr);
    let wrong = call(&["--set", "rank.zero_cost_images=1", "--out", text(&folder.path().join("run"))]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("at least 2 with jacov, epe or nwot"),
        "{}",
        wrong.stderr
    );
    let wrong = call(&["--set", "rank.fuse=[\"nwot\", \"nwot\"]", "--out", text(&folder.path().join("run"))]);
    assert!(wrong.code == 2 && wrong.stderr.contains("without repetitions"), "{}", wrong.stderr);
    let few = [&["score", "--proxies", "jacov", "--images", "1", "--out", text(&out)][..], &SIZE].concat();
    let few = call(&few);
    assert!(few.code == 2 && few.stderr.contains("jacov needs at least 2 images"), "{}", few.stderr);
}
