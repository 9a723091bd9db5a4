use std::collections::BTreeMap;

use crate::SamplerError;

/// What a checkpoint keeps of a sampler: named lists of numbers, restored bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerState(pub BTreeMap<String, Vec<f64>>);

impl SamplerState {
    pub(crate) fn new<const N: usize>(lists: [(&str, &[f64]); N]) -> Self {
        Self(lists.into_iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect())
    }

    /// The lists with these names and lengths, in this order; nothing else may be there.
    pub(crate) fn lists<const N: usize>(
        &self,
        expected: [(&str, usize); N],
    ) -> Result<[Vec<f64>; N], SamplerError> {
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
