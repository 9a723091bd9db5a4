use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use mpi::Threading;
use mpi::traits::{Communicator, Destination, Source};
use pada_dist::{DistError, Transport};

/// Messages through MPI.
///
/// One thread makes all calls of MPI. If a peer is stalled, that thread waits forever, but the thread that asked for a message can give up
/// after the timeout.
#[derive(Debug)]
pub(super) struct Mpi {
    index: usize,
    size: usize,
    jobs: Mutex<Sender<Job>>,
}

enum Job {
    Exchange { peer: usize, message: Vec<u8>, answer: Sender<Vec<u8>> },
    Close { done: Sender<()> },
}

/// The number of bytes of one MPI message. Longer messages are sent in pieces, because the counts of MPI have 32 bits.
const PIECE: usize = 1 << 28;

impl Mpi {
    /// Joins the processes that were started together.
    pub(super) fn start() -> Result<Self, DistError> {
        let (jobs, work) = channel();
        let (ready, started) = channel();
        let thread = std::thread::Builder::new().name("messages".to_owned());
        let failed = |reason: String| DistError::Mpi { reason };
        thread.spawn(move || serve(&work, &ready)).map_err(|error| failed(error.to_string()))?;
        let (index, size) = started.recv().map_err(|_| failed("it did not start".to_owned()))?;
        Ok(Self { index, size, jobs: Mutex::new(jobs) })
    }

    fn ask(&self, job: Job) {
        // If the thread has ended, the caller finds that there is no answer.
        drop(self.jobs.lock().expect("no thread panics while it holds the lock").send(job));
    }
}

impl Transport for Mpi {
    fn index(&self) -> usize {
        self.index
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, peer: usize, message: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, DistError> {
        let (answer, theirs) = channel();
        self.ask(Job::Exchange { peer, message, answer });
        let index = self.index;
        theirs.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => DistError::Timeout { index, peer, seconds: timeout.as_secs_f64() },
            RecvTimeoutError::Disconnected => DistError::PeerExited { index, peer },
        })
    }

    fn close(&self) {
        let (done, closed) = channel();
        self.ask(Job::Close { done });
        closed.recv().ok();
    }
}

/// Initialises MPI, does the jobs, and finalises MPI.
fn serve(work: &Receiver<Job>, ready: &Sender<(usize, usize)>) {
    // Only this thread calls MPI.
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Single) else { return };
    let world = universe.world();
    if ready.send((world.rank() as usize, world.size() as usize)).is_err() {
        return;
    }
    while let Ok(job) = work.recv() {
        match job {
            Job::Exchange { peer, message, answer } => {
                let peer = world.process_at_rank(peer as i32);
                let theirs = exchange(&peer, &message);
                // The thread that asked may have given up.
                drop(answer.send(theirs));
            }
            Job::Close { done } => {
                drop(universe);
                done.send(()).ok();
                return;
            }
        }
    }
    // The program ends without a call of close, so something failed. Finalising MPI would wait for processes that may have exited.
    std::mem::forget(universe);
}

/// Sends a message in pieces, of which only the last is shorter than [`PIECE`], and receives a message.
fn exchange(peer: &(impl Source + Destination), message: &[u8]) -> Vec<u8> {
    // A message that ends with a whole piece is followed by an empty one.
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
