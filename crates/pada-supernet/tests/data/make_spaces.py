"""Writes spaces.json: logits, gradients and running statistics of the twins in PyTorch, in float64.

    PYTHONPATH=../../../../../shared/peer python make_spaces.py

Weights are a formula of their name and place, so that they need not be stored: see `fill`. A weight that has another name in
pada has other values there, and the test fails.
"""
import json
import math

import torch
from torch import nn

from darts_torch import DartsSupernet
from mbconv_torch import ProxylessSupernet


def wave(n, phase):
    return torch.tensor([math.sin(0.7 * i + phase) for i in range(n)], dtype=torch.float64).float().double()


def fill(model, used):
    for name, p in model.named_parameters():
        if not used(name):
            continue
        value = wave(p.numel(), sum(name.encode())).reshape(p.shape)
        if p.dim() > 1:
            value = value * (1.5 / math.sqrt(p[0].numel()))
        elif name.endswith("weight"):
            value = 1 + 0.25 * value
        else:
            value = 0.25 * value
        with torch.no_grad():
            p.copy_(value.float().double())


def images(n, size, phase):
    return wave(n * 3 * size * size, phase).reshape(n, 3, size, size)


def norms(model):
    return {k: p.grad.norm().item() for k, p in model.named_parameters() if p.grad is not None and p.grad.norm() > 0}


def darts():
    pairs = {
        "normal": [("sep_conv_3x3", 0), ("dil_conv_5x5", 1), ("none", 0), ("skip_connect", 2), ("max_pool_3x3", 1),
                   ("sep_conv_5x5", 3), ("avg_pool_3x3", 2), ("dil_conv_3x3", 4)],
        "reduce": [("skip_connect", 0), ("max_pool_3x3", 1), ("sep_conv_5x5", 0), ("skip_connect", 2),
                   ("dil_conv_3x3", 1), ("none", 3), ("avg_pool_3x3", 0), ("sep_conv_3x3", 4)],
    }
    model = DartsSupernet(channels=4, layers=6, classes=10).double()
    fill(model, lambda name: True)
    logits = model(images(4, 16, 0.5), pairs)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    used = sorted(norms(model))
    genotype = ", ".join(f"{cell}={list}, {cell}_concat=range(2, 6)" for cell, list in pairs.items())
    return {"genotype": genotype, "logits": logits.flatten().tolist(), "gradient": {k: norms(model)[k] for k in used},
            "weights": sum(p.numel() for p in model.parameters())}


def proxyless():
    path = [0, 1, 6, 2, 3, 4, 6, 5, 0, 6, 6, 1, 2, 6, 3, 6, 4, 5, 6, 0, 5]
    model = ProxylessSupernet(classes=10).double()
    fill(model, lambda name: True)
    watched = ["stem.1", "blocks.1.1.4", "blocks.20.5.7", "head.1"]

    def running():
        state = model.state_dict()
        return {f"{name}.{part}": state[f"{name}.{part}"].tolist()[:8]
                for name in watched for part in ("running_mean", "running_var")}

    model.train()
    for step, phase in enumerate((0.5, 1.5)):
        model.zero_grad()
        logits = model(images(4, 64, phase), path)
        nn.functional.cross_entropy(logits, torch.arange(4)).backward()
        if step == 0:
            first, gradient = logits.flatten().tolist(), norms(model)
    out = {"path": "".join(map(str, path)), "logits": first,
           "gradient": {k: gradient[k] for k in sorted(gradient)}, "running": running(),
           "weights": sum(p.numel() for p in model.parameters())}
    model.eval()
    out["evaluated"] = model(images(4, 64, 2.5), path).flatten().tolist()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()
    with torch.no_grad():
        for phase in (3.5, 4.5, 5.5):
            model(images(4, 64, phase), path)
    out["recalibrated"] = running()
    model.eval()
    out["evaluated_again"] = model(images(4, 64, 2.5), path).flatten().tolist()
    return out


torch.set_num_threads(1)
with open("spaces.json", "w") as file:
    json.dump({"darts": darts(), "proxyless": proxyless()}, file, indent=0)
