use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{DistError, Transport};

/// The ranks that work on one run, as one of them sees it. Alone, everything returns at once.
#[derive(Clone, Debug, Default)]
pub struct ProcessGroup(Option<Arc<Linked>>);

#[derive(Debug)]
struct Linked {
    link: Box<dyn Transport>,
    patience: Duration,
    messages: AtomicU64,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What a rank sent, and how long it waited for others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Messages sent.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Seconds in which a swap was under way.
    pub seconds: f64,
}

impl Traffic {
    /// What came after an earlier moment.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            messages: self.messages - earlier.messages,
            bytes: self.bytes - earlier.bytes,
            seconds: self.seconds - earlier.seconds,
        }
    }

    /// Both together.
    pub fn with(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
            seconds: self.seconds + other.seconds,
        }
    }
}

impl ProcessGroup {
    /// One process.
    pub fn single() -> Self {
        Self::default()
    }

    /// The ranks of a link; one that says nothing for `patience` counts as hung.
    pub fn connected(link: impl Transport + 'static, patience: Duration) -> Self {
        let [messages, bytes, nanoseconds] = [const { AtomicU64::new(0) }; 3];
        Self(Some(Arc::new(Linked { link: Box::new(link), patience, messages, bytes, nanoseconds })))
    }

    /// This process's number, from 0. Rank 0 writes files.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |linked| linked.link.rank())
    }

    /// How many ranks there are.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |linked| linked.link.size())
    }

    /// Whether there is no other rank.
    pub fn is_single(&self) -> bool {
        self.size() == 1
    }

    /// What this rank sent so far.
    pub fn traffic(&self) -> Traffic {
        let Some(linked) = &self.0 else { return Traffic::default() };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            messages: read(&linked.messages),
            bytes: read(&linked.bytes),
            seconds: read(&linked.nanoseconds) as f64 / 1e9,
        }
    }

    /// Says good-bye, after everything went well.
    pub fn close(&self) {
        if let Some(linked) = &self.0 {
            linked.link.close();
        }
    }

    /// Swaps messages with another rank, which may take `extra` longer than the world's patience.
    pub(crate) fn swap(&self, peer: usize, message: Vec<u8>, extra: Duration) -> Result<Vec<u8>, DistError> {
        let linked = self.0.as_ref().expect("whoever is alone has no peer");
        linked.messages.fetch_add(1, Ordering::Relaxed);
        linked.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
        let started = Instant::now();
        let answer = linked.link.swap(peer, message, linked.patience.saturating_add(extra));
        linked.nanoseconds.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        answer
    }
}
