use std::path::Path;

use anyhow::Context;

/// Writes a file that is there whole or not at all, and makes its folder.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(pada_trainer::write_durably(path, bytes)?)
}
