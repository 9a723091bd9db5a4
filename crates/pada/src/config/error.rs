use std::path::PathBuf;

use thiserror::Error;

use super::ConfigPlace;

/// Error of a config: a file cannot be read, or a key or value is not valid.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file that a config extends cannot be read.
    #[error("{place}: `extends` names {path}, which cannot be read: {source}")]
    Extends {
        /// File and line of `extends`.
        place: ConfigPlace,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Several configs extend each other in a cycle.
    #[error("configs extend each other in a cycle: {files}")]
    ExtendsCycle {
        /// The files, each of which extends the next.
        files: String,
    },
    /// A file is not valid TOML.
    #[error("{place}: {reason}")]
    Syntax {
        /// File and line.
        place: ConfigPlace,
        /// The reason why the value is rejected.
        reason: String,
    },
    /// A key does not exist.
    #[error("{place}: unknown key `{key}`{}{valid}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// The most similar valid key, if one is similar enough.
        nearest: Option<String>,
        /// A sentence with the valid keys or sections.
        valid: String,
    },
    /// A key does not exist, but another one has its meaning.
    #[error("{place}: unknown key `{key}`; use {replacement}")]
    Replaced {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The unknown key.
        key: String,
        /// The key or section to use instead.
        replacement: String,
    },
    /// A key belongs to the other kind of config.
    #[error("{place}: `{key}` is a key of {of}, but this is {here}")]
    OtherKind {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// The kind of config that has the key.
        of: &'static str,
        /// The kind of this config.
        here: &'static str,
    },
    /// A key belongs to another rule of its section.
    #[error("{place}: `{key}` has no effect with `{tag} = \"{here}\"`; it belongs to `{tag}` = {of}")]
    OtherRule {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// The key that chooses the rule.
        tag: String,
        /// The rules that have the key.
        of: String,
        /// The rule of this config.
        here: String,
    },
    /// A value has the wrong type.
    #[error("{place}: `{key}` must be {expected}; {found}")]
    WrongValue {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// The expected type.
        expected: String,
        /// A description of the value.
        found: String,
    },
    /// An assignment cannot be parsed.
    #[error("`--set {assignment}`: {reason}")]
    Set {
        /// The assignment.
        assignment: String,
        /// The reason why the assignment is rejected.
        reason: String,
    },
    /// A required key is not given.
    #[error("`{key}` must be given with {by}. {about}")]
    Missing {
        /// The key.
        key: String,
        /// The setting or section that requires the key.
        by: String,
        /// A sentence about the key.
        about: &'static str,
    },
    /// A key that the search space requires is not given.
    #[error("`{key}` is required in the search space `{space}`: {what}")]
    Needed {
        /// The key.
        key: &'static str,
        /// The space.
        space: &'static str,
        /// A description of the key and its values.
        what: &'static str,
    },
    /// A key has no effect in the search space.
    #[error("`{key}` has no effect in the search space `{space}`: {reason}; leave it out")]
    NoEffect {
        /// The key.
        key: &'static str,
        /// The space.
        space: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// A run cannot be trained longer, because some of its numbers depend on the number of epochs.
    #[error(
        "the run cannot be extended to {epochs} epochs: {reason}, so a longer run differs from its first epochs on; {advice}"
    )]
    CannotExtend {
        /// The number of epochs that was asked for.
        epochs: usize,
        /// The setting that depends on the number of epochs.
        reason: &'static str,
        /// A description of what can be done instead.
        advice: &'static str,
    },
    /// A text is not an architecture of the search space.
    #[error(transparent)]
    Arch(#[from] pada_space::SpaceError),
    /// A value is out of range.
    #[error("`{key}` is {value}, but it must be {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The allowed values.
        range: &'static str,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| ". ".to_owned(), |key| format!("; did you mean `{key}`? "))
}
