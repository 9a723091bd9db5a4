//! The short text form of every space: one digit per position.

use crate::space::valid_ops;
use crate::{Arch, SearchSpace, SpaceError};

/// Reads one digit (`0`–`9`, then `a`–`z`) per position of a space.
///
/// # Errors
/// [`SpaceError::WrongLength`] or [`SpaceError::UnknownOp`].
pub fn parse(space: &dyn SearchSpace, text: &str) -> Result<Arch, SpaceError> {
    let (found, expected) = (text.chars().count(), space.n_ops().len());
    if found != expected {
        return Err(SpaceError::WrongLength { text: text.to_owned(), found, space: space.name(), expected });
    }
    let digit = |(position, (c, &n)): (usize, (char, &usize))| match c.to_digit(36) {
        Some(digit) if (digit as usize) < n => Ok(digit as u8),
        _ => Err(SpaceError::UnknownOp {
            text: text.to_owned(),
            op: c.to_string(),
            position,
            space: space.name(),
            valid: valid_ops(&space.op_names()[..n.min(space.op_names().len())]),
        }),
    };
    Ok(Arch::new(text.chars().zip(space.n_ops()).enumerate().map(digit).collect::<Result<Vec<_>, _>>()?))
}
