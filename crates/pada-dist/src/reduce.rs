use std::ops::{Add, Range};
use std::time::Duration;

use bytemuck::{AnyBitPattern, NoUninit};

use crate::{DistError, ProcessGroup};

/// Shorter messages are sent whole in every round: fewer rounds beat fewer bytes.
const SHORT: usize = 16 << 10;

impl ProcessGroup {
    /// Joins the lists of all ranks, entry by entry, as the upper part of the tree of [`crate::fold`]: `join` gets the lower rank's
    /// entry first and changes it. All ranks end with the same bits.
    ///
    /// # Errors
    /// [`DistError::NoPowerOfTwo`], or another where a rank hangs.
    pub fn join<T: NoUninit + AnyBitPattern>(
        &self,
        values: &mut [T],
        join: impl Fn(&mut T, &T),
    ) -> Result<(), DistError> {
        self.check_size()?;
        for peer in self.peers() {
            let mut theirs = self.swap_list(peer, values)?;
            if peer < self.rank() {
                theirs.iter_mut().zip(&*values).for_each(|(low, high)| join(low, high));
                values.copy_from_slice(&theirs);
            } else {
                values.iter_mut().zip(&theirs).for_each(|(low, high)| join(low, high));
            }
        }
        Ok(())
    }

    /// Adds up the lists of all ranks along the same tree. Of a long list every rank adds up one part and hands it to the others, so
    /// that it sends twice the list however many ranks there are (Rabenseifner, 2004). A sum does not depend on the order of its two
    /// parts.
    ///
    /// # Errors
    /// [`DistError::NoPowerOfTwo`], or another where a rank hangs.
    pub fn sum<T: NoUninit + AnyBitPattern + Add<Output = T>>(
        &self,
        values: &mut [T],
    ) -> Result<(), DistError> {
        if self.size() <= 2 || size_of_val(values) <= SHORT {
            return self.join(values, |low, high| *low = *low + *high);
        }
        self.check_size()?;
        let mut own = 0..values.len();
        let mut wider: Vec<(usize, Range<usize>)> = Vec::new();
        for peer in self.peers() {
            let middle = own.start + own.len() / 2;
            let halves = [own.start..middle, middle..own.end];
            let [kept, sent] = if self.rank() < peer { halves } else { [1, 0].map(|i| halves[i].clone()) };
            let theirs = self.swap_list(peer, &values[sent.clone()])?;
            for (value, &other) in values[kept.clone()].iter_mut().zip(&theirs) {
                *value = *value + other;
            }
            wider.push((peer, sent));
            own = kept;
        }
        for (peer, missing) in wider.into_iter().rev() {
            let theirs = self.swap_list(peer, &values[own.clone()])?;
            values[missing.clone()].copy_from_slice(&theirs);
            own = own.start.min(missing.start)..own.end.max(missing.end);
        }
        Ok(())
    }

    /// Refuses a number of ranks that a tree cannot have as branches.
    ///
    /// # Errors
    /// [`DistError::NoPowerOfTwo`]
    pub fn check_size(&self) -> Result<(), DistError> {
        let size = self.size();
        if size.is_power_of_two() { Ok(()) } else { Err(DistError::NoPowerOfTwo { size }) }
    }

    /// Whom to meet in which order: neighbours first, as branches are joined from below.
    pub(crate) fn peers(&self) -> impl Iterator<Item = usize> {
        let (rank, size) = (self.rank(), self.size());
        (0..size.ilog2()).map(move |level| rank ^ (1 << level))
    }

    /// Swaps lists; the other one may be longer or shorter by what a half leaves over.
    fn swap_list<T: NoUninit + AnyBitPattern>(&self, peer: usize, list: &[T]) -> Result<Vec<T>, DistError> {
        let bytes = self.swap(peer, bytemuck::cast_slice(list).to_vec(), Duration::ZERO)?;
        Ok(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
    }
}
