use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, ensure};

/// Fetches a file into `part` and returns its bytes. A `part` that is there already is gone on with, so an interrupted download
/// loses nothing. The file is removed once it has been read whole.
pub(super) fn fetch(url: &str, part: &Path) -> anyhow::Result<Vec<u8>> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(part)
        .with_context(|| part.display().to_string())?;
    let there = file.seek(SeekFrom::End(0))?;
    let mut request = ureq::get(url);
    if there > 0 {
        request = request.header("Range", format!("bytes={there}-"));
    }
    let mut response = request.call().with_context(|| url.to_owned())?;
    if response.status() != 206 {
        // The server sends the whole file again.
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
    }
    let copied =
        std::io::copy(&mut response.body_mut().as_reader(), &mut file).with_context(|| url.to_owned())?;
    file.flush()?;
    ensure!(there + copied > 0, "{url} is empty");
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    std::fs::remove_file(part)?;
    Ok(bytes)
}
