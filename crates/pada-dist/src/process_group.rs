use std::fmt::Debug;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::DistError;

/// A transport: what carries messages between processes.
///
/// [`threads`](crate::threads) and the crate `pada-mpi` have one each. To connect processes in another way, implement this trait and pass it
/// to [`ProcessGroup::new`].
pub trait Transport: Debug + Send + Sync {
    /// Returns the index of this process, from 0.
    fn index(&self) -> usize;

    /// Returns the number of processes.
    fn size(&self) -> usize;

    /// Sends a message to another process and receives one from it.
    ///
    /// Both processes call this function. Messages between two processes arrive in the order in which they were sent, and can have
    /// different lengths.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] if no message arrived within `timeout`, or [`DistError::PeerExited`]. The transport must not be used
    /// after an error.
    fn exchange(&self, peer: usize, message: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, DistError>;

    /// Shuts the transport down after the work is done. This may wait for the other processes.
    fn close(&self) {}
}

/// A group of processes that work on one run, as one of them sees it.
///
/// A single process is a group as well: all of its operations return at once. Clones share one connection.
///
/// Every collective operation has to be called by all processes, in the same order. If a process is stalled, the others return
/// [`DistError::Timeout`].
#[derive(Clone, Debug, Default)]
pub struct ProcessGroup(Option<Arc<Connected>>);

#[derive(Debug)]
struct Connected {
    transport: Box<dyn Transport>,
    timeout: Duration,
    messages: AtomicU64,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

/// The messages that a process sent, and the time that it spent on them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The number of messages sent.
    pub messages: u64,
    /// The number of bytes sent.
    pub bytes: u64,
    /// The seconds spent on sending and receiving, which includes waiting for other processes.
    pub seconds: f64,
}

impl Traffic {
    /// Returns the traffic after an earlier measurement of the same process.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(earlier.messages),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            seconds: self.seconds - earlier.seconds,
        }
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
            seconds: self.seconds + other.seconds,
        }
    }
}

impl ProcessGroup {
    /// Creates the group of a single process.
    pub fn single() -> Self {
        Self::default()
    }

    /// Creates a group from a transport. A process that sends nothing for `timeout` counts as stalled.
    pub fn new(transport: impl Transport + 'static, timeout: Duration) -> Self {
        let [messages, bytes, nanoseconds] = [const { AtomicU64::new(0) }; 3];
        let transport = Box::new(transport);
        Self(Some(Arc::new(Connected { transport, timeout, messages, bytes, nanoseconds })))
    }

    /// Returns the index of this process, from 0. Process 0 writes files.
    pub fn index(&self) -> usize {
        self.0.as_ref().map_or(0, |connected| connected.transport.index())
    }

    /// Returns the number of processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |connected| connected.transport.size())
    }

    /// Returns whether there is no other process.
    pub fn is_single(&self) -> bool {
        self.size() == 1
    }

    /// Returns the messages that this process has sent so far.
    pub fn traffic(&self) -> Traffic {
        let Some(connected) = &self.0 else { return Traffic::default() };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            messages: read(&connected.messages),
            bytes: read(&connected.bytes),
            seconds: read(&connected.nanoseconds) as f64 / 1e9,
        }
    }

    /// Shuts the connection down after the work is done. Do not call it after an error, because it may wait for the other processes.
    pub fn close(&self) {
        if let Some(connected) = &self.0 {
            connected.transport.close();
        }
    }

    /// Exchanges messages with another process, which may take `extra` longer than the timeout of the group.
    pub(crate) fn exchange(
        &self,
        peer: usize,
        message: Vec<u8>,
        extra: Duration,
    ) -> Result<Vec<u8>, DistError> {
        let connected = self.0.as_ref().expect("a single process has no peer");
        connected.messages.fetch_add(1, Ordering::Relaxed);
        connected.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
        let started = Instant::now();
        let answer = connected.transport.exchange(peer, message, connected.timeout.saturating_add(extra));
        connected.nanoseconds.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        answer
    }
}
