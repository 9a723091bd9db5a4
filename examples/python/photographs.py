# %% [markdown]
# # From photographs to a network
#
# A folder of images becomes a trained network of a few thousand parameters: train a supernet, search it, train the best architecture from
# scratch, and export it. Set `FOLDER` to a folder of your own with `train/<class>/*.jpeg` and `val/<class>/*.jpeg`.
#
# Run: `pip install .` in `crates/pada-python`, then `python photographs.py`.

# %%
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

import pada

WORK = Path(tempfile.mkdtemp())
FOLDER = WORK / "photographs"

# %% [markdown]
# ## A folder of images
#
# So that the example runs everywhere, it draws its own pictures: circles, squares and stripes.


# %%
def write_png(file, pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def picture(kind, rng, size=24):
    y, x = np.mgrid[:size, :size] - rng.uniform(9, 15, (2, 1, 1))
    shape = {"circle": x**2 + y**2 < 36, "square": np.maximum(abs(x), abs(y)) < 6, "stripes": (x // 3) % 2 == 0}[kind]
    colours = rng.uniform(0, 255, (2, 3))
    noise = rng.normal(scale=20, size=(size, size, 3))
    return (colours[shape.astype(int)] + noise).clip(0, 255).astype(np.uint8)


rng = np.random.default_rng(0)
for part, count in [("train", 64), ("val", 32)]:
    for kind in ["circle", "square", "stripes"]:
        folder = FOLDER / part / kind
        folder.mkdir(parents=True)
        for number in range(count):
            write_png(folder / f"{number:03}.png", picture(kind, rng))

# %% [markdown]
# ## Train a supernet
#
# Four epochs of PA&DA, then a ranking of 20 architectures. `device="auto"` uses an NVIDIA GPU if there is one.

# %%
data = {"source": str(FOLDER), "image_size": 16}
config = {
    "name": "photographs",
    "supernet": {"space": "nb201", "channels": 4, "cells": 1},
    "data": data,
    "augment": {"crop_padding": 0},
    "train": {"epochs": 4, "batch": 32},
    "rank": {"archs": "random:20"},
}
run = pada.train(config, seed=0, out=WORK / "supernet", progress=False)
scores = run.scores("dict")
print(f"{len(scores['arch'])} architectures, {scores['accuracy'].min():.1f} to {scores['accuracy'].max():.1f} %")
run.report()  # a notebook shows the page

# %% [markdown]
# ## Search for the best small network

# %%
found = run.search("evolution", settings={"population": 10, "generations": 2}, max_params=20_000, progress=False)
best = found[0]
print(f"{best.text}: {best.score:.1f} % with the weights of the supernet, {best.params} parameters")

# %% [markdown]
# ## Train it from scratch and export it

# %%
network = {"space": "nb201", "channels": 4, "cells": 1}
recipe = {"network": network, "data": data, "augment": {"crop_padding": 0}, "train": {"epochs": 4, "batch": 32}}
net = pada.retrain(best.arch, recipe, seed=0, out=WORK / "network", progress=False)
accuracy = net.record["ranking"]["best"][0]["score"]
about = net.export(None, WORK / "network.onnx")
size = (WORK / "network.onnx").stat().st_size
print(f"{accuracy:.1f} % of the validation images are correct; {size} bytes in network.onnx")

assert accuracy > 40, "a third of the images is chance"
assert about["input"] == [3, 16, 16] and about["classes"] == 3
