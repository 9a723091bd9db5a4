//! Records survive their files, older records can still be read, and the summary names the results.
use std::path::{Path, PathBuf};

use pada_metrics::{Bootstrap, Fusion};
use pada_report::*;

pub(crate) fn record() -> RunRecord {
    let (scores, truth) = ([61.0, 55.5, 70.25, 12.0], [90.1, 89.0, 93.2, 10.0]);
    let baselines = [("#params", vec![0.8, 0.1, 1.2, 0.0]), ("constant", vec![1.0; 4])];
    let lists = ScoreLists {
        size: Some(&[1.0, 1.0, 2.0, 2.0]),
        fused: Some(&[0.5, 0.7, 0.9, 0.1]),
        ..ScoreLists::new(&scores, &truth, &baselines[0].1, &baselines)
    };
    let agreement = Agreement::of("table", &lists, &Bootstrap::default()).unwrap();
    let images =
        ImagesRecord { name: "mini test".into(), images: 2000, sha256: "ab".into(), class_names: vec![] };
    let best = BestArch {
        arch: "333333".into(),
        score: 70.25,
        fused: Some(-0.25),
        part_ranks: vec![1.0, 0.5],
        top5: Some(96.5),
        params: 7,
        macs: 9,
        stand_alone_accuracy: None,
    };
    RunRecord {
        name: "mini".into(),
        version: "0.1.0".into(),
        method: "pada released".into(),
        seed: 3,
        device: "cpu".into(),
        threads: 2,
        supernet: SupernetRecord { space: "nb201".into(), channels: Some(8), cells: Some(1), params: 90 },
        train_images: images.clone(),
        init: None,
        config_sha256: None,
        sub_supernets: vec![],
        epochs: Vec::new(),
        train_seconds: 1.0 / 3.0,
        best_epoch: None,
        ranking: Some(RankRecord {
            recalibrated_on: None,
            archs: 4,
            images,
            batch: 512,
            seconds: 0.1,
            communication: None,
            halving: None,
            fusion: Some(FusionRecord {
                parts: vec!["supernet".into(), "jacov".into()],
                fusion: Fusion::LogRanks,
                images: ImagesRecord {
                    name: "mini train".into(),
                    images: 64,
                    sha256: "cd".into(),
                    class_names: vec![],
                },
                seed: 0,
                seconds: 0.5,
                undefined: vec![("synflow".into(), 1, "the sum is 0".into())],
            }),
            agreements: vec![agreement],
            best: vec![best],
        }),
    }
}

#[test]
fn a_record_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    std::fs::write(&path, record().to_json()).unwrap();
    assert_eq!(RunRecord::read(&path).unwrap(), record());
}

#[test]
fn a_record_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    assert!(matches!(RunRecord::read(&path), Err(ReportError::Io { path: p, .. }) if p == path));
    std::fs::write(&path, "{\"name\": 3}").unwrap();
    let error = RunRecord::read(&path).unwrap_err();
    assert!(matches!(&error, ReportError::Json { source, .. } if source.line() == 1), "{error}");
}

#[test]
fn the_summary_shows_supernet_and_baselines() {
    let text = summary(&record());
    for expected in [
        "seed 3",
        "table",
        "supernet (n = 4)",
        "1.000",
        "#params",
        "333333",
        "70.25",
        "supernet, jacov (log-ranks); zero-cost scores on 64 images of mini train in 0.5 s",
        "synflow is not defined for 1 architecture: the sum is 0",
        // Five of six pairs are in the right order, and both pairs of equal size are.
        "fused (n = 4)                 0.667",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    assert!(!text.contains("constant"), "a baseline that ranks nothing is left out");
    let record = record();
    assert_eq!(record.to_string(), text);
    let ranking = record.ranking.unwrap();
    assert_eq!(ranking.to_string(), ranking_summary(&ranking));
    let agreement = ranking.agreements[0].to_string();
    assert!(agreement.starts_with("table ") && ranking.to_string().contains(&agreement), "{agreement}");
}

#[test]
fn a_collapsed_supernet_has_no_tau() {
    let truth = [1.0, 2.0, 3.0];
    let lists = ScoreLists::new(&[10.0; 3], &truth, &truth, &[]);
    let agreement = Agreement::of("table", &lists, &Bootstrap::default()).unwrap();
    assert_eq!(agreement.metrics, None);
    let reason = agreement.undefined.unwrap();
    assert!(reason.contains("all 3 predicted scores are equal"), "{reason}");
}

/// Two epochs by two processes, one by four.
#[test]
fn the_summary_shows_processes_and_their_communication() {
    let mut record = record();
    assert!(!summary(&record).contains("processes"), "one process");
    let epoch = |processes, messages| {
        let sent = CommunicationRecord { processes, messages, bytes: 900_000, seconds: 1.25 };
        EpochRecord { communication: Some(sent), ..epoch() }
    };
    record.epochs = vec![epoch(2, 50), epoch(2, 50), epoch(4, 100)];
    let sent = CommunicationRecord { processes: 3, messages: 4, bytes: 5, seconds: 0.5 };
    record.ranking.as_mut().unwrap().communication = Some(sent);
    let text = summary(&record);
    let line = "processes  2, then 4; process 0 sent 200 messages (2.7 MB) and waited 3.8 s for the others";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("in 0.1 s by 3 processes"), "{text}");
    let read: RunRecord = serde_json::from_str(&record.to_json()).unwrap();
    assert_eq!(read, record);
}

fn epoch() -> EpochRecord {
    EpochRecord {
        epoch: 0,
        stage: 0,
        lr: 0.05,
        loss: 2.0,
        accuracy: 20.0,
        skipped_steps: 0,
        grad_norm: 1.0,
        gv: None,
        gv_scale_free: None,
        path_distribution: vec![],
        path_entropy: 1.0,
        paths: PathAudit::of([&[0, 1][..]], 3),
        images: ImageAudit::of(&[0, 1, 1]),
        effective_sample_size: None,
        image_entropy: None,
        test: None,
        mixture: None,
        seconds: 0.5,
        communication: None,
    }
}

/// All JSON files below a folder of this repository.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => json_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect()
}

/// The record of `fuzz/corpus/records/run.json` with older field names throughout; processes, a split and baselines were added by hand.
#[test]
fn a_record_with_older_field_names_is_read() {
    let old =
        RunRecord::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/record-v0.json")).unwrap();
    assert_eq!((old.supernet.params, old.sub_supernets.len()), (1713, 1));
    let sent = CommunicationRecord { processes: 2, messages: 50, bytes: 900_000, seconds: 1.25 };
    assert_eq!(old.epochs[0].communication, Some(sent));
    let ranking = old.ranking.as_ref().unwrap();
    assert_eq!(ranking.communication, Some(CommunicationRecord { processes: 3, ..sent }));
    assert_eq!(ranking.agreements[0].table, "mini");
    let names: Vec<&str> = ranking.agreements[0].zero_cost.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, [ZeroCostRow::PARAMS, ZeroCostRow::ACTIVE_CONV_PARAMS]);
    assert_eq!(ranking.best[0].stand_alone_accuracy, Some(10.5));
    let again: RunRecord = serde_json::from_str(&old.to_json()).unwrap();
    assert_eq!(again, old);
}

/// The corpus of the fuzz target and all published results of this repository.
#[test]
fn all_records_of_the_repository_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut runs, mut tables) = (0, 0);
    for path in
        ["fuzz/corpus/records", "xtask/records"].iter().flat_map(|folder| json_files(&root.join(folder)))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        // Benchmark samples are in the same folders.
        if json.get("epochs").is_some() && json.get("supernet").is_some() {
            let record = RunRecord::read(&path).unwrap();
            assert!(!summary(&record).is_empty());
            runs += 1;
        } else if json.get("zero_cost").is_some() && json.get("rows").is_some() {
            let table: MethodTable = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            assert!(!table.rows.is_empty(), "{path:?}");
            tables += 1;
        }
    }
    assert!(runs >= 20 && tables >= 3, "{runs} run records and {tables} tables");
}

#[test]
fn the_first_of_equal_epochs_is_the_best_and_the_summary_names_it() {
    let test = |accuracy, top5| Some(TestRecord { accuracy, top5 });
    let tests = [None, test(60.0, Some(95.0)), test(62.5, Some(96.0)), test(62.5, Some(97.0)), None];
    let epochs: Vec<EpochRecord> =
        tests.into_iter().enumerate().map(|(i, test)| EpochRecord { epoch: i, test, ..epoch() }).collect();
    let best = BestEpoch::of(&epochs);
    assert_eq!(best, Some(BestEpoch { epoch: 2, accuracy: 62.5, top5: Some(96.0) }));
    assert_eq!(BestEpoch::of(&epochs[..1]), None);
    let record = RunRecord { best_epoch: best, epochs, ..record() };
    let text = summary(&record);
    assert!(text.contains("best epoch 3 of 5: 62.50 %, top-5 96.00 %"), "{text}");
    assert!(text.contains("70.25    96.50"), "{text}");
    let read: RunRecord = serde_json::from_str(&record.to_json()).unwrap();
    assert_eq!(read, record);
}

/// A search on sub-supernets ends in the stage with the most accurate mixture, and not in the last one.
#[test]
fn a_search_on_sub_supernets_ends_in_the_most_accurate() {
    let at = |stage: usize, accuracy: Option<f64>, arch: &str| EpochRecord {
        stage,
        accuracy: 10.0 * stage as f64,
        mixture: Some(MixtureRecord {
            arch: arch.to_owned(),
            decisions: vec![0],
            ops: vec![vec![0]],
            probabilities: vec![vec![1.0]],
            edge_weights: vec![],
            chosen: vec![],
            temperature: None,
            validation_loss: None,
            validation_accuracy: accuracy,
        }),
        ..epoch()
    };
    let epochs = vec![
        at(0, Some(90.0), "0"),
        at(1, Some(50.0), "1"),
        at(1, Some(30.0), "2"),
        at(2, Some(40.0), "3"),
        at(3, Some(40.0), "4"),
    ];
    let parts = vec![vec!["0".to_owned()]; 3];
    let split = RunRecord { epochs: epochs.clone(), sub_supernets: parts, ..record() };
    assert_eq!((split.found_stage(), split.found().unwrap().arch.as_str()), (Some(2), "3"));
    assert_eq!(split.found_sub_supernet(), Some(1));
    let whole = RunRecord { epochs: epochs[..1].to_vec(), sub_supernets: vec![], ..record() };
    assert_eq!((whole.found_stage(), whole.found().unwrap().arch.as_str()), (Some(0), "0"));
    assert_eq!(whole.found_sub_supernet(), None);
    // Without validation images, training images decide.
    let epochs = vec![at(0, None, "0"), at(1, None, "1"), at(2, None, "2")];
    let parts = vec![vec!["0".to_owned()]; 2];
    assert_eq!(RunRecord { epochs, sub_supernets: parts, ..record() }.found_stage(), Some(2));
    let plain = RunRecord { sub_supernets: vec![], ..record() };
    assert_eq!((plain.found_stage(), plain.found()), (None, None));
}
