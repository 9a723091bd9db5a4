use std::path::PathBuf;

use thiserror::Error;

use crate::Cifar;

/// The error type of this crate. Errors about files name the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file of a data set is missing.
    #[error(
        "{path} is missing; run `pada download {set}`, or set PADA_DATA to the folder that contains {set}/"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name of the data set.
        set: &'static str,
    },
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file has the wrong length.
    #[error(
        "{path} has {found} bytes instead of {expected} and ends in record {record}; the file is damaged, run `pada download {set}`"
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Length in bytes.
        found: u64,
        /// Expected length in bytes.
        expected: u64,
        /// The record in which the file ends, counted from 0.
        record: u64,
        /// Name of the data set.
        set: &'static str,
    },
    /// A label is not a class.
    #[error(
        "{path}: record {record} has label {label}, but {} has labels 0..={}; the file is damaged, run `pada download {}`",
        .set.title, .set.classes.len() - 1, .set.name
    )]
    BadLabel {
        /// The file.
        path: PathBuf,
        /// The record, counted from 0.
        record: usize,
        /// The label.
        label: u8,
        /// The data set.
        set: Cifar,
    },
    /// The embedded images cannot be decoded, because the program was built from a damaged checkout.
    #[error(
        "the embedded mini images are damaged ({reason}); build the program again from an undamaged checkout"
    )]
    Embedded {
        /// The reason.
        reason: String,
    },
    /// A folder has the Python version of CIFAR, whose files are pickles.
    #[error(
        "{path} has the Python version of CIFAR, but the binary version is read: `pada download cifar10` or `cifar100` brings it, or unpack cifar-10-binary.tar.gz and name its folder"
    )]
    PythonVersion {
        /// The folder.
        path: PathBuf,
    },
    /// A folder of photographs does not have the expected layout.
    #[error("{path}: {reason}; the expected layout is train/<class>/*.jpeg and val/<class>/*.jpeg")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A photograph cannot be decoded.
    #[error(
        "{path} is damaged: {reason}; replace the file, or leave out damaged files with data.damaged = \"skip\" in the config (`--set data.damaged=skip` for a new run)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of the decoder.
        reason: String,
    },
    /// The image size of a folder of photographs is missing.
    #[error(
        "{path} contains photographs, so data.image_size is required, for example `--set data.image_size=224`"
    )]
    NoSize {
        /// The folder.
        path: PathBuf,
    },
    /// An image size was given for a data set with a fixed size.
    #[error("the images of {name} have a fixed size; remove data.image_size and data.damaged")]
    OwnSize {
        /// The data set.
        name: String,
    },
    /// There is no data set of this name.
    #[error(
        "unknown data set {name:?}; use `mini`, `cifar10`, `cifar100`, a folder with the binary files of CIFAR-10 or CIFAR-100, or a folder with train/<class>/*.jpeg and val/<class>/*.jpeg"
    )]
    UnknownSource {
        /// The name that was given.
        name: String,
    },
    /// An image index is not below the number of images.
    #[error("image {index} is out of range: {dataset} has {images} images")]
    IndexOutOfRange {
        /// Name of the data set.
        dataset: String,
        /// The index.
        index: usize,
        /// Number of images.
        images: usize,
    },
    /// AutoAugment or RandAugment was requested for images that do not have three channels.
    #[error(
        "the images of {dataset} have {channels} channels, but AutoAugment and RandAugment are for red, green and blue; switch them off"
    )]
    NotColour {
        /// Name of the data set.
        dataset: String,
        /// Number of channels of its images.
        channels: usize,
    },
    /// A batch plan was made for another kind of data set.
    #[error(
        "the batch was planned for another data set than {name}; call `plan` and `load` on the same data set"
    )]
    OtherDataset {
        /// Name of the data set that was asked for the batch.
        name: String,
    },
    /// All photographs are damaged, so that nothing is left after skipping them.
    #[error("all {images} images of {dataset} are damaged; with data.damaged = \"skip\" nothing is left")]
    AllDamaged {
        /// Name of the data set.
        dataset: String,
        /// Number of images.
        images: usize,
    },
}
