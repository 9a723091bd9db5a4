#![doc = include_str!("../README.md")]

mod config;
mod error;
mod eval;
mod experiment;
mod export;
pub mod prelude;
mod report_data;
mod run;
mod search;
mod text;

pub use config::{
    ComputeConfig, Config, ConfigError, ConfigPlace, DataConfig, DifferentiableKeys, EnasKeys, ExecutorName,
    FewShotConfig, FusePart, GradientMatchingConfig, ImageImportanceConfig, ImagesConfig, LastSchedule,
    LastSplit, NormalizeDigits, PathsConfig, RankArchs, RankBudget, RankConfig, RankSplit, Recalibration,
    RetrainConfig, RetrainNetwork, RetrainSettings, RunConfig, SEARCH_RULES, SkeletonName, SpaceName,
    SplitConfig, SplitSchedule, StandAloneConfig, SupernetConfig, TestConfig, TrainPart, TruthName,
    UpdateConfig, WidthsName, config_tables, in_home, retrain_config_tables, search_space,
};
pub use error::{ErrorKind, PadaError, with_causes};
pub use eval::arch_files::{
    ScoreFile, ScoresRead, Undefined, check_output, check_scores_file, read_archs, read_score_column,
    read_scores, write_file, write_ranking, write_scores, write_zero_cost,
};
pub use eval::cost::{NetSize, StandAloneNet};
pub use eval::evaluation::Evaluation;
pub use eval::fusion::read_baselines;
pub use eval::latency::{
    CheckedArch, LatencyCheck, LatencyJob, LatencyNet, LatencyTable, MeasuredLatencies, OpLatency,
    measure_latencies, predict_latencies,
};
pub use eval::notation::{Notation, ReadArch};
pub use eval::ranking::{FUSED, Ranked};
pub use eval::score_job::{ScoreJob, Scored, zero_cost_scores};
pub use eval::tables::Tables;
pub use eval::weights_file::{RankJob, WeightsFile, is_run_folder, rank_weights, run_weights, weight_layout};
pub use eval::zero_cost::ZeroCost;
pub use experiment::run::Run;
pub use experiment::{Dataset, Experiment};
pub use export::{
    Existing, ExportFiles, ExportFormat, ExportJob, ExportWeights, ExportedNet, StatisticsFrom,
    check_new_file, export, read_exported,
};
#[cfg(feature = "candle")]
pub use pada_candle as candle;
pub use pada_data as data;
pub use pada_dist as dist;
pub use pada_engine as engine;
pub use pada_exec as exec;
pub use pada_graph as graph;
pub use pada_metrics as metrics;
pub use pada_models as models;
pub use pada_nasbench as nasbench;
pub use pada_report as report;
pub use pada_sampler as sampler;
pub use pada_search as search_methods;
pub use pada_space as space;
pub use pada_trainer as trainer;
pub use pada_zerocost as zero_cost;
pub use report_data::{RunReader, run_folders, write_page};
pub use run::device::{Choice, Device, DriverState};
pub use run::folder::RunFolder;
pub use run::network::{Network, active_conv_params};
pub use run::session::Session;
pub use run::trained_run::{SubSupernet, TrainedRun};
pub use search::score_cache::read_search_scores;
pub use search::{
    DifferentiableJob, DifferentiableResult, FoundArch, SearchCost, SearchJob, SearchLimits, SearchMethod,
    SearchResult, TableScores, TableSearch, differentiable_config, differentiable_mini,
    search_differentiable, search_method, search_run, search_table, search_weights,
};
