#![doc = include_str!("../README.md")]

mod arch;
mod error;
mod metrics;
mod observer;
mod run;
mod sampler;
mod search;
mod space;
mod tables;

/// The functions and classes that the Python files of the package use.
#[pyo3::pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use crate::arch::{Arch, Rng};
    #[pymodule_export]
    use crate::metrics::{
        all_metrics, finite_scores, fuse, mean_interval, metric, metric_interval, p_value, paired_difference,
    };
    #[pymodule_export]
    use crate::run::{
        evaluate, export, resume, search_folder, search_scores, search_supernet, set_threads, train, version,
        write_report, zero_cost,
    };
    #[pymodule_export]
    use crate::sampler::{DataSampler, PathSampler};
    #[pymodule_export]
    use crate::search::AskTell;
    #[pymodule_export]
    use crate::space::{Space, SubSpace};
    #[pymodule_export]
    use crate::tables::{download, load_table};
}
