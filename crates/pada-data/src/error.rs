use std::path::PathBuf;

use thiserror::Error;

use crate::Cifar;

/// Why images cannot be read.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file of a data set is not there.
    #[error(
        "{path} is missing; run `cargo xtask download {set}`, or set PADA_DATA to the folder that holds {set}/"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The name of its data set.
        set: &'static str,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has the wrong length.
    #[error(
        "{path} has {found} bytes, {expected} are needed: it ends in record {record}; the file is damaged: run `cargo xtask download {set}`"
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length it should have.
        expected: u64,
        /// The record in which it ends, from 0.
        record: u64,
        /// The name of its data set.
        set: &'static str,
    },
    /// A label that is no class.
    #[error(
        "{path}: record {record} has label {label}, {} has 0..={}; the file is damaged: run `cargo xtask download {}`",
        .set.title, .set.classes.len() - 1, .set.name
    )]
    BadLabel {
        /// The file.
        path: PathBuf,
        /// The record, from 0.
        record: usize,
        /// What stands there.
        label: u8,
        /// The data set.
        set: Cifar,
    },
    /// The embedded images do not decode: the program was built from a damaged checkout.
    #[error("the embedded mini images are damaged: {reason}; run `cargo xtask make-mini`")]
    Embedded {
        /// What is wrong.
        reason: String,
    },
    /// A folder of photographs in another layout.
    #[error("{path}: {reason}; photographs are read from train/<class>/*.jpeg and val/<class>/*.jpeg")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A photograph that does not decode.
    #[error(
        "{path} is damaged: {reason}; leave such files out with `--set data.damaged=skip`, which a run under way takes from its config.toml, or delete it and start anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// Photographs of no size.
    #[error("{path} holds photographs: say what size they become, as in `--set data.image_size=224`")]
    NoSize {
        /// The folder.
        path: PathBuf,
    },
    /// A size for images that have one.
    #[error("the images of {name} have their own size: leave out data.image_size and data.damaged")]
    OwnSize {
        /// The data set.
        name: String,
    },
    /// No data set of that name.
    #[error(
        "{name:?} is no data set: use `mini`, `cifar10`, `cifar100`, a folder that holds the binary files of one of these two, or one that holds train/<class>/*.jpeg and val/<class>/*.jpeg"
    )]
    UnknownSource {
        /// What was asked for.
        name: String,
    },
}
