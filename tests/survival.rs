//! A run that ends early loses nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Call, call, program, small_run};

/// The small run, long enough to be caught in the middle.
fn long_run(folder: &Path) -> Vec<String> {
    let mut args = small_run(folder);
    args.extend(["--set".into(), "train.epochs=6".into(), "--set".into(), "data.train_images=512".into()]);
    args
}

fn ranking(run: &Path) -> String {
    std::fs::read_to_string(run.join("ranking.csv")).unwrap()
}

/// Starts a run and waits for its first checkpoint.
fn started(folder: &Path, run: &Path) -> Child {
    let mut child = program()
        .args(long_run(folder))
        .arg("--out")
        .arg(run)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while !run.join("epoch-0001.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its first checkpoint");
        assert!(Instant::now() < patience, "no checkpoint after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Ends a run with a signal, goes on, and checks that the result is that of a run that never stopped.
fn ended_by(name: &str) -> Call {
    let folder = tempfile::tempdir().unwrap();
    let [whole, run]: [PathBuf; 2] = ["whole", "run"].map(|name| folder.path().join(name));
    let mut args = long_run(folder.path());
    args.extend(["--out".into(), whole.display().to_string()]);
    assert_eq!(call(&args).code, 0);

    let child = started(folder.path(), &run);
    signal(&child, name);
    let ended = Call::from(child.wait_with_output().unwrap());
    let resumed = call(&["--resume", run.to_str().unwrap(), "--json"]);
    assert_eq!(resumed.json()["archs_ranked"], 3);
    assert_eq!(ranking(&run), ranking(&whole));
    let weights = |run: &Path| {
        let net = pada::RunConfig::mini().supernet;
        let layout = pada::weight_layout(&net, 10).unwrap();
        pada::models::read_weights(&run.join("epoch-0006.safetensors"), &layout).unwrap()
    };
    assert_eq!(weights(&run), weights(&whole));
    ended
}

#[test]
fn a_run_that_was_asked_to_stop_says_how_to_go_on_and_ends_bit_for_bit_the_same() {
    let ended = ended_by("-TERM");
    ended.fails(130, &["--resume", "stopped on request"]);
}

/// Whether a process handles SIGINT, signal 2, itself.
#[cfg(target_os = "linux")]
fn listens_to_ctrl_c(process: u32) -> bool {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process has not ended");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(caught, 16).unwrap() & 2 != 0
}

#[test]
#[cfg(target_os = "linux")]
fn a_ranking_that_was_asked_to_stop_continues_with_its_scores() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    args.extend(["--set".into(), "train.epochs=1".into(), "--out".into(), run.display().to_string()]);
    assert_eq!(call(&args).code, 0);
    let out = folder.path().join("out.csv");
    let weights = run.join("epoch-0001.safetensors").display().to_string();
    let out_text = out.display().to_string();
    let rank = [
        "rank",
        "--channels",
        "8",
        "--cells",
        "1",
        "--data",
        "mini",
        "--weights",
        &weights,
        "--out",
        &out_text,
    ];
    let mut child = program().args(rank).stderr(Stdio::piped()).spawn().unwrap();
    // All 15,625 architectures on 2,000 images take minutes; the program listens to Ctrl-C before it reads anything.
    let is_scoring = || folder.path().join("out.csv.ranking/subject.json").is_file();
    while !listens_to_ctrl_c(child.id()) || !is_scoring() {
        assert!(child.try_wait().unwrap().is_none(), "the ranking ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-INT");
    Call::from(child.wait_with_output().unwrap())
        .fails(130, &["stopped on request", "the same command continues"]);
    assert!(!out.exists());

    // Scores on other images are neither continued nor removed.
    let other = call(&[&rank[..], &["--limit", "50"]].concat());
    other.fails(2, &["out.csv.ranking", "another set of images"]);
    // A score that was known is not computed again; this one is made up.
    let part = folder.path().join("out.csv.ranking");
    std::fs::write(part.join("ranking-part.csv"), "arch,correct,total,accuracy\n000000,7,2000,0.35\n")
        .unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "000000\n111111\n").unwrap();
    let short = [&rank[..], &["--archs", list.to_str().unwrap()]].concat();
    let scores = || std::fs::read_to_string(&out).unwrap();
    assert_eq!(call(&short).code, 0);
    assert!(scores().contains("\n000000,7,2000,0.35\n") && !part.exists(), "{}", scores());
    // Nothing is left of it for the next ranking.
    assert_eq!(call(&short).code, 0);
    assert!(!scores().contains("000000,7,"), "{}", scores());
}

#[test]
fn a_run_that_was_killed_goes_on_and_ends_bit_for_bit_the_same() {
    ended_by("-KILL");
}

#[test]
fn a_finished_run_can_be_asked_for_its_result_again() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    args.extend(["--out".into(), run.display().to_string()]);
    assert_eq!(call(&args).code, 0);
    let before = ranking(&run);
    assert_eq!(call(&["--resume", run.to_str().unwrap()]).code, 0);
    assert_eq!(ranking(&run), before);
    let record = std::fs::read(run.join("record.json")).unwrap();
    let done = call(&["--resume", run.to_str().unwrap()]);
    assert!(done.code == 0 && done.stderr.contains("is finished"), "{}", done.stderr);
    assert_eq!(std::fs::read(run.join("record.json")).unwrap(), record);
    // With another batch it is ranked again. The list of architectures is not needed any more.
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let config = config.replace("batch = 30", "batch = 20");
    std::fs::write(run.join("config.toml"), &config).unwrap();
    let config = config.into_bytes();
    std::fs::remove_file(folder.path().join("archs.txt")).unwrap();
    let done = call(&["--resume", run.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("archs.txt does not exist") && done.stderr.contains("ranking.csv"));
    assert_eq!(std::fs::read(run.join("config.toml")).unwrap(), config);
    assert_eq!(pada::report::RunRecord::read(&run.join("record.json")).unwrap().ranking.unwrap().batch, 20);
    let archs = |ranking: &str| -> Vec<String> {
        ranking.lines().map(|row| row.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(archs(&ranking(&run)), archs(&before));
    std::fs::remove_file(run.join("ranking.csv")).unwrap();
    call(&["--resume", run.to_str().unwrap()]).fails(2, &["archs.txt"]);
}

/// A file may not grow beyond a limit: as on a full disk, the system refuses to write on.
#[test]
#[cfg(unix)]
fn a_full_disk_stops_the_run_with_its_file_named_and_older_checkpoints_whole() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    args.extend(["--out".into(), run.display().to_string()]);
    // 64 blocks of 512 or 1,024 bytes: room for a config, not for a checkpoint.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_pada"))
        .args(&args)
        .output()
        .unwrap();
    Call::from(limited).fails(1, &["epoch-0001.safetensors", "--resume"]);
    let left: Vec<_> =
        run.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let expected = HashSet::from(["config.toml", "lock"].map(str::to_owned));
    assert_eq!(HashSet::from_iter(left), expected, "no half file stays");
    assert_eq!(call(&["--resume", run.to_str().unwrap()]).code, 0);
}

#[test]
fn a_run_that_diverges_names_epoch_step_and_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = small_run(folder.path());
    args.extend(["--set", "train.lr=1e38", "--set", "train.clip_norm=inf"].map(str::to_owned));
    args.extend(["--out".into(), folder.path().join("run").display().to_string()]);
    call(&args).fails(1, &["epoch ", "step ", "path ", "train.lr"]);
}

#[test]
fn a_folder_that_another_run_works_in_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut child = started(folder.path(), &run);
    let second = call(&["--resume", run.to_str().unwrap()]);
    signal(&child, "-KILL");
    child.wait().unwrap();
    second.fails(2, &["in use", "run"]);
    // The lock ends with the process that held it.
    assert_eq!(call(&["--resume", run.to_str().unwrap()]).code, 0);
}

/// Stopped while architectures are scored: what was scored is kept and not scored again.
#[test]
fn a_ranking_within_a_run_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut args = small_run(folder.path());
    let settings =
        ["rank.archs=all", "train.epochs=1", "rank.images=200", "rank.fuse=[]", "rank.zero_cost=[]"];
    args.extend(settings.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]));
    args.extend(["--out".to_owned(), run.display().to_string()]);
    let part = run.join("ranking-part.csv");
    let lines = || std::fs::read_to_string(&part).map_or(0, |text| text.lines().count());
    let patience = Instant::now() + Duration::from_secs(120);
    let start = |args: &[String]| {
        let mut command = program();
        command.args(args).args(["--checkpoint-every", "0"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let wait_for = |n: usize, child: &mut Child| {
        while lines() < n {
            assert!(Instant::now() < patience && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let mut child = start(&args);
    wait_for(20, &mut child);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let kept = std::fs::read_to_string(&part).unwrap();
    // A second start goes on behind what is there.
    let mut child = start(&["--resume".to_owned(), run.display().to_string()]);
    wait_for(kept.lines().count() + 5, &mut child);
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert!(std::fs::read_to_string(&part).unwrap().starts_with(&kept));
}

#[test]
fn a_folder_made_by_a_run_that_had_not_begun_is_as_good_as_new() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("lock"), "").unwrap();
    let mut args = small_run(folder.path());
    args.extend(["--out".into(), run.display().to_string()]);
    assert_eq!(call(&args).code, 0);
}

/// Starts a run of a few seconds whose stderr is `stderr`, with the log on.
#[cfg(target_os = "linux")]
fn run_with_stderr(stderr: Stdio) -> (Option<i32>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = program();
    command.args(small_run(folder.path())).arg("--out").arg(&out);
    // At this level every step logs something.
    let status = command.env("RUST_LOG", "debug").stdout(Stdio::null()).stderr(stderr).status().unwrap();
    (status.code(), out.join("record.json").is_file())
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_ends_well_where_stderr_is_full_or_closed() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(run_with_stderr(full.into()), (Some(0), true));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run_with_stderr(writer.into()), (Some(0), true));
}

#[test]
#[cfg(target_os = "linux")]
fn an_ignored_hangup_stays_ignored_and_another_one_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    // A test that itself runs under nohup can only start programs that ignore the signal, too.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    let under_nohup = u64::from_str_radix(ignored, 16).unwrap() & 1 == 1;
    let cases = [(true, 0), (under_nohup, if under_nohup { 0 } else { 130 })];
    for (case, (ignored, code)) in cases.into_iter().enumerate() {
        let out = folder.path().join(format!("run-{case}"));
        let mut command = std::process::Command::new("sh");
        let trap = if ignored { "trap '' HUP; exec \"$@\"" } else { "exec \"$@\"" };
        command.args(["-c", trap, "sh"]).arg(program().get_program());
        command.args(small_run(folder.path())).args(["--set", "train.epochs=40", "--checkpoint-every", "0"]);
        command.arg("--out").arg(&out).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.env("PADA_DATA", "no-such-folder").spawn().unwrap();
        let started = || std::fs::read_dir(&out).is_ok_and(|files| files.count() > 2);
        while !started() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let sent =
            std::process::Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "ignored: {ignored}");
    }
}

#[test]
fn a_command_does_not_write_over_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (out, archs) = (folder.path().join("run"), folder.path().join("some.csv"));
    let mut args = small_run(folder.path());
    args.extend(["--out".to_owned(), out.display().to_string()]);
    assert_eq!(call(&args).code, 0);
    std::fs::write(&archs, "333333\n").unwrap();
    let weights = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().path());
    let weights = weights.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).max().unwrap();
    let before = std::fs::read(&weights).unwrap();
    let (weights_text, archs) = (weights.display().to_string(), archs.display().to_string());
    let net = ["--channels", "8", "--cells", "1"];
    let refused = |args: &[&str], words: &[&str]| call(&[args, &net[..]].concat()).fails(2, words);
    refused(
        &["import", "--from", &weights_text, "--out", &weights_text],
        &["would be overwritten", &weights_text],
    );
    let rank = ["rank", "--weights", &weights_text, "--data", "mini", "--archs", &archs, "--out"];
    refused(&[&rank[..], &[&archs]].concat(), &["would be overwritten", &archs]);
    refused(&[&rank[..], &[&weights_text]].concat(), &["ends in .csv"]);
    let record = out.join("record.json").display().to_string();
    call(&["report", &out.display().to_string(), "--out", &record]).fails(2, &["ends in .html", &record]);
    assert!(std::fs::read(&weights).unwrap() == before);
}
