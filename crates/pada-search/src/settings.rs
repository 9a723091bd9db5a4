use thiserror::Error;

/// A setting of a search method that is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} is {value}, but it must be {allowed}")]
pub struct InvalidSetting {
    /// The name of the setting.
    pub name: &'static str,
    /// The value of the setting.
    pub value: String,
    /// The values that are allowed.
    pub allowed: &'static str,
}

/// Checks that a count is large enough; `allowed` describes the range.
pub(crate) fn at_least(
    name: &'static str,
    value: usize,
    least: usize,
    allowed: &'static str,
) -> Result<(), InvalidSetting> {
    within(name, value, value >= least, allowed)
}

/// Checks that a rate is a probability.
pub(crate) fn probability(name: &'static str, value: f64) -> Result<(), InvalidSetting> {
    within(name, value, (0.0..=1.0).contains(&value), "from 0 to 1")
}

/// Checks that a number is finite and larger than 0.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), InvalidSetting> {
    within(name, value, value > 0.0 && value.is_finite(), "larger than 0")
}

/// Checks that a number is finite and not negative.
pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<(), InvalidSetting> {
    within(name, value, value >= 0.0 && value.is_finite(), "0 or larger")
}

/// Returns an error unless `valid` is true; `allowed` describes the range.
pub(crate) fn within(
    name: &'static str,
    value: impl ToString,
    valid: bool,
    allowed: &'static str,
) -> Result<(), InvalidSetting> {
    if valid { Ok(()) } else { Err(InvalidSetting { name, value: value.to_string(), allowed }) }
}
