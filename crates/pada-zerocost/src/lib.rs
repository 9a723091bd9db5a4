#![doc = include_str!("../README.md")]

mod az_nas;
mod error;
#[cfg(test)]
mod golden;
mod grasp;
mod jacobian;
mod matrix;
mod patterns;
mod saliency;
mod score;
mod scorer;
mod structure;
mod synflow;
mod zen;
mod zico;

pub use error::ZeroCostError;
pub use score::{Score, ScoreKind, ScoreValue};
pub use scorer::{ScoringBatch, Weights, ZeroCostScorer};
pub use structure::structural;
