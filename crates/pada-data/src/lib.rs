#![doc = include_str!("../README.md")]

mod augment;
mod batch;
mod cifar;
mod dataset;
mod error;
mod export;
mod folder;
mod in_memory;
mod jitter;
mod loader;
mod mini;
mod photo;
mod policy;
mod splits;

pub use augment::{Augment, Flip, ResizedCrop};
pub use batch::{AugmentedIndex, BatchPlan, ImageBatch, fill, normalised};
pub use cifar::{CIFAR10, CIFAR100, Cifar, PinnedFile};
pub use dataset::{Dataset, NAMES, Photographs, open};
pub use error::DataError;
pub use export::export_images;
pub use folder::{Damaged, ImageFolder};
pub use in_memory::{InMemoryDataset, Normalize};
pub use jitter::ColorJitter;
pub use loader::DataLoader;
pub use mini::{MINI_SHA256, encode_mini, halve, mini, select_mini};
pub use policy::{AutoAugment, LARGEST_MAGNITUDE, RandAugment};
/// The version of `rand` that this crate's functions take their random number generators from.
pub use rand;
pub use splits::Splits;
