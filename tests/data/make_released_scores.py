"""Writes scores in the form of `results/*.npy` of the released code of PA&DA: dicts with id, model_gene, pred and target.

    python make_released_scores.py    # needs numpy
"""
import numpy as np

archs = ["004001", "004230", "010434", "303030", "333333"]
preds = [2.0, 1.0, np.float64(3.0), np.float32(4.0), 5]
rows = {
    i: {"id": i, "model_gene": [int(c) for c in arch], "pred": pred, "target": 90.0 + i}
    for i, (arch, pred) in enumerate(zip(archs, preds))
}
np.save("released_scores.npy", np.array(rows, dtype=object))
