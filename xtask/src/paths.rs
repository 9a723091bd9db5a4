use std::path::{Path, PathBuf};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where data sets and tables lie.
pub(crate) fn data_dir() -> PathBuf {
    std::env::var_os("PADA_DATA").map_or_else(|| root().join("data"), PathBuf::from)
}

/// Reference values and tables that lie beside the workspace where it is developed.
pub(crate) fn shared() -> PathBuf {
    root().parent().unwrap_or(root()).join("shared")
}
