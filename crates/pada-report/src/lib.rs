#![doc = include_str!("../README.md")]

mod agreement;
mod epoch;
mod error;
mod record;
mod summary;
mod tensorboard;

pub use agreement::{Agreement, Ceiling, ZeroCostRow};
pub use epoch::EpochRecord;
pub use error::ReportError;
pub use record::{BestArch, ImagesRecord, RankRecord, RunRecord, SupernetRecord};
pub use summary::{ranking_summary, summary};
pub use tensorboard::EventFile;
