//! The collective operations of a process group, built from exchanges between two processes.

use std::ops::{Add, Range};
use std::time::Duration;

use bytemuck::{AnyBitPattern, NoUninit};

use crate::{DistError, ProcessGroup};

/// Lists of up to this many bytes are sent as a whole in every round, because fewer rounds cost less than fewer bytes.
const SHORT: usize = 16 << 10;

impl ProcessGroup {
    /// Gathers the messages of all processes on every process, ordered by process.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn all_gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, DistError> {
        self.all_gather_late(message, Duration::ZERO)
    }

    /// Works like [`ProcessGroup::all_gather`], but lets processes arrive `extra` later than the timeout of the group allows.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn all_gather_late(&self, message: Vec<u8>, extra: Duration) -> Result<Vec<Vec<u8>>, DistError> {
        if self.size().is_power_of_two() {
            return self.gather_by_doubling(message, extra);
        }
        let mut all = vec![Vec::new(); self.size()];
        // In round k, a process exchanges with the process of index ^ k. So each pair meets once, and no cycle of processes waits.
        for round in 1..self.size().next_power_of_two() {
            let peer = self.index() ^ round;
            if peer < self.size() {
                all[peer] = self.exchange(peer, message.clone(), extra)?;
            }
        }
        all[self.index()] = message;
        Ok(all)
    }

    /// Gathers messages in blocks of processes that double in every round.
    fn gather_by_doubling(&self, message: Vec<u8>, extra: Duration) -> Result<Vec<Vec<u8>>, DistError> {
        let mut block = frame(&message);
        for peer in self.peers() {
            let theirs = self.exchange(peer, block.clone(), extra)?;
            block = if peer < self.index() { [theirs, block].concat() } else { [block, theirs].concat() };
        }
        Ok(frames(&block))
    }

    /// Sends the message of process 0 to every process and returns it. The messages of other processes are ignored.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn broadcast(&self, message: Vec<u8>) -> Result<Vec<u8>, DistError> {
        let (index, mut message) = (self.index(), message);
        let mut informed = 1;
        while informed < self.size() {
            if index < informed && index + informed < self.size() {
                self.exchange(index + informed, message.clone(), Duration::ZERO)?;
            } else if (informed..2 * informed).contains(&index) {
                message = self.exchange(index - informed, Vec::new(), Duration::ZERO)?;
            }
            informed *= 2;
        }
        Ok(message)
    }

    /// Waits until every process has called this function.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn barrier(&self) -> Result<(), DistError> {
        self.all_gather(Vec::new()).map(drop)
    }

    /// Returns on every process whether the condition holds on any of them.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn any(&self, condition: bool) -> Result<bool, DistError> {
        if !self.size().is_power_of_two() {
            return Ok(self.all_gather(vec![u8::from(condition)])?.concat().contains(&1));
        }
        let mut answer = [u8::from(condition)];
        self.all_reduce(&mut answer, |low, high| *low |= high)?;
        Ok(answer == [1])
    }

    /// Reduces the lists of all processes entry by entry, along the upper levels of the tree of [`tree_reduce`](crate::tree_reduce).
    ///
    /// `combine` gets the entry of the lower process first and changes it. All processes end with the same bits.
    ///
    /// # Errors
    /// Returns [`DistError::NotPowerOfTwo`], [`DistError::LengthMismatch`] if the lists have different lengths, or
    /// [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn all_reduce<T: NoUninit + AnyBitPattern>(
        &self,
        values: &mut [T],
        combine: impl Fn(&mut T, &T),
    ) -> Result<(), DistError> {
        self.check_power_of_two()?;
        for peer in self.peers() {
            let mut theirs = self.exchange_list(peer, values, values.len())?;
            if peer < self.index() {
                theirs.iter_mut().zip(&*values).for_each(|(low, high)| combine(low, high));
                values.copy_from_slice(&theirs);
            } else {
                values.iter_mut().zip(&theirs).for_each(|(low, high)| combine(low, high));
            }
        }
        Ok(())
    }

    /// Adds up the lists of all processes entry by entry, along the same tree as [`ProcessGroup::all_reduce`].
    ///
    /// For long lists, every process adds up one part and sends it to the others, so that it sends twice the list for any number of
    /// processes. The result has the same bits, because a sum of two numbers does not depend on their order.
    ///
    /// # Errors
    /// Returns the errors of [`ProcessGroup::all_reduce`].
    ///
    /// # Source
    /// Rabenseifner, *Optimization of Collective Reduction Operations*, 2004.
    pub fn all_reduce_sum<T: NoUninit + AnyBitPattern + Add<Output = T>>(
        &self,
        values: &mut [T],
    ) -> Result<(), DistError> {
        if self.size() <= 2 || size_of_val(values) <= SHORT {
            return self.all_reduce(values, |low, high| *low = *low + *high);
        }
        self.check_power_of_two()?;
        let mut own = 0..values.len();
        let mut wider: Vec<(usize, Range<usize>)> = Vec::new();
        for peer in self.peers() {
            let middle = own.start + own.len() / 2;
            let halves = [own.start..middle, middle..own.end];
            let [kept, sent] = if self.index() < peer { halves } else { [1, 0].map(|i| halves[i].clone()) };
            let theirs = self.exchange_list(peer, &values[sent.clone()], kept.len())?;
            for (value, &other) in values[kept.clone()].iter_mut().zip(&theirs) {
                *value = *value + other;
            }
            wider.push((peer, sent));
            own = kept;
        }
        for (peer, missing) in wider.into_iter().rev() {
            let theirs = self.exchange_list(peer, &values[own.clone()], missing.len())?;
            values[missing.clone()].copy_from_slice(&theirs);
            own = own.start.min(missing.start)..own.end.max(missing.end);
        }
        Ok(())
    }

    /// Checks that the number of processes is a power of two, as the tree of a reduction requires.
    ///
    /// # Errors
    /// Returns [`DistError::NotPowerOfTwo`].
    pub fn check_power_of_two(&self) -> Result<(), DistError> {
        let size = self.size();
        if size.is_power_of_two() { Ok(()) } else { Err(DistError::NotPowerOfTwo { size }) }
    }

    /// Checks that all processes have the same texts, for example the same config. Each text has a name.
    ///
    /// All processes return the same result.
    ///
    /// # Errors
    /// Returns [`DistError::Mismatch`] with the first line that differs from process 0, or [`DistError::Timeout`] or
    /// [`DistError::PeerExited`] if a process does not answer.
    pub fn check_same(&self, texts: &[(&str, String)]) -> Result<(), DistError> {
        let message = texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\0");
        let all = self.all_gather(message.into_bytes())?;
        let of = |index: usize| -> Vec<String> {
            String::from_utf8_lossy(&all[index]).split('\0').map(str::to_owned).collect()
        };
        let first = of(0);
        for peer in 1..self.size() {
            let theirs = of(peer);
            for (i, (what, _)) in texts.iter().enumerate() {
                let [first, theirs] = [&first, &theirs].map(|list| list.get(i).map_or("", |s| s.as_str()));
                if let Some((first, theirs)) = first_difference(first, theirs) {
                    let what = (*what).to_owned();
                    return Err(DistError::Mismatch { peer, what, first, theirs });
                }
            }
        }
        Ok(())
    }

    /// Returns the first process whose message differs from that of process 0, or `None` if all messages are equal.
    ///
    /// # Errors
    /// Returns [`DistError::Timeout`] or [`DistError::PeerExited`] if a process does not answer.
    pub fn first_mismatch(&self, message: Vec<u8>) -> Result<Option<usize>, DistError> {
        let all = self.all_gather(message)?;
        Ok(all.iter().position(|other| *other != all[0]))
    }

    /// The peers of this process in the order of the tree, neighbours first.
    fn peers(&self) -> impl Iterator<Item = usize> {
        let (index, size) = (self.index(), self.size());
        (0..size.ilog2()).map(move |level| index ^ (1 << level))
    }

    /// Sends a list and receives one of `expected` entries.
    fn exchange_list<T: NoUninit + AnyBitPattern>(
        &self,
        peer: usize,
        list: &[T],
        expected: usize,
    ) -> Result<Vec<T>, DistError> {
        let bytes = self.exchange(peer, bytemuck::cast_slice(list).to_vec(), Duration::ZERO)?;
        if bytes.len() != expected * size_of::<T>() {
            let found = bytes.len() / size_of::<T>().max(1);
            return Err(DistError::LengthMismatch { peer, found, expected });
        }
        Ok(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
    }
}

/// Puts the length of a message in front of it.
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

/// The first lines of two texts that differ.
fn first_difference(a: &str, b: &str) -> Option<(String, String)> {
    let (mut a, mut b) = (a.lines(), b.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some((a.unwrap_or("nothing").to_owned(), b.unwrap_or("nothing").to_owned())),
        }
    }
}
