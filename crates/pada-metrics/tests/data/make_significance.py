"""Writes significance.json: p-values, weighted tau and intervals as scipy computes them.

    python -m venv venv && venv/bin/pip install numpy==2.4.6 scipy==1.17.1
    venv/bin/python make_significance.py
"""

import json

import numpy as np
from scipy import stats

rng = np.random.default_rng(11)


def floats(values):
    return [float(v) for v in values]


def p_values():
    """Lists with and without ties, weakly and strongly correlated."""
    cases = []
    for n, levels, noise in [
        (3, None, 1.0), (4, None, 0.1), (8, None, 1.0), (20, None, 2.0), (33, None, 0.5), (34, None, 3.0), (60, None, 0.05),
        (150, None, 10.0), (171, None, 2.0), (5, 3, 1.0), (12, 3, 1.0), (40, 6, 1.0), (200, 5, 4.0), (1000, 50, 8.0),
    ]:
        while True:
            x = rng.standard_normal(n)
            y = x + noise * rng.standard_normal(n)
            if levels is not None:
                x, y = (np.round(v * levels / 4) / 4 for v in (x, y))
            if all(len(set(v)) > 1 for v in (x, y)):
                break
        case = {
            "x": floats(x), "y": floats(y), "ties": levels is not None,
            "auto": stats.kendalltau(x, y, method="auto").pvalue,
            "asymptotic": stats.kendalltau(x, y, method="asymptotic").pvalue,
            "exact": stats.kendalltau(x, y, method="exact").pvalue if levels is None else None,
            "spearman": stats.spearmanr(x, y).pvalue,
            "weighted_tau": stats.weightedtau(x, y).statistic,
        }
        cases.append({k: float(v) if isinstance(v, np.floating) else v for k, v in case.items()})
    return cases


def large_and_small():
    """Squares of these numbers overflow or underflow."""
    x, y = rng.standard_normal((2, 12))
    return [
        {"x": floats(x * unit), "y": floats(y), "pearson": float(stats.pearsonr(x * unit, y).statistic)}
        for unit in (1e160, 1e-170, 1.0)
    ]


def means():
    cases = []
    for n, level in [(2, 0.95), (3, 0.95), (5, 0.8), (30, 0.99)]:
        x = 0.7 + 0.02 * rng.standard_normal(n)
        low, high = stats.t.interval(level, n - 1, loc=x.mean(), scale=stats.sem(x))
        cases.append({"values": floats(x), "level": level, "interval": floats([low, high])})
    return cases


def interval(name, data, statistic, level, paired):
    """The resamples are scipy's own, so that other random numbers do not matter."""
    def result(method, **kwargs):
        return stats.bootstrap(
            data, statistic, confidence_level=level, method=method, paired=paired, vectorized=False, rng=rng, **kwargs
        )

    bca = result("BCa", n_resamples=120)
    percentile = result("percentile", n_resamples=0, bootstrap_result=bca)

    def without(i, j):
        if paired:
            return [np.delete(sample, i) for sample in data]
        return [np.delete(sample, i) if k == j else sample for k, sample in enumerate(data)]

    lists = data[:1] if paired else data
    return {
        "name": name, "level": level, "estimate": float(statistic(*data)), "resamples": floats(bca.bootstrap_distribution),
        "jackknife": [[float(statistic(*without(i, j))) for i in range(len(sample))] for j, sample in enumerate(lists)],
        "percentile": floats(bca_limits(percentile)), "bca": floats(bca_limits(bca)),
        "tau_lists": [floats(sample) for sample in data] if name.startswith("tau") else None,
    }


def bca_limits(result):
    return result.confidence_interval.low, result.confidence_interval.high


def intervals():
    def tau(x, y):
        return stats.kendalltau(x, y).statistic

    x = rng.standard_normal(25)
    close, far = x + 0.2 * rng.standard_normal(25), x + 3 * rng.standard_normal(25)
    skewed, other = rng.exponential(size=15), rng.exponential(size=6)
    return [
        interval("tau of close lists", (close, x), tau, 0.95, True),
        interval("tau of distant lists", (far, x), tau, 0.9, True),
        interval("mean of a skewed list", (skewed,), np.mean, 0.95, False),
        interval("ratio of two lists", (skewed, other), lambda a, b: np.mean(a) / np.mean(b), 0.9, False),
    ]


golden = {"p_values": p_values(), "large_and_small": large_and_small(), "means": means(), "intervals": intervals()}
with open("significance.json", "w") as file:
    json.dump(golden, file)
    file.write("\n")
print({name: len(cases) for name, cases in golden.items()})
