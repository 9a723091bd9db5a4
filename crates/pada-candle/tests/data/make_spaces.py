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


def affine(c):
    return nn.BatchNorm2d(c)


class Reduce(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c // 2, 1, 2, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c - c // 2, 1, 2, bias=False)
        self.bn = affine(c)

    def forward(self, x):
        x = x.relu()
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


class Chain(nn.Module):
    """Modules in a field called op."""

    def __init__(self, *modules):
        super().__init__()
        self.op = nn.Sequential(*modules)

    def forward(self, x):
        return self.op(x)


def separate(c, k, stride, dilation=1):
    pad = dilation * (k - 1) // 2
    return [nn.ReLU(), nn.Conv2d(c, c, k, stride, pad, dilation, groups=c, bias=False), nn.Conv2d(c, c, 1, bias=False), affine(c)]


def edge(name, c, stride):
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduce(c, c)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    k = int(name[-1])
    return Chain(*separate(c, k, stride), *separate(c, k, 1)) if name[:3] == "sep" else Chain(*separate(c, k, stride, 2))


class AloneCell(nn.Module):
    def __init__(self, pairs, c_pp, c_p, c, reduction, halved):
        super().__init__()
        self.preprocess0 = Reduce(c_pp, c) if halved else Chain(nn.ReLU(), nn.Conv2d(c_pp, c, 1, bias=False), affine(c))
        self.preprocess1 = Chain(nn.ReLU(), nn.Conv2d(c_p, c, 1, bias=False), affine(c))
        self.sources = [source for _, source in pairs]
        self._ops = nn.ModuleList(edge(name, c, 2 if reduction and source < 2 else 1) for name, source in pairs)

    def forward(self, s0, s1, dropped):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for node in range(4):
            terms = []
            for i in (2 * node, 2 * node + 1):
                term = self._ops[i](states[self.sources[i]])
                if not isinstance(self._ops[i], nn.Identity):
                    term = term * dropped[i].reshape(-1, 1, 1, 1)
                terms.append(term)
            states.append(terms[0] + terms[1])
        return torch.cat(states[2:], 1)


class Auxiliary(nn.Module):
    def __init__(self, c, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, 3, 0, count_include_pad=False), nn.Conv2d(c, 128, 1, bias=False), affine(128),
            nn.ReLU(), nn.Conv2d(128, 768, 2, bias=False), affine(768), nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Alone(nn.Module):
    """The network that a genotype is trained in, after `NetworkCIFAR` of quark0/darts."""

    def __init__(self, genotype, c, layers, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), affine(3 * c))
        c_pp, c_p, halved, cells = 3 * c, 3 * c, False, []
        for layer in range(layers):
            reduction = layer in (layers // 3, 2 * layers // 3)
            c = 2 * c if reduction else c
            cells.append(AloneCell(genotype["reduce" if reduction else "normal"], c_pp, c_p, c, reduction, halved))
            c_pp, c_p, halved = c_p, 4 * c, reduction
            if layer == 2 * layers // 3:
                at_head = c_p
        self.cells, self.layers = nn.ModuleList(cells), layers
        self.auxiliary_head = Auxiliary(at_head, classes)
        self.classifier = nn.Linear(c_p, classes)

    def forward(self, x, dropped):
        s0 = s1 = self.stem(x)
        for layer, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, dropped[8 * layer:])
            if layer == 2 * self.layers // 3:
                head = self.auxiliary_head(s1)
        return self.classifier(s1.mean(dim=(2, 3))), head


def darts_alone():
    """One training pass with all that the published recipe adds."""
    genotype = {
        "normal": [("sep_conv_3x3", 0), ("dil_conv_5x5", 1), ("skip_connect", 0), ("sep_conv_5x5", 2), ("max_pool_3x3", 1),
                   ("skip_connect", 3), ("avg_pool_3x3", 2), ("dil_conv_3x3", 4)],
        "reduce": [("skip_connect", 0), ("max_pool_3x3", 1), ("sep_conv_5x5", 0), ("skip_connect", 2),
                   ("dil_conv_3x3", 1), ("sep_conv_3x3", 3), ("avg_pool_3x3", 0), ("sep_conv_3x3", 4)],
    }
    layers, n, keep = 3, 4, 0.75
    model = Alone(genotype, 4, layers, 10).double().train()
    fill(model, lambda name: True)
    dropped = torch.tensor([[float((3 * slot + 5 * image) % 4 != 0) / keep for image in range(n)] for slot in range(8 * layers)])
    logits, head = model(images(n, 32, 0.5), dropped.float().double())
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    (loss(logits, torch.arange(n)) + 0.4 * loss(head, torch.arange(n))).backward()
    text = ", ".join(f"{cell}={list}, {cell}_concat=range(2, 6)" for cell, list in genotype.items())
    gradient = norms(model)
    return {"genotype": f"Genotype({text})", "logits": logits.flatten().tolist(),
            "gradient": {k: gradient[k] for k in sorted(gradient)}, "weights": sum(p.numel() for p in model.parameters())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open("spaces.json", "w") as file:
        json.dump({"darts": darts(), "proxyless": proxyless(), "darts_alone": darts_alone()}, file, indent=0)
