use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::{DistError, ProcessGroup, Transport};

/// Creates a group of `size` processes that are threads of this process.
///
/// The groups are meant for tests, and to see how processes share work without MPI. Pass each of them to a thread of its own.
pub fn threads(size: usize, timeout: Duration) -> Vec<ProcessGroup> {
    let mut senders: Vec<Vec<Sender<Vec<u8>>>> = (0..size).map(|_| Vec::new()).collect();
    let mut receivers = Vec::new();
    for index in 0..size {
        let from_each = senders.iter_mut().map(|from| {
            let (sender, receiver) = channel();
            from.push(sender);
            Mutex::new(receiver)
        });
        receivers.push((index, from_each.collect::<Vec<_>>()));
    }
    let group =
        |((index, receivers), senders)| ProcessGroup::new(Threads { index, senders, receivers }, timeout);
    receivers.into_iter().zip(senders).map(group).collect()
}

#[derive(Debug)]
struct Threads {
    index: usize,
    /// The senders to each process.
    senders: Vec<Sender<Vec<u8>>>,
    /// The receivers from each process.
    receivers: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Transport for Threads {
    fn index(&self) -> usize {
        self.index
    }

    fn size(&self) -> usize {
        self.senders.len()
    }

    fn exchange(&self, peer: usize, message: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, DistError> {
        let index = self.index;
        self.senders[peer].send(message).map_err(|_| DistError::PeerExited { index, peer })?;
        let receiver = self.receivers[peer].lock().expect("no thread panics while it holds the lock");
        receiver.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => DistError::Timeout { index, peer, seconds: timeout.as_secs_f64() },
            RecvTimeoutError::Disconnected => DistError::PeerExited { index, peer },
        })
    }
}
