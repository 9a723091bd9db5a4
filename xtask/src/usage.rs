//! Errors and exit codes of developer programs.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// Wrong usage or input: the user can fix it.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Creates an error that the user can fix, with exit code 2.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// Reads a text file that the user named.
///
/// # Errors
/// Returns an error that the user can fix if the file cannot be read.
pub fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).map_err(|error| usage(format!("{}: {error}", file.display())))
}

/// Returns 2 if the user can fix the error, and 1 otherwise, as the program `pada` does.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(code(error))
}

/// Converts the result of a program to its exit code, and prints an error with its causes.
pub fn end(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Errors of the libraries contain the text of their cause, which is not repeated.
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    eprintln!("error: {text}");
    exit_code(&error)
}

fn code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Usage>()) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn what_the_user_can_mend_ends_with_two_whatever_stands_before_it() {
        let with_context = |error: anyhow::Error| Err::<(), _>(error).context("the row spos").unwrap_err();
        assert_eq!(code(&with_context(usage("--target: there is none"))), 2);
        assert_eq!(code(&usage("--target: there is none")), 2);
        let failed = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!((code(&failed.into()), code(&anyhow::anyhow!("it did not end"))), (1, 1));
    }
}
