//! Tables: what they hold, and every way in which one is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../../tests/shared.rs"]
mod shared;

use std::path::{Path, PathBuf};

use pada_space::{Nb201, SearchSpace};
use pada_truth::{NB201_FILE, Nb201Table, TruthError, TruthTable, mini};

fn runs(csv: &str) -> Result<TruthTable, TruthError> {
    TruthTable::from_runs("test", Path::new("runs.csv"), csv.as_bytes(), &Nb201::new())
}

/// A row for every cell of the benchmark; `change` sees the lines, the header first.
fn benchmark(change: impl FnOnce(&mut Vec<String>)) -> (tempfile::TempDir, PathBuf) {
    let space = Nb201::new();
    let columns = "cifar10_valid_200,cifar10_test_200,cifar100_valid_200,cifar100_test_200,imagenet16_valid_200,imagenet16_test_200,cifar10_valid_12,cifar10_test_12,cifar100_valid_12,cifar100_test_12,imagenet16_valid_12,imagenet16_test_12,params_cifar10,mflops_cifar10";
    let mut lines = vec![format!("index,ops,arch_str,{columns}")];
    lines.extend(space.archs().enumerate().map(|(i, arch)| {
        let numbers = (0..14).map(|c| format!(",{}.5", c)).collect::<String>();
        format!("{i},{arch},{}{numbers}", space.format(&arch))
    }));
    change(&mut lines);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NB201_FILE);
    std::fs::write(&path, lines.join("\n")).unwrap();
    (folder, path)
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<String>)) -> TruthError {
    let (_folder, path) = benchmark(change);
    let error = Nb201Table::load(&path).unwrap_err();
    assert!(error.to_string().contains(NB201_FILE), "{error} names the file");
    error
}

#[test]
fn accuracies_are_means_over_seeds() {
    let table = runs("seed,arch,accuracy\n0,333333,70\n1,333333,72\n0,222222,50\n").unwrap();
    let arch = |text| Nb201::new().parse(text).unwrap();
    assert_eq!(table.archs(), [arch("333333"), arch("222222")]);
    assert_eq!(table.accuracies(), [71.0, 50.0]);
    assert_eq!(table.accuracy(&arch("000000")), None);
    assert_eq!(table.by_seed()[&1], [Some(72.0), None]);
}

#[test]
fn the_embedded_table_has_at_least_60_architectures() {
    let table = mini(&Nb201::new()).unwrap();
    assert!(table.archs().len() >= 60, "{}", table.archs().len());
    assert!(table.accuracies().iter().all(|a| (0.0..=100.0).contains(a)));
}

#[test]
fn a_whole_table_loads() {
    let (_folder, path) = benchmark(|_| ());
    let table = Nb201Table::load(&path).unwrap();
    assert_eq!(table.archs().len(), 15_625);
    assert_eq!(table.truth("cifar10_test_200").unwrap().accuracies()[7], 1.5);
    assert_eq!(table.column("no such column"), None);
}

#[test]
fn a_damaged_table_is_refused_with_its_line() {
    let missing = Nb201Table::load(Path::new("no/such.csv")).unwrap_err();
    assert!(matches!(missing, TruthError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("cargo xtask download nb201"), "{missing}");
    let error = refused(|lines| lines[0] = lines[0].replace("cifar10_test_200", "accuracy"));
    assert!(matches!(&error, TruthError::NoColumn { column, .. } if column == "cifar10_test_200"), "{error}");
    let error = refused(|lines| lines[9] = lines[9].replace(",1.5,", ",NaN,"));
    assert!(matches!(&error, TruthError::BadNumber { line: 10, text, .. } if text == "NaN"), "{error}");
    let error = refused(|lines| lines[3] = lines[3].replace(",000002,", ",000007,"));
    assert!(matches!(&error, TruthError::BadArch { line: 4, .. }), "{error}");
    let error = refused(|lines| lines[3] = lines[3].replace(",000002,", ",000003,"));
    assert!(
        matches!(&error, TruthError::Disagree { line: 4, digits, string, .. } if digits == "000003" && string == "000002"),
        "{error}"
    );
    let error = refused(|lines| lines[5] = lines[4].clone());
    assert!(matches!(&error, TruthError::Duplicate { line: 6, first: 5, .. }), "{error}");
    let error = refused(|lines| drop(lines.remove(5)));
    assert!(
        matches!(&error, TruthError::MissingRows { found: 15_624, first, .. } if first == "000004"),
        "{error}"
    );
    let error = refused(|lines| lines[5].push_str(",8"));
    assert!(matches!(&error, TruthError::Csv { .. }), "{error}");
}

#[test]
fn damaged_runs_are_refused_with_their_line() {
    let error = runs("arch,seed\n000000,0\n").unwrap_err();
    assert!(matches!(&error, TruthError::NoColumn { column, .. } if column == "accuracy"), "{error}");
    let error = runs("arch,seed,accuracy\n000000,0,ten\n").unwrap_err();
    assert!(matches!(&error, TruthError::BadNumber { line: 2, .. }), "{error}");
    let error = runs("arch,seed,accuracy\n00000,0,10\n").unwrap_err();
    assert!(matches!(&error, TruthError::BadArch { line: 2, .. }), "{error}");
    let error = runs("arch,seed,accuracy\n000000,0,10\n000000,1,10\n000000,0,11\n").unwrap_err();
    assert!(matches!(&error, TruthError::Duplicate { line: 4, first: 2, .. }), "{error}");
    assert!(matches!(runs("arch,seed,accuracy\n"), Err(TruthError::Empty { .. })));
}

/// Facts of the published table, see the README beside it.
#[test]
fn the_published_table_holds_what_its_paper_says() {
    let Some(path) = shared::nb201_table() else { return };
    let table = Nb201Table::load(&path).unwrap();
    let accuracy = table.column("cifar10_test_200").unwrap();
    let best = accuracy.iter().copied().fold(0.0, f64::max);
    assert_eq!(((best * 1e3).round(), accuracy[6111]), (94_373.0, best));
    let mean = accuracy.iter().sum::<f64>() / accuracy.len() as f64;
    assert!((mean - 87.06).abs() < 0.005, "{mean}");
}
