//! Several ranks do what one does, and say what keeps them from it. Those that mpirun starts need a program
//! with the feature `mpi`, and `$PADA_MPIRUN`; `cargo xtask ci` provides both and runs them with `--include-ignored`.

use crate::program::{Call, program};

/// A program without MPI must not let each rank do the whole work in the same folder.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_ranks_without_mpi_are_refused_with_what_to_build() {
    for (variable, launcher) in
        [("OMPI_COMM_WORLD_SIZE", "mpirun"), ("PMI_SIZE", "mpiexec"), ("SLURM_STEP_NUM_TASKS", "srun")]
    {
        let call: Call = program().env(variable, "4").output().unwrap().into();
        call.fails(2, &[launcher, "4 processes", "--features mpi"]);
    }
}

/// A search is the work of one rank, whatever the program was built with.
#[test]
fn a_command_for_one_rank_is_not_done_by_several() {
    let mut search = program();
    search.args(["search", "no-such-run"]).env("OMPI_COMM_WORLD_SIZE", "4");
    Call::from(search.output().unwrap()).fails(2, &["mpirun", "4 processes", "single"]);
}

mod launched {
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::Call;
    use crate::kills::{Moments, found};
    use crate::program::{call, small_run};

    /// The launcher with what it needs on any machine: as root, with fewer cores than ranks.
    fn launcher(size: usize) -> Command {
        let mpirun = std::env::var_os("PADA_MPIRUN").unwrap_or_else(|| "mpirun".into());
        let mut command = Command::new(mpirun);
        command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]);
        command.args(["-n", &size.to_string()]);
        command.env("PADA_DATA", "no-such-folder").env_remove("RUST_LOG");
        command
    }

    /// All ranks alike.
    fn ranks<S: AsRef<str>>(size: usize, args: &[S]) -> Call {
        let mut command = launcher(size);
        command.arg(env!("CARGO_BIN_EXE_pada")).args(args.iter().map(AsRef::as_ref));
        command.args(["--threads", "1", "--peer-timeout", "60"]).output().unwrap().into()
    }

    fn out(args: &[String], folder: &Path) -> Vec<String> {
        [args, &["--out".to_owned(), folder.display().to_string()]].concat()
    }

    fn bytes(folder: &Path, name: &str) -> Vec<u8> {
        std::fs::read(folder.join(name)).unwrap()
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn two_and_four_ranks_end_with_the_bits_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = small_run(folder.path());
        args.extend(["--set", "rank.archs=random:40"].map(str::to_owned));
        let one = folder.path().join("one");
        assert_eq!(call(&out(&args, &one)).code, 0);
        for size in [2, 4] {
            let several = folder.path().join(format!("{size}"));
            let said = ranks(size, &out(&args, &several));
            assert_eq!(said.code, 0, "{}", said.stderr);
            assert_eq!(said.stdout.matches("run folder").count(), 1, "rank 0 alone speaks: {}", said.stdout);
            for name in ["ranking.csv", "epoch-0003.safetensors"] {
                let weights = |run: &Path| match name.ends_with("csv") {
                    true => bytes(run, name),
                    false => weights(&run.join(name)),
                };
                assert!(weights(&several) == weights(&one), "{name} of {size} ranks");
            }
            let left = std::fs::read_dir(&several).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("ranking-part")));
        }
    }

    fn weights(checkpoint: &Path) -> Vec<u8> {
        let layout = pada::weight_layout(&pada::RunConfig::mini().supernet, 10).unwrap();
        let weights = pada::models::read_weights(checkpoint, &layout).unwrap();
        weights.iter().flat_map(|weight| weight.to_le_bytes()).collect()
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn a_ranking_of_three_ranks_is_that_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        assert_eq!(call(&out(&small_run(folder.path()), &run)).code, 0);
        let rank = |file: &str| {
            let weights = run.join("epoch-0003.safetensors").display().to_string();
            let scores = folder.path().join(file).display().to_string();
            let args = ["rank", "--channels", "8", "--cells", "1", "--data", "mini", "--limit", "100"];
            [&args[..], &["--archs", "random:50", "--weights", &weights, "--out", &scores]]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(call(&rank("one.csv")).code, 0);
        let three = ranks(3, &rank("three.csv"));
        assert_eq!(three.code, 0, "{}", three.stderr);
        assert_eq!(bytes(folder.path(), "three.csv"), bytes(folder.path(), "one.csv"));
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn ranks_that_were_started_for_different_runs_say_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let args = small_run(folder.path());
        let mut command = launcher(1);
        let program = env!("CARGO_BIN_EXE_pada");
        command.arg(program).args(&args).args(["--threads", "1"]);
        command.args([":", "-n", "1", program]).args(&args).args([
            "--threads",
            "1",
            "--set",
            "train.lr=0.07",
        ]);
        let said: Call = command.current_dir(folder.path()).output().unwrap().into();
        said.fails(2, &["process 1 has a different config", "lr = 0.07", "lr = 0.05"]);
        assert!(!folder.path().join("runs").exists(), "nothing was begun");
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn a_run_with_local_norms_goes_on_with_as_many_ranks_only() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut args = small_run(folder.path());
        args.extend(["--set", "compute.norms=local"].map(str::to_owned));
        let said = ranks(2, &out(&args, &run));
        assert_eq!(said.code, 0, "{}", said.stderr);
        let line = "processes  2; process 0 sent";
        assert!(said.stdout.contains(line), "{}", said.stdout);
        // The run is no longer finished: it shall rank again.
        std::fs::remove_file(run.join("ranking.csv")).unwrap();
        let resume = ["--resume".to_owned(), run.display().to_string()];
        call(&resume).fails(
            2,
            &["number of processes", "compute.norms = \"local\"", "is 2 in the checkpoint and 1 in this run"],
        );
        assert_eq!(ranks(2, &resume).code, 0);
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn three_ranks_cannot_train() {
        let folder = tempfile::tempdir().unwrap();
        let run = out(&small_run(folder.path()), &folder.path().join("run"));
        ranks(3, &run).fails(2, &["3 processes", "1, 2, 4, 8"]);
    }

    /// Processes of the program whose arguments name a folder, by their rank.
    fn processes(folder: &Path) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let texts = |bytes: Vec<u8>| -> Vec<String> {
                bytes.split(|&b| b == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
            };
            let arguments = texts(read("cmdline"));
            let ours = arguments[0].ends_with("pada") && arguments.iter().any(|a| Path::new(a) == folder);
            let rank = texts(read("environ"))
                .iter()
                .find_map(|v| v.strip_prefix("OMPI_COMM_WORLD_RANK=")?.parse().ok());
            let process = entry.file_name().to_string_lossy().parse().ok();
            found.extend(rank.zip(process).filter(|_| ours));
        }
        found.sort_unstable();
        found
    }

    /// Starts ranks of a new run, or those that go on with one.
    fn start(size: usize, args: &[String], run: &Path, more: &[&str]) -> Child {
        let mut command = launcher(size);
        command.arg(env!("CARGO_BIN_EXE_pada"));
        match run.join("config.toml").is_file() {
            true => command.arg("--resume").arg(run),
            false => command.args(out(args, run)),
        };
        command.args(["--threads", "1"]).args(more);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(120);
        while !holds() {
            assert!(Instant::now() < patience, "two minutes, but not: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One rank after the other is killed, `$PADA_KILLS` times, and other numbers of ranks go on.
    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn a_run_whose_ranks_are_killed_ends_as_one_that_was_not() {
        let kills = std::env::var("PADA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
        let folder = tempfile::tempdir().unwrap();
        let mut args = small_run(folder.path());
        args.extend(["--set", "rank.archs=random:40"].map(str::to_owned));
        let whole = folder.path().join("whole");
        assert_eq!(call(&[out(&args, &whole), vec!["--threads".into(), "1".into()]].concat()).code, 0);
        let expected = found(&whole);
        let (mut moments, mut sizes) = (Moments(42), [2, 4, 1].into_iter().cycle());
        let (mut killed, mut run) = (0, 0);
        while killed < kills || run == 0 {
            let path = folder.path().join(format!("run-{run}"));
            let size = sizes.next().unwrap();
            let child = start(size, &args, &path, &["--checkpoint-every", "0"]);
            if killed < kills {
                wait_until("all ranks are there", || processes(&path).len() == size);
                std::thread::sleep(2 * moments.next());
                if let Some((_, process)) = processes(&path).get(killed % size) {
                    // It may have ended in between.
                    Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
                }
            }
            let ended = Call::from(child.wait_with_output().unwrap());
            wait_until("no rank is left", || processes(&path).is_empty());
            if ended.code == 0 {
                assert!(found(&path) == expected, "run {run}, after {killed} kills");
                run += 1;
            } else {
                killed += 1;
                assert!(killed <= kills, "ended by something else than a kill: {}", ended.stderr);
            }
        }
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn a_rank_that_dies_while_architectures_are_scored_loses_nothing_that_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut args = small_run(folder.path());
        let settings =
            ["rank.archs=all", "train.epochs=1", "rank.images=200", "rank.fuse=[]", "rank.zero_cost=[]"];
        args.extend(settings.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]));
        let lines = |name: &str| -> Vec<String> {
            let text = std::fs::read_to_string(run.join(name)).unwrap_or_default();
            text.lines().skip(1).map(str::to_owned).collect()
        };
        let [first, second] = ["ranking-part.csv", "ranking-part-1.csv"];
        let child = start(2, &args, &run, &["--checkpoint-every", "0"]);
        wait_until("both ranks have scored", || lines(first).len() > 20 && lines(second).len() > 20);
        let (_, process) = processes(&run)[1];
        Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
        assert_ne!(child.wait_with_output().unwrap().status.code(), Some(0));
        let kept = [lines(first), lines(second)].concat();
        let mut child = start(1, &args, &run, &["--checkpoint-every", "0"]);
        wait_until("the next start scores on", || lines(first).len() > kept.len());
        child.kill().unwrap();
        child.wait().unwrap();
        let after = lines(first);
        assert!(kept.iter().all(|line| after.contains(line)));
        assert!(!run.join(second).exists());
    }

    #[test]
    #[cfg_attr(not(feature = "mpi"), ignore = "the program has no MPI")]
    fn a_rank_that_hangs_is_named_after_the_time_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let args = small_run(folder.path());
        let child = start(
            2,
            &[&args[..], &["--set".into(), "train.epochs=500".into()]].concat(),
            &run,
            &["--peer-timeout", "3"],
        );
        wait_until("it trains", || run.join("epoch-0001.safetensors").exists());
        let (_, process) = processes(&run)[1];
        Command::new("kill").args(["-STOP", &process.to_string()]).status().unwrap();
        let ended = Call::from(child.wait_with_output().unwrap());
        assert_ne!(ended.code, 0);
        for words in ["process 0 received no message from process 1 for 3 s", "--peer-timeout", "--resume"] {
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
        }
    }
}
