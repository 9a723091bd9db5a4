use thiserror::Error;

/// Why ranks cannot work together.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum DistError {
    /// A rank hangs, or its machine is gone.
    #[error(
        "rank {rank} heard nothing from rank {peer} for {seconds:.0} s: it hangs or is gone; nothing that was saved is lost: go on \
         with --resume, and where ranks only were slow, wait longer with --peer-timeout"
    )]
    Silent {
        /// Who waited.
        rank: usize,
        /// For whom.
        peer: usize,
        /// How long.
        seconds: f64,
    },
    /// A rank ended.
    #[error(
        "rank {rank} has lost rank {peer}: it has ended; nothing that was saved is lost: go on with --resume"
    )]
    Gone {
        /// Who found it.
        rank: usize,
        /// Who ended.
        peer: usize,
    },
    /// Two ranks were not started for the same run.
    #[error(
        "rank {peer} has another {what} than rank 0: {theirs}, not {first}; start all ranks with the same program, config and data"
    )]
    Disagreement {
        /// The first rank that differs.
        peer: usize,
        /// What differs.
        what: String,
        /// What rank 0 has.
        first: String,
        /// What the other has.
        theirs: String,
    },
    /// Ranks no longer hold the same weights.
    #[error(
        "rank {peer} no longer has the weights of rank 0 after epoch {epoch}: their machines compute differently; go on with --resume on machines of one kind"
    )]
    Drift {
        /// The rank.
        peer: usize,
        /// From 1.
        epoch: usize,
    },
    /// A batch can only be split into 2, 4, 8, … parts.
    #[error(
        "{size} ranks cannot train together: sums over a batch are a tree with 1, 2, 4, 8, … equal parts; start as many ranks"
    )]
    NoPowerOfTwo {
        /// How many ranks there are.
        size: usize,
    },
    /// What one rank does, several were started for.
    #[error("{launcher} started {size} ranks for a command that works on one; start it alone")]
    OneRank {
        /// What started them.
        launcher: String,
        /// How many.
        size: usize,
    },
    /// The program has no MPI.
    #[error(
        "{launcher} started {size} ranks, but this program was built without MPI, so each would do all of the work; build it with \
         `cargo build --release -p pada-train --features mpi`, which needs an MPI library and libclang (Debian: libopenmpi-dev, \
         libclang-dev)"
    )]
    WithoutMpi {
        /// What started them.
        launcher: String,
        /// How many.
        size: usize,
    },
    /// MPI and the launcher count differently.
    #[error(
        "{launcher} started {size} ranks, but MPI sees {found}: the launcher is not that of the MPI library; under Slurm use \
         `srun --mpi=pmix`, or mpirun"
    )]
    OtherLauncher {
        /// What started them.
        launcher: String,
        /// How many.
        size: usize,
        /// How many MPI sees.
        found: usize,
    },
    /// The library below failed.
    #[error("MPI: {reason}")]
    Library {
        /// What it said.
        reason: String,
    },
}
