#![doc = include_str!("../README.md")]

mod bootstrap;
mod correlation;
mod error;
mod metrics;
mod paired;
mod partial;
mod tau;
mod top;

pub use bootstrap::{Bootstrap, Interval, tau_b_difference_interval, tau_b_interval};
pub use correlation::{pearson, spearman};
pub use error::{List, RankError};
pub use metrics::Metrics;
pub use paired::{Difference, PairedMetric, paired_difference};
pub use partial::partial_tau;
pub use tau::kendall_tau_b;
pub use top::{br_at_top, p_at_top};
