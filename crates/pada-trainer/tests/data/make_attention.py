"""Writes attention.json: the supernet of AGNAS on NAS-Bench-201's cell in PyTorch, in float64.

    python make_attention.py

Weights, images and digests are those of make_differentiable.py. The attention of an edge is sigmoid(W2 · relu(W1 · mean over pixels)) of the
concatenated outputs of its operations; both layers have no bias.
"""
import json

import torch
from make_differentiable import Batch, CLASSES, EPS, FORMULA, IMAGE, Nb201, digest, fill, layout
from torch.nn import functional as F


class Attention(Nb201):
    def __init__(self, channels):
        super().__init__(channels)
        for stage in range(3):
            c = channels << stage
            for source, target in self.EDGES:
                name = f"cells.{2 * stage}.edges.{target}<-{source}.attention"
                self.layout += [(f"{name}.squeeze.weight", [c, self.OPS * c]), (f"{name}.excite.weight", [self.OPS * c, c])]

    def forward(self, w, x):
        """The logits, and the attention of each edge of each cell: [images, operations, channels]."""
        seen = []

        def edge(w, x, name, row):
            outputs = torch.cat([self._operation(w, x, name, op) for op in range(self.OPS)], 1)
            name = f"{name}.attention"
            squeezed = F.relu(F.linear(outputs.mean(dim=(2, 3)), w[f"{name}.squeeze.weight"]))
            attention = F.linear(squeezed, w[f"{name}.excite.weight"]).sigmoid()
            seen.append((row, attention.unflatten(1, [self.OPS, x.shape[1]])))
            return sum((outputs * attention[:, :, None, None]).split(x.shape[1], 1))

        return self._network(w, x, edge), seen


def record(dtype):
    net, batch = Attention(4), Batch(21, [0, 1, 2, 2, 1, 0])
    weights = {name: value.to(dtype).requires_grad_() for name, value in fill(net.layout, FORMULA).items()}
    logits, seen = net.forward(weights, batch.images.to(dtype))
    loss = F.cross_entropy(logits, batch.labels)
    gradient = torch.autograd.grad(loss, list(weights.values()))
    strengths = [torch.stack([own.mean(dim=(0, 2)) for row, own in seen if row == edge]).mean(0).tolist() for edge in range(net.ROWS)]
    return {
        "image": IMAGE, "classes": CLASSES, "norm_eps": EPS, "channels": net.channels, "cells": 1, "formula": FORMULA, **layout(net),
        "batch": batch.record(), "logits": logits.tolist(), "loss": loss.item(), "strengths": strengths,
        "weight_gradient": [digest(g) for g in gradient],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    double, single = record(torch.float64), record(torch.float32)
    with open("attention.json", "w") as file:
        json.dump({**double, "torch": torch.__version__}, file, indent=0)
    for key in ("logits", "strengths"):
        a, b = (torch.tensor(r[key], dtype=torch.float64) for r in (double, single))
        print(f"{key}: float32 differs by {(a - b).abs().max().item():.1e} of {a.abs().max().item():.2e}")
    print("strengths", double["strengths"])
