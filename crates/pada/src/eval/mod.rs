//! Evaluation of architectures: lists, weights, scores, costs, and the comparison of a ranking with benchmark tables.

pub(crate) mod arch_files;
pub(crate) mod archs;
pub(crate) mod cost;
pub(crate) mod evaluation;
pub(crate) mod fusion;
pub(crate) mod halving;
pub(crate) mod latency;
pub(crate) mod line_file;
pub(crate) mod notation;
pub(crate) mod partial_scores;
pub(crate) mod picture;
pub(crate) mod ranking;
pub(crate) mod score_job;
pub(crate) mod score_log;
pub(crate) mod share;
pub(crate) mod tables;
pub(crate) mod weights_file;
pub(crate) mod zero_cost;
