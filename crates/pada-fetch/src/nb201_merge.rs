use std::collections::HashMap;

use pada_space::{Nb201, SearchSpace};

use crate::FetchError;
use crate::data_frame::DataFrame;

/// Header of the merged table.
const HEADER: &str = "index,arch_str,ops,\
cifar10_valid_200,cifar10_test_200,cifar100_valid_200,cifar100_test_200,imagenet16_valid_200,imagenet16_test_200,\
cifar10_valid_12,cifar10_test_12,cifar100_valid_12,cifar100_test_12,imagenet16_valid_12,imagenet16_test_12,\
params_cifar10,mflops_cifar10";

/// Columns of the file of test accuracies: the benchmark's string; the three data sets.
const TEST_KEY: &str = "ArchitectureString";
const TEST: [&str; 3] =
    ["CIFAR10TestAccuracy200Epochs", "CIFAR100TestAccuracy200Epochs", "ImageNetTestAccuracy200Epochs"];
/// Columns of each file of validation accuracies.
const VALID_KEY: &str = "index";
const VALID: [&str; 2] = ["accuracy", "num_param"];
/// Columns of the file of the 12-epoch schedule: integers, texts; floats in the order of the merged table.
const SHORT_INDEX: &str = "arch";
const SHORT_ARCH: &str = "cellstr";
const SHORT: [&str; 6] =
    ["cifar10-val", "cifar10-test", "cifar100-val", "cifar100-test", "imagenet-val", "imagenet-test"];

/// Million multiply-adds of a network without convolutions in its cells, of one 1×1 and of one 3×3 convolution in every cell.
const MFLOPS: [f64; 3] = [7.78305, 3.93216, 35.38944];

/// The public files that the table is merged from.
pub(super) struct Sources {
    /// CSV: test accuracies after 200 epochs, percent.
    pub(super) test: Vec<u8>,
    /// CSV: validation accuracies after 200 epochs, as shares, on CIFAR-10, CIFAR-100 and ImageNet16-120.
    pub(super) valid: [Vec<u8>; 3],
    /// Accuracies after 12 epochs, percent.
    pub(super) short: DataFrame,
}

/// Reads the pickled pandas frame of the 12-epoch schedule.
pub(super) fn read_short(bytes: &[u8]) -> Result<DataFrame, FetchError> {
    DataFrame::read(bytes, SHORT_ARCH, SHORT_INDEX)
}

/// The merged table: a row for every architecture of the 12-epoch file, in its order, which is the benchmark's.
pub(super) fn merge(sources: &Sources) -> Result<Vec<u8>, FetchError> {
    let mut short = Vec::new();
    for name in SHORT {
        let column = sources.short.floats.iter().find(|(n, _)| &**n == name);
        let missing = || FetchError::format(format!("no column {name} after 12 epochs"));
        short.push(&column.ok_or_else(missing)?.1);
    }
    let test = by_key(&sources.test, TEST_KEY, TEST).map_err(|error| error.within("test accuracies"))?;
    let mut valid = Vec::new();
    for csv in &sources.valid {
        let columns = by_key(csv, VALID_KEY, VALID);
        valid.push(columns.map_err(|error| error.within("validation accuracies"))?);
    }
    let space = Nb201::new();
    let mut table = format!("{HEADER}\n");
    for (index, string) in sources.short.texts.iter().enumerate() {
        let arch = space.parse(string);
        let digits = arch.map_err(|error| FetchError::format(format!("row {index}: {error}")))?.to_string();
        let missing = || FetchError::format(format!("no test accuracy of {string}"));
        let test = test.get(&**string).ok_or_else(missing)?;
        let key = index.to_string();
        let mut cells = vec![key.clone(), string.to_string(), digits.clone()];
        for (valid, test) in valid.iter().zip(test) {
            let [accuracy, _] = row(valid, &key)?;
            cells.extend([decimal(100.0 * number(accuracy)?), decimal(number(test)?)]);
        }
        cells.extend(short.iter().map(|column| decimal(column[index])));
        let [_, params] = row(&valid[0], &key)?;
        let count = |op| digits.matches(op).count() as f64;
        let mflops = MFLOPS[0] + MFLOPS[1] * count("2") + MFLOPS[2] * count("3");
        cells.extend([params.clone(), decimal(mflops)]);
        table.push_str(&cells.join(","));
        table.push('\n');
    }
    Ok(table.into_bytes())
}

type ByKey<const N: usize> = HashMap<String, [String; N]>;

/// The rows of a CSV file.
fn by_key<const N: usize>(csv: &[u8], key: &str, columns: [&str; N]) -> Result<ByKey<N>, FetchError> {
    let broken = |error: csv::Error| FetchError::format(error.to_string());
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.headers().map_err(broken)?.clone();
    let place = |name| {
        let missing = || FetchError::format(format!("there is no column {name}"));
        header.iter().position(|h| h == name).ok_or_else(missing)
    };
    let key = place(key)?;
    let mut places = [0; N];
    for (at, name) in places.iter_mut().zip(columns) {
        *at = place(name)?;
    }
    let mut rows = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let key = record[key].to_owned();
        let replaced = rows.insert(key.clone(), places.map(|at| record[at].to_owned()));
        if replaced.is_some() {
            return Err(FetchError::format(format!("{key} comes a second time")));
        }
    }
    Ok(rows)
}

fn row<'a>(valid: &'a ByKey<2>, key: &str) -> Result<&'a [String; 2], FetchError> {
    let missing = || FetchError::format(format!("no validation accuracy of architecture {key}"));
    valid.get(key).ok_or_else(missing)
}

fn number(text: &str) -> Result<f64, FetchError> {
    text.parse().map_err(|error| FetchError::format(format!("{text:?} is no number: {error}")))
}

/// Six decimals at most, one at least, as the table writes its numbers.
fn decimal(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

#[cfg(test)]
#[allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::sha256;

    /// The first six rows of the table; `make_short_runs.py` beside it wrote the pickles of the same rows.
    const HEAD: &str = include_str!("../tests/data/nb201_head.csv");
    /// In protocols 3, 4 and 5.
    const PICKLES: [&[u8]; 3] = [
        include_bytes!("../tests/data/short_runs_3.pd"),
        include_bytes!("../tests/data/short_runs_4.pd"),
        include_bytes!("../tests/data/short_runs_5.pd"),
    ];

    /// A table's cells, without its header.
    fn cells(table: &str) -> Vec<Vec<&str>> {
        table.lines().skip(1).map(|line| line.split(',').collect()).collect()
    }

    /// The columns of a table as its sources write them.
    fn taken_apart(table: &str) -> Sources {
        let rows = cells(table);
        let mut test = format!("{},{TEST_KEY},UniqueString\n", TEST.join(","));
        for row in &rows {
            test.push_str(&format!("{},{},{},{},#+#+(0)@x\n", row[4], row[6], row[8], row[1]));
        }
        let valid = [3, 5, 7].map(|column| {
            let mut csv = ",index,num_param,score,accuracy,score_naswot\n".to_owned();
            for row in &rows {
                let share = row[column].parse::<f64>().unwrap() / 100.0;
                csv.push_str(&format!("{0},{0},{1},,{share},-inf\n", row[0], row[15]));
            }
            csv.into_bytes()
        });
        let column = |c: usize| rows.iter().map(|row| row[c].parse().unwrap()).collect::<Vec<f64>>();
        let floats = SHORT.iter().zip(9..).map(|(name, c)| ((*name).into(), column(c))).collect();
        let texts = rows.iter().map(|row| row[1].into()).collect();
        Sources { test: test.into_bytes(), valid, short: DataFrame { texts, floats } }
    }

    #[track_caller]
    fn refused(sources: &Sources, words: &[&str]) {
        let error = format!("{:#}", merge(sources).unwrap_err());
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }

    #[test]
    fn sources_merge_to_the_table() {
        for pickle in PICKLES {
            let sources = Sources { short: read_short(pickle).unwrap(), ..taken_apart(HEAD) };
            assert_eq!(String::from_utf8(merge(&sources).unwrap()).unwrap(), HEAD);
        }
    }

    #[test]
    fn numbers_have_one_to_six_decimals() {
        for (value, text) in
            [(85.863_333_333_333_34, "85.863333"), (100.0 * 0.819_826_666_569_010_3, "81.982667")]
        {
            assert_eq!(decimal(value), text);
        }
        assert_eq!([decimal(10.0), decimal(52.7), decimal(0.999_999_999_2)], ["10.0", "52.7", "1.0"]);
    }

    #[test]
    fn what_is_missing_from_a_source_is_named() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut sources = taken_apart(HEAD);
        sources.test = text(&sources.test).replace("|nor_conv_3x3~0|", "|none~0|").into_bytes();
        refused(&sources, &["no test accuracy of |nor_conv_3x3~0|"]);
        let mut sources = taken_apart(HEAD);
        sources.valid[1] =
            text(&sources.valid[1]).lines().take(4).collect::<Vec<_>>().join("\n").into_bytes();
        refused(&sources, &["no validation accuracy of architecture 3"]);
        let mut sources = taken_apart(HEAD);
        sources.valid[2] = text(&sources.valid[2]).replace("accuracy", "acc").into_bytes();
        refused(&sources, &["validation accuracies", "no column accuracy"]);
        let mut sources = taken_apart(HEAD);
        sources.valid[0] = text(&sources.valid[0]).replace("\n1,1,", "\n1,0,").into_bytes();
        refused(&sources, &["0 comes a second time"]);
        let mut sources = taken_apart(HEAD);
        sources.short.floats.remove(2);
        refused(&sources, &["no column cifar100-val"]);
    }

    #[test]
    fn a_damaged_pickle_is_refused() {
        for pickle in PICKLES {
            for end in 0..pickle.len() {
                assert!(read_short(&pickle[..end]).is_err(), "cut at byte {end}");
            }
            // Any byte may be wrong: an error or other numbers, never a panic.
            for at in 0..pickle.len() {
                let mut bytes = pickle.to_vec();
                bytes[at] = !bytes[at];
                drop(read_short(&bytes));
            }
        }
        let error = read_short(b"junk").err().unwrap();
        assert!(format!("{error:#}").contains("not a pickle"), "{error:#}");
    }

    /// All rows of the pinned table, taken apart and merged again.
    #[test]
    fn the_whole_table_merges_to_its_pinned_bytes() {
        let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let path = shared.join("data/nasbench201").join(pada_nasbench::NB201_FILE);
        let Ok(table) = std::fs::read_to_string(&path) else {
            let required = std::env::var_os("PADA_REQUIRE_SHARED").is_some_and(|v| v == "1");
            assert!(!required, "{} is missing and PADA_REQUIRE_SHARED is set", path.display());
            println!("skipped: {} is not there", path.display());
            return;
        };
        assert_eq!(sha256(&merge(&taken_apart(&table)).unwrap()), pada_nasbench::NB201_SHA256);
    }
}
