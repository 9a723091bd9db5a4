//! `pada reproduce`: tables of few and short trials.

use std::path::Path;

use crate::program::{Call, call, program};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn networks_are_counted_without_any_trial() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("table3");
    let args =
        ["reproduce", "table3", "--seeds", "0", "--methods", "fairnas-a", "--json", "--out", text(&out)];
    let done = call(&args);
    let file = out.join("table.md");
    assert_eq!(done.json()["table"].as_str(), file.to_str());
    let table = std::fs::read_to_string(file).unwrap();
    assert!(table.contains("FairNAS-A") && table.contains("4651352"), "{table}");
    assert!(done.stdout.contains(&table), "the table is printed");
}

/// Returns the cells of the lines of the first table below a heading, without the line of the alignment. `(blank)` is an empty cell.
fn markdown_table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let lines = text.lines().skip_while(|line| !line.starts_with(heading));
    let table = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.strip_prefix('|').unwrap().strip_suffix('|').unwrap();
        inner.split('|').map(|cell| cell.trim().replace("(blank)", "")).collect::<Vec<_>>()
    };
    table.enumerate().filter(|(line, _)| *line != 1).map(|(_, line)| cells(line)).collect()
}

/// The rows of the paper stand first, in its order, and the printed columns first in each row, in their order.
#[test]
fn tables_have_the_rows_the_order_the_columns_and_the_cells_of_the_paper() {
    let expected = include_str!("data/published.md");
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| text(&folder.path().join(name)).to_owned();
    for (heading, args) in [
        (
            "## Table 1",
            ["reproduce", "merge", "table1", "--seeds", "1", "--json", "--out", &out("table1")].as_slice(),
        ),
        ("## Table 2", &["reproduce", "table2", "--seeds", "0", "--json", "--out", &out("table2")]),
        ("## Table 3", &["reproduce", "table3", "--seeds", "0", "--json", "--out", &out("table3")]),
    ] {
        let expected = markdown_table(expected, heading);
        let done = call(args);
        let found = std::fs::read_to_string(done.json()["table"].as_str().unwrap()).unwrap();
        let found = markdown_table(&found, "# ");
        let columns = expected[0].len();
        for (head, expected) in found[0].iter().zip(&expected[0]).skip(1) {
            let printed = head.strip_prefix("published: ").unwrap();
            assert_eq!(printed.split(", ").next().unwrap(), expected, "{heading}");
        }
        assert_eq!(found[0].iter().filter(|head| head.starts_with("published: ")).count(), columns - 1);
        for (row, expected) in found[1..].iter().zip(&expected[1..]) {
            assert_eq!(&row[..columns], expected.as_slice(), "{heading}");
            assert_eq!(row.len(), found[0].len(), "{heading}, {}", row[0]);
        }
        // Rows below those of the paper have no printed cells.
        let others = &found[expected.len()..];
        assert!(!others.is_empty(), "{heading}");
        for row in others {
            assert!(
                row[1..columns].iter().all(|cell| cell == "n/a" || cell.is_empty()),
                "{heading}: {row:?}"
            );
        }
    }
}

/// Every step is a run of its own: the supernet, the search, two retrainings, and one retraining of a published network.
#[test]
fn an_own_row_goes_from_the_supernet_to_the_retrained_network() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let of_retraining = ["train.epochs=1", "data.train_images=64", "test.images=50", "test.batch=50"];
    let of_supernet = ["train.epochs=1", "data.train_images=64", "rank.images=50", "rank.batch=50"];
    let options =
        |name: &'static str, sets: [&'static str; 4]| sets.into_iter().flat_map(move |set| [name, set]);
    let mut plan = vec!["--preset", "mini", "--methods", "pada,gdas", "--seeds", "2", "--candidates", "2"];
    plan.extend(options("--set", of_retraining));
    plan.extend(options("--supernet-set", of_supernet));
    let shard = |index: &str, out: &Path| {
        let args = ["reproduce", "table2", "--device", "cpu", "--shard", index, "--json", "--out", text(out)];
        let done = call(&[&args[..], &plan].concat());
        assert!(done.json()["table"].is_null(), "a shard writes no table");
        assert!(!out.join("table.md").exists());
    };
    // The own rows of GDAS, which trains a supernet of its own in its search, and of PA&DA are one group each, and so is each training of GDAS's
    // published network.
    shard("0/2", &first);
    shard("1/2", &second);
    for run in ["pada-supernet-s0", "pada-search-s0", "pada-own-s0", "pada-own-s1"] {
        assert!(second.join(run).is_dir() && !first.join(run).exists(), "{run}");
    }
    for run in ["gdas-search-s0", "gdas-own-s0", "gdas-own-s1", "gdas-s0"] {
        assert!(first.join(run).is_dir() && !second.join(run).exists(), "{run}");
    }
    assert!(!first.join("gdas-supernet-s0").exists());
    let merge = ["reproduce", "merge", "table2", "--json", "--from", text(&second), "--out", text(&first)];
    let merged = call(&[&merge[..], &plan].concat());
    let table = std::fs::read_to_string(merged.json()["table"].as_str().unwrap()).unwrap();
    assert!(!table.contains("Not finished"), "{table}");
    let rows = markdown_table(&table, "# ");
    let cell = |method: &str, column: &str| {
        let column = rows[0].iter().position(|head| head == column).unwrap();
        rows.iter().find(|row| row[0] == method).unwrap()[column].clone()
    };
    for column in ["own: best, %", "own: #params", "own: MACs", "own: search cost, device hours"] {
        for row in ["PA&DA", "GDAS"] {
            cell(row, column).parse::<f64>().unwrap_or_else(|_| panic!("{row}, {column} in\n{table}"));
        }
    }
    assert!(cell("PA&DA", "own: average, %").ends_with("(2 seeds)"), "{table}");
    assert!(cell("GDAS", "network: average, %").ends_with("(2 seeds)"), "{table}");
    assert_eq!(cell("PA&DA", "network: best, %"), "–");
    // The best accuracy is not below the average.
    let average: f64 = cell("PA&DA", "own: average, %").split(' ').next().unwrap().parse().unwrap();
    assert!(cell("PA&DA", "own: best, %").parse::<f64>().unwrap() >= average);
    // All steps are finished, so that the same command without shards only writes the table.
    let again = ["reproduce", "table2", "--device", "cpu", "--json", "--out", text(&first)];
    let again = call(&[&again[..], &plan].concat());
    let finished = |line: &&str| line.contains(" trials, ");
    let planned = again.stderr.lines().find(finished).unwrap().to_owned();
    let numbers: Vec<&str> = planned.rsplit(": ").next().unwrap().split(' ').collect();
    assert_eq!(numbers[0], numbers[2], "{planned}");
    assert_eq!(std::fs::read_to_string(again.json()["table"].as_str().unwrap()).unwrap(), table);
    // The folder holds the search of another plan.
    let other = plan.iter().map(|&arg| if arg == "--candidates" { "--threads" } else { arg });
    let args = ["reproduce", "table2", "--device", "cpu", "--out", text(&first)];
    call(&args.into_iter().chain(other).collect::<Vec<_>>())
        .fails(2, &["contains another run", "--population 2"]);
}

#[test]
fn shards_and_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let settings = ["train.epochs=1", "data.train_images=64", "rank.images=50", "rank.batch=50"];
    let settings: Vec<&str> = settings.iter().flat_map(|set| ["--set", *set]).collect();
    let plan = [&["--preset", "mini", "--methods", "spos,pada", "--seeds", "1"], &settings[..]].concat();
    let shard = |index: &str, out: &Path| {
        let args = ["reproduce", "table1", "--device", "cpu", "--shard", index, "--json", "--out", text(out)];
        let done = call(&[&args[..], &plan].concat());
        assert!(done.json()["table"].is_null(), "a shard writes no table");
        assert!(!out.join("table.md").exists());
    };
    shard("0/2", &first);
    shard("1/2", &second);
    let merge = ["reproduce", "merge", "table1", "--json", "--from", text(&second), "--out", text(&first)];
    let merged = call(&[&merge[..], &plan].concat());
    let table = std::fs::read_to_string(merged.json()["table"].as_str().unwrap()).unwrap();
    for part in ["| SPOS | 1 |", "| PA&DA (released) | 1 |", "changed: train.epochs=1"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    // All trials are finished, so that the same command without shards only writes the table.
    let again = ["reproduce", "table1", "--device", "cpu", "--json", "--out", text(&first)];
    let again = call(&[&again[..], &plan].concat());
    assert!(again.stderr.contains("2 trials, 2 of them finished"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(again.json()["table"].as_str().unwrap()).unwrap(), table);
    // The folder holds the trials of another config.
    let other = ["reproduce", "table1", "--out", text(&first), "--set", "train.lr=0.1"];
    call(&[&other[..], &plan].concat()).fails(2, &["contains another run", "train.lr is 0.05, would be 0.1"]);
}

#[test]
fn outside_of_a_clone_the_configs_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let output = program().args(["reproduce", "table1"]).current_dir(folder.path()).output().unwrap();
    Call::from(output).fails(2, &["configs/mini/pada.toml", "a clone of the repository"]);
    call(&["reproduce", "table1", "--methods", "spas"]).fails(2, &["spas", "spos"]);
    call(&["reproduce", "table3", "--methods", "darts"]).fails(2, &["there is no darts", "fairnas-a"]);
    call(&["reproduce", "table1", "--shard", "2/2"]).fails(2, &["0/2"]);
}

/// The request to stop reaches the trial, which writes a checkpoint; the same command continues it.
#[test]
#[cfg(unix)]
fn a_stopped_table_says_how_to_continue() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("table");
    let mut command = program();
    command.args(["reproduce", "table1", "--methods", "spos", "--seeds", "1", "--device", "cpu"]);
    command.args(["--set", "train.epochs=5000", "--set", "data.train_images=64", "--threads", "1", "--out"]);
    command.arg(&out).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let started = Instant::now();
    let is_checkpoint = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|ending| ending == "safetensors"))
    };
    let has_checkpoint = |trial: &Path| trial.read_dir().is_ok_and(|mut files| files.any(is_checkpoint));
    while !has_checkpoint(&out.join("spos-s0")) {
        assert!(started.elapsed() < Duration::from_secs(60), "the trial does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let stopped = Call::from(child.wait_with_output().unwrap());
    stopped.fails(130, &["stopped; ", "contains the finished trials; the same command continues"]);
    assert!(has_checkpoint(&out.join("spos-s0")), "the trial wrote a checkpoint");
}

#[test]
fn search_methods_are_compared_on_the_embedded_table() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let args = ["reproduce", "searchers", "--methods", "random,pnas", "--seeds", "2", "--evaluations", "20"];
    let done = call(&[&args[..], &["--out", &out, "--json"]].concat());
    let table = done.json()["table"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(&table).unwrap();
    assert!(text.contains("| PNAS | `pnas` |") && text.contains("best of the table"), "{text}");
    assert!(done.stdout.contains("| RS | `random` |") && !text.contains("REINFORCE"), "{}", done.stdout);
    let csv = std::fs::read_to_string(folder.path().join("searchers.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 + 1, "{csv}");
    call(&[&args[..], &["--preset", "short"]].concat()).fails(2, &["mini and full"]);
}
