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

# Numbers as other versions of numpy code write them: integers, arrays, another byte order, and a score that is not defined.
genes = [
    [np.int64(c) for c in archs[0]],
    np.array([int(c) for c in archs[1]]),
    tuple(int(c) for c in archs[2]),
    archs[3],
    np.array([int(c) for c in archs[4]], dtype=np.uint8),
    [0, 0, 0, 0, 0, 0],
]
preds = [np.int64(1), np.int32(2), np.uint8(3), np.float16(4), np.array([5.0], dtype=">f8"), float("nan")]
rows = [{"model_gene": gene, "pred": pred, "target": np.int64(90 + i)} for i, (gene, pred) in enumerate(zip(genes, preds))]
np.save("numpy_scores.npy", np.array(rows, dtype=object))
