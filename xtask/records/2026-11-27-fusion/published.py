"""Rank correlation of this project's zero-cost scores with those that NASLib published.

    pada download nb201-proxies
    python published.py zero-cost-cifar10.csv ../../../data/nb201_proxies/scores.csv    # needs scipy

Both have scores of NAS-Bench-201 on CIFAR-10 (C=16, N=5, 64 images), from different initial weights and images. NASLib published those of
cells without unreachable operations.
"""
import csv
import math
import sys

from scipy.stats import kendalltau, spearmanr


def rows(path):
    with open(path) as file:
        return {row["arch"]: row for row in csv.DictReader(file)}


own, published = rows(sys.argv[1]), rows(sys.argv[2])
both = sorted(own.keys() & published.keys())
print(f"{len(both)} architectures\n\n| score | Spearman | tau-b |\n|---|---|---|")
for name in next(iter(own.values())):
    theirs = {"grad-norm": "grad_norm", "epe": "epe_nas", "l2-norm": "l2_norm"}.get(name, name)
    if name == "arch" or theirs not in next(iter(published.values())):
        continue
    pairs = [(float(own[arch][name]), float(published[arch][theirs])) for arch in both]
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    a, b = zip(*pairs)
    print(f"| `{name}` | {spearmanr(a, b).statistic:.3f} | {kendalltau(a, b).statistic:.3f} |")
