use pada_space::{Arch, SubSpace};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SamplerError;

/// Saved state of a sampler or a training rule: what a checkpoint stores so that training can resume bit for bit.
///
/// The traits of this crate are object safe, so they cannot name the state type of each sampler. A `SavedState` carries the
/// serde form of that type together with the kind of sampler that it belongs to. Each sampler with a state has a public state
/// type, for example [`crate::PathImportanceState`]; [`SavedState::read`] returns it.
///
/// Finite `f64` and `f32` numbers survive [`SavedState`], JSON text and checkpoints bit for bit. NaN and infinite numbers do
/// not, so a state that contains one cannot be read back.
///
/// ```
/// use pada_sampler::SavedState;
///
/// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct RoundRobinState {
///     next: usize,
/// }
///
/// let saved = SavedState::new("round-robin", &RoundRobinState { next: 3 });
/// let state: RoundRobinState = saved.read("round-robin").unwrap();
/// assert_eq!(state, RoundRobinState { next: 3 });
/// assert!(saved.read::<RoundRobinState>("uniform").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    kind: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    state: Value,
}

/// The kind of a sampler or rule that keeps nothing between two calls.
const STATELESS: &str = "stateless";

impl SavedState {
    /// Converts a state to its serde form. `kind` names the sampler or rule, for example `"path-importance"`.
    ///
    /// # Panics
    /// Panics if `state` cannot be represented as JSON, for example because of a map whose keys are structs.
    pub fn new<T: Serialize>(kind: &str, state: &T) -> Self {
        let state = serde_json::to_value(state).expect("a state type can be represented as JSON");
        Self { kind: kind.to_owned(), state }
    }

    /// The state of a sampler or rule that keeps nothing between two calls.
    pub fn stateless() -> Self {
        Self { kind: STATELESS.to_owned(), state: Value::Null }
    }

    /// The name of the sampler or rule that the state belongs to.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Converts the state back to its own type.
    ///
    /// # Errors
    /// Returns [`SamplerError::OtherKind`] if the state belongs to another kind of sampler or rule, and
    /// [`SamplerError::State`] if it does not have the form of `T`.
    pub fn read<T: DeserializeOwned>(&self, kind: &str) -> Result<T, SamplerError> {
        self.check_kind(kind)?;
        T::deserialize(&self.state)
            .map_err(|error| SamplerError::State { kind: kind.to_owned(), reason: error.to_string() })
    }

    /// Checks that the state is [`SavedState::stateless`].
    ///
    /// # Errors
    /// Returns [`SamplerError::OtherKind`] if it is not.
    pub fn read_stateless(&self) -> Result<(), SamplerError> {
        self.check_kind(STATELESS)
    }

    fn check_kind(&self, kind: &str) -> Result<(), SamplerError> {
        if self.kind == kind {
            return Ok(());
        }
        Err(SamplerError::OtherKind { found: self.kind.clone(), expected: kind.to_owned() })
    }
}

/// Checks that restored paths belong to the space of a sampler.
pub(crate) fn check_paths<'a>(
    kind: &str,
    paths: impl IntoIterator<Item = &'a Arch>,
    space: &SubSpace,
) -> Result<(), SamplerError> {
    match paths.into_iter().find(|path| !space.contains(path)) {
        None => Ok(()),
        Some(path) => Err(bad_state(kind, format!("it contains the path {path}, which is not in the space"))),
    }
}

/// Checks that a restored list has the expected length.
pub(crate) fn check_len(kind: &str, field: &str, found: usize, expected: usize) -> Result<(), SamplerError> {
    if found == expected {
        return Ok(());
    }
    Err(bad_state(kind, format!("`{field}` has {found} elements instead of {expected}")))
}

pub(crate) fn bad_state(kind: &str, reason: String) -> SamplerError {
    SamplerError::State { kind: kind.to_owned(), reason }
}
