use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::{
    FetchError, Fetched, Job, Origin, Source, checked, http, make_folder, read, sha256, write_whole,
};

/// The folder in the data folder.
pub(super) const FOLDER: &str = "few_shot_scores";

/// The public folder, at the last commit of the repository. Its README calls the scores of `one-shot-supernet` and `few-shot-supernet`
/// estimated accuracies, and those of `nasbench201` the real ones.
const PUBLIC: &str = "https://raw.githubusercontent.com/aoiang/few-shot-NAS/ec366c1c5ca23fe4e9bdd1ec869753739b196ed5/\
                      Few-Shot_NasBench201/supernet_info";

/// A list of scores: its file here, its file in the public folder, and the SHA-256 of the file here.
struct Scores {
    file: &'static str,
    public: &'static str,
    sha256: &'static str,
}

const SCORES: [Scores; 3] = [
    Scores {
        file: "one-shot.csv",
        public: "one-shot-supernet",
        sha256: "da7d52d79d42a67f9a11e040ac2bec0e84950c22b4361c1209b416e7ed6924b9",
    },
    Scores {
        file: "few-shot-5.csv",
        public: "few-shot-supernet",
        sha256: "4df6b41eab6a0526b8fcbe9f0b7e77fe99998c5c1df1a7651f6b112e6aafa9bd",
    },
    Scores {
        file: "stand-alone.csv",
        public: "nasbench201",
        sha256: "460ac31b8398494083d5e8e6d7e717356c2f06674238f58f02bdb353f45f83b0",
    },
];

/// The operations of NAS-Bench-201 in the order of their digits.
const OPS: [&str; 5] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"];
/// The source nodes of the six edges in digit order.
const EDGES: &str = "001012";

/// Puts the three lists into `dir`. Each comes from the first source that works: the local folder with the lists or with the public files,
/// or the public folder.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    make_folder(dir)?;
    let mut fetched = Fetched { files: Vec::new(), origin: Origin::DataFolder };
    for scores in &SCORES {
        let path = dir.join(scores.file);
        if !(path.is_file() && sha256(&read(&path)?) == scores.sha256) {
            write_whole(&path, &scores.get(job, dir)?)?;
            fetched.origin = Origin::Source;
        }
        fetched.files.push(path);
    }
    Ok(fetched)
}

impl Scores {
    fn get(&self, job: &Job<'_>, dir: &Path) -> Result<Vec<u8>, FetchError> {
        let mut sources: Vec<Source<'_, Vec<u8>>> = Vec::new();
        if let Some(from) = job.from {
            sources.push((from.display().to_string(), Box::new(move || self.of_folder(from))));
        }
        let (url, part) = (format!("{PUBLIC}/{}", self.public), dir.join(format!("{}.part", self.public)));
        let address = url.clone();
        sources.push((
            url,
            Box::new(move || self.checked(table(&http::fetch(&address, &part, job.events)?)?.into_bytes())),
        ));
        job.first_that_works(sources)
    }

    /// Reads the list, or makes it from the public file.
    fn of_folder(&self, from: &Path) -> Result<Vec<u8>, FetchError> {
        let lists = [from.join(self.file), from.join(FOLDER).join(self.file)];
        let public = from.join(self.public);
        let there = |path: &&PathBuf| path.is_file();
        match (lists.iter().find(there), public.is_file()) {
            (Some(list), _) => self.checked(read(list)?),
            (None, true) => self.checked(table(&read(&public)?)?.into_bytes()),
            (None, false) => {
                Err(FetchError::format(format!("it holds neither {} nor {}", self.file, self.public)))
            }
        }
    }

    fn checked(&self, bytes: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        checked(self.file, bytes, self.sha256)
    }
}

/// Returns the list of a public file, which has one accuracy for each architecture: `arch,accuracy`, in digit order.
fn table(json: &[u8]) -> Result<String, FetchError> {
    let entries: BTreeMap<String, f64> =
        serde_json::from_slice(json).map_err(|error| FetchError::format(error.to_string()))?;
    let digits = |(key, accuracy): (&String, &f64)| Ok((digits(key)?, *accuracy));
    let rows: BTreeMap<String, f64> = entries.iter().map(digits).collect::<Result<_, FetchError>>()?;
    let mut csv = "arch,accuracy\n".to_owned();
    for (arch, accuracy) in &rows {
        let _ = writeln!(csv, "{arch},{accuracy:.2}");
    }
    Ok(csv)
}

/// Returns the digits of an architecture that is written as nested Python tuples, with an operation and a source node for every edge.
fn digits(key: &str) -> Result<String, FetchError> {
    let unknown = || FetchError::format(format!("{key} is not an architecture of NAS-Bench-201"));
    // The names of operations are the pieces between quotes.
    let pieces: Vec<&str> = key.split('\'').collect();
    let names = pieces.iter().skip(1).step_by(2);
    let sources: String =
        pieces.iter().step_by(2).flat_map(|piece| piece.chars()).filter(char::is_ascii_digit).collect();
    if sources != EDGES {
        return Err(unknown());
    }
    let digit = |name: &&str| OPS.iter().position(|op| op == name).map(|digit| digit.to_string());
    names.map(digit).collect::<Option<String>>().ok_or_else(unknown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const ARCH: &str = "[(('nor_conv_1x1', 0),), (('nor_conv_3x3', 0), ('none', 1)), (('none', 0), ('avg_pool_3x3', 1), ('skip_connect', 2))]";

    #[test]
    fn python_tuples_become_digits() {
        assert_eq!(digits(ARCH).unwrap(), "230041");
        for wrong in [
            ARCH.replace("('none', 1)", "('none', 2)"),
            ARCH.replace("avg_pool_3x3", "max_pool_3x3"),
            String::new(),
        ] {
            let error = digits(&wrong).unwrap_err().to_string();
            assert!(error.contains("is not an architecture"), "{error}");
        }
    }

    #[test]
    fn a_public_file_becomes_a_list_in_digit_order() {
        let other = ARCH.replace("nor_conv_1x1", "none");
        let json = format!("{{\"{ARCH}\": 42.8, \"{other}\": 10}}");
        assert_eq!(table(json.as_bytes()).unwrap(), "arch,accuracy\n030041,10.00\n230041,42.80\n");
        assert!(table(b"[]").is_err());
    }

    #[test]
    fn a_folder_with_other_scores_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = SCORES[0].of_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("one-shot.csv") && error.contains("one-shot-supernet"), "{error}");
        std::fs::write(folder.path().join("one-shot-supernet"), format!("{{\"{ARCH}\": 42.8}}")).unwrap();
        let error = SCORES[0].of_folder(folder.path()).unwrap_err();
        assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    }
}
