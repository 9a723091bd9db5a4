use serde::{Deserialize, Serialize};

use crate::EpochRecord;

/// Several ranks that did a piece of work together, and what the first of them sent to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RanksRecord {
    /// How many.
    pub ranks: usize,
    /// Messages that rank 0 sent.
    pub messages: u64,
    /// Bytes that it sent.
    pub bytes: u64,
    /// Wall-clock time in which it computed nothing, because a message was under way or another rank was not there yet.
    pub seconds: f64,
}

impl RanksRecord {
    /// Over all epochs: every number of ranks that trained, in the order they came in, and the sum of what was sent. None where one
    /// process trained all of them.
    pub(crate) fn of(epochs: &[EpochRecord]) -> Option<(Vec<usize>, Self)> {
        let mut sizes = Vec::new();
        let mut sum = Self::default();
        for epoch in epochs {
            let ranks = epoch.ranks.unwrap_or(Self { ranks: 1, ..Self::default() });
            if !sizes.contains(&ranks.ranks) {
                sizes.push(ranks.ranks);
            }
            // Whatever a file says.
            sum.messages = sum.messages.saturating_add(ranks.messages);
            sum.bytes = sum.bytes.saturating_add(ranks.bytes);
            sum.seconds += ranks.seconds;
        }
        sum.ranks = sizes.iter().copied().max()?;
        (sum.ranks > 1).then_some((sizes, sum))
    }
}

/// `2`, or `2, then 4` where the number changed between two epochs.
pub(crate) fn in_turn(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", then ")
}

/// Bytes in the unit that suits them.
pub(crate) fn volume(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{bytes} bytes"),
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}
