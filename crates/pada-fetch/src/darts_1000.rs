use std::path::Path;

use pada_nasbench::{DARTS_1000_SHA256, Download};

use crate::{FetchError, Fetched, Job, Source, Table, http, make_folder};

const TABLE: Table = Table { download: Download::Darts1000, sha256: DARTS_1000_SHA256 };

/// The file, at the last commit of its repository.
const PUBLIC: &str = "https://raw.githubusercontent.com/pym1024/SWAP/f6049f7c979b0cfc9ac5a13666fedb79dfe3cce8/\
                      datasets/DARTS_archs_CIFAR10.csv";

/// Puts the table into `dir`. It is the public file, unchanged.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    make_folder(dir)?;
    let part = dir.join("DARTS_archs_CIFAR10.csv.part");
    let public: Source<'_, Vec<u8>> =
        (PUBLIC.to_owned(), Box::new(move || TABLE.checked(http::fetch(PUBLIC, &part, job.events)?)));
    TABLE.download(job, dir, vec![public])
}
