//! A small table of methods, as Markdown, CSV and JSON.
use pada_metrics::{Bootstrap, Difference, Interval};
use pada_report::*;

pub(crate) fn epoch(epoch: usize, paths: &[[u8; 2]], images: &[u32]) -> EpochRecord {
    EpochRecord {
        epoch,
        stage: 0,
        lr: 0.1,
        loss: 2.0,
        accuracy: 30.0,
        skipped_steps: 0,
        grad_norm: 1.0,
        gv: Some(0.25 * (epoch + 1) as f64),
        gv_scale_free: Some(4.0),
        path_distribution: vec![vec![0.5; 2]],
        path_entropy: 0.7,
        paths: PathAudit::of(paths.iter().map(|path| &path[..]), 2),
        images: ImageAudit::of(images),
        effective_sample_size: None,
        image_entropy: None,
        test: None,
        mixture: None,
        seconds: 1.0,
        communication: None,
    }
}

fn record(seed: u64, scores: &[f64]) -> RunRecord {
    let truth: Vec<f64> = (0..scores.len()).map(|i| i as f64).collect();
    let params: Vec<f64> = truth.iter().map(|t| (t * 7.0) % 5.0).collect();
    let baselines = [("#params", params.clone())];
    let lists = ScoreLists {
        size: Some(&params),
        fused: Some(&truth),
        ..ScoreLists::new(scores, &truth, &params, &baselines)
    };
    let agreement = Agreement::of("t", &lists, &Bootstrap::default()).unwrap();
    let images = ImagesRecord { name: "images".into(), images: 4, sha256: "ab".into(), class_names: vec![] };
    RunRecord {
        name: "x".into(),
        version: "0.1.0".into(),
        method: "x".into(),
        seed,
        device: "a device".into(),
        threads: 2,
        supernet: SupernetRecord { space: "nb201".into(), channels: Some(8), cells: Some(1), params: 90 },
        train_images: images.clone(),
        init: None,
        config_sha256: None,
        sub_supernets: vec![],
        epochs: vec![epoch(0, &[[0, 1], [1, 1]], &[0, 1, 2, 3]), epoch(1, &[[1, 1], [1, 1]], &[0, 0, 3, 3])],
        train_seconds: 36.0,
        best_epoch: None,
        ranking: Some(RankRecord {
            recalibrated_on: None,
            archs: scores.len(),
            images,
            batch: 512,
            seconds: 18.0,
            communication: None,
            halving: None,
            fusion: None,
            agreements: vec![agreement],
            best: vec![],
        }),
    }
}

fn table() -> MethodTable {
    let good: Vec<f64> = (0..40).map(|i| f64::from(i ^ 1)).collect();
    let better: Vec<f64> = (0..40).map(f64::from).collect();
    let name = |name: &str, label: &str, group, published| MethodName {
        name: name.into(),
        label: label.into(),
        group,
        published,
    };
    let published = Published {
        method: "SPOS †".into(),
        gpu_hours: PublishedCell::new("1.6"),
        tau_b: PublishedCell::new("**0.639 ± 0.030**"),
        p_at_top_5: PublishedCell::DASH,
        elsewhere: Some("0.62 (its README)".into()),
    };
    // A printed blank is no dash.
    let blank =
        Published { method: "GM-8".into(), gpu_hours: PublishedCell::new("18.0"), ..Published::default() };
    let spos = name("spos", "SPOS", RowGroup::Paper, Some(published));
    let control = name("pa", "PA, paths only", RowGroup::Control, None);
    let mut second =
        MethodRow::of(control, &[record(0, &better), record(1, &good), record(2, &[1.0; 40])], &[1]);
    let interval = Interval::new(-0.004, 0.03, 0.95, 2000);
    second.tau_b_difference = Some(Difference::new(0.0125, interval, 2));
    let gm = name("gm", "GM", RowGroup::Paper, Some(blank));
    let none = name("unbiased", "unbiased losses", RowGroup::Beyond, None);
    let zero_cost = record(0, &good).ranking.unwrap().agreements[0].zero_cost.clone();
    let mut fused = RankingRow::fused("spos".into(), "SPOS", &[record(0, &good), record(1, &good)]).unwrap();
    fused.tau_b_difference = Some(Difference::new(0.955, Interval::new(0.9, 0.99, 0.95, 2000), 2));
    MethodTable {
        title: "Table 1, preset mini".into(),
        notes: vec!["quick".into()],
        reference: "SPOS".into(),
        rows: vec![
            MethodRow::of(spos, &[record(0, &good)], &[1]),
            MethodRow::of(gm, &[], &[1]),
            second,
            MethodRow::of(none, &[], &[1]),
        ],
        rankings: std::iter::once(fused).chain(zero_cost.iter().map(RankingRow::zero_cost)).collect(),
        best_zero_cost: Some("#params".into()),
        zero_cost,
        ceiling: Some(Ceiling { tau_b: 0.9, seeds: 3, archs: 40 }),
        failed: vec![FailedTrial { trial: "gm, seed 0".into(), reason: "no such rule".into() }],
        missing: 2,
    }
}

#[test]
fn golden_markdown() {
    let (found, golden) = (table().to_markdown(), include_str!("../data/method_table.md"));
    assert_eq!(found, golden, "the table is now\n{found}");
}

#[test]
fn of_a_supernet_that_was_split_the_last_epochs_of_all_parts_count() {
    let mut split = record(0, &[1.0, 2.0]);
    split.sub_supernets = vec![vec!["0".into()], vec!["1".into()]];
    let at = |stage, paths: &[[u8; 2]]| EpochRecord { stage, ..epoch(stage, paths, &[0, 1]) };
    let (whole, none, all) = (at(0, &[[0, 1]]), at(1, &[[0, 0]]), at(2, &[[1, 1]]));
    split.epochs = vec![whole, at(1, &[[1, 1]]), none, all];
    let sampling = Sampling::of(&[split], &[1]).unwrap();
    assert_eq!((sampling.first.weighted_share, sampling.last.weighted_share), (0.5, 0.5));
}

#[test]
fn rows_of_the_csv_have_as_many_cells_as_its_head_and_json_keeps_everything() {
    let csv = table().to_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 4 + 2);
    assert!(lines[5].starts_with("spos,\"SPOS, fused\",fused,2,,40,"), "{}", lines[5]);
    assert!(lines[5].ends_with(",0.955,0.9,0.99,,,"), "{}", lines[5]);
    assert!(lines[6].starts_with("#params,#params,zero-cost,,,40,"), "{}", lines[6]);
    let cells = |line: &str| {
        line.replace("\"PA, paths only\"", "PA").replace("\"SPOS, fused\"", "SPOS").split(',').count()
    };
    for line in &lines {
        assert_eq!(cells(line), cells(lines[0]), "{line}");
    }
    let json = serde_json::to_string(&table()).unwrap();
    assert_eq!(serde_json::from_str::<MethodTable>(&json).unwrap(), table());
}

#[test]
fn a_table_without_rankings_shows_its_baselines() {
    let mut json = serde_json::to_value(table()).unwrap();
    let fields = json.as_object_mut().unwrap();
    assert!(fields.remove("rankings").is_some() && fields.remove("best_zero_cost").is_some());
    let earlier: MethodTable = serde_json::from_value(json).unwrap();
    assert!(earlier.rankings.is_empty());
    let (markdown, csv) = (earlier.to_markdown(), earlier.to_csv());
    assert!(markdown.contains("| #params | – | 0.045 |") && !markdown.contains("SPOS, fused"), "{markdown}");
    assert!(csv.lines().last().unwrap().starts_with("#params,#params,zero-cost,"), "{csv}");
}

#[test]
fn gradient_variance_is_the_mean_over_all_epochs() {
    let epochs: Vec<EpochRecord> = (0..8).map(|i| epoch(i, &[[0, 1]], &[0])).collect();
    assert!((mean_gv(&epochs, |e| e.gv).unwrap() - 1.125).abs() < 1e-12);
    assert!((mean_gv(&epochs[..3], |e| e.gv).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(mean_gv(&[], |e| e.gv), None);
}
