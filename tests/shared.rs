//! Values of PyTorch, of scipy and of published tables that are too large for this repository. Every test that reads them
//! includes this file.
//!
//! Golden values lie in `$PADA_GOLDEN`, by default `../shared/peer/golden` beside the workspace, each beside the script that
//! wrote it; tables in `../shared/data`. What is not there is skipped in so many words; `PADA_REQUIRE_SHARED=1` makes that an
//! error.
#![allow(clippy::print_stdout, dead_code, reason = "a part of tests")]

use std::path::{Path, PathBuf};

/// The folder of golden values; none where it is missing and may be.
pub(crate) fn golden() -> Option<PathBuf> {
    // Tests run in the folder of their crate: a relative path means one from the workspace.
    found(std::env::var_os("PADA_GOLDEN").map_or_else(default_golden, |path| workspace().join(path)))
}

/// A golden file, also from the default folder where `$PADA_GOLDEN` has none of that name; none likewise.
pub(crate) fn golden_file(name: &str) -> Option<PathBuf> {
    let chosen = golden()?.join(name);
    found(if chosen.exists() { chosen } else { default_golden().join(name) })
}

/// The folder of tables; none likewise.
pub(crate) fn tables() -> Option<PathBuf> {
    found(shared().join("data"))
}

/// The table of NAS-Bench-201; none likewise.
pub(crate) fn nb201_table() -> Option<PathBuf> {
    found(tables()?.join("nasbench201/nasbench201.csv"))
}

/// Says that a test cannot run, or fails where it must.
pub(crate) fn skip(what: &str) {
    let required = std::env::var_os("PADA_REQUIRE_SHARED").is_some_and(|v| v == "1");
    assert!(!required, "{what} is missing and PADA_REQUIRE_SHARED is set");
    println!("skipped: {what} is not there");
}

fn found(path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    skip(&path.display().to_string());
    None
}

fn default_golden() -> PathBuf {
    shared().join("peer/golden")
}

/// Beside the workspace.
fn shared() -> PathBuf {
    workspace().join("../shared")
}

/// Every crate lies in `crates/`.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
