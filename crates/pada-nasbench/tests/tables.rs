//! Tables: what they hold, and every way in which one is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../../tests/shared.rs"]
mod shared;

use std::path::{Path, PathBuf};

use pada_nasbench::{
    BenchmarkTable, DARTS_214_FILE, Darts214Table, MACRO_FILE, MacroTable, NB201_FILE, NasBenchError,
    Nb201Data, Nb201Table, mini,
};
use pada_space::{Darts, Genotype, NasBenchMacro, Nb201, SearchSpace};

fn runs(csv: &str) -> Result<BenchmarkTable, NasBenchError> {
    BenchmarkTable::from_runs("test", Path::new("runs.csv"), csv.as_bytes(), &Nb201::new())
}

/// A row for every cell of the benchmark; `change` sees the lines, the header first.
fn benchmark(change: impl FnOnce(&mut Vec<String>)) -> (tempfile::TempDir, PathBuf) {
    let space = Nb201::new();
    let columns = "cifar10_valid_200,cifar10_test_200,cifar100_valid_200,cifar100_test_200,imagenet16_valid_200,imagenet16_test_200,cifar10_valid_12,cifar10_test_12,cifar100_valid_12,cifar100_test_12,imagenet16_valid_12,imagenet16_test_12,params_cifar10,mflops_cifar10";
    let mut lines = vec![format!("index,ops,arch_str,{columns}")];
    lines.extend(space.archs().enumerate().map(|(i, arch)| {
        let numbers = (0..14).map(|c| format!(",{c}.5")).collect::<String>();
        format!("{i},{arch},{}{numbers}", space.format(&arch).unwrap())
    }));
    change(&mut lines);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NB201_FILE);
    std::fs::write(&path, lines.join("\n")).unwrap();
    (folder, path)
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<String>)) -> NasBenchError {
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
fn a_seed_that_is_not_whole_can_be_left_out() {
    let text = "arch,seed,accuracy\n333333,0,70\n222222,0,50\n333333,1,72\n";
    let table = runs(text).unwrap().of_whole_seeds();
    assert_eq!(table.accuracies(), [70.0, 50.0]);
    assert_eq!(table.by_seed().keys().collect::<Vec<_>>(), [&0]);
    let without = runs("arch,seed,accuracy\n333333,0,70\n222222,1,50\n").unwrap().of_whole_seeds();
    assert_eq!(without.accuracies(), [70.0, 50.0]);
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
    // Column c holds c.5 everywhere: test accuracies after 200 and after 12 epochs.
    for (data, columns) in [
        (Nb201Data::Cifar10, [1.5, 7.5]),
        (Nb201Data::Cifar100, [3.5, 9.5]),
        (Nb201Data::Imagenet16, [5.5, 11.5]),
    ] {
        assert_eq!(table.tests(data).map(|table| table.accuracies()[0]), columns, "{data:?}");
    }
}

#[test]
fn a_damaged_table_is_refused_with_its_line() {
    let missing = Nb201Table::load(Path::new("no/such.csv")).unwrap_err();
    assert!(matches!(missing, NasBenchError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("cargo xtask download nb201"), "{missing}");
    let error = refused(|lines| lines[0] = lines[0].replace("cifar10_test_200", "accuracy"));
    assert!(
        matches!(&error, NasBenchError::NoColumn { column, .. } if column == "cifar10_test_200"),
        "{error}"
    );
    let error = refused(|lines| lines[9] = lines[9].replace(",1.5,", ",NaN,"));
    assert!(matches!(&error, NasBenchError::BadNumber { line: 10, text, .. } if text == "NaN"), "{error}");
    let error = refused(|lines| lines[3] = lines[3].replace(",000002,", ",000007,"));
    assert!(matches!(&error, NasBenchError::BadArch { line: 4, .. }), "{error}");
    let error = refused(|lines| lines[3] = lines[3].replace(",000002,", ",000003,"));
    assert!(
        matches!(&error, NasBenchError::Disagree { line: 4, digits, string, .. } if digits == "000003" && string == "000002"),
        "{error}"
    );
    let error = refused(|lines| lines[5] = lines[4].clone());
    assert!(matches!(&error, NasBenchError::Duplicate { line: 6, first: 5, .. }), "{error}");
    let error = refused(|lines| drop(lines.remove(5)));
    assert!(
        matches!(&error, NasBenchError::MissingRows { found: 15_624, first, .. } if first == "000004"),
        "{error}"
    );
    let error = refused(|lines| lines[5].push_str(",8"));
    assert!(matches!(&error, NasBenchError::Csv { .. }), "{error}");
}

#[test]
fn damaged_runs_are_refused_with_their_line() {
    let error = runs("arch,seed\n000000,0\n").unwrap_err();
    assert!(matches!(&error, NasBenchError::NoColumn { column, .. } if column == "accuracy"), "{error}");
    let error = runs("arch,seed,accuracy\n000000,0,ten\n").unwrap_err();
    assert!(matches!(&error, NasBenchError::BadNumber { line: 2, .. }), "{error}");
    let error = runs("arch,seed,accuracy\n00000,0,10\n").unwrap_err();
    assert!(matches!(&error, NasBenchError::BadArch { line: 2, .. }), "{error}");
    let error = runs("arch,seed,accuracy\n000000,0,10\n000000,1,10\n000000,0,11\n").unwrap_err();
    assert!(matches!(&error, NasBenchError::Duplicate { line: 4, first: 2, .. }), "{error}");
    assert!(matches!(runs("arch,seed,accuracy\n"), Err(NasBenchError::Empty { .. })));
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

fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// A row for every network of NAS-Bench-Macro.
fn macro_rows() -> Vec<String> {
    let mut lines = vec!["arch,mean_acc,acc1,acc2,acc3,params,flops".to_owned()];
    lines.extend(NasBenchMacro.archs().map(|arch| format!("{arch},80.0,79.5,80.5,80.0,100,200")));
    lines
}

#[test]
fn a_damaged_table_of_nas_bench_macro_is_refused_with_its_line() {
    let refused = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = macro_rows();
        change(&mut lines);
        let (_folder, path) = written(MACRO_FILE, &lines.join("\n"));
        MacroTable::load(&path).map(|table| table.truth().archs().len())
    };
    assert_eq!(refused(&|_| ()).unwrap(), 6_561);
    let missing = MacroTable::load(Path::new("no/such.csv")).unwrap_err();
    assert!(missing.to_string().contains("cargo xtask download nas-bench-macro"), "{missing}");
    assert!(missing.to_string().contains("holds nas_bench_macro/"), "{missing}");
    let error = refused(&|lines| lines[4] = lines[4].replace("80.0,79", "81.0,79")).unwrap_err();
    assert!(matches!(error, NasBenchError::WrongMean { line: 5, written: 81.0, found: 80.0, .. }), "{error}");
    let error = refused(&|lines| drop(lines.remove(2))).unwrap_err();
    assert!(
        matches!(&error, NasBenchError::MissingRows { found: 6_560, first, .. } if first == "00000001"),
        "{error}"
    );
    assert!(error.to_string().contains("download nas-bench-macro"), "{error}");
    let error = refused(&|lines| lines[3] = lines[2].clone()).unwrap_err();
    assert!(matches!(error, NasBenchError::Duplicate { line: 4, first: 3, .. }), "{error}");
    let error = refused(&|lines| lines[3] = lines[3].replace("80.5", "-")).unwrap_err();
    assert!(
        matches!(&error, NasBenchError::BadNumber { line: 4, column, .. } if column == "acc2"),
        "{error}"
    );
}

/// The first entry of the table.
const GENOTYPE: &str = r#"{"id": 0, "normal": [["max_pool_3x3", 0], ["skip_connect", 1], ["sep_conv_3x3", 2], ["sep_conv_5x5", 0], ["sep_conv_3x3", 1], ["max_pool_3x3", 0], ["sep_conv_5x5", 0], ["max_pool_3x3", 2]], "reduce": [["sep_conv_5x5", 1], ["avg_pool_3x3", 0], ["skip_connect", 0], ["dil_conv_3x3", 2], ["avg_pool_3x3", 1], ["dil_conv_3x3", 2], ["skip_connect", 1], ["sep_conv_3x3", 3]], "concat": [2, 3, 4, 5], "best_test_acc": 97.06, "final_test_acc": 97.02, "last10_mean_test_acc": 97.019}"#;

#[test]
fn a_genotype_of_darts_214_has_the_mean_of_its_last_epochs_and_a_damaged_one_is_refused() {
    let load = |text: &str| {
        let (_folder, path) = written(DARTS_214_FILE, text);
        Darts214Table::load(&path)
    };
    let table = load(&format!("[{GENOTYPE}]")).unwrap();
    assert_eq!(table.truth().accuracies(), [97.019]);
    assert_eq!((table.best_epoch(), table.last_epoch()), (&[97.06][..], &[97.02][..]));
    let arch = Darts::arch(&Genotype::parse(GENOTYPE).unwrap()).unwrap();
    assert_eq!(table.truth().accuracy(&arch), Some(97.019));
    let error = load(&format!("[{GENOTYPE},{GENOTYPE}]")).unwrap_err();
    assert!(matches!(error, NasBenchError::Duplicate { line: 2, first: 1, .. }), "{error}");
    let error = load(&format!("[{}]", GENOTYPE.replacen("sep_conv_3x3", "sep_conv_7x7", 1))).unwrap_err();
    assert!(matches!(error, NasBenchError::BadArch { line: 1, .. }), "{error}");
    assert!(matches!(load("[]").unwrap_err(), NasBenchError::Empty { .. }));
    assert!(matches!(load("[{}]").unwrap_err(), NasBenchError::Json { .. }));
    let missing = Darts214Table::load(Path::new("no/such.json")).unwrap_err();
    assert!(missing.to_string().contains("`cargo xtask download darts-214 --from DIR`"), "{missing}");
}

/// Facts of the published tables, see the README beside them.
#[test]
fn the_other_published_tables_hold_what_their_papers_say() {
    let Some(tables) = shared::tables() else { return };
    let table = MacroTable::load(&tables.join("nas_bench_macro").join(MACRO_FILE)).unwrap();
    let best = table.truth().accuracies().iter().copied().fold(0.0, f64::max);
    assert_eq!((table.truth().archs().len(), table.truth().by_seed().len()), (6_561, 3));
    let arch = NasBenchMacro.parse("00000000").unwrap();
    assert_eq!((table.truth().accuracy(&arch), table.params()[0]), (Some(45.363_332), 387_882.0));
    assert!((93.0..94.0).contains(&best), "{best}");

    let table = Darts214Table::load(&tables.join("darts_214").join(DARTS_214_FILE)).unwrap();
    assert_eq!(table.truth().archs().len(), 214);
    let optimistic = table.best_epoch().iter().zip(table.last_epoch()).all(|(best, last)| best >= last);
    assert!(optimistic, "the best epoch is never worse than the last");
}
