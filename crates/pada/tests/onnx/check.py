"""Checks ONNX files with the standard's own checker and runs them with onnxruntime.

Usage: check.py FOLDER, which holds `<name>.onnx` and `<name>.json` for each network: `shape` of an image, and per batch the
`images` and `logits` that this workspace's executor computes, as flat lists. Needs requirements.txt beside it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

ALLOWED = 1e-4  # of logits up to about 1


def check(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    model = onnx.load(path)
    # Infers all shapes, and compares them with those that the file gives its values.
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    given = {value.name for value in [*model.graph.value_info, *model.graph.output]}
    known = {value.name for value in [*inferred.graph.value_info, *inferred.graph.output]}
    assert given <= known and len(given) == expected["values"], (len(given), expected["values"])

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape) == ("images", ["batch", *expected["shape"]]), images
    assert (logits.name, logits.shape[0]) == ("logits", "batch"), logits
    for batch in expected["batches"]:
        pixels = np.array(batch["images"], dtype=np.float32).reshape(-1, *expected["shape"])
        theirs = np.array(batch["logits"]).reshape(len(pixels), -1)
        (ours,) = session.run(None, {"images": pixels})
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        off = np.abs(ours - theirs).max()
        print(f"{path.stem}: batch {len(pixels)}, logits up to {np.abs(theirs).max():.2f}, off by {off:.1e}")
        assert off <= ALLOWED, f"{path.stem}: off by {off}, allowed {ALLOWED}"


if __name__ == "__main__":
    files = sorted(Path(sys.argv[1]).glob("*.onnx"))
    assert files, f"no .onnx file in {sys.argv[1]}"
    for file in files:
        check(file)
