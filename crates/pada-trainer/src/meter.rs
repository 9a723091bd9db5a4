use std::time::Instant;

use pada_dist::{ProcessGroup, Traffic};
use pada_report::CommunicationRecord;

use crate::running::RunningEpoch;

/// The communication of this process with the others, for a record. `None` for a single process.
pub fn communication_record(world: &ProcessGroup, sent: Traffic) -> Option<CommunicationRecord> {
    let Traffic { messages, bytes, seconds } = sent;
    (!world.is_single()).then(|| CommunicationRecord { processes: world.size(), messages, bytes, seconds })
}

/// The clock of an epoch and what it sends to other ranks, from one stop to the next.
pub(crate) struct Meter {
    world: ProcessGroup,
    clock: Instant,
    sent: Traffic,
}

impl Meter {
    pub(crate) fn start(world: &ProcessGroup) -> Self {
        Self { world: world.clone(), clock: Instant::now(), sent: world.traffic() }
    }

    /// Adds what went by since the start to an epoch, and starts again.
    pub(crate) fn add_to(&mut self, running: &mut RunningEpoch) {
        let now = Self::start(&self.world);
        running.seconds += (now.clock - self.clock).as_secs_f64();
        running.traffic = running.traffic + now.sent.since(self.sent);
        *self = now;
    }
}
