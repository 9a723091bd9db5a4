//! Metrics against scipy, against slow references, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../../tests/shared.rs"]
mod shared;

use pada_metrics::*;
use proptest::prelude::*;
use serde_json::Value;

fn close(ours: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} against {theirs}");
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// `tests/data/small.json` is written by `make_small.py` beside it.
#[test]
fn small_lists_with_ties_equal_scipy() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("data/small.json")).unwrap();
    for case in &cases {
        let (x, y, z) = (list(&case["x"]), list(&case["y"]), list(&case["z"]));
        close(kendall_tau_b(&x, &y).unwrap(), &case["tau_b"], "tau_b");
        close(spearman(&x, &y).unwrap(), &case["spearman"], "spearman");
        close(pearson(&x, &y).unwrap(), &case["pearson"], "pearson");
        match (p_at_top(&x, &y, 0.1), &case["p_at_top_0.1"]) {
            (Err(RankError::EmptyTop { .. }), Value::Null) => {}
            (ours, theirs) => close(ours.unwrap(), theirs, "p_at_top"),
        }
        match (partial_tau(&x, &y, &z), &case["partial_tau"]) {
            (Err(RankError::Explained { .. }), Value::Null) => {}
            (ours, theirs) => close(ours.unwrap(), theirs, "partial_tau"),
        }
    }
    assert_eq!(cases.len(), 8);
}

/// `metrics.json` is written by `make_metrics_golden.py`, which lies beside the golden folder.
#[test]
fn golden_metrics_of_the_benchmark_table() {
    let (Some(golden), Some(table)) = (shared::golden_file("metrics.json"), shared::nb201_table()) else {
        return;
    };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let mut reader = csv::Reader::from_path(table).unwrap();
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let place = |name: &str| header.iter().position(|h| h == name);
    let column = |name: &str| -> Vec<f64> {
        rows.iter().map(|row| row[place(name).unwrap()].parse().unwrap()).collect()
    };
    let params = column("params_cifar10");
    for (name, expected) in golden.as_object().unwrap() {
        let predicted = match name.as_str() {
            "params" => params.clone(),
            name if place(name).is_some() => column(name),
            // Computed from the architecture: checked where architectures are known, in the crate `pada`.
            _ => continue,
        };
        let truth = column(expected["against"].as_str().unwrap());
        let ours =
            serde_json::to_value(Metrics::compute(&predicted, &truth, Some(&params)).unwrap()).unwrap();
        for (metric, value) in expected.as_object().unwrap() {
            match value {
                Value::String(_) => {}
                Value::Null => assert_eq!(ours[metric], Value::Null, "{name} {metric}"),
                value => close(ours[metric].as_f64().unwrap(), value, &format!("{name} {metric}")),
            }
        }
    }
}

/// Slow reference: every pair.
fn slow_tau_b(x: &[f64], y: &[f64]) -> f64 {
    let (mut difference, mut untied_x, mut untied_y) = (0.0, 0.0_f64, 0.0_f64);
    for i in 0..x.len() {
        for j in 0..i {
            let sign = |v: &[f64]| if v[i] == v[j] { 0.0 } else { (v[i] - v[j]).signum() };
            difference += sign(x) * sign(y);
            untied_x += sign(x).abs();
            untied_y += sign(y).abs();
        }
    }
    difference / (untied_x * untied_y).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tau_b_is_its_definition(pairs in prop::collection::vec((-6_i8..6, -6_i8..6), 2..60)) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
        match kendall_tau_b(&x, &y) {
            Ok(tau) => {
                prop_assert!((tau - slow_tau_b(&x, &y)).abs() < 1e-12);
                prop_assert_eq!(tau, kendall_tau_b(&y, &x).unwrap());
                let stretched: Vec<f64> = x.iter().map(|v| v.powi(3) - 7.0).collect();
                prop_assert_eq!(tau, kendall_tau_b(&stretched, &y).unwrap());
                let turned: Vec<f64> = x.iter().map(|v| -v).collect();
                prop_assert!((tau + kendall_tau_b(&turned, &y).unwrap()).abs() < 1e-12);
            }
            Err(RankError::AllTied { list, .. }) => {
                let tied = if list == List::Predicted { &x } else { &y };
                prop_assert!(tied.iter().all(|v| *v == tied[0]));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn p_at_top_of_distinct_scores_counts_the_overlap(seed in 0_u64..1000, n in 10_usize..80) {
        let order = |s: u64| -> Vec<f64> { (0..n as u64).map(|i| ((i * 7919 + s * 104_729) % 1_000_003) as f64).collect() };
        let (x, y) = (order(seed), order(seed * 31 + 5).into_iter().map(|v| (v * 37.0) % 1009.0 + v / 1e7).collect::<Vec<_>>());
        let k = n / 10;
        let best = |v: &[f64]| {
            let mut places: Vec<usize> = (0..n).collect();
            places.sort_by(|&a, &b| v[b].total_cmp(&v[a]));
            places.truncate(k);
            places
        };
        let overlap = best(&x).iter().filter(|i| best(&y).contains(i)).count();
        prop_assert!((p_at_top(&x, &y, 0.1).unwrap() - overlap as f64 / k as f64).abs() < 1e-12);
    }
}

#[test]
fn ties_at_the_cut_share_the_slots() {
    // k = 2: one slot is taken by 9, three fives share the other; the truth has 8 and 7 on top.
    let (predicted, truth) = ([9.0, 5.0, 5.0, 5.0], [1.0, 8.0, 7.0, 0.0]);
    assert!((p_at_top(&predicted, &truth, 0.5).unwrap() - (1.0 / 3.0 + 1.0 / 3.0) / 2.0).abs() < 1e-15);
    // The lower index gets the slot: 8 is the best true score, so the best rank is 1.
    assert_eq!(br_at_top(&predicted, &truth, 0.5), Ok(0.25));
}

#[test]
fn what_ranks_nothing_is_refused() {
    let nan = kendall_tau_b(&[1.0, f64::NAN], &[1.0, 2.0]).unwrap_err();
    assert!(matches!(nan, RankError::NotComparable { list: List::Predicted, index: 1, .. }));
    assert_eq!(kendall_tau_b(&[1.0], &[1.0, 2.0]), Err(RankError::LengthMismatch { predicted: 1, truth: 2 }));
    assert_eq!(kendall_tau_b(&[1.0], &[1.0]), Err(RankError::TooFew { found: 1, needed: 2 }));
    assert_eq!(
        kendall_tau_b(&[5.0, 5.0], &[1.0, 2.0]),
        Err(RankError::AllTied { list: List::Predicted, n: 2 })
    );
    assert_eq!(spearman(&[1.0, 2.0], &[3.0, 3.0]), Err(RankError::AllTied { list: List::Truth, n: 2 }));
    assert_eq!(p_at_top(&[1.0, 2.0], &[1.0, 2.0], 0.05), Err(RankError::EmptyTop { n: 2, fraction: 0.05 }));
    let infinite = pearson(&[1.0, f64::INFINITY], &[1.0, 2.0]).unwrap_err();
    assert!(matches!(infinite, RankError::NotComparable { index: 1, .. }));
    assert_eq!(kendall_tau_b(&[1.0, f64::INFINITY], &[1.0, 2.0]), Ok(1.0));
    let explained = partial_tau(&[1.0, 3.0, 2.0], &[2.0, 1.0, 3.0], &[1.0, 3.0, 2.0]);
    assert_eq!(explained, Err(RankError::Explained { list: List::Predicted }));
    assert_eq!(
        partial_tau(&[1.0, 2.0], &[2.0, 1.0], &[4.0, 4.0]),
        Err(RankError::AllTied { list: List::Given, n: 2 })
    );
}

#[test]
fn intervals_hold_the_value_and_do_not_depend_on_threads() {
    let truth: Vec<f64> = (0..200).map(f64::from).collect();
    let predicted: Vec<f64> = truth.iter().map(|t| t + 60.0 * (t * 12.9898).sin()).collect();
    let bootstrap = Bootstrap::default();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| tau_b_interval(&predicted, &truth, &bootstrap).unwrap())
    };
    let interval = with(1);
    assert_eq!(interval, with(3));
    assert_ne!(interval, tau_b_interval(&predicted, &truth, &Bootstrap { seed: 1, ..bootstrap }).unwrap());
    let tau = kendall_tau_b(&predicted, &truth).unwrap();
    assert!(interval.low < tau && tau < interval.high && interval.high - interval.low < 0.2, "{interval:?}");
    let same = tau_b_difference_interval(&predicted, &predicted, &truth, &bootstrap).unwrap();
    assert_eq!((same.low, same.high), (0.0, 0.0));
    let better = tau_b_difference_interval(&truth, &predicted, &truth, &bootstrap).unwrap();
    assert!(better.low > 0.0);
}
