use std::io;
use std::path::PathBuf;

use pada::report::ReportError;
use pada::{ConfigError, ErrorKind, PadaError};
use thiserror::Error;

/// An error that kept a table or figure from being finished.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// An argument is wrong, or a folder contains another run.
    #[error("{0}")]
    Usage(String),
    /// A config or an assignment is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A run folder, a list of architectures, a score file or a benchmark table cannot be used.
    #[error(transparent)]
    Pada(#[from] PadaError),
    /// A record cannot be read, or a plot cannot be drawn.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// An error with the row or the folder that it belongs to.
    #[error("{place}: {source}")]
    Within {
        /// The row or the folder.
        place: String,
        /// The error.
        source: Box<ReproduceError>,
    },
    /// A trial failed, or its results cannot be used.
    #[error("{0}")]
    Trial(String),
    /// Some trials failed. The table contains the others.
    #[error("{} trials failed; {} contains the others:\n{}", reasons.len(), place.display(), reasons.join("\n"))]
    Trials {
        /// The table.
        place: PathBuf,
        /// Each trial that failed, with the reason.
        reasons: Vec<String>,
    },
    /// The user stopped the work. The same call continues it.
    #[error("stopped; {} contains the finished trials; the same command continues", place.display())]
    Stopped {
        /// The table or the folder with the finished trials.
        place: PathBuf,
    },
}

impl ReproduceError {
    /// Returns the kind of the error, which determines the exit code ([`ErrorKind::exit_code`]).
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage(_) | Self::Config(_) => ErrorKind::Input,
            Self::Pada(error) => error.kind(),
            Self::Within { source, .. } => source.kind(),
            Self::Stopped { .. } => ErrorKind::Stopped,
            Self::Report(ReportError::Json { .. }) => ErrorKind::Input,
            Self::Report(_) | Self::Io { .. } | Self::Trial(_) | Self::Trials { .. } => ErrorKind::Run,
        }
    }

    /// Adds the row or the folder that the error belongs to.
    pub(crate) fn within(self, place: impl Into<String>) -> Self {
        Self::Within { place: place.into(), source: Box::new(self) }
    }

    /// Creates an error of the operating system at a path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_can_mend_ends_with_two_whatever_stands_before_it() {
        let wrong = || pada::RunConfig::mini().with("train.epochs=none").unwrap_err();
        let code = |error: ReproduceError| error.kind().exit_code();
        assert_eq!(code(ReproduceError::from(wrong()).within("the row spos")), 2);
        assert_eq!(code(ReproduceError::from(PadaError::from(wrong())).within("the row spos")), 2);
        assert_eq!(code(ReproduceError::Usage("--target: there is none".to_owned())), 2);
        let failed = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(code(ReproduceError::io("table.md")(failed)), 1);
        assert_eq!(code(ReproduceError::Trial("it did not end".to_owned())), 1);
        assert_eq!(code(ReproduceError::Stopped { place: "runs".into() }), 130);
    }
}
