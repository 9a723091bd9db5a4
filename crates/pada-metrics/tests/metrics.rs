//! Metrics against scipy and slow references, and the errors of input that has no metric.

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
            (Err(MetricsError::EmptyTop { .. }), Value::Null) => {}
            (ours, theirs) => close(ours.unwrap(), theirs, "p_at_top"),
        }
        match (partial_tau(&x, &y, &z), &case["partial_tau"]) {
            (Err(MetricsError::ControlExplains { .. }), Value::Null) => {}
            (ours, theirs) => close(ours.unwrap(), theirs, "partial_tau"),
        }
    }
    assert_eq!(cases.len(), 8);
}

/// A metric by the name that it has in JSON files.
fn value_of(metrics: &Metrics, key: &str) -> Option<f64> {
    match key {
        "n" => Some(metrics.n as f64),
        "tau_b" => Some(metrics.tau_b),
        "spearman" => Some(metrics.spearman),
        "pearson" => Some(metrics.pearson),
        "p_at_top_0.01" => metrics.p_at_top_1,
        "p_at_top_0.05" => metrics.p_at_top_5,
        "p_at_top_0.1" => metrics.p_at_top_10,
        "br_at_top_0.01" => metrics.br_at_top_1,
        "br_at_top_0.05" => metrics.br_at_top_5,
        "br_at_top_0.1" => metrics.br_at_top_10,
        "partial_tau_given_params" => metrics.partial_tau_given_params,
        _ => panic!("there is no metric {key}"),
    }
}

/// `metrics.json` is written by `make_metrics_golden.py`, which is stored beside the folder of golden values.
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
        let metrics = Metrics::compute(&predicted, &truth, Some(&params)).unwrap();
        let ours = |key: &str| value_of(&metrics, key);
        for (metric, value) in expected.as_object().unwrap() {
            match value {
                Value::String(_) => {}
                Value::Null => assert_eq!(ours(metric), None, "{name} {metric}"),
                value => close(ours(metric).unwrap(), value, &format!("{name} {metric}")),
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
            Err(MetricsError::AllTied { list, .. }) => {
                let tied = if list == ScoreList::Predicted { &x } else { &y };
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
    // k = 2: the score 9 takes one place, three fives share the other; the best ground-truth scores are 8 and 7.
    let (predicted, truth) = ([9.0, 5.0, 5.0, 5.0], [1.0, 8.0, 7.0, 0.0]);
    assert!((p_at_top(&predicted, &truth, 0.5).unwrap() - (1.0 / 3.0 + 1.0 / 3.0) / 2.0).abs() < 1e-15);
    // The lower index gets the place: 8 is the best ground-truth score, so the best rank is 1.
    assert_eq!(br_at_top(&predicted, &truth, 0.5), Ok(0.25));
}

#[test]
fn lists_without_a_ranking_are_refused() {
    let nan = kendall_tau_b(&[1.0, f64::NAN], &[1.0, 2.0]).unwrap_err();
    assert_eq!(nan, MetricsError::NanScore { list: ScoreList::Predicted, index: 1 });
    assert_eq!(
        kendall_tau_b(&[1.0], &[1.0, 2.0]),
        Err(MetricsError::LengthMismatch { list: ScoreList::Predicted, found: 1, expected: 2 })
    );
    assert_eq!(kendall_tau_b(&[1.0], &[1.0]), Err(MetricsError::TooFew { found: 1, needed: 2 }));
    assert_eq!(
        kendall_tau_b(&[5.0, 5.0], &[1.0, 2.0]),
        Err(MetricsError::AllTied { list: ScoreList::Predicted, n: 2 })
    );
    assert_eq!(
        spearman(&[1.0, 2.0], &[3.0, 3.0]),
        Err(MetricsError::AllTied { list: ScoreList::GroundTruth, n: 2 })
    );
    assert_eq!(
        p_at_top(&[1.0, 2.0], &[1.0, 2.0], 0.05),
        Err(MetricsError::EmptyTop { n: 2, fraction: 0.05 })
    );
    let infinite = pearson(&[1.0, f64::INFINITY], &[1.0, 2.0]).unwrap_err();
    assert_eq!(infinite, MetricsError::InfiniteScore { list: ScoreList::Predicted, index: 1 });
    assert_eq!(kendall_tau_b(&[1.0, f64::INFINITY], &[1.0, 2.0]), Ok(1.0));
    let explained = partial_tau(&[1.0, 3.0, 2.0], &[2.0, 1.0, 3.0], &[1.0, 3.0, 2.0]);
    assert_eq!(explained, Err(MetricsError::ControlExplains { list: ScoreList::Predicted }));
    assert_eq!(
        partial_tau(&[1.0, 2.0], &[2.0, 1.0], &[4.0, 4.0]),
        Err(MetricsError::AllTied { list: ScoreList::Control, n: 2 })
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
    assert_ne!(interval, tau_b_interval(&predicted, &truth, &bootstrap.with_seed(1)).unwrap());
    let tau = kendall_tau_b(&predicted, &truth).unwrap();
    assert!(interval.low < tau && tau < interval.high && interval.high - interval.low < 0.2, "{interval:?}");
    let same = tau_b_difference_interval(&predicted, &predicted, &truth, &bootstrap).unwrap();
    assert_eq!((same.low, same.high), (0.0, 0.0));
    let better = tau_b_difference_interval(&truth, &predicted, &truth, &bootstrap).unwrap();
    assert!(better.low > 0.0);
}

/// Squares of such numbers overflow to infinity or underflow to zero, the correlation does not.
#[test]
fn pearson_does_not_depend_on_the_unit() {
    let (x, y) = ([1.0, 2.5, 2.0, 4.0, 3.0], [2.0, 3.0, 1.0, 5.0, 4.0]);
    let expected = pearson(&x, &y).unwrap();
    for factor in [1e160, 1e-170, 2e307, 1e-300, -3e200] {
        let scaled = x.map(|value| value * factor);
        let found = pearson(&scaled, &y).unwrap();
        assert!((found.abs() - expected).abs() < 1e-12, "{factor:e}: {found} against {expected}");
        let found = pearson(&y, &scaled).unwrap();
        assert!((found.abs() - expected).abs() < 1e-12, "{factor:e}: {found} against {expected}");
    }
}

fn golden(part: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/significance.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

/// Far tails differ in their relative error, because the libraries expand the same functions differently.
#[track_caller]
fn close_p(ours: f64, theirs: &Value, what: &str) {
    close(ours, theirs, what);
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() <= 1e-9 * theirs, "{what}: {ours:e} against {theirs:e}");
}

/// `significance.json` is written by `make_significance.py` beside it.
#[test]
fn golden_p_values_equal_scipy() {
    let cases = golden("p_values");
    for case in &cases {
        let (x, y) = (list(&case["x"]), list(&case["y"]));
        let n = x.len();
        let p = |method| kendall_tau_b_p_value(&x, &y, method);
        close_p(p(PValueMethod::Auto).unwrap(), &case["auto"], &format!("auto, {n}"));
        close_p(p(PValueMethod::Asymptotic).unwrap(), &case["asymptotic"], &format!("asymptotic, {n}"));
        match (p(PValueMethod::Exact), case["ties"].as_bool().unwrap()) {
            (Err(MetricsError::TiesInExactTest { .. }), true) => {}
            (exact, _) => close_p(exact.unwrap(), &case["exact"], &format!("exact, {n}")),
        }
        close_p(spearman_p_value(&x, &y).unwrap(), &case["spearman"], &format!("spearman, {n}"));
        close(weighted_tau(&x, &y).unwrap(), &case["weighted_tau"], &format!("weighted tau, {n}"));
    }
    assert_eq!(cases.len(), 14);
}

#[test]
fn golden_correlations_of_large_and_small_numbers_equal_scipy() {
    let cases = golden("large_and_small");
    for case in &cases {
        close(pearson(&list(&case["x"]), &list(&case["y"])).unwrap(), &case["pearson"], "pearson");
    }
    assert_eq!(cases.len(), 3);
}

#[test]
fn golden_intervals_of_means_equal_scipy() {
    let cases = golden("means");
    for case in &cases {
        let (values, level) = (list(&case["values"]), case["level"].as_f64().unwrap());
        let (mean, interval) = mean_interval(&values, level).unwrap();
        close(interval.low, &case["interval"][0], "lower end");
        close(interval.high, &case["interval"][1], "upper end");
        assert!(interval.contains(mean));
    }
    assert_eq!(cases.len(), 4);
}

/// Counts all orders of five architectures.
#[test]
fn an_exact_p_value_counts_orders() {
    let truth = [1.0, 2.0, 3.0, 4.0, 5.0];
    let mut orders = vec![vec![]];
    for _ in 0..5 {
        let longer = |order: &Vec<f64>| {
            let next = truth.iter().filter(|v| !order.contains(v)).map(|v| [&order[..], &[*v]].concat());
            next.collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 120);
    for order in &orders {
        let tau = |order: &[f64]| kendall_tau_b(order, &truth).unwrap().abs();
        let as_far = orders.iter().filter(|other| tau(other) >= tau(order) - 1e-12).count();
        let p = kendall_tau_b_p_value(order, &truth, PValueMethod::Exact).unwrap();
        assert!((p - as_far as f64 / 120.0).abs() < 1e-12, "{order:?}");
    }
}

/// A wrong unit of a parameter is an error with the right one, never a panic or a silent number.
#[test]
fn parameters_out_of_range_are_refused() {
    let scores = [1.0, 3.0, 2.0, 4.0];
    for level in [95.0, 1.0, 0.0, -0.5, f64::NAN] {
        let bootstrap = Bootstrap::new().with_level(level);
        let error = tau_b_interval(&scores, &scores, &bootstrap).unwrap_err();
        assert!(matches!(error, MetricsError::InvalidLevel { .. }), "{level}: {error}");
        assert!(error.to_string().contains("write 0.95 for 95 %"), "{error}");
        assert!(matches!(mean_interval(&scores, level), Err(MetricsError::InvalidLevel { .. })));
    }
    for fraction in [5.0, 1.01, 0.0, -0.1, f64::NAN, f64::INFINITY] {
        let error = p_at_top(&scores, &scores, fraction).unwrap_err();
        assert!(matches!(error, MetricsError::InvalidFraction { .. }), "{fraction}: {error}");
        assert!(error.to_string().contains("write 0.05 for the best 5 %"), "{error}");
        assert!(matches!(br_at_top(&scores, &scores, fraction), Err(MetricsError::InvalidFraction { .. })));
        let metric = PairedMetric::PAtTop { fraction };
        let error =
            paired_difference(&[scores.to_vec()], &[scores.to_vec()], &scores, metric, &Bootstrap::new());
        assert!(matches!(error, Err(MetricsError::InvalidFraction { .. })));
    }
    assert_eq!(p_at_top(&scores, &scores, 1.0), Ok(1.0));
}

#[test]
fn an_interval_of_too_few_resamples_or_architectures_is_refused() {
    let scores = [1.0, 3.0, 2.0, 4.0];
    for resamples in [0, 1, 39] {
        let bootstrap = Bootstrap::new().with_resamples(resamples);
        assert_eq!(
            tau_b_interval(&scores, &scores, &bootstrap),
            Err(MetricsError::TooFewResamples { found: resamples, needed: 40, level: 0.95 })
        );
    }
    assert!(tau_b_interval(&scores, &scores, &Bootstrap::new().with_resamples(60)).is_ok());
    let two = [1.0, 2.0];
    let bootstrap = Bootstrap::new();
    let few = Err(MetricsError::TooFew { found: 2, needed: 3 });
    assert_eq!(tau_b_interval(&two, &two, &bootstrap), few);
    assert_eq!(tau_b_difference_interval(&two, &two, &two, &bootstrap), few);
    let seeds = [two.to_vec()];
    let paired = paired_difference(&seeds, &seeds, &two, PairedMetric::TauB, &bootstrap);
    assert_eq!(paired.unwrap_err(), MetricsError::TooFew { found: 2, needed: 3 });
    assert!(matches!(bootstrap.interval(0, |_| Some(1.0)), Err(MetricsError::TooFew { found: 0, .. })));
    let undefined = bootstrap.interval(5, |_| None);
    assert_eq!(undefined, Err(MetricsError::UndefinedResamples { defined: 0, drawn: 1000, needed: 40 }));
}

#[test]
fn a_bca_interval_holds_the_value_and_does_not_depend_on_threads() {
    let truth: Vec<f64> = (0..60).map(f64::from).collect();
    let predicted: Vec<f64> = truth.iter().map(|t| t + 20.0 * (t * 12.9898).sin()).collect();
    let bca = Bootstrap::new().with_method(IntervalMethod::BiasCorrectedAccelerated);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| tau_b_interval(&predicted, &truth, &bca).unwrap())
    };
    let (interval, percentile) = (with(1), tau_b_interval(&predicted, &truth, &Bootstrap::new()).unwrap());
    assert_eq!(interval, with(3));
    assert_ne!(interval, percentile);
    assert!(interval.contains(kendall_tau_b(&predicted, &truth).unwrap()), "{interval}");
    // The difference of a method to itself is 0 in every resample: there is nothing to correct.
    let seeds = [predicted.clone(), truth.clone()];
    for metric in [PairedMetric::TauB, PairedMetric::PAtTop { fraction: 0.1 }] {
        let same = paired_difference(&seeds, &seeds, &truth, metric, &bca).unwrap();
        assert_eq!((same.interval.low, same.interval.high), (0.0, 0.0));
        let others = [predicted.clone(), predicted.clone()];
        let better = paired_difference(&seeds, &others, &truth, metric, &bca).unwrap();
        assert!(better.interval.low <= better.mean && better.mean <= better.interval.high, "{better}");
    }
    // Every resample of two equal rankings has tau = 1, which is not on one side of 1.
    assert_eq!(tau_b_interval(&truth, &truth, &bca).map(|i| (i.low, i.high)), Ok((1.0, 1.0)));
    let one_sided = bca.interval(60, |indices| Some(if indices.is_sorted() { 2.0 } else { 1.0 }));
    assert!(matches!(one_sided, Err(MetricsError::UndefinedBca { .. })), "{one_sided:?}");
}

#[test]
fn errors_name_the_list() {
    let (three, four) = ([1.0, 3.0, 2.0], [1.0, 3.0, 2.0, 4.0]);
    let error = partial_tau(&four, &four, &three).unwrap_err();
    assert_eq!(error, MetricsError::LengthMismatch { list: ScoreList::Control, found: 3, expected: 4 });
    assert!(error.to_string().contains("control scores has 3 entries"), "{error}");
    let error = tau_b_difference_interval(&four, &[1.0; 4], &four, &Bootstrap::new()).unwrap_err();
    assert_eq!(error, MetricsError::AllTied { list: ScoreList::MethodB { seed_index: 0 }, n: 4 });
    let nan = partial_tau(&four, &four, &[1.0, 2.0, 3.0, f64::NAN]).unwrap_err();
    assert_eq!(nan, MetricsError::NanScore { list: ScoreList::Control, index: 3 });
    let error = spearman_p_value(&[1.0, 2.0], &[1.0, 2.0]).unwrap_err();
    assert_eq!(error, MetricsError::TooFew { found: 2, needed: 3 });
    let error = mean_interval(&[1.0, f64::INFINITY], 0.9).unwrap_err();
    assert_eq!(error, MetricsError::InfiniteScore { list: ScoreList::Values, index: 1 });
}

#[test]
fn results_print_as_people_read_them() {
    let interval = Interval::new(0.38361, 0.51006, 0.95, 1000);
    assert_eq!(interval.to_string(), "95 % [0.384, 0.510]");
    assert_eq!(format!("{interval:.1}"), "95 % [0.4, 0.5]");
    assert_eq!(Interval::new(0.0, 1.0, 0.999, 9).to_string(), "99.9 % [0.000, 1.000]");
    assert_eq!(Difference::new(0.0125, interval, 1).to_string(), "+0.013, 95 % [0.384, 0.510], 1 seed");
    assert_eq!(PairedMetric::PAtTop { fraction: 0.07 }.to_string(), "P@Top7%");
    let scores: Vec<f64> = (0..10).map(f64::from).collect();
    let text = Metrics::compute(&scores, &scores, None).unwrap().to_string();
    assert!(text.starts_with("architectures            10\ntau-b                    1.000\n"), "{text}");
    assert!(text.contains("P@Top5%                  -\nP@Top10%                 1.000\n"), "{text}");
}

/// Errors cross threads, and fit into `Box<dyn Error + Send + Sync>` and `anyhow`.
#[test]
fn public_types_cross_threads() {
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    fn value<T: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static>() {}
    error::<MetricsError>();
    value::<MetricsError>();
    value::<Bootstrap>();
    value::<Difference>();
    value::<Interval>();
    value::<Metrics>();
    value::<PairedMetric>();
}

#[cfg(feature = "serde")]
#[test]
fn results_survive_json() {
    let interval = Interval::new(0.1, 0.2, 0.95, 1000);
    let difference = Difference::new(0.15, interval, 3);
    let json = serde_json::to_string(&difference).unwrap();
    assert_eq!(
        json,
        r#"{"mean":0.15,"interval":{"low":0.1,"high":0.2,"level":0.95,"resamples":1000},"seeds":3}"#
    );
    assert_eq!(serde_json::from_str::<Difference>(&json).unwrap(), difference);
    let metrics = Metrics::compute(&[1.0, 3.0, 2.0], &[1.0, 2.0, 3.0], None).unwrap();
    let json = serde_json::to_value(&metrics).unwrap();
    assert_eq!(json["p_at_top_0.05"], Value::Null);
    for (key, value) in json.as_object().unwrap() {
        assert_eq!(value.as_f64(), value_of(&metrics, key), "{key}");
    }
    assert_eq!(serde_json::from_value::<Metrics>(json).unwrap(), metrics);
    let bootstrap: Bootstrap = serde_json::from_str(r#"{"resamples":200}"#).unwrap();
    assert_eq!(bootstrap, Bootstrap::new().with_resamples(200));
}
