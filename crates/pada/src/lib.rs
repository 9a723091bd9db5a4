#![doc = include_str!("../README.md")]

mod alone;
mod baselines;
mod build;
mod compare;
mod config;
mod cost;
mod device;
mod error;
mod export;
mod inputs;
mod lists;
mod pipeline;
mod ranking;
mod ranking_part;
mod ranking_share;
mod run_folder;
mod score_cache;
mod scoring;
mod search;
mod stages;
mod views;
mod weights_file;

pub use baselines::{Network, live_conv_weight};
pub use build::space as search_space;
pub use compare::Tables;
pub use config::{
    AloneConfig, ComputeConfig, DataConfig, DataRule, ExecutorName, FewShotConfig, GradientMatchingConfig,
    LastSplit, NoSettings, PathRule, RankArchs, RankConfig, RankSplit, Recalibration, RuleConfig, RunConfig,
    SamplerConfig, SpaceName, SplitConfig, SupernetConfig, TrainPart, TruthName, WidthsName,
};
pub use cost::AloneNet;
pub use device::{Choice, Device};
pub use error::{Blame, ConfigError, PadaError, with_causes};
pub use export::{
    Existing, ExportJob, ExportWeights, ExportedNet, StatisticsFrom, check_new_file, export, read_exported,
};
pub use lists::{check_scores_file, read_archs, read_scores, write_file, write_scores};
pub use pada_data as data;
pub use pada_engine as engine;
pub use pada_graph as graph;
pub use pada_rank as rank;
pub use pada_report as report;
pub use pada_sampler as sampler;
pub use pada_search as search_methods;
pub use pada_space as space;
pub use pada_supernet as supernet;
pub use pada_trainer as trainer;
pub use pada_truth as truth;
pub use pada_world as world;
pub use pipeline::{Place, Run};
pub use run_folder::RunFolder;
pub use score_cache::read_search_scores;
pub use search::{
    FoundArch, SearchCost, SearchJob, SearchLimits, SearchMethod, SearchResult, search_run, search_weights,
};
pub use views::{RunReader, run_folders, write_page};
pub use weights_file::{RankJob, WeightsFile, rank_weights, weight_layout};
