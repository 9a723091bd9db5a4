use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::{DistError, Transport};
use mpi::Threading;
use mpi::traits::{Communicator, Destination, Source};

/// Messages through MPI. One thread does all calls of MPI: where a peer hangs, that thread waits for ever, and whoever asked gives up.
#[derive(Debug)]
pub(super) struct Mpi {
    rank: usize,
    size: usize,
    jobs: Mutex<Sender<Job>>,
}

enum Job {
    Swap { peer: usize, message: Vec<u8>, answer: Sender<Vec<u8>> },
    Close { done: Sender<()> },
}

/// Bytes of one message of MPI, whose counts are 32 bits: longer ones go in pieces.
const PIECE: usize = 1 << 28;

impl Mpi {
    /// Joins the ranks that were started together.
    pub(super) fn start() -> Result<Self, DistError> {
        let (jobs, work) = channel();
        let (ready, started) = channel();
        let thread = std::thread::Builder::new().name("messages".to_owned());
        let failed = |reason: String| DistError::Library { reason };
        thread.spawn(move || serve(&work, &ready)).map_err(|error| failed(error.to_string()))?;
        let (rank, size) = started.recv().map_err(|_| failed("it did not start".to_owned()))?;
        Ok(Self { rank, size, jobs: Mutex::new(jobs) })
    }

    fn ask(&self, job: Job) {
        // Where the thread is gone nobody answers, which the caller finds.
        drop(self.jobs.lock().expect("no holder panics").send(job));
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn swap(&self, peer: usize, message: Vec<u8>, patience: Duration) -> Result<Vec<u8>, DistError> {
        let (answer, theirs) = channel();
        self.ask(Job::Swap { peer, message, answer });
        let rank = self.rank;
        theirs.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => DistError::Silent { rank, peer, seconds: patience.as_secs_f64() },
            RecvTimeoutError::Disconnected => DistError::Gone { rank, peer },
        })
    }

    fn close(&self) {
        let (done, closed) = channel();
        self.ask(Job::Close { done });
        closed.recv().ok();
    }
}

/// Starts MPI, does what is asked for, and ends MPI.
fn serve(work: &Receiver<Job>, ready: &Sender<(usize, usize)>) {
    // Only this thread calls MPI.
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Single) else { return };
    let world = universe.world();
    if ready.send((world.rank() as usize, world.size() as usize)).is_err() {
        return;
    }
    while let Ok(job) = work.recv() {
        match job {
            Job::Swap { peer, message, answer } => {
                let peer = world.process_at_rank(peer as i32);
                let theirs = swap(&peer, &message);
                // Whoever asked may have given up.
                drop(answer.send(theirs));
            }
            Job::Close { done } => {
                drop(universe);
                done.send(()).ok();
                return;
            }
        }
    }
    // The program ends without a good-bye: something failed, and ending MPI would wait for ranks that may be gone.
    std::mem::forget(universe);
}

/// Sends a message in pieces, the last one shorter than the others, and receives one.
fn swap(peer: &(impl Source + Destination), message: &[u8]) -> Vec<u8> {
    // A message that ends with a whole piece has an empty one behind it.
    let pieces = message.len() / PIECE + 1;
    let piece = |i: usize| &message[i * PIECE..message.len().min((i + 1) * PIECE)];
    let (mut sent, mut answer, mut whole) = (0, Vec::new(), false);
    while sent < pieces || !whole {
        mpi::request::scope(|scope| {
            let sending = (sent < pieces).then(|| peer.immediate_send(scope, piece(sent)));
            sent += 1;
            if !whole {
                let (received, _) = peer.receive_vec::<u8>();
                whole = received.len() < PIECE;
                answer = if answer.is_empty() { received } else { [answer.as_slice(), &received].concat() };
            }
            if let Some(sending) = sending {
                sending.wait();
            }
        });
    }
    answer
}
