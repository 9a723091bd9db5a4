#![doc = include_str!("../README.md")]

mod alone;
mod arch_files;
mod baselines;
mod build;
mod compare;
mod config;
mod cost;
mod device;
mod error;
mod experiment;
mod export;
mod inputs;
mod pipeline;
pub mod prelude;
mod ranking;
mod ranking_part;
mod ranking_share;
mod report_data;
mod run_folder;
mod score_cache;
mod scoring;
mod search;
mod stages;
mod trained_run;
mod weights_file;

pub use arch_files::{check_scores_file, read_archs, read_scores, write_file, write_scores};
pub use baselines::{Network, live_conv_weight};
pub use build::space as search_space;
pub use compare::Tables;
pub use config::{
    ComputeConfig, Config, ConfigPlace, DataConfig, ExecutorName, FewShotConfig, GradientMatchingConfig,
    ImageImportanceConfig, ImagesConfig, LastSplit, PathsConfig, RankArchs, RankConfig, RankSplit,
    Recalibration, RetrainConfig, RetrainNetwork, RetrainSettings, RunConfig, SpaceName, SplitConfig,
    StandAloneConfig, SupernetConfig, TestConfig, TrainPart, TruthName, UpdateConfig, WidthsName,
    config_tables, retrain_config_tables,
};
pub use cost::AloneNet;
pub use device::{Choice, Device};
pub use error::{ConfigError, ErrorKind, PadaError, with_causes};
pub use experiment::{Dataset, Experiment};
pub use export::{
    Existing, ExportJob, ExportWeights, ExportedNet, StatisticsFrom, check_new_file, export, read_exported,
};
pub use pada_data as data;
pub use pada_dist as world;
pub use pada_engine as engine;
pub use pada_graph as graph;
pub use pada_metrics as rank;
pub use pada_models as supernet;
pub use pada_nasbench as truth;
pub use pada_report as report;
pub use pada_sampler as sampler;
pub use pada_search as search_methods;
pub use pada_space as space;
pub use pada_trainer as trainer;
pub use pipeline::{Run, Session};
pub use report_data::{RunReader, run_folders, write_page};
pub use run_folder::RunFolder;
pub use score_cache::read_search_scores;
pub use search::{
    FoundArch, SearchCost, SearchJob, SearchLimits, SearchMethod, SearchResult, search_run, search_weights,
};
pub use trained_run::{Evaluation, SubSupernet, TrainedRun};
pub use weights_file::{RankJob, WeightsFile, rank_weights, weight_layout};
