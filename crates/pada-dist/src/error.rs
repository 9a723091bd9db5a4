use thiserror::Error;

/// An error that keeps processes from working together.
///
/// Processes are numbered from 0. With MPI, the number of a process is its rank.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum DistError {
    /// A process is stalled or unreachable.
    #[error(
        "process {index} received no message from process {peer} for {seconds:.0} s: process {peer} is stalled or unreachable. Nothing \
         that was saved is lost. Continue with --resume; if the process was only slow, allow more time with --peer-timeout"
    )]
    Timeout {
        /// The process that waited.
        index: usize,
        /// The process that it waited for.
        peer: usize,
        /// The timeout, in seconds.
        seconds: f64,
    },
    /// A process has exited.
    #[error(
        "process {index} lost its connection to process {peer}, which has exited. Nothing that was saved is lost. Continue with --resume"
    )]
    PeerExited {
        /// The process that found this out.
        index: usize,
        /// The process that exited.
        peer: usize,
    },
    /// Two processes were not started for the same run.
    #[error(
        "process {peer} has a different {what} than process 0: {theirs} instead of {first}. Start all processes with the same program, \
         config and data"
    )]
    Mismatch {
        /// The first process that differs from process 0.
        peer: usize,
        /// The name of what differs.
        what: String,
        /// The first line that differs, as process 0 has it.
        first: String,
        /// The first line that differs, as the other process has it.
        theirs: String,
    },
    /// Two processes called the same operation with lists of different lengths.
    #[error(
        "process {peer} sent a list of {found} entries, but this process has {expected} entries in its list"
    )]
    LengthMismatch {
        /// The other process.
        peer: usize,
        /// The number of entries that were received.
        found: usize,
        /// The number of entries that were expected.
        expected: usize,
    },
    /// The weights of two processes are no longer equal.
    #[error(
        "the weights of process {peer} differ from those of process 0 after epoch {epoch}, because their machines compute differently. \
         Continue with --resume on machines of one kind"
    )]
    WeightsDiverged {
        /// The first process that differs from process 0.
        peer: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// The number of processes is not a power of two.
    #[error(
        "{size} processes cannot train together, because a batch is split into 1, 2, 4, 8, … equal branches of a tree. Start a number of \
         processes that is a power of two"
    )]
    NotPowerOfTwo {
        /// The number of processes.
        size: usize,
    },
    /// There is no process of this number.
    #[error("there is no process {index}: the processes are numbered from 0, and there are {size}")]
    NoSuchProcess {
        /// The number.
        index: usize,
        /// The number of processes.
        size: usize,
    },
    /// A command that runs in a single process was started several times.
    #[error(
        "{launcher} started {size} processes of a command that runs in a single process. Start it without {launcher}"
    )]
    SingleProcessOnly {
        /// The launcher, for example `mpirun`.
        launcher: String,
        /// The number of processes that it started.
        size: usize,
    },
    /// A launcher started several processes of a program without MPI.
    #[error(
        "{launcher} started {size} processes, but this program was built without MPI, so that each of them would do all of the work. \
         Build it with the feature `mpi`, for example `cargo build --release -p pada-train --features mpi`. This needs an MPI library and \
         libclang (on Debian: libopenmpi-dev and libclang-dev)"
    )]
    WithoutMpi {
        /// The launcher.
        launcher: String,
        /// The number of processes that it started.
        size: usize,
    },
    /// The launcher does not belong to the MPI library.
    #[error(
        "{launcher} started {size} processes, but MPI found {found}, because the launcher does not belong to the MPI library. Use the \
         mpirun of the library, or `srun --mpi=pmix` under Slurm"
    )]
    LauncherMismatch {
        /// The launcher.
        launcher: String,
        /// The number of processes that it started.
        size: usize,
        /// The number of processes that MPI found.
        found: usize,
    },
    /// The MPI library failed.
    #[error("MPI failed: {reason}")]
    Mpi {
        /// The reason.
        reason: String,
    },
}
