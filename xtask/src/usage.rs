use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use pada::{ConfigError, ErrorKind, PadaError};

/// Wrong usage or input: the user can mend it.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error that the user can mend; it ends the program with the code for that.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// The text of a file that the user named.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).map_err(|error| usage(format!("{}: {error}", file.display())))
}

/// 2 where the user can mend it, 130 after a stop, 1 otherwise: as pada-train.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    let blamed = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<PadaError>() {
        Some(error) => Some(error.kind()),
        None => (cause.is::<Usage>() || cause.is::<ConfigError>()).then_some(ErrorKind::Input),
    };
    error.chain().find_map(blamed).unwrap_or(ErrorKind::Run).exit_code()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn what_the_user_can_mend_ends_with_two_whatever_stands_before_it() {
        let wrong = || pada::RunConfig::mini().with("train.epochs=none").unwrap_err();
        let with_context = |error: anyhow::Error| Err::<(), _>(error).context("the row spos").unwrap_err();
        assert_eq!(code(&with_context(wrong().into())), 2);
        assert_eq!(code(&with_context(PadaError::from(wrong()).into())), 2);
        assert_eq!(code(&usage("--target: there is none")), 2);
        let failed = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!((code(&failed.into()), code(&anyhow::anyhow!("it did not end"))), (1, 1));
    }
}
