"""Writes small.json: ranking metrics of small lists with many ties, computed with scipy and by definition.

    python make_small.py     # needs scipy and numpy
"""
import json, math
import numpy as np
from scipy.stats import kendalltau, pearsonr, spearmanr

rng = np.random.default_rng(7)


def members(values, k):
    cut = sorted(values, reverse=True)[k - 1]
    above, tied = sum(v > cut for v in values), sum(v == cut for v in values)
    return [1.0 if v > cut else (k - above) / tied if v == cut else 0.0 for v in values]


cases = []
for n, levels in [(2, 9), (3, 2), (5, 3), (10, 4), (21, 6), (33, 100), (50, 3), (50, 1000)]:
    while True:
        x, y, z = (rng.integers(-levels, levels, n) / 4 for _ in range(3))
        if all(len(set(v)) > 1 for v in (x, y, z)):
            break
    x, y, z = (list(map(float, v)) for v in (x, y, z))
    xy, xz, yz = (kendalltau(a, b)[0] for a, b in ((x, y), (x, z), (y, z)))
    k = math.floor(0.1 * n)
    cases.append({
        "x": x, "y": y, "z": z, "tau_b": xy, "spearman": spearmanr(x, y)[0], "pearson": pearsonr(x, y)[0],
        "p_at_top_0.1": sum(a * b for a, b in zip(members(x, k), members(y, k))) / k if k else None,
        "partial_tau": None if max(abs(xz), abs(yz)) > 1 - 1e-12 else (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)),
    })
json.dump(cases, open("small.json", "w"))
print(len(cases), "cases")
