use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use pada_fetch::sha256;
use xtask::files::write_whole;

/// The list of all files of a kit: SHA-256, bytes, and the path in the kit. A kit without it is incomplete.
pub(super) const NAME: &str = "MANIFEST";

/// A file of a kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    sha256: String,
    bytes: u64,
    /// Relative to the kit, with `/` between folders.
    path: String,
}

/// Lists the files of a kit in `parts`, and returns their total size in bytes.
pub(super) fn write(kit: &Path, parts: &[&str], commit: Option<&str>) -> anyhow::Result<u64> {
    let entries = entries(kit, parts)?;
    let mut text = format!(
        "# commit: {}\n# pada: {}\n# sha256, bytes, file\n",
        commit.unwrap_or("unknown"),
        env!("CARGO_PKG_VERSION")
    );
    for Entry { sha256, bytes, path } in &entries {
        let _ = writeln!(text, "{sha256}  {bytes}  {path}");
    }
    write_whole(&kit.join(NAME), text.as_bytes())?;
    Ok(entries.iter().map(|entry| entry.bytes).sum())
}

/// Checks every file in the list of a kit, and returns their total size in bytes.
///
/// # Errors
/// Returns an error that names a file that is missing or differs.
pub(super) fn verify(kit: &Path) -> anyhow::Result<u64> {
    let path = kit.join(NAME);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut total = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let expected =
            parse(line).with_context(|| format!("{}: {line:?} is not an entry", path.display()))?;
        let found = entry(kit, &kit.join(&expected.path))?;
        ensure!(found == expected, "{} is {found:?}, the kit's list has {expected:?}", expected.path);
        total += found.bytes;
    }
    ensure!(total > 0, "{} lists no file", path.display());
    Ok(total)
}

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let (sha256, bytes) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let path = words.next()?.to_owned();
    words.next().is_none().then_some(Entry { sha256, bytes, path })
}

/// Returns all files of a kit below `parts`, sorted.
fn entries(kit: &Path, parts: &[&str]) -> anyhow::Result<Vec<Entry>> {
    let mut left: Vec<PathBuf> =
        parts.iter().map(|part| kit.join(part)).filter(|path| path.exists()).collect();
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for below in std::fs::read_dir(&path).with_context(|| path.display().to_string())? {
                left.push(below?.path());
            }
        } else {
            found.push(entry(kit, &path)?);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn entry(kit: &Path, path: &Path) -> anyhow::Result<Entry> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let below = path.strip_prefix(kit)?.to_str().context("a name that is not valid UTF-8")?;
    ensure!(!below.contains(char::is_whitespace), "{below}: files of a kit have no spaces in their names");
    Ok(Entry { sha256: sha256(&bytes), bytes: bytes.len() as u64, path: below.to_owned() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn kit() -> tempfile::TempDir {
        let kit = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(kit.path().join("bin/more")).unwrap();
        for (name, text) in
            [("bin/a", "one"), ("bin/more/b", "three"), ("run.sh", ""), ("other", "not listed")]
        {
            std::fs::write(kit.path().join(name), text).unwrap();
        }
        kit
    }

    #[test]
    fn every_file_of_the_parts_is_listed_with_its_size_and_sum() {
        let kit = kit();
        let size = write(kit.path(), &["bin", "run.sh", "not-there"], Some("abc")).unwrap();
        assert_eq!(size, 8);
        let text = std::fs::read_to_string(kit.path().join(NAME)).unwrap();
        let listed: Vec<&str> = text.lines().filter_map(|line| line.split("  ").nth(2)).collect();
        assert_eq!(listed, ["bin/a", "bin/more/b", "run.sh"]);
        assert!(text.starts_with("# commit: abc\n"), "{text}");
        assert!(text.contains(&format!("{}  3  bin/a\n", sha256(b"one"))), "{text}");
        assert_eq!(verify(kit.path()).unwrap(), size);
    }

    #[test]
    fn a_changed_file_a_missing_file_and_an_empty_list_are_refused_by_name() {
        let kit = kit();
        write(kit.path(), &["bin"], None).unwrap();
        std::fs::write(kit.path().join("bin/a"), "two").unwrap();
        assert!(verify(kit.path()).unwrap_err().to_string().starts_with("bin/a is "));
        std::fs::remove_file(kit.path().join("bin/a")).unwrap();
        assert!(format!("{:#}", verify(kit.path()).unwrap_err()).contains("bin/a"));
        write(kit.path(), &["not-there"], None).unwrap();
        assert!(verify(kit.path()).unwrap_err().to_string().contains("lists no file"));
    }
}
