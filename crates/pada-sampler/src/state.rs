use std::collections::BTreeMap;

use pada_space::{Arch, SubSpace};

use crate::SamplerError;

/// What a checkpoint keeps of a sampler: named lists of numbers, restored bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerState(pub BTreeMap<String, Vec<f64>>);

impl SamplerState {
    /// Lists under names.
    pub fn new<const N: usize>(lists: [(&str, &[f64]); N]) -> Self {
        Self(lists.into_iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect())
    }

    /// One list that holds paths, one behind the other.
    pub fn archs(name: &str, archs: &[Arch]) -> Self {
        let choices = archs.iter().flat_map(|arch| arch.choices()).map(|&c| f64::from(c));
        Self(BTreeMap::from([(name.to_owned(), choices.collect())]))
    }

    /// Takes one list out, as a state of its own; an empty one where it is not there.
    pub fn take(&mut self, name: &str) -> Self {
        Self(self.0.remove_entry(name).into_iter().collect())
    }

    /// The paths of [`SamplerState::archs`]; nothing else may be there.
    ///
    /// # Errors
    /// [`SamplerError::State`], also for paths that are not in `space`.
    pub fn to_archs(&self, name: &str, space: &SubSpace) -> Result<Vec<Arch>, SamplerError> {
        self.to_arch_lists([name], space).map(|[archs]| archs)
    }

    /// The paths of several [`SamplerState::archs`] that were put together; nothing else may be there.
    ///
    /// # Errors
    /// As [`SamplerState::to_archs`].
    pub fn to_arch_lists<const N: usize>(
        &self,
        names: [&str; N],
        space: &SubSpace,
    ) -> Result<[Vec<Arch>; N], SamplerError> {
        let positions = space.allowed().len();
        let lists = self.lists(names.map(|name| (name, self.0.get(name).map_or(0, Vec::len))))?;
        let bad = |reason| Err(SamplerError::State { reason });
        let mut found = std::array::from_fn(|_| Vec::new());
        for ((name, choices), archs) in names.iter().zip(lists).zip(&mut found) {
            let len = choices.len();
            if !len.is_multiple_of(positions) {
                return bad(format!("{name} has {len} numbers, no multiple of {positions}"));
            }
            let arch = |c: &[f64]| Arch::new(c.iter().map(|&c| c as u8).collect::<Vec<_>>());
            *archs = choices.chunks_exact(positions).map(arch).collect::<Vec<_>>();
            if let Some(stranger) = archs.iter().find(|arch| !space.contains(arch)) {
                return bad(format!("{name} holds {stranger}, which is not in the space"));
            }
        }
        Ok(found)
    }

    /// The lists with these names and lengths, in this order; nothing else may be there.
    ///
    /// # Errors
    /// [`SamplerError::State`]
    pub fn lists<const N: usize>(&self, expected: [(&str, usize); N]) -> Result<[Vec<f64>; N], SamplerError> {
        let bad = |reason| Err(SamplerError::State { reason });
        if let Some(name) = self.0.keys().find(|name| expected.iter().all(|(e, _)| e != name)) {
            return bad(format!("{name} is not known"));
        }
        for (name, len) in expected {
            match self.0.get(name) {
                None => return bad(format!("{name} is missing")),
                Some(list) if list.len() != len => {
                    return bad(format!("{name} has {} numbers, not {len}", list.len()));
                }
                Some(list) if !list.iter().all(|v| v.is_finite()) => {
                    return bad(format!("{name} holds a number that is not finite"));
                }
                Some(_) => {}
            }
        }
        Ok(expected.map(|(name, _)| self.0[name].clone()))
    }
}
