use serde::{Deserialize, Serialize};

use crate::EpochRecord;

/// Communication between the processes that shared a piece of work, as process 0 saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommunicationRecord {
    /// Number of processes.
    #[serde(alias = "ranks")]
    pub processes: usize,
    /// Messages that process 0 sent.
    pub messages: u64,
    /// Bytes that process 0 sent.
    pub bytes: u64,
    /// Wall-clock time that process 0 spent waiting for messages, seconds.
    pub seconds: f64,
}

impl CommunicationRecord {
    /// Sums the communication of all epochs. Also returns every number of processes that trained, in order of appearance. Returns
    /// `None` if a single process trained all epochs.
    pub(crate) fn total(epochs: &[EpochRecord]) -> Option<(Vec<usize>, Self)> {
        let mut sizes = Vec::new();
        let mut sum = Self::default();
        for epoch in epochs {
            let one = epoch.communication.unwrap_or(Self { processes: 1, ..Self::default() });
            if !sizes.contains(&one.processes) {
                sizes.push(one.processes);
            }
            // A record may hold any numbers.
            sum.messages = sum.messages.saturating_add(one.messages);
            sum.bytes = sum.bytes.saturating_add(one.bytes);
            sum.seconds += one.seconds;
        }
        sum.processes = sizes.iter().copied().max()?;
        (sum.processes > 1).then_some((sizes, sum))
    }
}

/// Formats process counts as `2`, or as `2, then 4` if the number changed between two epochs.
pub(crate) fn in_turn(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", then ")
}

/// Formats a number of bytes with a decimal unit.
pub(crate) fn volume(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{bytes} bytes"),
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}
