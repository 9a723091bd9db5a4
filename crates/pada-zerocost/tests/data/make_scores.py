"""Writes scores.json: zero-cost scores of NAS-Bench-201 cells in PyTorch, in float64.

    nice -n 10 python make_scores.py    # torch and numpy; one thread, about 2 minutes

The network has C=4, N=1, 10 classes and images of 3x16x16. Names of weights are those of `Nb201Net` with `Norms::Running`. Weights and
images are formulas of a name and a place in the flat tensor, so that they need not be stored. The formulas use integers and IEEE
operations only, and all weights and images are `f32` numbers, so that every language finds the same bits:

    hash(name, i)    = the i-th output (from 0) of SplitMix64 with the FNV-1a-64 hash of the name's bytes as its seed
    unit(name, i)    = 2 * ((hash >> 40) / 2^24) - 1                                    in [-1, 1), exact in f32
    normal(name, i)  = f32((sum over j < 12 of hash(name, 12 * i + j) >> 32) / 2^32 - 6)   mean 0, deviation 1
    sign(name, i)    = +1 if hash >> 63 is 1, else -1
    weight           = f32(unit(name, i) / sqrt(fan_in)), for convolutions, the linear layer and its bias (fan_in 16)
    image            = unit("images/B/coarse", ((n*3 + c)*4 + y/4)*4 + x/4) + unit("images/B/fine", ((n*3 + c)*16 + y)*16 + x)
    label            = (n + B) mod 5 mod 3

with B = 0 for the batch of all scores and B = 1 for the second batch of zico. The sum of an image's two terms is exact in f32.

An edge that is not on a path of operations other than `none` from the input of the cell to its output does not exist. A cell without such
a path puts out its input times zero, as the `none` of the sources does. The rest of the network exists in any case.

Formulas are those of NASLib @0b51bc18 (`naslib/predictors/utils/pruners/`), SLDGroup/ZiCo @b0fec65, pym1024/SWAP @f6049f7 and
cvlab-yonsei/AZ-NAS @5e6683a (`NB201/`). `DIFFERS:` marks where this file leaves them.
"""
import json
import math

import numpy as np
import torch
from torch import nn

C, CLASSES, SIZE, B = 4, 10, 16, 12
OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]  # (source, target), in digit order
K_JACOV = 1e-5


# Formulas

MASK = (1 << 64) - 1


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def hashes(name, n):
    """The first n outputs of SplitMix64. Unsigned integers wrap in numpy arrays."""
    z = np.uint64(fnv1a(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(name, n):
    return 2 * ((hashes(name, n) >> np.uint64(40)).astype(np.float64) / 2**24) - 1


def normal(name, n):
    total = (hashes(name, 12 * n) >> np.uint64(32)).reshape(n, 12).sum(1)
    return (total.astype(np.float64) / 2**32 - 6).astype(np.float32).astype(np.float64)


def sign(name, n):
    return 2 * (hashes(name, n) >> np.uint64(63)).astype(np.float64) - 1


def images(batch):
    coarse = unit(f"images/{batch}/coarse", B * 3 * 16).reshape(B, 3, 4, 4).repeat(4, 2).repeat(4, 3)
    return coarse + unit(f"images/{batch}/fine", B * 3 * SIZE * SIZE).reshape(B, 3, SIZE, SIZE)


def labels(batch):
    return torch.tensor([(n + batch) % 5 % 3 for n in range(B)])


# Network

class ReluConvBn(nn.Module):
    def __init__(self, c_in, c_out, kernel, stride=1):
        super().__init__()
        conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out))

    def forward(self, x):
        return self.op(x)


def active(digits):
    """Edges on a path from node 0 to node 3 without any `none`."""
    fed, used = {0}, {3}
    for (source, target), op in zip(EDGES, digits):
        if op and source in fed:
            fed.add(target)
    for (source, target), op in reversed(list(zip(EDGES, digits))):
        if op and target in used:
            used.add(source)
    return [bool(op) and s in fed and t in used for (s, t), op in zip(EDGES, digits)]


class Cell(nn.Module):
    def __init__(self, c, digits):
        super().__init__()
        make = {1: nn.Identity, 2: lambda: ReluConvBn(c, c, 1), 3: lambda: ReluConvBn(c, c, 3),
                4: lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False)}
        self.live = [(s, t, str(op)) for (s, t), op, on in zip(EDGES, digits, active(digits)) if on]
        self.edges = nn.ModuleDict({f"{t}<-{s}": nn.ModuleDict({op: make[int(op)]()}) for s, t, op in self.live})

    def forward(self, x):
        if not self.live:
            return x * 0
        nodes = {0: x}
        for s, t, op in self.live:
            value = self.edges[f"{t}<-{s}"][op](nodes[s])
            nodes[t] = nodes[t] + value if t in nodes else value
        return nodes[3]


class Reduction(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv_a, self.conv_b = ReluConvBn(c_in, c_out, 3, 2), ReluConvBn(c_out, c_out, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class Network(nn.Module):
    def __init__(self, digits):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, C, 3, padding=1, bias=False), nn.BatchNorm2d(C))
        self.cells = nn.ModuleList([Cell(C, digits), Reduction(C, 2 * C), Cell(2 * C, digits),
                                    Reduction(2 * C, 4 * C), Cell(4 * C, digits)])
        self.lastact = nn.Sequential(nn.BatchNorm2d(4 * C), nn.ReLU())
        self.classifier = nn.Linear(4 * C, CLASSES)

    def features(self, x):
        """The outputs of the stem and of each of the five cells, residual blocks included."""
        found = [self.stem(x)]
        for cell in self.cells:
            found.append(cell(found[-1]))
        return found

    def before_pooling(self, x):
        return self.lastact(self.features(x)[-1])

    def forward(self, x):
        return self.classifier(self.before_pooling(x).mean((2, 3)))


def layers(net):
    return [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def build(digits, dtype, gaussian=False):
    """A network in training mode with weights by formula, norms 1 and 0, and running statistics 0 and 1."""
    net = Network(digits).train()
    with torch.no_grad():
        for name, m in net.named_modules():
            if not isinstance(m, (nn.Conv2d, nn.Linear)):
                continue
            for part, p in m.named_parameters():
                full = f"{name}.{part}"
                if gaussian:
                    value = normal(full, p.numel()) if part == "weight" else np.zeros(p.numel())
                else:
                    value = (unit(full, p.numel()) / math.sqrt(m.weight[0].numel())).astype(np.float32)
                p.copy_(torch.tensor(value.astype(np.float64)).reshape(p.shape))
    return net.to(dtype)


# Scores. `Case` holds what all of them share.

class Case:
    """A cell with its data. `backwards` reverses the order of the images, which changes no score except by rounding."""

    def __init__(self, digits, dtype=torch.float64, backwards=False):
        self.digits, self.dtype, self.backwards = digits, dtype, backwards
        self.batches = [(self.tensor(images(b)), self.ordered(labels(b))) for b in (0, 1)]

    def ordered(self, x):
        return x.flip(0) if self.backwards else x

    def tensor(self, values):
        return self.ordered(torch.tensor(values).to(self.dtype))

    def net(self, gaussian=False):
        return build(self.digits, self.dtype, gaussian)

    def gradients(self, batch=0, create_graph=False):
        """The network and its layers' weight gradients of the batch's mean cross entropy, with zeros where there is none."""
        net, (x, y) = self.net(), self.batches[batch]
        weights = [m.weight for m in layers(net)]
        loss = nn.functional.cross_entropy(net(x), y)
        grads = torch.autograd.grad(loss, weights, create_graph=create_graph, allow_unused=True)
        return net, [torch.zeros_like(w) if g is None else g for w, g in zip(weights, grads)]

    def jacobian(self):
        """Rows J_n = d(sum of all logits of the batch) / d(image n), `[B, 3 * SIZE * SIZE]`."""
        x = self.batches[0][0].clone().requires_grad_()
        return torch.autograd.grad(self.net()(x).sum(), x)[0].flatten(1).double().numpy()

    def relu_inputs(self):
        """The input of each ReLU module in one forward pass, `[B, units]`."""
        found, net = [], self.net()
        for m in net.modules():
            if isinstance(m, nn.ReLU):
                m.register_forward_hook(lambda m, inputs, output: found.append(inputs[0].detach().flatten(1)))
        net(self.batches[0][0])
        return found


def plain(case):
    net, grads = case.gradients()
    return sum((m.weight * g).sum().item() for m, g in zip(layers(net), grads))


def snip(case):
    net, grads = case.gradients()
    return sum((m.weight * g).abs().sum().item() for m, g in zip(layers(net), grads))


def grad_norm(case):
    return sum(g.norm().item() for g in case.gradients()[1])


def l2_norm(case):
    return sum(m.weight.norm().item() for m in layers(case.net()))


def grasp(case):
    _, fixed = case.gradients()
    net, grads = case.gradients(create_graph=True)
    z = sum((g * h.detach()).sum() for g, h in zip(grads, fixed))
    weights = [m.weight for m in layers(net)]
    products = torch.autograd.grad(z, weights, allow_unused=True)
    return sum(-(w * hg).sum().item() for w, hg in zip(weights, products) if hg is not None)


def synflow_sum(case):
    net = case.net()
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.forward = lambda x: x
    logits = net(torch.ones(1, 3, SIZE, SIZE, dtype=case.dtype))
    weights = [m.weight for m in layers(net)]
    grads = torch.autograd.grad(logits.sum(), weights, allow_unused=True)
    return sum((w * g).abs().sum().item() for w, g in zip(weights, grads) if g is not None)


def synflow(case):
    total = synflow_sum(case)
    return math.log(total) if total > 0 else -math.inf


def fisher_channels(case):
    """For each layer the per-channel numbers, and the number of weights of a channel."""
    net, outputs = case.net(), {}
    for m in layers(net):
        def keep(m, inputs, output):
            if output.requires_grad:
                output.retain_grad()
            outputs[m] = output
        m.register_forward_hook(keep)
    nn.functional.cross_entropy(net(case.batches[0][0]), case.batches[0][1]).backward()
    for m in layers(net):
        out = outputs[m]
        product = out.detach() * (torch.zeros_like(out) if out.grad is None else out.grad)
        per_image = product.flatten(2).sum(2) if product.dim() > 2 else product
        yield 0.5 * per_image.pow(2).mean(0), m.weight[0].numel()


def fisher(case):
    return sum(channels.sum().item() for channels, _ in fisher_channels(case))


def fisher_naslib(case):
    """NASLib copies a channel's number to all weights of the channel before it sums (`fisher.py` 106-113, `predictive.py` 129-133)."""
    return sum(channels.sum().item() * weights for channels, weights in fisher_channels(case))


def correlation(rows):
    with np.errstate(all="ignore"):
        return np.corrcoef(rows)


def eigenvalues(case):
    """Of the symmetric matrix, so that they are real. DIFFERS: NASLib has `np.linalg.eig`, with the same values up to rounding."""
    matrix = correlation(case.jacobian())
    return np.linalg.eigvalsh(matrix) if np.isfinite(matrix).all() else None


def jacov(case):
    v = eigenvalues(case)
    return math.nan if v is None else -np.sum(np.log(v + K_JACOV) + 1 / (v + K_JACOV))


def epe(case):
    """At most 100 classes. A class with a single image has the correlation 1."""
    rows, classes, score = case.jacobian(), case.batches[0][1].numpy(), 0.0
    for c in np.unique(classes):
        score += abs(np.sum(np.log(np.abs(correlation(rows[classes == c])) + 1e-5)))
    return score


def nwot(case):
    agreeing = np.zeros((B, B))
    for x in case.relu_inputs():
        x = (x > 0).double().numpy()
        agreeing += x @ x.T + (1 - x) @ (1 - x).T
    with np.errstate(divide="ignore"):
        return np.linalg.slogdet(agreeing)[1]


def swap(case):
    """The number of distinct columns of `[B, units of all ReLUs]`; an entry is the sign of a ReLU's output, 0 or 1."""
    patterns = torch.cat([torch.sign(x.relu()) for x in case.relu_inputs()], 1)
    return len(np.unique(patterns.numpy().T, axis=0))


def zen(case, round_mix=True):
    """Two passes in training mode, first x and then x + 0.01 z; each updates the running variances with momentum 0.1.

    DIFFERS: x + 0.01 z is rounded to f32 here (everything is f32 in NASLib), so that engines that read f32 images find the same.
    """
    net = case.net(gaussian=True)
    x, z = (normal(f"zen/{name}", B * 3 * SIZE * SIZE).reshape(B, 3, SIZE, SIZE) for name in "xz")
    mixed = x + 0.01 * z
    mixed = mixed.astype(np.float32).astype(np.float64) if round_mix else mixed
    with torch.no_grad():
        a, b = (net.before_pooling(case.tensor(v)) for v in (x, mixed))
        change = (a - b).abs().sum((1, 2, 3)).mean().item()
        scale = sum(0.5 * math.log(m.running_var.mean().item()) for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    return (math.log(change) if change > 0 else -math.inf) + scale


def zico(case):
    pairs = zip(case.gradients(0)[1], case.gradients(1)[1])
    score = 0.0
    for pair in pairs:
        g = np.stack([t.flatten().double().numpy() for t in pair])
        deviation = g.std(0)  # population, of two numbers: |g0 - g1| / 2
        kept = deviation != 0
        total = np.sum(np.abs(g).mean(0)[kept] / deviation[kept])
        if total != 0:
            score += math.log(total)
    return score


def entropies(case):
    """DIFFERS: weights and images are those of the other scores; AZ-NAS draws Kaiming normal weights and normal images."""
    found = []
    with np.errstate(all="ignore"):
        for f in case.net().features(case.batches[0][0]):
            f = f.detach().double().permute(0, 2, 3, 1).flatten(0, 2).numpy()
            f = f - f.mean(0)
            s = np.linalg.eigvalsh(f.T @ f / len(f))
            p = s / s.sum()
            found.append(np.sum(-p * np.log(p + 1e-8)))
    return np.array(found)


def expressivity(case):
    return entropies(case).sum()


def progressivity(case):
    return np.diff(entropies(case)).min()


def trainability(case):
    scores, features = [], case.net().features(case.batches[0][0])
    for i in reversed(range(1, len(features))):
        source, target = features[i - 1], features[i]
        cotangent = case.tensor(sign(f"az-nas/{i}", target.numel()).reshape(target.shape))
        gradient = torch.autograd.grad(target, source, cotangent, retain_graph=True)[0]
        if gradient.shape == cotangent.shape and torch.equal(gradient, cotangent):
            scores.append(-math.inf)
            continue
        gradient = nn.functional.pixel_unshuffle(gradient, gradient.shape[2] // cotangent.shape[2])
        rows, columns = (t.permute(0, 2, 3, 1).flatten(0, 2).double().numpy() for t in (gradient, cotangent))
        largest = np.linalg.svd(rows.T @ columns / len(rows), compute_uv=False).max()
        scores.append(-largest - 1 / (largest + 1e-6) + 2)
    return float(np.mean(scores))


def macs(net):
    """Multiply-adds for one image and one per output with a bias, as the FLOPs of NAS-Bench-201 (there in millions)."""
    total = []

    def count(m, inputs, output):
        total.append(output[0].numel() * (m.weight[0].numel() + (m.bias is not None)))
    for m in layers(net):
        m.register_forward_hook(count)
    net(torch.zeros(1, 3, SIZE, SIZE, dtype=net.classifier.weight.dtype))
    return sum(total)


def complexity(case):
    return macs(case.net().eval())


SCORES = {
    "plain": plain, "grad-norm": grad_norm, "snip": snip, "l2-norm": l2_norm, "grasp": grasp, "synflow": synflow,
    "synflow-sum": synflow_sum, "fisher": fisher, "fisher-naslib": fisher_naslib, "jacov": jacov, "epe": epe, "nwot": nwot, "swap": swap,
    "zen": zen, "zico": zico, "az-nas-expressivity": expressivity, "az-nas-progressivity": progressivity,
    "az-nas-trainability": trainability, "az-nas-complexity": complexity,
}

REASONS = {
    "synflow": "the sum is 0, so its logarithm is -inf",
    "jacov": "NaN: the gradient of the images is 0, so correlations are 0/0 and have no eigenvalues",
    "epe": "NaN: the gradient of the images is 0, so correlations are 0/0",
    "nwot": "-inf: all images have the same pattern, so the matrix is singular",
    "zen": "-inf: the features are 0 for all images, so the change is 0",
    "az-nas-expressivity": "NaN: the covariance of zeros has the eigenvalue sum 0 (the source replaces NaN by -inf)",
    "az-nas-progressivity": "NaN: the covariance of zeros has the eigenvalue sum 0 (the source replaces NaN by -inf)",
    "az-nas-trainability": "-inf: a searched cell is the identity, whose gradient is the cotangent",
}


# Cells

NAMED = {
    "all none": "000000", "all skip": "111111", "all 1x1": "222222", "all 3x3": "333333", "all pool": "444444",
    "identity": "000100", "only pool": "000400", "only 1x1": "000200", "only 3x3": "000300",
    "longest chain": "303003", "chain of skip and pool": "104001", "two paths of skips": "110101",
    "source dead: node 1 gets nothing": "033123", "the same without the dead edges": "030103",
    "target dead: nodes 1 and 2 go nowhere": "321300", "target dead: node 1 goes nowhere": "320204",
    "both kinds dead": "032300", "node 2 only fed by node 1, which is dead": "002342",
    "no path: nothing at the output": "333000", "no path: node 2 gets nothing": "300003",
}


def live(digits):
    return tuple(op * on for op, on in zip(digits, active(digits)))


def cells():
    """The named cells and 16 random ones whose networks are all different."""
    found = [(note, [int(d) for d in digits]) for note, digits in NAMED.items()]
    seen = {live(digits) for _, digits in found}
    for i, digits in enumerate((hashes("cells", 6 * 100) % np.uint64(5)).reshape(100, 6).tolist()):
        if live(digits) not in seen and len(found) < len(NAMED) + 16:
            found.append((f"random {i}", digits))
            seen.add(live(digits))
    return found


def string(digits):
    terms = [f"{OPS[op]}~{source}|" for (source, _), op in zip(EDGES, digits)]
    return "+".join("|" + "".join(terms[i] for i, (_, t) in enumerate(EDGES) if t == target) for target in (1, 2, 3))


# Checks of the script itself

def relative(a, b):
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b))


def check_formulas():
    assert fnv1a("a") == 0xAF63DC4C8601EC8C  # the test vector of the authors
    z = (fnv1a("x") + 3 * 0x9E3779B97F4A7C15) & MASK  # the third output, without numpy
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    assert (z ^ (z >> 31)) == int(hashes("x", 3)[2])
    for values, deviation in ((unit("spread", 100_000), 1 / math.sqrt(3)), (normal("spread", 100_000), 1), (sign("spread", 100_000), 1)):
        neighbours = [abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) for lag in (1, 3, 9, 27, 36, 144)]
        assert abs(values.mean()) < 0.01 and abs(values.std() / deviation - 1) < 0.01 and max(neighbours) < 0.015
    assert (images(0) == images(0).astype(np.float32)).all()
    for name, p in build([3] * 6, torch.float64).named_parameters():
        if p.dim() > 1:  # large tensors look like uniform numbers, and no two channels are alike
            bound = 1 / math.sqrt(p[0].numel())
            assert p.abs().max() <= bound
            assert p.numel() < 200 or (abs(p.mean()) < 0.15 * bound and abs(p.std() / bound * math.sqrt(3) - 1) < 0.15), name


def central(f, step):
    return (f(step) - f(-step)) / (2 * step)


def check_gradients(digits):
    """Central differences of the loss, of the sum of logits, and of the gradient along the gradient. Kinks ask for small steps."""
    case = Case(digits)
    (x, y), (net, grads) = case.batches[0], case.gradients()
    along = [torch.tensor(normal(f"along/{i}", g.numel())).reshape(g.shape) for i, g in enumerate(grads)]

    def moved(direction, step):
        other = case.net()
        with torch.no_grad():
            for m, d in zip(layers(other), direction):
                m.weight.add_(d, alpha=step)
        return other

    loss = central(lambda s: nn.functional.cross_entropy(moved(along, s)(x), y).item(), 1e-8)
    exact = sum((g * d).sum().item() for g, d in zip(grads, along))
    assert relative(loss, exact) < 1e-6, (loss, exact)
    d = torch.tensor(normal("along/image", x.numel())).reshape(x.shape)
    logits = central(lambda s: net(x + s * d).sum().item(), 1e-8)
    exact = (case.jacobian() * d.flatten(1).numpy()).sum()
    assert relative(logits, exact) < 1e-6, (logits, exact)

    def weighted(step):  # W . gradient at W0 + step * g
        other = moved(grads, step)
        g = torch.autograd.grad(nn.functional.cross_entropy(other(x), y), [m.weight for m in layers(other)])
        return sum((m.weight * h).sum().item() for m, h in zip(layers(net), g))

    hessian = -central(weighted, 1e-8)
    assert relative(hessian, grasp(case)) < 1e-4, (hessian, grasp(case))


def check_synflow(digits):
    """R without the bias is of degree 1 in each layer of a chain, so Σ |w dR/dw| is R times the number of layers on the path."""
    assert digits == [0, 0, 0, 1, 0, 0]
    net = build(digits, torch.float64)
    names = ["stem.0", "cells.1.downsample.1", "cells.3.downsample.1", "classifier"]
    parts = dict(net.named_modules())
    a = [parts[n].weight.detach().abs() for n in names]
    assert min(w.min() for w in a) > 0
    case = Case(digits)
    with torch.no_grad():
        x = nn.functional.conv2d(torch.ones(1, 3, SIZE, SIZE, dtype=torch.float64), a[0], padding=1)
        layers_on, total = {(): x}, 0.0  # the networks that pick one of the two branches in both residual blocks
        for block in ("cells.1", "cells.3"):
            grown = {}
            for path, v in layers_on.items():
                grown[path + (1,)] = nn.functional.conv2d(nn.functional.avg_pool2d(v, 2), parts[f"{block}.downsample.1"].weight.abs())
                v = nn.functional.conv2d(v, parts[f"{block}.conv_a.op.1"].weight.abs(), stride=2, padding=1)
                grown[path + (2,)] = nn.functional.conv2d(v, parts[f"{block}.conv_b.op.1"].weight.abs(), padding=1)
            layers_on = grown
        for path, v in layers_on.items():
            total += (sum(path) + 2) * (v.mean((2, 3)) @ a[3].T).sum().item()
    assert relative(total, synflow_sum(case)) < 1e-12


# Output

def described(digits):
    case = Case(digits)
    net = case.net()
    logits = net(case.batches[0][0]).detach().flatten()
    v = eigenvalues(case)
    scores = {name: float(f(case)) for name, f in SCORES.items()}
    bad = {name: value for name, value in scores.items() if not math.isfinite(value)}
    return {
        "cell": string(digits), "arch": "".join(map(str, digits)), "active": active(digits),
        "num_weights": sum(m.weight.numel() for m in layers(net)), "num_params": sum(p.numel() for p in net.parameters()),
        "relus": len(case.relu_inputs()), "relu_units": sum(x.shape[1] for x in case.relu_inputs()),
        "closest_relu_input": min(x.abs().min().item() for x in case.relu_inputs()),
        "smallest_eigenvalue": None if v is None else v.min(),
        "loss": nn.functional.cross_entropy(logits.reshape(B, CLASSES), case.batches[0][1]).item(),
        "logits_sum": logits.sum().item(),
        "logits_wave": sum(math.sin(0.7 * i) * value for i, value in enumerate(logits.tolist())),
        "scores": {name: None if name in bad else value for name, value in scores.items()},
        "non_finite": {name: {"value": str(value), "reason": REASONS[name]} for name, value in bad.items()},
    }


def value(cell, name):
    return float(cell["non_finite"][name]["value"]) if name in cell["non_finite"] else cell["scores"][name]


def deviations(found):
    """The largest relative deviation of each score if the batch is in reverse order, and if the network computes in float32."""
    out = {}
    for name, f in SCORES.items():
        out[name] = {}
        for label, arguments in (("reversed_batch", {"backwards": True}), ("float32", {"dtype": torch.float32})):
            out[name][label] = max(relative(float(f(Case([int(d) for d in c["arch"]], **arguments))), value(c, name)) for c in found)
    return out


def main():
    torch.set_num_threads(1)
    check_formulas()
    for digits in ([3, 3, 3, 3, 3, 3], [3, 1, 2, 4, 2, 3]):
        check_gradients(digits)
    check_synflow([0, 0, 0, 1, 0, 0])
    found = []
    for note, digits in cells():
        cell = described(digits)
        assert json.dumps(described(digits)) == json.dumps(cell), "not reproducible"
        found.append({"note": note, **cell})
    by_live = {}
    for cell in found:  # dead edges change nothing
        twin = by_live.setdefault(live([int(d) for d in cell["arch"]]), cell)
        assert all(twin[key] == cell[key] for key in ("scores", "non_finite", "logits_sum", "logits_wave", "num_params")), cell["cell"]
    assert 24 <= len(by_live) < len(found)
    rounding = deviations(found)
    for name, d in rounding.items():
        assert d["reversed_batch"] <= (0 if name in ("swap", "az-nas-complexity") else 1e-10), (name, d)
    mixed = max(relative(zen(Case(d), round_mix=False), zen(Case(d))) for _, d in cells())
    net = build([3] * 6, torch.float64)
    document = {
        "about": "Written by make_scores.py; its docstring has the formulas and sources. A null score is not finite: see non_finite. "
                 "reversed_batch and float32 of rounding are the largest relative deviations over all cells.",
        "network": {"channels": C, "cells_per_stage": 1, "classes": CLASSES, "input": [3, SIZE, SIZE], "batch": B},
        "images": {
            "hash": "SplitMix64 seeded with FNV-1a-64 of the name",
            "formula": "unit('images/B/coarse', ((n*3+c)*4 + y/4)*4 + x/4) + unit('images/B/fine', ((n*3+c)*16 + y)*16 + x)",
            "first": images(0).flatten()[:5].tolist(), "first_of_batch_1": images(1).flatten()[:5].tolist(),
            "labels": labels(0).tolist(), "labels_of_batch_1": labels(1).tolist(),
            "hash_of_images/0/fine": [f"{int(h):016x}" for h in hashes("images/0/fine", 3)],
        },
        "weights": {"stem.0.weight": net.stem[0].weight.flatten()[:5].tolist(), "classifier.bias": net.classifier.bias[:5].tolist()},
        "zen": {"stem.0.weight": normal("stem.0.weight", 5).tolist(), "x": normal("zen/x", 5).tolist(), "z": normal("zen/z", 5).tolist(),
                "deviation_if_the_mix_is_not_rounded": mixed},
        "az-nas": {"cotangent_1": sign("az-nas/1", 8).astype(int).tolist(), "cotangent_5": sign("az-nas/5", 8).astype(int).tolist()},
        "scores": list(SCORES), "rounding": rounding, "cells": found,
    }
    with open("scores.json", "w") as file:
        json.dump(document, file, indent=1, allow_nan=False)


if __name__ == "__main__":
    main()
