use std::time::Duration;

use crate::{DistError, ProcessGroup};

impl ProcessGroup {
    /// The messages of all ranks, in their order.
    ///
    /// # Errors
    /// [`DistError`] where a rank hangs.
    pub fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, DistError> {
        self.gather_late(message, Duration::ZERO)
    }

    /// The same where ranks may arrive `extra` later than the world's patience allows.
    ///
    /// # Errors
    /// [`DistError`] where a rank hangs.
    pub fn gather_late(&self, message: Vec<u8>, extra: Duration) -> Result<Vec<Vec<u8>>, DistError> {
        if self.size().is_power_of_two() {
            return self.gather_doubling(message, extra);
        }
        let mut all = vec![Vec::new(); self.size()];
        // In round k everybody meets rank ^ k: each pair meets once, and nobody waits in a circle.
        for round in 1..self.size().next_power_of_two() {
            let peer = self.rank() ^ round;
            if peer < self.size() {
                all[peer] = self.swap(peer, message.clone(), extra)?;
            }
        }
        all[self.rank()] = message;
        Ok(all)
    }

    /// Blocks of ranks that know of each other double in every round.
    fn gather_doubling(&self, message: Vec<u8>, extra: Duration) -> Result<Vec<Vec<u8>>, DistError> {
        let mut block = frame(&message);
        for peer in self.peers() {
            let theirs = self.swap(peer, block.clone(), extra)?;
            block = if peer < self.rank() { [theirs, block].concat() } else { [block, theirs].concat() };
        }
        Ok(frames(&block))
    }

    /// Rank 0's message; those of others are dropped.
    ///
    /// # Errors
    /// [`DistError`] where a rank hangs.
    pub fn broadcast(&self, message: Vec<u8>) -> Result<Vec<u8>, DistError> {
        let (rank, mut message) = (self.rank(), message);
        let mut knowing = 1;
        while knowing < self.size() {
            if rank < knowing && rank + knowing < self.size() {
                self.swap(rank + knowing, message.clone(), Duration::ZERO)?;
            } else if (knowing..2 * knowing).contains(&rank) {
                message = self.swap(rank - knowing, Vec::new(), Duration::ZERO)?;
            }
            knowing *= 2;
        }
        Ok(message)
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// [`DistError`] where a rank hangs.
    pub fn barrier(&self) -> Result<(), DistError> {
        self.gather(Vec::new()).map(drop)
    }

    /// Whether any rank says yes.
    ///
    /// # Errors
    /// [`DistError`] where a rank hangs.
    pub fn any(&self, yes: bool) -> Result<bool, DistError> {
        if !self.size().is_power_of_two() {
            return Ok(self.gather(vec![u8::from(yes)])?.concat().contains(&1));
        }
        let mut answer = [u8::from(yes)];
        self.join(&mut answer, |low, high| *low |= high)?;
        Ok(answer == [1])
    }
}

/// A message behind its length.
fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u64).to_le_bytes(), message].concat()
}

fn frames(mut block: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = block.split_first_chunk::<8>() {
        let (message, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
        messages.push(message.to_vec());
        block = rest;
    }
    messages
}
