//! Data sets as files that are small enough to be copied one by one.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use pada_data::CIFAR10;
use pada_truth::{Download, NB201_FILE, NB201_SHA256};

use crate::download::{sha256, verify};
use crate::files::write_whole;
use crate::paths;

/// No part is larger.
const LARGEST_PART: u64 = 38_000_000;
/// Bytes of a label, and height and width of an image, in CIFAR-10's files; then come three planes of pixels.
const LABEL: usize = 1;
const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = LABEL + 3 * PLANE;

/// How a file is arranged before it is compressed with gzip, which Python's standard library reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As it is.
    Plain,
    /// As differences of neighbouring pixels, see [`differences`]: a file of CIFAR-10 then has 19 MB, and as it is 28 MB.
    Cifar,
}

impl Layout {
    /// The name it has for restore.py.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cifar => "cifar",
        }
    }
}

/// A file of a data set.
struct File {
    sha256: &'static str,
    /// Where it belongs below `$PADA_DATA`.
    place: String,
    layout: Layout,
}

impl File {
    /// The name of the part that holds it.
    fn part(&self) -> String {
        let name = self.place.rsplit('/').next().unwrap_or(&self.place);
        match self.layout {
            Layout::Plain => format!("{name}.gz"),
            Layout::Cifar => format!("{name}.differences.gz"),
        }
    }
}

/// All files that a run of configs/nb201 needs: CIFAR-10's official ones, and NAS-Bench-201's table.
fn files() -> Vec<File> {
    let place = |name| format!("{}/{name}", CIFAR10.name);
    let pictures = CIFAR10.files().map(|file| File {
        sha256: file.sha256,
        place: place(file.name),
        layout: Layout::Cifar,
    });
    let place = format!("{}/{NB201_FILE}", Download::Nb201.folder());
    pictures.chain([File { sha256: NB201_SHA256, place, layout: Layout::Plain }]).collect()
}

/// What restore.py reads: SHA-256, part, layout, place. It is in every kit, whether parts were packed or not.
pub(super) fn list() -> String {
    let line =
        |file: &File| format!("{} {} {} {}\n", file.sha256, file.part(), file.layout.name(), file.place);
    files().iter().map(line).collect()
}

/// Packs the files of `$PADA_DATA`, and returns the parts with their sizes.
///
/// # Errors
/// Returns an error where CIFAR-10 is missing or damaged, or a part is too large. A missing table is left out with a word.
pub(super) fn pack(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let data = paths::data_dir();
    let pictures = data.join(CIFAR10.name);
    ensure!(
        verify(&CIFAR10, &pictures)?,
        "{} does not hold CIFAR-10; run `cargo xtask download cifar10`",
        pictures.display()
    );
    let mut parts = Vec::new();
    for file in files() {
        let path = data.join(&file.place);
        if !path.is_file() {
            eprintln!("gpu-kit: NO {}: run `cargo xtask download nb201` and pack again", path.display());
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let found = sha256(&bytes);
        ensure!(found == file.sha256, "{} has SHA-256 {found}, not {}", path.display(), file.sha256);
        let part = folder.join(file.part());
        parts.push((part.clone(), write_part(&part, &bytes, file.layout)?));
    }
    Ok(parts)
}

/// Writes a part that holds these bytes, and returns its size.
pub(super) fn write_part(path: &Path, bytes: &[u8], layout: Layout) -> anyhow::Result<u64> {
    let packed = match layout {
        Layout::Plain => gzip(bytes)?,
        Layout::Cifar => gzip(&differences(bytes)?)?,
    };
    let size = packed.len() as u64;
    ensure!(size <= LARGEST_PART, "{}: {size} bytes, a part has {LARGEST_PART} at most", path.display());
    write_whole(path, &packed)?;
    Ok(size)
}

/// Rearranges a file of CIFAR-10 so that it compresses well: all labels, then all pixels. Red and blue become differences to green, then
/// every plane becomes differences to the pixel above and to the pixel on the left. All of it is modulo 256, and loses nothing.
pub(super) fn differences(file: &[u8]) -> anyhow::Result<Vec<u8>> {
    ensure!(file.len().is_multiple_of(RECORD), "{} bytes are no whole images of CIFAR-10", file.len());
    let mut out: Vec<u8> = file.chunks_exact(RECORD).map(|record| record[0]).collect();
    for record in file.chunks_exact(RECORD) {
        let mut pixels = record[LABEL..].to_vec();
        for i in 0..PLANE {
            let green = pixels[PLANE + i];
            pixels[i] = pixels[i].wrapping_sub(green);
            pixels[2 * PLANE + i] = pixels[2 * PLANE + i].wrapping_sub(green);
        }
        for plane in pixels.chunks_exact_mut(PLANE) {
            for i in (SIDE..PLANE).rev() {
                plane[i] = plane[i].wrapping_sub(plane[i - SIDE]);
            }
            for row in plane.chunks_exact_mut(SIDE) {
                for i in (1..SIDE).rev() {
                    row[i] = row[i].wrapping_sub(row[i - 1]);
                }
            }
        }
        out.extend(pixels);
    }
    Ok(out)
}

pub(super) fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_list_names_every_file_of_cifar_10_and_the_table() {
        let list = list();
        let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[0][1..], ["data_batch_1.bin.differences.gz", "cifar", "cifar10/data_batch_1.bin"]);
        assert_eq!(lines[5][1..], ["test_batch.bin.differences.gz", "cifar", "cifar10/test_batch.bin"]);
        assert_eq!(lines[6], [NB201_SHA256, "nasbench201.csv.gz", "plain", "nasbench201/nasbench201.csv"]);
        assert!(lines.iter().all(|line| line.len() == 4 && line[0].len() == 64), "{list}");
    }

    #[test]
    fn images_without_contrast_have_few_differences() {
        let image = |label, [red, green, blue]: [u8; 3]| {
            [vec![label], vec![red; PLANE], vec![green; PLANE], vec![blue; PLANE]].concat()
        };
        let file = [image(3, [10, 20, 19]), image(9, [0, 0, 255])].concat();
        let found = differences(&file).unwrap();
        assert_eq!((found.len(), &found[..2]), (file.len(), &[3, 9][..]));
        let others: Vec<(usize, u8)> =
            (2..).zip(found[2..].iter().copied()).filter(|&(_, value)| value != 0).collect();
        let at = |image: usize, plane: usize| 2 + (3 * image + plane) * PLANE;
        assert_eq!(others, [(at(0, 0), 246), (at(0, 1), 20), (at(0, 2), 255), (at(1, 2), 255)]);
    }

    #[test]
    fn a_pixel_changes_the_differences_around_it() {
        let mut file = vec![0; RECORD];
        // The second pixel of the third row of the green plane.
        file[LABEL + PLANE + 2 * SIDE + 1] = 1;
        let found = differences(&file).unwrap();
        for (plane, sign) in [(0, 255), (1, 1), (2, 255)] {
            for (y, x, value) in [(2, 1, 1), (2, 2, 255), (3, 1, 255), (3, 2, 1)] {
                let expected = u8::wrapping_mul(sign, value);
                assert_eq!(found[LABEL + plane * PLANE + y * SIDE + x], expected, "{plane} {y} {x}");
            }
        }
        assert_eq!(found.iter().filter(|&&value| value != 0).count(), 12);
        assert!(differences(&file[1..]).unwrap_err().to_string().contains("no whole images"));
    }

    #[test]
    fn a_part_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut noise = vec![0; LARGEST_PART as usize + 1];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut noise);
        let path = folder.path().join("noise.gz");
        let error = write_part(&path, &noise, Layout::Plain).unwrap_err().to_string();
        assert!(error.contains("noise.gz") && error.contains("38000000 at most"), "{error}");
        assert!(!path.exists());
        assert!(write_part(&path, &noise[..1000], Layout::Plain).unwrap() > 1000);
    }
}
