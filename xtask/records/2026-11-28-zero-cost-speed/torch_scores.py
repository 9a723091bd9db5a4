"""Times zero-cost scores of architectures of NAS-Bench-201 in PyTorch, C=16 and N=5, on the CPU. Prints seconds per architecture.

    python torch_scores.py scores.csv synflow 64 2

reads the architectures of the column `arch` of `scores.csv`, which `pada score` wrote, and computes the score synflow, nwot or jacov from a
batch of 64 random images of 3x32x32 with 2 threads. Formulas as in NASLib @0b51bc18 (`naslib/predictors/utils/pruners/measures/`). Building
a network is not timed, and neither is a first architecture.
"""
import csv
import sys
import time

import numpy as np
import torch
from torch import nn

C, N, CLASSES = 16, 5, 10
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


def relu_conv_bn(c_in, c_out, kernel, stride=1):
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out))


class Cell(nn.Module):
    def __init__(self, c, digits):
        super().__init__()
        fed, used = {0}, {3}
        for (s, t), op in zip(EDGES, digits):
            if op != "0" and s in fed:
                fed.add(t)
        for (s, t), op in reversed(list(zip(EDGES, digits))):
            if op != "0" and t in used:
                used.add(s)
        self.live = [(s, t, op) for (s, t), op in zip(EDGES, digits) if op != "0" and s in fed and t in used]
        make = {"1": nn.Identity, "2": lambda: relu_conv_bn(c, c, 1), "3": lambda: relu_conv_bn(c, c, 3),
                "4": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False)}
        self.ops = nn.ModuleList([make[op]() for _, _, op in self.live])

    def forward(self, x):
        nodes = {0: x}
        for (s, t, _), op in zip(self.live, self.ops):
            nodes[t] = nodes[t] + op(nodes[s]) if t in nodes else op(nodes[s])
        return nodes[3] if 3 in nodes else x * 0


class Reduction(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.a, self.b = relu_conv_bn(c_in, c_out, 3, 2), relu_conv_bn(c_out, c_out, 3)
        self.short = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x):
        return self.short(x) + self.b(self.a(x))


def network(digits):
    parts = [nn.Conv2d(3, C, 3, padding=1, bias=False), nn.BatchNorm2d(C)]
    for stage in range(3):
        c = C * 2**stage
        parts += ([Reduction(c // 2, c)] if stage else []) + [Cell(c, digits) for _ in range(N)]
    parts += [nn.BatchNorm2d(c), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, CLASSES)]
    return nn.Sequential(*parts).train()


def layers(net):
    return [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def synflow(net, _):
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.forward = lambda x: x
    weights = [m.weight for m in layers(net)]
    total = net(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum()
    grads = torch.autograd.grad(total, weights, allow_unused=True)
    return sum((w * g).abs().sum() for w, g in zip(weights, grads) if g is not None).log().item()


def nwot(net, x):
    inputs = []
    for m in net.modules():
        if isinstance(m, nn.ReLU):
            m.register_forward_hook(lambda m, i, o: inputs.append((i[0] > 0).flatten(1).float()))
    with torch.no_grad():
        net(x)
    k = sum(a @ a.T + (1 - a) @ (1 - a).T for a in inputs)
    return np.linalg.slogdet(k.numpy())[1]


def jacov(net, x):
    x = x.clone().requires_grad_()
    rows = torch.autograd.grad(net(x).sum(), x)[0].flatten(1).numpy()
    with np.errstate(all="ignore"):
        matrix = np.corrcoef(rows)
    if not np.isfinite(matrix).all():
        return float("nan")
    v = np.linalg.eigvalsh(matrix)
    return -np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5))


def main():
    table, name, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    score = {"synflow": synflow, "nwot": nwot, "jacov": jacov}[name]
    with open(table) as file:
        archs = [row["arch"] for row in csv.DictReader(file)]
    images, seconds = torch.randn(batch, 3, 32, 32), 0.0
    for i, arch in enumerate(archs[:1] + archs):
        net = network(arch)
        if name == "synflow":
            net = net.double()
        started = time.perf_counter()
        score(net, images)
        seconds += time.perf_counter() - started if i else 0.0
    print(f"{seconds / len(archs):.6f}")


main()
