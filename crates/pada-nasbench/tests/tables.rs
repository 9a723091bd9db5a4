//! The content of tables, and the errors of damaged ones.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "../../../tests/shared.rs"]
mod shared;

use std::path::{Path, PathBuf};

use pada_nasbench::{
    BenchmarkTable, DARTS_214_FILE, DARTS_1000_FILE, Darts214Table, Darts1000Table, Download, MACRO_FILE,
    MacroTable, NB201_FILE, NasBenchError, Nb201Dataset, Nb201Epochs, Nb201Table, TableName, mini,
};
use pada_space::{Darts, DartsCell, DartsOp, Genotype, NasBenchMacro, Nb201, SearchSpace};

fn runs(csv: &str) -> Result<BenchmarkTable, NasBenchError> {
    BenchmarkTable::from_csv("runs.csv", csv.as_bytes(), &Nb201::new())
}

/// Writes a row for every cell of the benchmark. `change` receives the lines, the header first.
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
    let error = Nb201Table::load(path).unwrap_err();
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
fn an_incomplete_seed_can_be_left_out() {
    let text = "arch,seed,accuracy\n333333,0,70\n222222,0,50\n333333,1,72\n";
    let table = runs(text).unwrap().with_complete_seeds_only();
    assert_eq!(table.accuracies(), [70.0, 50.0]);
    assert_eq!(table.by_seed().keys().collect::<Vec<_>>(), [&0]);
    let without = runs("arch,seed,accuracy\n333333,0,70\n222222,1,50\n").unwrap().with_complete_seeds_only();
    assert_eq!(without.accuracies(), [70.0, 50.0]);
}

#[test]
fn the_embedded_table_has_at_least_60_architectures() {
    let table = mini().unwrap();
    assert!(table.archs().len() >= 60, "{}", table.archs().len());
    assert!(table.accuracies().iter().all(|a| (0.0..=100.0).contains(a)));
}

#[test]
fn a_complete_table_loads() {
    let (_folder, path) = benchmark(|_| ());
    let table = Nb201Table::load(path).unwrap();
    assert_eq!(table.archs().len(), 15_625);
    assert_eq!(table.table("cifar10_test_200").unwrap().accuracies()[7], 1.5);
    for wrong in ["params", "cifar10-test-200", "no such column"] {
        let error = table.column(wrong).unwrap_err();
        assert!(matches!(&error, NasBenchError::UnknownColumn { column, .. } if column == wrong), "{error}");
        let text = error.to_string();
        assert!(Nb201Table::column_names().iter().all(|name| text.contains(name)), "{text}");
        assert_eq!(
            text.contains("did you mean \"cifar10_test_200\"?"),
            wrong == "cifar10-test-200",
            "{text}"
        );
    }
    assert_eq!(table.table("imagenet16_valid_12").unwrap().dataset(), Some("imagenet16-120"));
    // Column c holds c.5 everywhere: test accuracies after 200 and after 12 epochs.
    for (data, columns) in [
        (Nb201Dataset::Cifar10, [1.5, 7.5]),
        (Nb201Dataset::Cifar100, [3.5, 9.5]),
        (Nb201Dataset::Imagenet16, [5.5, 11.5]),
    ] {
        let tests =
            [Nb201Epochs::Epochs200, Nb201Epochs::Epochs12].map(|epochs| table.test_accuracy(data, epochs));
        assert_eq!(tests.each_ref().map(|table| table.accuracies()[0]), columns, "{data:?}");
        assert!(tests.iter().all(|table| table.dataset() == Some(data.as_str())));
    }
}

#[test]
fn a_damaged_table_is_refused_with_its_line() {
    let missing = Nb201Table::load(Path::new("no/such.csv")).unwrap_err();
    assert!(matches!(missing, NasBenchError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("pada download nb201"), "{missing}");
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
    for seed in ["0.5", "-1", "one"] {
        let error = runs(&format!("arch,seed,accuracy\n000000,{seed},10\n")).unwrap_err();
        assert!(matches!(&error, NasBenchError::BadSeed { line: 2, text, .. } if text == seed), "{error}");
    }
    let error = runs("arch,accuracy\n000000,10\n000000,10\n").unwrap_err();
    assert!(error.to_string().ends_with("line 3: 000000 is already in line 2"), "{error}");
    assert!(matches!(runs("arch,seed,accuracy\n"), Err(NasBenchError::Empty { .. })));
}

/// The best and the mean accuracy are those of the paper.
#[test]
fn the_published_table_agrees_with_its_paper() {
    let Some(path) = shared::nb201_table() else { return };
    let table = Nb201Table::load(path).unwrap();
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

/// Returns a row for every network of NAS-Bench-Macro.
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
        MacroTable::load(path).map(|table| table.table().archs().len())
    };
    assert_eq!(refused(&|_| ()).unwrap(), 6_561);
    let missing = MacroTable::load(Path::new("no/such.csv")).unwrap_err();
    assert!(missing.to_string().contains("pada download nas-bench-macro"), "{missing}");
    assert!(missing.to_string().contains("contains nas_bench_macro/"), "{missing}");
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
        Darts214Table::load(path)
    };
    let table = load(&format!("[{GENOTYPE}]")).unwrap();
    assert_eq!(table.table().accuracies(), [97.019]);
    assert_eq!((table.best_epoch(), table.last_epoch()), (&[97.06][..], &[97.02][..]));
    let arch = Darts::arch(&Genotype::parse(GENOTYPE).unwrap()).unwrap();
    assert_eq!(table.table().accuracy(&arch), Some(97.019));
    assert_eq!(table.table().dataset(), Some("cifar10"));
    let error = load(&format!("[{GENOTYPE},{GENOTYPE}]")).unwrap_err();
    assert!(
        error.to_string().contains("entry 2: ") && error.to_string().contains("already in entry 1"),
        "{error}"
    );
    assert!(matches!(error, NasBenchError::Duplicate { line: 2, first: 1, .. }), "{error}");
    let error = load(&format!("[{}]", GENOTYPE.replacen("sep_conv_3x3", "sep_conv_7x7", 1))).unwrap_err();
    assert!(matches!(error, NasBenchError::BadArch { line: 1, .. }), "{error}");
    assert!(matches!(load("[]").unwrap_err(), NasBenchError::Empty { .. }));
    assert!(matches!(load("[{}]").unwrap_err(), NasBenchError::Json { .. }));
    let missing = Darts214Table::load(Path::new("no/such.json")).unwrap_err();
    assert!(missing.to_string().contains("`pada download darts-214 --from DIR`"), "{missing}");
}

/// Writes the cells of a genotype as a line of the file, with an accuracy.
fn line_of_1000(cell: &str, accuracy: &str) -> String {
    format!(
        "\"Genotype(normal=[{cell}], normal_concat=[2, 3, 4, 5], reduce=[{cell}], reduce_concat=[2, 3, 4, 5])\",{accuracy}\n"
    )
}

/// Lines 9, 1 and 2 of the file.
fn lines_of_1000() -> [String; 3] {
    [
        line_of_1000(
            "('none', 0), ('max_pool_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 2), ('max_pool_3x3', 2), ('avg_pool_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_5x5', 4)",
            "77.0",
        ),
        line_of_1000(
            "('none', 0), ('dil_conv_5x5', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('dil_conv_5x5', 2), ('sep_conv_5x5', 3), ('skip_connect', 4)",
            "85.0",
        ),
        line_of_1000(
            "('sep_conv_5x5', 0), ('sep_conv_3x3', 0), ('avg_pool_3x3', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_5x5', 2)",
            "85.23999786376953",
        ),
    ]
}

#[test]
fn genotypes_of_darts_1000_that_read_a_node_twice_are_left_out() {
    let load = |text: &str| {
        let (_folder, path) = written(DARTS_1000_FILE, text);
        Darts1000Table::load(path)
    };
    let [inside, idle, outside] = lines_of_1000();
    let table = load(&[inside.as_str(), &idle, &outside].concat()).unwrap();
    assert_eq!((table.table().accuracies(), table.outside()), (&[77.0, 85.0][..], 1));
    assert_eq!((table.table().name(), table.table().dataset()), ("darts-1000", Some("cifar10")));
    let archs = table.table().archs();
    let written = Genotype::parse(inside.rsplit_once(',').unwrap().0.trim_matches('"')).unwrap();
    assert_eq!(archs[0], Darts::arch(&written).unwrap());
    // Both edges of node 2 read node 0. The edge that passes nothing on moves to node 1.
    let edges = Darts::edges(&archs[1], DartsCell::Reduce).unwrap();
    let node: Vec<_> = edges.iter().filter(|edge| edge.to == 2).map(|edge| (edge.op, edge.from)).collect();
    assert_eq!(node, [(DartsOp::DilConv5x5, 0), (DartsOp::None, 1)]);
}

#[test]
fn a_damaged_table_of_darts_1000_is_refused_with_its_line() {
    let load = |text: &str| {
        let (_folder, path) = written(DARTS_1000_FILE, text);
        Darts1000Table::load(path).unwrap_err()
    };
    let [inside, _, outside] = lines_of_1000();
    let error = load(&[inside.as_str(), &outside, &inside].concat());
    assert!(matches!(error, NasBenchError::Duplicate { line: 3, first: 1, .. }), "{error}");
    let error = load(&(inside.clone() + &outside.replacen("sep_conv", "sap_conv", 1)));
    assert!(matches!(error, NasBenchError::BadArch { line: 2, .. }), "{error}");
    let error = load(&(inside.clone() + &outside.replace("85.23999786376953", "high")));
    assert!(matches!(error, NasBenchError::BadNumber { line: 2, .. }), "{error}");
    let error = load("one cell\n");
    assert!(matches!(error, NasBenchError::Csv { line: 1, .. }), "{error}");
    assert!(error.to_string().contains("the row has 1 cells"), "{error}");
    assert!(matches!(load(&outside), NasBenchError::Empty { .. }));
    let missing = Darts1000Table::load(Path::new("no/such.csv")).unwrap_err();
    assert!(missing.to_string().contains("`pada download darts-1000`"), "{missing}");
}

/// The whole file, if it was downloaded into `$PADA_DATA` or the folder `data` of the workspace.
#[test]
fn the_whole_file_of_darts_1000_has_282_genotypes_of_the_space() {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let path = Download::Darts1000.path(std::env::var_os("PADA_DATA").map_or(usual, PathBuf::from));
    if !path.is_file() {
        println!("skipped: {} is not there; `pada download darts-1000` brings it", path.display());
        return;
    }
    let table = Darts1000Table::load(&path).unwrap();
    assert_eq!((table.table().archs().len(), table.outside()), (282, 718));
}

/// Sizes and accuracies are those of the papers and of the published files.
#[test]
fn the_other_published_tables_agree_with_their_papers() {
    let Some(tables) = shared::tables() else { return };
    let table = MacroTable::load(tables.join("nas_bench_macro").join(MACRO_FILE)).unwrap();
    let best = table.table().accuracies().iter().copied().fold(0.0, f64::max);
    assert_eq!((table.table().archs().len(), table.table().by_seed().len()), (6_561, 3));
    let arch = NasBenchMacro.parse("00000000").unwrap();
    assert_eq!((table.table().accuracy(&arch), table.params()[0]), (Some(45.363_332), 387_882.0));
    assert!((93.0..94.0).contains(&best), "{best}");

    let table = Darts214Table::load(tables.join("darts_214").join(DARTS_214_FILE)).unwrap();
    assert_eq!(table.table().archs().len(), 214);
    let optimistic = table.best_epoch().iter().zip(table.last_epoch()).all(|(best, last)| best >= last);
    assert!(optimistic, "the best epoch is never worse than the last");
}

/// An editor counts the lines of all three files in the same way.
#[test]
fn a_line_number_is_that_of_an_editor() {
    for text in [
        "arch,seed,accuracy\r\n000000,0,10\r\n000001,0,ten\r\n",
        "arch,seed,accuracy\n\n000001,0,ten\n",
        "arch,seed,accuracy\r\n\r\n000001,0,ten\r\n",
        "arch,seed,accuracy\r000000,0,10\r000001,0,ten\r",
    ] {
        let error = runs(text).unwrap_err();
        assert!(matches!(&error, NasBenchError::BadNumber { line: 3, .. }), "{text:?}: {error}");
    }
    let error = runs("arch,seed,accuracy\r\n000000,0,10\r\n000001,0\r\n").unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

/// A spreadsheet program reads `001234` as a number and writes `1234`.
#[test]
fn lost_leading_zeros_get_a_hint() {
    let refused = |arch: &str| {
        let error = runs(&format!("arch,seed,accuracy\n{arch},0,10\n")).unwrap_err();
        assert!(matches!(&error, NasBenchError::BadArch { line: 2, .. }), "{error}");
        error.to_string()
    };
    assert!(refused("1234").contains("removed leading zeros, write 001234"), "{}", refused("1234"));
    assert!(refused("0").contains("write 000000"));
    for other in ["01234", "1239", "1234567", "12a4", ""] {
        assert!(!refused(other).contains("spreadsheet"), "{}", refused(other));
    }
}

#[test]
fn a_file_of_scores_is_a_table_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.csv");
    std::fs::write(&path, "arch,correct,total,accuracy\n333333,3,4,75\n000000,1,4,25\n").unwrap();
    let space = Nb201::new();
    let scores = BenchmarkTable::load(path, &space).unwrap();
    assert_eq!((scores.name(), scores.dataset(), scores.by_seed().len()), ("scores", None, 0));
    assert_eq!(scores.to_string(), "scores: 2 architectures");
    let table = runs("arch,seed,accuracy\n000000,0,10\n111111,0,20\n").unwrap().with_dataset("mini");
    assert_eq!(table.paired_with(&scores), (vec![25.0], vec![10.0]));
    assert_eq!(table.to_string(), "runs.csv: 2 architectures on mini");
    let missing = BenchmarkTable::load(folder.path().join("none.csv"), &space).unwrap_err();
    assert!(matches!(&missing, NasBenchError::Io { .. }), "{missing}");
    assert!(missing.to_string().contains("none.csv cannot be read: "), "{missing}");
}

#[test]
fn a_table_in_memory_is_checked() {
    let archs = || ["000000", "111111"].map(|text| Nb201::new().parse(text).unwrap()).to_vec();
    assert!(BenchmarkTable::new("t", archs(), vec![1.0, 2.0]).is_ok());
    let short = BenchmarkTable::new("t", archs(), vec![1.0]).unwrap_err();
    assert!(matches!(short, NasBenchError::LengthMismatch { archs: 2, accuracies: 1, .. }), "{short}");
    let twice = BenchmarkTable::new("t", [archs(), archs()].concat(), vec![1.0; 4]).unwrap_err();
    assert!(matches!(twice, NasBenchError::DuplicateArch { first: 0, second: 2, .. }), "{twice}");
    let nan = BenchmarkTable::new("t", archs(), vec![1.0, f64::NAN]).unwrap_err();
    assert!(matches!(nan, NasBenchError::NotFinite { index: 1, .. }), "{nan}");
}

#[test]
fn names_are_parsed_without_regard_to_case_and_punctuation() {
    for (text, expected) in [
        ("NB201", TableName::Nb201),
        ("nas-bench-201", TableName::Nb201),
        ("NAS_Bench 201", TableName::Nb201),
        ("NAS-Bench-201 CIFAR-100", TableName::Nb201Cifar100),
        ("nb201_ImageNet16-120", TableName::Nb201Imagenet16),
        ("NASBench-Macro", TableName::NasBenchMacro),
        ("darts214", TableName::Darts214),
        ("DARTS 1000", TableName::Darts1000),
        ("Mini", TableName::Mini),
    ] {
        assert_eq!(text.parse::<TableName>().unwrap(), expected, "{text}");
    }
    for name in TableName::ALL {
        assert_eq!(name.to_string().parse::<TableName>().unwrap(), name);
        assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<TableName>(&format!("\"{name}\"")).unwrap(), name);
        if name != TableName::Mini {
            let missing = name.load("no/such/folder").unwrap_err();
            let download = name.download().unwrap().command();
            assert!(missing.to_string().contains(&download), "{missing}");
        }
    }
    let refused = |text: &str| text.parse::<TableName>().unwrap_err().to_string();
    for (text, hint) in [("nas-bench-101", "nb201"), ("darts-241", "darts-214"), ("minni", "mini")] {
        assert!(refused(text).contains(&format!("did you mean {hint:?}?")), "{}", refused(text));
    }
    assert!(!refused("imagenet").contains("did you mean"), "{}", refused("imagenet"));
    assert!(
        refused("imagenet").contains(
            "mini, nb201, nb201-cifar100, nb201-imagenet16, nas-bench-macro, darts-214, darts-1000"
        )
    );
}

#[test]
fn a_table_knows_its_data_set() {
    let table = mini().unwrap();
    assert_eq!((table.dataset(), TableName::Mini.dataset()), (Some("mini"), "mini"));
    assert_eq!(TableName::Mini.load("no/such/folder").unwrap(), table);
    assert_eq!(TableName::Mini.space(), Nb201::new().name());
    assert_eq!(TableName::NasBenchMacro.space(), NasBenchMacro.name());
    assert_eq!(TableName::Darts214.space(), Darts.name());
    assert_eq!(TableName::Darts1000.space(), Darts.name());
    let Some(tables) = shared::tables() else { return };
    // The folder of shared tables does not have darts-1000, which has tests of its own.
    for name in TableName::ALL.into_iter().filter(|name| *name != TableName::Darts1000) {
        assert_eq!(name.load(&tables).unwrap().dataset(), Some(name.dataset()), "{name}");
    }
}

/// Errors cross threads, and fit into `Box<dyn Error + Send + Sync>` and `anyhow`.
#[test]
fn public_types_cross_threads() {
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    fn value<T: Clone + std::fmt::Debug + Send + Sync + 'static>() {}
    error::<NasBenchError>();
    value::<BenchmarkTable>();
    value::<Nb201Table>();
    value::<MacroTable>();
    value::<Darts214Table>();
    value::<TableName>();
    value::<Download>();
}

#[test]
fn the_embedded_table_agrees_with_nas_bench_201() {
    let Some(path) = shared::nb201_table() else { return };
    let cifar10 =
        Nb201Table::load(path).unwrap().test_accuracy(Nb201Dataset::Cifar10, Nb201Epochs::Epochs200);
    let (predicted, ground_truth) = cifar10.paired_with(&mini().unwrap());
    let tau = pada_metrics::kendall_tau_b(&predicted, &ground_truth).unwrap();
    assert!((tau - 0.55).abs() < 0.005, "{tau}");
}
