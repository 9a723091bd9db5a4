//! Pages of runs as the program writes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pada::{RunConfig, RunFolder};

use crate::program::{call, program, small_run};

/// A short run of PA&DA that ranks the architectures of the embedded table. No test changes it.
fn finished() -> PathBuf {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    let once = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finished-run");
        // One of an earlier call of the tests.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let run = folder.join("run");
        let further = ["--set", "rank.archs=truth", "--out", run.to_str().unwrap()].map(str::to_owned);
        let done = call(&[small_run(&folder), further.to_vec()].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let page = run.join("report.html");
        assert!(done.stdout.contains(page.to_str().unwrap()) && page.is_file(), "{}", done.stdout);
        run
    };
    RUN.get_or_init(once).clone()
}

/// A copy of [`finished`] that a test may change.
fn trained(folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    std::fs::create_dir(&copy).unwrap();
    for file in finished().read_dir().unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    copy
}

fn report(args: &[&str]) -> crate::program::Call {
    call(&[&["report"], args].concat())
}

#[test]
fn a_finished_run_has_its_page_and_the_command_writes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let run = finished();
    let first = std::fs::read_to_string(run.join("report.html")).unwrap();
    let page = folder.path().join("again.html");
    let json = report(&[run.to_str().unwrap(), "--out", page.to_str().unwrap(), "--json"]).json();
    assert_eq!(json["file"].as_str(), page.to_str());
    assert_eq!(std::fs::read_to_string(&page).unwrap(), first);
    let copy = trained(folder.path(), "copy");
    let json = report(&[copy.to_str().unwrap(), "--json"]).json();
    assert_eq!(json["file"].as_str(), copy.join("report.html").to_str());
    let truth = pada::nasbench::mini().unwrap();
    let scatter = format!("{} architectures of table mini.", truth.archs().len());
    // 192 images that are drawn by importance, checkpoints of three epochs.
    for text in
        [scatter.as_str(), "epoch-0003.safetensors", "192 images", "data:image/png;base64,", "nor_conv_3x3"]
    {
        assert!(first.contains(text), "{text} is not in the page");
    }
}

#[test]
fn a_run_under_way_is_read_without_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let held = RunFolder::create(&run, RunConfig::mini()).unwrap();
    let said = report(&[run.to_str().unwrap()]);
    assert!(said.code == 0 && said.stderr.contains("is not finished"), "{}", said.stderr);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("No epoch is finished yet"), "{page}");
    drop(held);

    let run = trained(folder.path(), "stopped");
    let mut record = pada::report::RunRecord::read(&run.join("record.json")).unwrap();
    record.ranking = None;
    let (held, _) = RunFolder::open(&run).unwrap();
    held.write_record(&record).unwrap();
    let names =
        || -> BTreeSet<_> { run.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    let before = names();
    // The newest checkpoint is damaged: the page shows the one before, and leaves both where they are.
    let newest = run.join("epoch-0003.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    assert_eq!(report(&[run.to_str().unwrap()]).code, 0);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("Not finished: 3 of 3 epochs") && page.contains("epoch-0002.safetensors"),
        "{page}"
    );
    assert_eq!(names(), before);
}

#[test]
fn several_runs_and_folders_of_runs_share_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("table");
    std::fs::create_dir(&runs).unwrap();
    trained(&runs, "b");
    trained(&runs, "a");
    std::fs::write(runs.join("table.md"), "not a run").unwrap();
    let said = program().args(["report", "table", "--json"]).current_dir(folder.path()).output().unwrap();
    let json = crate::program::Call::from(said).json();
    assert_eq!((json["file"].as_str(), json["runs"].as_u64()), (Some("report.html"), Some(2)));
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    let [a, b] = ["table/a", "table/b"].map(|run| page.find(&format!(">{run}</a>")).unwrap());
    assert!(page.contains("<h1>2 runs</h1>") && a < b);
    let out = folder.path().join("two.html");
    let [a, b] = ["a", "b"].map(|run| runs.join(run).display().to_string());
    let json = report(&[&b, &a, "--out", out.to_str().unwrap(), "--json"]).json();
    assert_eq!(json["file"].as_str(), out.to_str());
}

#[test]
fn what_is_missing_is_said_and_what_is_broken_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), "run");
    let path = run.to_str().unwrap();
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    std::fs::write(run.join("config.toml"), config.replace("truth = \"mini\"", "truth = \"nb201\"")).unwrap();
    assert_eq!(report(&[path]).code, 0);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("The benchmark table is not available: ") && page.contains("pada download nb201"),
        "{page}"
    );

    let nowhere = folder.path().join("nowhere/report.html");
    report(&[path, "--out", nowhere.to_str().unwrap()]).fails(2, &[nowhere.to_str().unwrap()]);
    report(&["no-such-run"]).fails(2, &["no-such-run", "config.toml"]);
    report(&[folder.path().join("run/..").to_str().unwrap(), "--out", "/dev/null/x"])
        .fails(2, &["/dev/null/x"]);
    report(&[]).fails(2, &["RUN_DIR"]);
    std::fs::write(run.join("record.json"), "{\"name\": 3}").unwrap();
    report(&[path]).fails(2, &["record.json", "line 1"]);
    std::fs::write(run.join("config.toml"), "name = 3").unwrap();
    report(&[path]).fails(2, &["config.toml"]);
}

#[test]
fn shells_and_manuals_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = call(&["completions", shell]);
        assert!(
            script.code == 0 && script.stdout.contains("retrain") && script.stdout.contains("report"),
            "{}",
            script.stdout
        );
    }
    call(&["completions", "tcsh"]).fails(2, &["tcsh", "bash"]);
    let page = call(&["man"]);
    assert!(
        page.code == 0 && page.stdout.contains(".TH pada 1") && page.stdout.contains("report"),
        "{}",
        page.stdout
    );
    let folder = tempfile::tempdir().unwrap();
    let man1 = folder.path().join("man1");
    assert_eq!(call(&["man", "--out", man1.to_str().unwrap()]).code, 0);
    for page in ["pada.1", "pada-report.1", "pada-rank.1"] {
        assert!(man1.join(page).is_file(), "{page}");
    }
}
