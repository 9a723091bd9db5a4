#![doc = include_str!("../README.md")]

mod agreement;
mod audit;
mod communication;
mod epoch;
mod error;
pub mod html;
mod method_csv;
mod method_row;
mod method_table;
mod mlflow;
mod numbers;
mod picture;
mod plots;
mod published;
mod ranking_row;
mod record;
mod sampling;
mod scale;
mod spread;
mod summary;
mod tensorboard;

pub use agreement::{Agreement, Ceiling, Comparison, FusedRow, ScoreLists, ZeroCostRow};
pub use audit::{ImageAudit, PathAudit};
pub use communication::CommunicationRecord;
pub use epoch::{BestEpoch, EpochRecord, MixtureRecord, TestRecord};
pub use error::ReportError;
pub use method_row::{MethodName, MethodRow, RowGroup, mean_gv};
pub use method_table::{FailedTrial, MethodTable, scientific};
pub use mlflow::{MlflowRun, MlflowStore};
pub use picture::{
    ArchPicture, BlockPicture, CellPicture, ChainPicture, EdgePicture, OpKind, PicturePart, svg_of,
};
pub use plots::{Axes, Bar, Curve, Mark, Origin, Panel, bar_plot, curve_plot, scatter_plot};
pub use published::{Published, PublishedCell};
pub use ranking_row::{RankingKind, RankingRow};
pub use record::{
    BestArch, FusionRecord, HalvingCost, HalvingRecord, HalvingRound, ImagesRecord, InitRecord, RankRecord,
    RunRecord, SupernetRecord,
};
pub use sampling::{Drawn, Sampling};
pub use spread::Spread;
pub use summary::{architectures, ranking_summary, summary, zero_cost_summary};
pub use tensorboard::EventFile;
