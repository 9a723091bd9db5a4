use std::path::Path;

use pada_nasbench::{DARTS_214_SHA256, Download};

use crate::{FetchError, Fetched, Job, Table};

const TABLE: Table = Table { download: Download::Darts214, sha256: DARTS_214_SHA256 };

/// Puts the table into `dir` from the local folder, because no public place has it as one file. Its numbers are those of
/// <https://github.com/antoyang/NAS-Benchmark>, commit c2758da7.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    TABLE.download(job, dir, vec![])
}
