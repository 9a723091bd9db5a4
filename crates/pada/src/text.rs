//! Text files that other programs wrote.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Forms of files that are no text, by their first bytes, and what to do with them.
const OTHERS: [(&[u8], &str); 7] = [
    (b"\x1f\x8b", "the file is compressed with gzip; unpack it first"),
    (
        b"PK\x03\x04",
        "the file is a zip archive, as Excel workbooks and .npz files are; save its table as CSV",
    ),
    (b"\x93NUMPY", "the file is an array of NumPy; save a CSV file with the columns arch and accuracy"),
    (b"PAR1", "the file is a Parquet table; save it as CSV"),
    (b"\x89HDF", "the file is in HDF5; save its table as CSV"),
    (b"BZh", "the file is compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "the file is compressed with xz; unpack it first"),
];

/// Reads a text file in UTF-8, or in UTF-16 with a byte order mark, as spreadsheet programs and PowerShell write it. A byte order mark is left out.
///
/// # Errors
/// Returns an error if the file cannot be read, and one of the kind [`ErrorKind::InvalidData`] if it is no text or ends within a character.
pub(crate) fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path)?;
    let invalid = |text: &str| Error::new(ErrorKind::InvalidData, text);
    let units = |of: fn([u8; 2]) -> u16| bytes[2..].as_chunks::<2>().0.iter().map(|&unit| of(unit)).collect();
    let utf16: Option<Vec<u16>> = match bytes.get(..2) {
        Some([0xff, 0xfe]) => Some(units(u16::from_le_bytes)),
        Some([0xfe, 0xff]) => Some(units(u16::from_be_bytes)),
        _ => None,
    };
    if utf16.is_some() && bytes.len() % 2 == 1 {
        return Err(invalid("the file ends within a character of UTF-16, so that a part of it is missing"));
    }
    if let Some((_, advice)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(invalid(advice));
    }
    let text = match utf16 {
        Some(units) => String::from_utf16(&units).ok(),
        None => String::from_utf8(bytes).ok(),
    };
    let text = text.ok_or_else(|| invalid("the file is not a text in UTF-8 or UTF-16"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_text_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.csv");
        for (start, word) in [
            (&b"\x1f\x8b\x08\x00"[..], "gzip"),
            (b"PK\x03\x04\x14", "zip archive"),
            (b"\x93NUMPY\x01", "NumPy"),
            (b"PAR1\x15", "Parquet"),
            (b"\xe9\xe9", "not a text in UTF-8"),
            (b"\xff\xfea", "a part of it is missing"),
        ] {
            std::fs::write(&path, start).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidData && error.to_string().contains(word), "{error}");
        }
        for bytes in [&b"\xff\xfea\0\n\0"[..], b"\xfe\xff\0a\0\n", b"\xef\xbb\xbfa\n", b"a\n"] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), "a\n");
        }
    }
}
