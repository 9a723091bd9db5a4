use std::path::PathBuf;

use thiserror::Error;

use super::ConfigPlace;

/// Why a config cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file that a config extends cannot be read.
    #[error("{place}: `extends` names {path}, which cannot be read: {source}")]
    Extends {
        /// Where it is named.
        place: ConfigPlace,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Configs extend each other.
    #[error("configs extend each other in a circle: {files}")]
    ExtendsCycle {
        /// The files, each of which extends the next.
        files: String,
    },
    /// A file is not valid TOML.
    #[error("{place}: {reason}")]
    Syntax {
        /// File and line.
        place: ConfigPlace,
        /// What is wrong.
        reason: String,
    },
    /// A key that no section has.
    #[error("{place}: unknown key `{key}`{}{valid}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// The valid key that is nearest to it, if one is near.
        nearest: Option<String>,
        /// The valid keys or sections, as a sentence.
        valid: String,
    },
    /// A key of an earlier version.
    #[error("{place}: `{key}` is now {replacement}")]
    Replaced {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The old key.
        key: String,
        /// What replaced it.
        replacement: String,
    },
    /// A key of the other kind of config.
    #[error("{place}: `{key}` is a key of {of}, but this is {here}")]
    OtherKind {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// The configs that have it.
        of: &'static str,
        /// This config.
        here: &'static str,
    },
    /// A key of another rule.
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
    /// A value of the wrong kind.
    #[error("{place}: `{key}` must be {expected}; {found}")]
    WrongValue {
        /// File and line, or the assignment.
        place: ConfigPlace,
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// An assignment that cannot be read.
    #[error("`--set {assignment}`: {reason}")]
    Set {
        /// The assignment.
        assignment: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that must be given.
    #[error("`{key}` must be given with {by}. {about}")]
    Missing {
        /// The key.
        key: String,
        /// What needs it.
        by: String,
        /// What the key means.
        about: &'static str,
    },
    /// The space needs a key that is not given.
    #[error("`{key}` is needed in the search space `{space}`: {what}")]
    Needed {
        /// The key.
        key: &'static str,
        /// The space.
        space: &'static str,
        /// What the key says.
        what: &'static str,
    },
    /// A key that has no effect in the space.
    #[error("`{key}` has no effect in the search space `{space}`: {reason}; leave it out")]
    NoEffect {
        /// The key.
        key: &'static str,
        /// The space.
        space: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// A text that is no architecture of the space.
    #[error(transparent)]
    Arch(#[from] pada_space::SpaceError),
    /// A value out of range.
    #[error("{key} is {value}, it must be {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| ". ".to_owned(), |key| format!("; did you mean `{key}`? "))
}
