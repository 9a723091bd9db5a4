use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::{DistError, ProcessGroup, Transport};

/// `size` ranks that are threads of this process, for tests and to see how ranks share work without MPI.
pub fn threads(size: usize, patience: Duration) -> Vec<ProcessGroup> {
    let mut senders: Vec<Vec<Sender<Vec<u8>>>> = (0..size).map(|_| Vec::new()).collect();
    let mut links = Vec::new();
    for rank in 0..size {
        let receivers = senders.iter_mut().map(|from| {
            let (sender, receiver) = channel();
            from.push(sender);
            Mutex::new(receiver)
        });
        links.push((rank, receivers.collect::<Vec<_>>()));
    }
    let world = |((rank, receivers), senders)| {
        ProcessGroup::connected(Threads { rank, senders, receivers }, patience)
    };
    links.into_iter().zip(senders).map(world).collect()
}

#[derive(Debug)]
struct Threads {
    rank: usize,
    /// To each rank.
    senders: Vec<Sender<Vec<u8>>>,
    /// From each rank.
    receivers: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.senders.len()
    }

    fn swap(&self, peer: usize, message: Vec<u8>, patience: Duration) -> Result<Vec<u8>, DistError> {
        let rank = self.rank;
        self.senders[peer].send(message).map_err(|_| DistError::Gone { rank, peer })?;
        let receiver = self.receivers[peer].lock().expect("no holder panics");
        receiver.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => DistError::Silent { rank, peer, seconds: patience.as_secs_f64() },
            RecvTimeoutError::Disconnected => DistError::Gone { rank, peer },
        })
    }
}
