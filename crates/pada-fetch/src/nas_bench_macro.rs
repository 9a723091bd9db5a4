use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use pada_nasbench::{Download, MACRO_SHA256};
use serde::Deserialize;

use crate::{FetchError, Fetched, Job, Source, Table, http, make_folder};

const TABLE: Table = Table { download: Download::NasBenchMacro, sha256: MACRO_SHA256 };

/// The benchmark's own file, which the table is made from, at the last commit of its repository.
const PUBLIC: &str = "https://raw.githubusercontent.com/xiusu/NAS-Bench-Macro/61a2bfc2ca0dce04d0997e6cf498047c27d6acf2/\
                      data/nas-bench-macro_cifar10.json";

/// One network in the benchmark's file.
#[derive(Deserialize)]
struct Entry {
    test_acc: Vec<f64>,
    mean_acc: f64,
    params: u64,
    flops: u64,
}

/// Puts the table into `dir`.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    make_folder(dir)?;
    let part = dir.join("nas-bench-macro_cifar10.json.part");
    let public: Source<'_, Vec<u8>> = (
        PUBLIC.to_owned(),
        Box::new(move || TABLE.checked(table(&http::fetch(PUBLIC, &part, job.events)?)?.into_bytes())),
    );
    TABLE.download(job, dir, vec![public])
}

/// The table of the benchmark's file, networks in digit order.
fn table(json: &[u8]) -> Result<String, FetchError> {
    let entries: BTreeMap<String, Entry> =
        serde_json::from_slice(json).map_err(|error| FetchError::format(error.to_string()))?;
    let mut csv = "arch,mean_acc,acc1,acc2,acc3,params,flops\n".to_owned();
    for (arch, Entry { test_acc, mean_acc, params, flops }) in &entries {
        let &[a, b, c] = test_acc.as_slice() else {
            return Err(FetchError::format(format!("{arch} has {} accuracies, not 3", test_acc.len())));
        };
        let _ = writeln!(csv, "{arch},{mean_acc:.6},{a:.4},{b:.4},{c:.4},{params},{flops}");
    }
    Ok(csv)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// The first two rows of the table, as the benchmark's README says its file is built.
    #[test]
    fn the_benchmarks_file_becomes_the_table() {
        let json = r#"{
            "00000001": {"test_acc": [64.34, 64.14, 64.21], "mean_acc": 64.22333, "std": 0.083, "params": 791594, "flops": 14115328},
            "00000000": {"test_acc": [45.32, 45.33, 45.44], "mean_acc": 45.363332, "std": 0.054, "params": 387882, "flops": 7713280}
        }"#;
        let expected = "arch,mean_acc,acc1,acc2,acc3,params,flops\n\
            00000000,45.363332,45.3200,45.3300,45.4400,387882,7713280\n\
            00000001,64.223330,64.3400,64.1400,64.2100,791594,14115328\n";
        assert_eq!(table(json.as_bytes()).unwrap(), expected);
        let two = br#"{"00000000": {"test_acc": [1, 2], "mean_acc": 1.5, "params": 1, "flops": 1}}"#;
        assert!(table(two).unwrap_err().to_string().contains("2 accuracies"));
    }
}
