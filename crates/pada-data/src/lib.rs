#![doc = include_str!("../README.md")]

mod augment;
mod cifar10;
mod error;
mod mini;
mod set;
mod source;
mod splits;

pub use augment::{Augment, Flip, fill, normalised};
pub use cifar10::{CIFAR10_FILES, PinnedFile, cifar10};
pub use error::DataError;
pub use mini::{MINI_SHA256, encode_mini, halve, mini, select_mini};
pub use set::{ImageSet, Normalize};
pub use source::open;
pub use splits::Splits;
