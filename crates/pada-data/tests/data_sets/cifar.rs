//! The binary files of CIFAR-10 and CIFAR-100: what is read from them, and what is refused.
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pada_data::{CIFAR10, CIFAR100, DataError, Dataset, Splits, open};

const RECORDS: usize = 10_000;
const RECORD: usize = 3073;
const HUNDRED_RECORD: usize = 3074;

/// Six files of the right size; image i of a file has the label i mod 10 and its number in its first byte.
fn official() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; RECORDS * RECORD];
    for (i, record) in bytes.chunks_exact_mut(RECORD).enumerate() {
        record[0] = (i % 10) as u8;
        record[1] = (i % 251) as u8;
    }
    for (n, file) in CIFAR10.files().enumerate() {
        // The second byte of every file's first image is the file's number.
        bytes[2] = n as u8;
        std::fs::write(folder.path().join(file.name), &bytes).unwrap();
    }
    folder
}

fn change(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let path = folder.join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn images_come_in_official_order_and_pixels_are_not_transposed() {
    let folder = official();
    // Red starts at byte 1, green at 1 + 1024, blue at 1 + 2048; rows of 32.
    change(folder.path(), "test_batch.bin", |bytes| {
        let image = &mut bytes[3 * RECORD..4 * RECORD];
        image[1 + 5] = 11; // red, row 0, column 5
        image[1 + 7 * 32] = 22; // red, row 7, column 0
        image[1 + 1024 + 2 * 32 + 9] = 33; // green, row 2, column 9
        image[1 + 2048 + 31 * 32 + 31] = 44; // blue, the last pixel
    });
    let splits = CIFAR10.read(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (50_000, 10_000));
    let pixel = |c: usize, y: usize, x: usize| splits.test.image(3).unwrap()[(c * 32 + y) * 32 + x];
    assert_eq!([pixel(0, 0, 5), pixel(0, 7, 0), pixel(1, 2, 9), pixel(2, 31, 31)], [11, 22, 33, 44]);
    assert_eq!(pixel(0, 5, 0), 0);
    assert_eq!(&splits.train.labels[19_998..20_002], [8, 9, 0, 1]);
    for (batch, start) in (0..5).map(|batch| (batch, batch * RECORDS)) {
        assert_eq!(splits.train.image(start).unwrap()[1], batch as u8);
        assert_eq!(splits.train.image(start + 300).unwrap()[0], (300 % 251) as u8);
    }
}

/// Both files of CIFAR-100, all zeros but for some bytes: those of a record from its start.
fn hundred(changes: &[(&str, usize, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in CIFAR100.files() {
        let mut written = File::create(folder.path().join(file.name)).unwrap();
        written.set_len((file.images * HUNDRED_RECORD) as u64).unwrap();
        for (_, record, bytes) in changes.iter().filter(|(name, ..)| *name == file.name) {
            written.seek(SeekFrom::Start((record * HUNDRED_RECORD) as u64)).unwrap();
            written.write_all(bytes).unwrap();
        }
    }
    folder
}

#[test]
fn of_the_two_labels_of_cifar100_the_fine_one_is_read() {
    // Coarse label, fine label, then red from its first pixel on.
    let folder = hundred(&[("train.bin", 49_999, &[19, 99, 5, 6]), ("test.bin", 7, &[4, 0, 8])]);
    let splits = open(folder.path().to_str().unwrap(), Path::new("unused"), None).unwrap();
    let (train, test) = (&splits.train, &splits.test);
    assert_eq!(
        (train.len(), test.len(), train.classes(), train.name()),
        (50_000, 10_000, 100, "cifar100 train")
    );
    assert_eq!((train.labels()[49_999], train.labels()[0], test.labels()[7]), (99, 0, 0));
    assert_eq!((train.class(99), train.class(0), train.class(100)), (Some("worm"), Some("apple"), None));
    let images = |source: &Dataset| source.to_memory(usize::MAX).unwrap();
    assert_eq!(images(train).image(49_999).unwrap()[..3], [5, 6, 0]);
    assert_eq!(images(test).image(7).unwrap()[..2], [8, 0]);
    assert_eq!((CIFAR100.classes[67], CIFAR100.classes[34]), ("ray", "fox"));
}

#[test]
fn broken_files_of_cifar100_are_named_with_its_command() {
    let folder = hundred(&[("test.bin", 3, &[0, 100])]);
    let error = CIFAR100.read(folder.path()).unwrap_err().to_string();
    for part in ["test.bin", "record 3 has label 100", "CIFAR-100 has labels 0..=99", "download cifar100"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = open("cifar100", folder.path(), None).unwrap_err().to_string();
    for part in ["cifar100", "train.bin is missing", "pada download cifar100"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn halves_are_fixed_disjoint_and_complete() {
    let mini = pada_data::mini().unwrap();
    let splits = Splits::from(mini.clone());
    let (train, valid) = splits.halves();
    assert_eq!((train.len(), valid.len()), (4000, 4000));
    let images = |set: &pada_data::InMemoryDataset| {
        (0..set.len()).map(|i| set.image(i).unwrap().to_vec()).collect::<Vec<_>>()
    };
    let held = |source: &Dataset| images(&source.to_memory(usize::MAX).unwrap());
    let mut both = [held(&train), held(&valid)].concat();
    let mut all = images(&mini.train);
    both.sort();
    all.sort();
    assert_eq!(both, all);
    assert_eq!(splits.halves().0.sha256(), train.sha256());
}

#[test]
fn a_missing_file_is_named_with_the_command_that_fetches_it() {
    let folder = official();
    let path = folder.path().join("data_batch_4.bin");
    std::fs::remove_file(&path).unwrap();
    let error = CIFAR10.read(folder.path()).unwrap_err();
    assert!(matches!(&error, DataError::Missing { path: p, .. } if *p == path), "{error}");
    assert!(error.to_string().contains("pada download cifar10"), "{error}");
}

#[test]
fn a_truncated_file_is_named_with_the_record_it_ends_in() {
    let folder = official();
    let path = change(folder.path(), "data_batch_2.bin", |bytes| bytes.truncate(5 * RECORD + 17));
    let error = CIFAR10.read(folder.path()).unwrap_err();
    assert!(matches!(&error, DataError::WrongSize { path: p, record: 5, .. } if *p == path), "{error}");
    change(folder.path(), "data_batch_2.bin", |bytes| bytes.resize(RECORDS * RECORD + 1, 0));
    let error = CIFAR10.read(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::WrongSize { found: 30_730_001, .. }), "{error}");
}

#[test]
fn a_label_that_is_no_class_is_named_with_its_record() {
    let folder = official();
    let path = change(folder.path(), "test_batch.bin", |bytes| bytes[42 * RECORD] = 10);
    let error = CIFAR10.read(folder.path()).unwrap_err();
    assert!(
        matches!(&error, DataError::BadLabel { path: p, record: 42, label: 10, .. } if *p == path),
        "{error}"
    );
}

#[test]
fn a_file_that_cannot_be_read_and_a_source_that_is_none_are_named() {
    let folder = official();
    let path = folder.path().join("data_batch_1.bin");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = open(folder.path().to_str().unwrap(), Path::new("unused"), None).unwrap_err();
    assert!(matches!(&error, DataError::Io { path: p, .. } if *p == path), "{error}");
    let error = open("imagenet", Path::new("unused"), None).unwrap_err();
    assert!(matches!(&error, DataError::UnknownSource { name } if name == "imagenet"), "{error}");
    let error = open("cifar10", folder.path(), None).unwrap_err();
    assert!(
        matches!(&error, DataError::Missing { path, .. } if path.starts_with(folder.path().join("cifar10"))),
        "{error}"
    );
}
