//! `pada download`: what it prints, and what it says where nothing can be fetched. No test opens a connection.

use crate::program::{Call, call, program};
use crate::shared;

#[test]
fn a_table_is_taken_from_a_folder_and_only_once() {
    let Some(tables) = shared::tables() else { return };
    let data = tempfile::tempdir().unwrap();
    let download = || -> Call {
        let mut command = program();
        command.env("PADA_DATA", data.path()).args(["download", "nb201", "--json", "--from"]).arg(&tables);
        command.output().unwrap().into()
    };
    let table = data.path().join("nasbench201/nasbench201.csv");
    let first = download();
    assert_eq!(first.json()["files"][0].as_str(), table.to_str());
    assert!(first.stdout.contains("is downloaded and verified"), "{}", first.stdout);
    let again = download();
    assert_eq!(again.json(), first.json());
    assert!(again.stdout.contains("was downloaded earlier"), "{}", again.stdout);
    // A damaged file is replaced.
    std::fs::write(&table, "index,arch_str").unwrap();
    assert!(download().stdout.contains("is downloaded and verified"));
}

#[test]
fn what_no_source_has_is_named_with_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let from = empty.path().to_str().unwrap();
    call(&["download", "darts-214", "--from", from])
        .fails(1, &["it does not hold", "no source of darts-214 worked", "--from DIR"]);
    call(&["download", "cifar11"]).fails(2, &["cifar11", "cifar10", "nas-bench-macro"]);
}
