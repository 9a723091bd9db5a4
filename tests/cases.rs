//! Files and notations of other projects, as users bring them: `docs/cases.md` lists the cases.

use std::path::Path;

use crate::program::{Call, call};

/// Architectures of the table `mini`, the best last.
fn ranked() -> Vec<String> {
    let table = pada::nasbench::mini().unwrap();
    let mut rows: Vec<(f64, String)> =
        table.archs().iter().zip(table.accuracies()).map(|(arch, &acc)| (acc, arch.to_string())).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().step_by(10).map(|(_, arch)| arch).collect()
}

/// A table of these architectures whose score is their place, between `separator`s.
fn table(header: [&str; 2], separator: char) -> String {
    let rows = ranked().into_iter().enumerate().map(|(i, arch)| format!("{arch}{separator}{i}\n"));
    format!("{}\n{}", header.join(&separator.to_string()), rows.collect::<String>())
}

fn metrics(file: &Path, further: &[&str]) -> Call {
    let args = ["metrics", "--truth", "mini", "--json", "--pred", file.to_str().unwrap()];
    call(&[&args[..], further].concat())
}

fn tau(file: &Path, further: &[&str]) -> f64 {
    metrics(file, further).json()["tau_b"].as_f64().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn tables_of_scores_are_read_as_other_programs_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    let usual = table(["arch", "accuracy"], ',');
    let counts: String = usual.lines().skip(1).map(|line| format!("{line},29\n")).collect();
    for (content, what) in [
        (usual.clone().into_bytes(), "usual"),
        (table(["arch", "score"], ',').into_bytes(), "the result of a search"),
        (format!("arch,correct,total\n{counts}").into_bytes(), "the scores of a search"),
        (table(["arch", "accuracy"], ';').into_bytes(), "semicolons"),
        (table(["arch", "accuracy"], '\t').into_bytes(), "tabs"),
        (format!("\u{feff}{usual}").into_bytes(), "byte order mark"),
        (utf16(&usual), "UTF-16"),
    ] {
        std::fs::write(&file, content).unwrap();
        let found = tau(&file, &[]);
        assert!(found > 0.97, "{what}: {found}");
        let archs = call(&["cost", "--file", file.to_str().unwrap(), "--json"]).json();
        assert_eq!(archs["costs"].as_array().unwrap().len(), 30, "{what}");
    }
    std::fs::write(&file, table(["arch", "loss"], ',')).unwrap();
    metrics(&file, &[]).fails(2, &["there is no column accuracy; the columns are arch, loss"]);
    assert!(tau(&file, &["--column", "loss"]) > 0.97);
    let reversed = metrics(&file, &["--column", "loss", "--lower-is-better"]);
    assert!(reversed.json()["tau_b"].as_f64() < Some(-0.97));
    let negative = table(["arch", "accuracy"], ',').replace(',', ",-").replace("arch,-", "arch,");
    std::fs::write(&file, negative).unwrap();
    assert!(metrics(&file, &[]).stderr.contains("add --lower-is-better"));
    assert!(tau(&file, &["--lower-is-better"]) > 0.97);
}

#[test]
fn rows_without_a_score_and_without_a_truth_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    let worst = &ranked()[0];
    let usual = table(["arch", "accuracy"], ',');
    std::fs::write(&file, usual.replacen(&format!("{worst},0"), &format!("{worst},nan"), 1)).unwrap();
    metrics(&file, &[]).fails(2, &["scores.csv, line 2", "\"nan\""]);
    let done = metrics(&file, &["--skip-undefined"]);
    assert_eq!(done.json()["n"], 29);
    assert!(done.stderr.contains("left out 1 architectures"), "{}", done.stderr);

    let table = pada::nasbench::mini().unwrap();
    let space = pada::space::Nb201::new();
    let other = (0..)
        .filter_map(|i| pada::space::SearchSpace::nth(&space, i))
        .find(|arch| table.accuracy(arch).is_none());
    std::fs::write(&file, format!("{usual}{},7\n", other.unwrap())).unwrap();
    metrics(&file, &[]).fails(2, &["mini"]);
    let done = metrics(&file, &["--common"]);
    assert_eq!(done.json()["n"], 30);
    assert!(done.stderr.contains("left out 1 of 31"), "{}", done.stderr);
    assert!(done.json()["partial_tau_given_params"].is_number());
}

/// `tests/data/make_released_scores.py` writes the file with numpy.
#[test]
fn score_files_of_the_released_code_are_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/released_scores.npy");
    let text = file.to_str().unwrap();
    // The predictions are in the order of the accuracies but for the first two.
    let json = call(&["metrics", "--pred", text, "--truth", text, "--json"]).json();
    assert_eq!((json["n"].as_u64(), json["tau_b"].as_f64()), (Some(5), Some(0.8)));
    call(&["metrics", "--pred", text, "--column", "loss", "--truth", text]).fails(2, &["no number loss"]);
}

#[test]
fn names_ignore_case_and_signs_and_unknown_ones_get_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    std::fs::write(&file, table(["arch", "accuracy"], ',')).unwrap();
    let truth = |name| call(&["metrics", "--pred", file.to_str().unwrap(), "--truth", name]);
    assert_eq!(truth("MINI").code, 0);
    for name in ["NB201", "nas-bench-201", "NASBench201"] {
        truth(name).fails(2, &["nasbench201.csv", "pada download nb201"]);
    }
    truth("nb301").fails(2, &["nb301", "darts-1000"]);
    let cost = |name| call(&["cost", "--space", "darts", "--genotype", name]);
    assert_eq!(cost("darts-v2").code, 0);
    let unknown = cost("DARTS");
    unknown.fails(2, &["the nearest names are DARTS_V1, DARTS_V2, "]);
    assert!(unknown.stderr.len() < 200, "{}", unknown.stderr);
}
