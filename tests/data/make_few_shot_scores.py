"""Writes few_shot_scores.csv, a slice of public supernet scores, and few_shot_scores.json, its metrics by scipy and those of all scores.

Usage: python make_few_shot_scores.py FOLDER

FOLDER holds the files one-shot-supernet, few-shot-supernet and nasbench201 of
https://github.com/aoiang/few-shot-NAS/tree/ec366c1/Few-Shot_NasBench201/supernet_info. Needs scipy (1.17 was used).
"""

import ast
import json
import math
import sys
from pathlib import Path

from scipy.stats import kendalltau

OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
FILES = {"one_shot": "one-shot-supernet", "few_shot_5": "few-shot-supernet", "stand_alone": "nasbench201"}
# Every 13th of the 15,625 architectures, in digit order, from the 7th on.
FIRST, STEP = 6, 13


def digits(key):
    edges = [edge for node in ast.literal_eval(key) for edge in node]
    assert [source for _, source in edges] == [0, 0, 1, 0, 1, 2], key
    return "".join(str(OPS.index(op)) for op, _ in edges)


def membership(scores, k):
    """The share of each architecture in the top k. Architectures that are tied at rank k share the places that are left."""
    at = sorted(scores, reverse=True)[k - 1]
    above = sum(score > at for score in scores)
    share = (k - above) / sum(score == at for score in scores)
    return [1.0 if score > at else share if score == at else 0.0 for score in scores]


def metrics(scores, truth):
    k = math.floor(0.05 * len(truth))
    shared = sum(a * b for a, b in zip(membership(scores, k), membership(truth, k)))
    return {"tau_b": float(kendalltau(scores, truth).statistic), "p_at_top_0.05": shared / k, "n": len(truth)}


def main():
    folder, here = Path(sys.argv[1]), Path(__file__).parent
    columns = {}
    for name, file in FILES.items():
        scores = json.loads((folder / file).read_text())
        columns[name] = {digits(key): score for key, score in scores.items()}
    archs = sorted(columns["stand_alone"])
    assert len(archs) == 5**6
    golden = {}
    for part, chosen in [("slice", archs[FIRST::STEP]), ("all", archs)]:
        truth = [columns["stand_alone"][arch] for arch in chosen]
        names = [name for name in FILES if name != "stand_alone"]
        golden[part] = {name: metrics([columns[name][arch] for arch in chosen], truth) for name in names}
    rows = ["arch," + ",".join(FILES)]
    rows += [",".join([arch] + [f"{columns[name][arch]:.2f}" for name in FILES]) for arch in archs[FIRST::STEP]]
    (here / "few_shot_scores.csv").write_text("\n".join(rows) + "\n")
    (here / "few_shot_scores.json").write_text(json.dumps(golden, indent=2) + "\n")


main()
