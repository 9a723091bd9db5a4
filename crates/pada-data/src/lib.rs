#![doc = include_str!("../README.md")]

mod augment;
mod cifar10;
mod draw;
mod error;
mod folder;
mod jitter;
mod loader;
mod mini;
mod photo;
mod set;
mod source;
mod splits;

pub use augment::{Augment, Flip, ResizedCrop};
pub use cifar10::{CIFAR10_CLASSES, CIFAR10_FILES, PinnedFile, cifar10};
pub use draw::{Draw, DrawnImages, Placed, fill, normalised};
pub use error::DataError;
pub use folder::{Damaged, ImageFolder};
pub use jitter::ColorJitter;
pub use loader::Loader;
pub use mini::{MINI_SHA256, encode_mini, halve, mini, select_mini};
pub use set::{ImageSet, Normalize};
pub use source::{ImageSource, Photographs, open};
pub use splits::Splits;
