import json

import numpy as np
import pytest

import pada
from pada import metrics


def lists(seed, n=60, ties=True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    return (np.round(x, 1), np.round(y, 1)) if ties else (x, y)


@pytest.mark.parametrize("seed", range(20))
def test_metrics_equal_scipy_with_ties(seed):
    stats = pytest.importorskip("scipy.stats", reason="SCIPY IS MISSING: METRICS ARE NOT COMPARED WITH IT")
    x, y = lists(seed, n=[5, 30, 60, 200][seed % 4], ties=seed % 3 > 0)
    tau, expected = metrics.kendall_tau(x, y), stats.kendalltau(x, y)
    assert tau == pytest.approx(expected.statistic, abs=1e-12)
    assert tau.p_value() == pytest.approx(expected.pvalue, rel=1e-9)
    asymptotic = stats.kendalltau(x, y, method="asymptotic").pvalue
    assert tau.p_value("asymptotic") == pytest.approx(asymptotic, rel=1e-9)
    rho, expected = metrics.spearman(x, y), stats.spearmanr(x, y)
    assert rho == pytest.approx(expected.statistic, abs=1e-12)
    assert rho.p_value() == pytest.approx(expected.pvalue, rel=1e-9)
    assert metrics.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    # scipy averages both orders of the lists too, if it is not told one.
    assert metrics.weighted_tau(x, y) == pytest.approx(stats.weightedtau(x, y).statistic, abs=1e-12)


def test_intervals_are_near_those_of_scipy():
    stats = pytest.importorskip("scipy.stats", reason="SCIPY IS MISSING: INTERVALS ARE NOT COMPARED WITH IT")
    x, y = lists(1, n=40, ties=False)
    for method in ("percentile", "BCa"):
        expected = stats.bootstrap(
            (x, y),
            lambda a, b: stats.spearmanr(a, b).statistic,
            paired=True,
            vectorized=False,
            n_resamples=1000,
            method=method,
            rng=np.random.default_rng(0),
        ).confidence_interval
        found = metrics.spearman(x, y).interval(method=method.lower(), resamples=1000)
        # Two bootstraps of 1,000 resamples differ by a few hundredths.
        assert found[:2] == pytest.approx(list(expected), abs=0.06)


def brute_tau_b(x, y):
    pairs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i in range(len(x)) for j in range(i)]
    dx, dy = np.array(pairs).T
    return (dx * dy).sum() / np.sqrt((dx != 0).sum() * (dy != 0).sum())


def test_metrics_equal_their_definitions():
    x, y = lists(0)
    assert metrics.kendall_tau(x, y) == pytest.approx(brute_tau_b(x, y), abs=1e-12)
    z = np.round(x + y)
    xy, xz, yz = brute_tau_b(x, y), brute_tau_b(x, z), brute_tau_b(y, z)
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert metrics.partial_tau(x, y, z) == pytest.approx(expected, abs=1e-12)
    a, b = np.arange(40.0), np.roll(np.arange(40.0), 1)
    assert metrics.p_at_top(a, b, 0.1) == 0.75 and metrics.br_at_top(a, b, 0.1) == 2 / 40
    groups = np.repeat([0, 1], 2)
    assert metrics.tau_within([1, 2, 4, 3], [1, 2, 3, 4], groups) == 0.0


def test_every_metric_has_an_interval_around_it():
    x, y = lists(4)
    found = [
        metrics.kendall_tau(x, y),
        metrics.weighted_tau(x, y),
        metrics.partial_tau(x, y, np.arange(60) % 7),
        metrics.tau_within(x, y, np.arange(60) % 3),
        metrics.spearman(x, y),
        metrics.pearson(x, y),
        metrics.p_at_top(x, y, 0.2),
        metrics.br_at_top(x, y, 0.2),
    ]
    for metric in found:
        assert isinstance(metric, float)
        interval = metric.interval(method="percentile", resamples=200)
        assert interval.low < interval.high and interval.level == 0.95 and interval.method == "percentile"
        assert metric in interval
        assert metric.interval(0.5, method="percentile", resamples=200).high <= interval.high
    tau = found[0]
    assert tau.interval() == tau.interval() != tau.interval(seed=1)
    assert tau.interval().method == "bca" and str(tau.interval()).startswith("95 % [0.")


def test_a_bca_interval_that_is_undefined_is_one_of_percentiles():
    assert metrics.kendall_tau([1, 1, 1, 1, 2], [1, 2, 3, 4, 5]).interval().method == "percentile"


def test_differences_are_paired():
    truth = np.arange(50.0)
    rng = np.random.default_rng(0)
    good = np.array([truth + rng.normal(size=50) for _ in range(3)])
    poor = np.array([truth + 30 * rng.normal(size=50) for _ in range(3)])
    found = metrics.paired_difference(good, poor, truth)
    taus = [metrics.kendall_tau(a, truth) - metrics.kendall_tau(b, truth) for a, b in zip(good, poor)]
    assert found.mean == pytest.approx(np.mean(taus)) and found.seeds == 3 and found.interval.low > 0
    one = metrics.paired_difference(good[0], poor[0], truth, top=0.2)
    assert one.seeds == 1 and str(one).endswith("1 seed")
    mean, interval = metrics.mean_interval([0.70, 0.72, 0.71])
    assert f"{mean:.3f}, {interval}" == "0.710, 95 % [0.685, 0.735]"


def test_all_metrics_have_the_names_of_the_program():
    x, y = lists(2)
    found = metrics.all_metrics(x, y, params=np.arange(60))
    assert found["n"] == 60 and found["tau_b"] == metrics.kendall_tau(x, y)
    assert found["p_at_top_0.05"] == metrics.p_at_top(x, y) and found["p_at_top_0.01"] is None
    assert found["partial_tau_given_params"] == metrics.partial_tau(x, y, np.arange(60))


def test_lists_of_many_kinds_are_scores():
    x, y = [1, 2, 3, 4], (1.0, 3.0, 2.0, 4.0)
    expected = metrics.kendall_tau(x, y)
    for kind in (np.array(x, "int8"), np.array(x, "float32"), np.array([x, x]).T[:, 0], np.array(x)[::1]):
        assert metrics.kendall_tau(kind, y) == expected
    table = np.arange(8.0).reshape(4, 2)
    assert pada._arrays.vector(table[:, 0]).tolist() == [0, 2, 4, 6]
    same = np.arange(3.0)
    assert pada._arrays.vector(same) is same, "an array of the right type is not copied"


@pytest.mark.parametrize("dtype", ["U6", "S6", "object"])
def test_texts_are_no_scores(dtype):
    archs = np.array(["334131", "333333", "000000"], dtype)
    with pytest.raises(pada.InputError, match="is not a list of numbers"):
        metrics.kendall_tau(archs, [1, 2, 3])
    with pytest.raises(pada.InputError, match="is not a list of numbers"):
        pada.fuse([archs, [1, 2, 3]])
    columns = {"arch": archs, "a": [1.0, 2.0, 3.0], "b": [3.0, 1.0, 2.0]}
    assert pada.fuse(columns).tolist() == pada.fuse([columns["a"], columns["b"]]).tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_architectures_of_a_frame_are_not_fused(library):
    frames = pytest.importorskip(library, reason=f"{library.upper()} IS MISSING: ITS DATA FRAMES ARE NOT FUSED")
    frame = frames.DataFrame({"arch": ["334131", "333333", "000000"], "a": [1.0, 2.0, 3.0], "b": [3.0, 1.0, 2.0]})
    assert pada.fuse(frame).tolist() == pada.fuse([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]).tolist()
    with pytest.raises(pada.InputError, match="is not a list of numbers"):
        metrics.kendall_tau(frame["arch"], frame["a"])


def test_a_metric_keeps_its_lists_when_the_arrays_change():
    x, y = lists(3)
    tau = metrics.kendall_tau(x, y)
    before = (tau.p_value(), tau.interval(resamples=50))
    x[:] = x[::-1].copy()
    y[:] = 0
    assert (tau.p_value(), tau.interval(resamples=50)) == before


def test_scores_are_fused():
    accuracy, params = [61.0, 48.5, 70.2], [0.4e6, 0.1e6, 0.3e6]
    fused = pada.fuse([accuracy, params], "ranks")
    assert fused[0] == fused[2] > fused[1]
    assert fused.tolist() == pada.fuse({"accuracy": accuracy, "params": params}, "ranks").tolist()
    assert fused.tolist() == pada.fuse(np.array([accuracy, params]), "ranks").tolist()
    assert np.all(pada.fuse([accuracy, params]) <= 0)
    assert metrics.finite_scores([1.0, -np.inf, 3.0]).tolist() == [1.0, -1.0, 3.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: metrics.kendall_tau([1, 2], [1, 2, 3]), "predicted scores has 2 entries"),
        (lambda: metrics.kendall_tau([1, 1], [1, 2]), "all 2 predicted scores are equal"),
        (lambda: metrics.kendall_tau([1, float("nan")], [1, 2]), "entry 1 of the predicted scores is NaN"),
        (lambda: metrics.kendall_tau([[1, 2]], [1, 2]), "must have one dimension"),
        (lambda: metrics.kendall_tau(["a", "b"], [1, 2]), "is not a list of numbers"),
        (lambda: metrics.p_at_top([1, 2], [1, 2], 0.0), "fraction"),
        (lambda: metrics.kendall_tau([1, 2, 3], [1, 3, 2]).interval(95), "level"),
        (lambda: metrics.kendall_tau([1, 2, 3], [1, 3, 2]).interval(method="bias"), 'use "bca" or "percentile"'),
        (lambda: metrics.kendall_tau([1, 2, 3], [1, 3, 2]).interval(seed=-1), "the seed is -1"),
        (lambda: metrics.pearson([1, 2, 3], [1, 3, 2]).p_value(), "has no p-value"),
        (lambda: metrics.spearman([1, 2, 3], [1, 3, 2]).p_value("exact"), "no exact p-value"),
        (lambda: metrics.kendall_tau([1, 1, 3], [1, 3, 2]).p_value("exact"), "ties"),
        (lambda: pada.fuse([[1, 2], [1]]), "fused list 1 has 1 entries"),
        (lambda: pada.fuse([[1, 2]], "mean"), "use ranks or log-ranks"),
        (lambda: metrics.paired_difference([[1, 2, 3]], [[1, 2, 3]] * 2, [1, 2, 3]), "seeds"),
    ],
)
def test_undefined_metrics_are_errors_with_a_reason(call, text):
    with pytest.raises(pada.InputError) as error:
        call()
    assert text in str(error.value)
