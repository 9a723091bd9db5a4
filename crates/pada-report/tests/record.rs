//! What a record keeps and what the summary says.
#![allow(clippy::unwrap_used, reason = "a test")]

use pada_metrics::Bootstrap;
use pada_report::*;
use pada_sampler::{ImageAudit, PathAudit};
use pada_space::Arch;

fn record() -> RunRecord {
    let (scores, truth) = ([61.0, 55.5, 70.25, 12.0], [90.1, 89.0, 93.2, 10.0]);
    let baselines = [("weights", vec![0.8, 0.1, 1.2, 0.0]), ("constant", vec![1.0; 4])];
    let agreement =
        Agreement::of("table", &scores, &truth, &baselines[0].1, &baselines, &Bootstrap::default()).unwrap();
    let images = ImagesRecord { name: "mini test".into(), images: 2000, sha256: "ab".into() };
    let best = BestArch { arch: "333333".into(), score: 70.25, params: 7, macs: 9, truth: None };
    RunRecord {
        name: "mini".into(),
        version: "0.1.0".into(),
        method: "pada released".into(),
        seed: 3,
        device: "cpu".into(),
        threads: 2,
        supernet: SupernetRecord { space: "nb201".into(), channels: Some(8), cells: Some(1), weights: 90 },
        train_images: images.clone(),
        parts: vec![],
        epochs: Vec::new(),
        train_seconds: 1.0 / 3.0,
        ranking: Some(RankRecord {
            recalibrated_on: None,
            archs: 4,
            images,
            batch: 512,
            seconds: 0.1,
            ranks: None,
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
fn the_summary_shows_supernet_and_lines_to_beat() {
    let text = summary(&record());
    for expected in ["seed 3", "table", "supernet (n = 4)", "1.000", "weights", "333333", "70.25"] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    assert!(!text.contains("constant"), "a baseline that ranks nothing is left out");
}

#[test]
fn a_collapsed_supernet_has_no_tau() {
    let truth = [1.0, 2.0, 3.0];
    let agreement = Agreement::of("table", &[10.0; 3], &truth, &truth, &[], &Bootstrap::default()).unwrap();
    assert_eq!(agreement.metrics, None);
    let reason = agreement.undefined.unwrap();
    assert!(reason.contains("all 3 predicted scores are equal"), "{reason}");
}

/// Two epochs by two ranks, one by four.
#[test]
fn the_summary_says_which_ranks_trained_and_what_they_sent() {
    let mut record = record();
    assert!(!summary(&record).contains("ranks"), "one process");
    let epoch = |ranks, messages| {
        let ranks = RanksRecord { ranks, messages, bytes: 900_000, seconds: 1.25 };
        EpochRecord { ranks: Some(ranks), ..epoch() }
    };
    record.epochs = vec![epoch(2, 50), epoch(2, 50), epoch(4, 100)];
    let ranks = RanksRecord { ranks: 3, messages: 4, bytes: 5, seconds: 0.5 };
    record.ranking.as_mut().unwrap().ranks = Some(ranks);
    let text = summary(&record);
    let line = "ranks      2, then 4; rank 0 sent 200 messages, 2.7 MB, and waited 3.8 s for others";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("in 0.1 s by 3 ranks"), "{text}");
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
        paths: PathAudit::of(&[Arch::new(vec![0, 1])], 3).unwrap(),
        images: ImageAudit::of(&[0, 1, 1]),
        effective_sample_size: None,
        image_entropy: None,
        seconds: 0.5,
        ranks: None,
    }
}
