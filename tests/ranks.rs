//! Several ranks do what one does, and say what keeps them from it. Those that mpirun starts need the feature `mpi`, and
//! `$PADA_MPIRUN`; `cargo xtask ci` gives them both.

use crate::program::program;

/// A program without MPI must not let each rank do the whole work in the same folder.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_ranks_without_mpi_are_refused_with_what_to_build() {
    use crate::program::Call;
    for (variable, launcher) in
        [("OMPI_COMM_WORLD_SIZE", "mpirun"), ("PMI_SIZE", "mpiexec"), ("SLURM_STEP_NUM_TASKS", "srun")]
    {
        let call: Call = program().env(variable, "4").output().unwrap().into();
        call.fails(2, &[launcher, "4 ranks", "--features mpi"]);
    }
}

/// A search is the work of one rank, whatever the program was built with.
#[test]
fn a_command_for_one_rank_is_not_done_by_several() {
    let mut search = program();
    search.args(["search", "no-such-run"]).env("OMPI_COMM_WORLD_SIZE", "4");
    crate::program::Call::from(search.output().unwrap()).fails(2, &["mpirun", "4 ranks", "one"]);
}

#[cfg(feature = "mpi")]
mod launched {
    use std::path::Path;
    use std::process::Command;

    use crate::program::{Call, call, small_run};

    /// The launcher with what it needs on any machine: as root, with fewer cores than ranks.
    fn launcher(ranks: &[usize]) -> Command {
        let mpirun = std::env::var_os("PADA_MPIRUN").unwrap_or_else(|| "mpirun".into());
        let mut command = Command::new(mpirun);
        command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]);
        command.args(["-n", &ranks.len().to_string()]);
        command.env("PADA_DATA", "no-such-folder").env_remove("RUST_LOG");
        command
    }

    /// All ranks alike.
    fn ranks<S: AsRef<str>>(size: usize, args: &[S]) -> Call {
        let mut command = launcher(&vec![0; size]);
        command.arg(env!("CARGO_BIN_EXE_pada-train")).args(args.iter().map(AsRef::as_ref));
        command.args(["--threads", "1", "--peer-timeout", "60"]).output().unwrap().into()
    }

    fn out(args: &[String], folder: &Path) -> Vec<String> {
        [args, &["--out".to_owned(), folder.display().to_string()]].concat()
    }

    fn bytes(folder: &Path, name: &str) -> Vec<u8> {
        std::fs::read(folder.join(name)).unwrap()
    }

    #[test]
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
        let weights = pada::supernet::read_weights(checkpoint, &layout).unwrap();
        weights.iter().flat_map(|weight| weight.to_le_bytes()).collect()
    }

    #[test]
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
    fn ranks_that_were_started_for_different_runs_say_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let args = small_run(folder.path());
        let mut command = launcher(&[0]);
        let program = env!("CARGO_BIN_EXE_pada-train");
        command.arg(program).args(&args).args(["--threads", "1"]);
        command.args([":", "-n", "1", program]).args(&args).args([
            "--threads",
            "1",
            "--set",
            "train.lr=0.07",
        ]);
        let said: Call = command.current_dir(folder.path()).output().unwrap().into();
        said.fails(2, &["rank 1 has another config", "lr = 0.07", "lr = 0.05"]);
        assert!(!folder.path().join("runs").exists(), "nothing was begun");
    }

    #[test]
    fn three_ranks_cannot_train() {
        let folder = tempfile::tempdir().unwrap();
        let run = out(&small_run(folder.path()), &folder.path().join("run"));
        ranks(3, &run).fails(2, &["3 ranks", "1, 2, 4, 8"]);
    }
}
