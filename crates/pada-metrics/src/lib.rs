#![doc = include_str!("../README.md")]

mod bootstrap;
mod correlation;
mod error;
mod fusion;
mod metrics;
mod paired;
mod significance;
mod tau;
mod top;

pub use bootstrap::{Bootstrap, Interval, IntervalMethod, tau_b_difference_interval, tau_b_interval};
pub use correlation::{finite_scores, pearson, spearman};
pub use error::{MetricsError, ScoreList};
pub use fusion::{Fusion, fuse};
pub use metrics::Metrics;
pub use paired::{Difference, PairedMetric, paired_difference};
pub use significance::{PValueMethod, kendall_tau_b_p_value, mean_interval, spearman_p_value};
pub use tau::{kendall_tau_b, partial_tau, tau_within, weighted_tau};
pub use top::{br_at_top, p_at_top};
