#![doc = include_str!("../README.md")]

mod augment;
mod cifar;
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
pub use cifar::{CIFAR10, CIFAR100, Cifar, PinnedFile};
pub use draw::{Draw, DrawnImages, Placed, fill, normalised};
pub use error::DataError;
pub use folder::{Damaged, ImageFolder};
pub use jitter::ColorJitter;
pub use loader::Loader;
pub use mini::{MINI_SHA256, encode_mini, halve, mini, select_mini};
pub use set::{ImageSet, Normalize};
pub use source::{ImageSource, NAMES, Photographs, open};
pub use splits::Splits;
