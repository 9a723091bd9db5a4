"""Writes differentiable.json: losses, gradients and steps of differentiable searches in PyTorch, in float64.

    python make_differentiable.py

Weights are a formula of their place in the layout, so that they need not be stored: see `fill`. Tensors with the size of the weights
are stored as a digest: see `digest`. The checks at the end stop the program if the numbers contradict each other.
"""
import json
import math

import torch
from torch.nn import functional as F

EPS = 1e-5
IMAGE, CLASSES = [3, 8, 8], 3
# The weights of most cases, and those of the exact second order. With the small kernels of the former, moving the weights by ε · v turns
# many ReLUs on and off, so that finite differences are far from the derivative.
FORMULA = {"kernel_scale": 0.2, "scale": 0.3, "rate": 0.37, "phase": 7.0}
EXACT_FORMULA = {**FORMULA, "kernel_scale": 1.5, "phase": 24.0}
SAMPLES = 16
# The images are bytes, which become (byte / 255 - mean) / std.
MEAN, STD = 0.5, 0.25
ALPHA = {"lr": 3e-4, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 1e-3}
SGD = {"lr": 0.05, "momentum": 0.9, "nesterov": False, "weight_decay": 3e-4}
CLIP, STEPS, RADIUS = 5.0, 3, 0.01


def wave(i, rate=0.37, phase=1.0):
    return math.sin(rate * float(i * i) + phase)


def fill(layout, formula=FORMULA):
    """Element i of all weights, in the order of the layout, is scale · sin(rate · i² + phase), rounded to float32. Kernels of
    convolutions have a scale of their own."""
    weights, first = {}, 0
    for name, shape in layout:
        count, scale = math.prod(shape), formula["kernel_scale" if len(shape) == 4 else "scale"]
        wave_at = [wave(first + j, formula["rate"], formula["phase"]) for j in range(count)]
        values = torch.tensor([scale * value for value in wave_at], dtype=torch.float64)
        weights[name] = values.float().double().reshape(shape)
        first += count
    return weights


def digest(tensor):
    """The L2 norm, the sum of element j times sin(0.37 · j² + 1), and up to 16 elements at even distances."""
    flat = tensor.detach().flatten().tolist()
    count = min(len(flat), SAMPLES)
    return {"norm": math.sqrt(math.fsum(x * x for x in flat)), "dot": math.fsum(x * wave(j) for j, x in enumerate(flat)),
            "sample": [flat[s * len(flat) // count] for s in range(count)]}


def norm(x):
    return F.batch_norm(x, None, None, training=True, eps=EPS)


def mean_pool(x, stride):
    return F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)


class Batch:
    """Random images with the given labels."""

    def __init__(self, seed, labels):
        generator = torch.Generator().manual_seed(seed)
        self.bytes = torch.randint(0, 256, [len(labels), *IMAGE], generator=generator)
        self.images = ((self.bytes.float() / 255 - MEAN) / STD).double()
        self.labels = torch.tensor(labels)

    def record(self):
        return {"bytes": self.bytes.flatten().tolist(), "labels": self.labels.tolist()}


class Nb201:
    """The supernet of NAS-Bench-201 with one cell per stage. With several parts, operations see the first of them only."""

    EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    OPS, ROWS = 5, 6

    def __init__(self, channels, parts=1):
        self.channels, self.parts = channels, parts
        self.layout = [("stem.0.weight", [channels, IMAGE[0], 3, 3])]
        for stage in range(3):
            c = channels << stage
            if stage > 0:
                name = f"cells.{2 * stage - 1}"
                self._conv(f"{name}.conv_a", c, c // 2, 3)
                self._conv(f"{name}.conv_b", c, c, 3)
                self.layout.append((f"{name}.downsample.1.weight", [c, c // 2, 1, 1]))
            for source, target in self.EDGES:
                for op, kernel in ((2, 1), (3, 3)):
                    self._conv(f"cells.{2 * stage}.edges.{target}<-{source}.{op}", c // parts, c // parts, kernel)
        self.layout += [("classifier.weight", [CLASSES, 4 * channels]), ("classifier.bias", [CLASSES])]

    def _conv(self, name, c_out, c_in, kernel):
        self.layout += [(f"{name}.op.1.weight", [c_out, c_in, kernel, kernel]), (f"{name}.op.1.bias", [c_out])]

    @staticmethod
    def _conv_norm(w, x, name, stride=1):
        weight = w[f"{name}.op.1.weight"]
        return norm(F.conv2d(F.relu(x), weight, w[f"{name}.op.1.bias"], stride, weight.shape[-1] // 2))

    def _operation(self, w, x, name, op):
        if op == 0:
            return torch.zeros_like(x)
        if op == 1:
            return x
        return mean_pool(x, 1) if op == 4 else self._conv_norm(w, x, f"{name}.{op}")

    def _around(self, x, change):
        if self.parts == 1:
            return change(x)
        seen = x.shape[1] // self.parts
        whole = torch.cat([change(x[:, :seen]), x[:, seen:]], 1)
        return whole.unflatten(1, [self.parts, seen]).transpose(1, 2).flatten(1, 2)

    def _cell(self, w, x, cell, edge):
        nodes = [x]
        for target in range(1, 4):
            terms = []
            for row, (source, to) in enumerate(self.EDGES):
                if to == target:
                    name = f"cells.{cell}.edges.{to}<-{source}"
                    terms.append(edge(w, nodes[source], name, row))
            nodes.append(sum(terms))
        return nodes[3]

    def _network(self, w, x, edge):
        x = norm(F.conv2d(x, w["stem.0.weight"], padding=1))
        for cell in range(5):
            if cell % 2 == 0:
                x = self._cell(w, x, cell, edge)
            else:
                name = f"cells.{cell}"
                residual = self._conv_norm(w, self._conv_norm(w, x, f"{name}.conv_a", 2), f"{name}.conv_b")
                x = F.conv2d(F.avg_pool2d(x, 2), w[f"{name}.downsample.1.weight"]) + residual
        x = F.relu(norm(x)).mean(dim=(2, 3))
        return F.linear(x, w["classifier.weight"], w["classifier.bias"])

    def mixed(self, w, x, factors, edges=None):
        def edge(w, x, name, row):
            y = self._around(x, lambda x: sum(factors[row, op] * self._operation(w, x, name, op) for op in range(self.OPS)))
            return y if edges is None else edges[row] * y

        return self._network(w, x, edge)

    def single(self, w, x, path):
        return self._network(w, x, lambda w, x, name, row: self._around(x, lambda x: self._operation(w, x, name, path[row])))


class Darts:
    """The search network of DARTS: norms have no parameters, and a norm follows each pooling."""

    OPS, ROWS = 8, 28
    NAMES = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
    EDGES = [(source, target) for target in range(2, 6) for source in range(target)]

    def __init__(self, channels, layers):
        self.layers = layers
        self.layout = [("stem.0.weight", [3 * channels, IMAGE[0], 3, 3])]
        c_pp = c_p = 3 * channels
        for layer in range(layers):
            name, channels = f"cells.{layer}", channels * (2 if self.reduces(layer) else 1)
            if self.reduces(layer - 1):
                self._halved(f"{name}.pre0", c_pp, channels)
            else:
                self.layout.append((f"{name}.pre0.1.weight", [channels, c_pp, 1, 1]))
            self.layout.append((f"{name}.pre1.1.weight", [channels, c_p, 1, 1]))
            for source, target in self.EDGES:
                self._edge(f"{name}.edges.{target}<-{source}", channels, self._stride(layer, source))
            c_pp, c_p = c_p, 4 * channels
        self.layout += [("classifier.weight", [CLASSES, c_p]), ("classifier.bias", [CLASSES])]

    def reduces(self, layer):
        return layer in (self.layers // 3, 2 * self.layers // 3)

    def _stride(self, layer, source):
        return 2 if self.reduces(layer) and source < 2 else 1

    def _halved(self, name, c_in, c_out):
        self.layout += [(f"{name}.conv_1.weight", [c_out // 2, c_in, 1, 1]),
                        (f"{name}.conv_2.weight", [c_out - c_out // 2, c_in, 1, 1])]

    def _edge(self, name, c, stride):
        if stride == 2:
            self._halved(f"{name}.skip_connect", c, c)
        for op in self.NAMES[4:]:
            kernel = int(op[-1])
            for place in (1, 5) if op.startswith("sep") else (1,):
                self.layout += [(f"{name}.{op}.{place}.weight", [c, 1, kernel, kernel]),
                                (f"{name}.{op}.{place + 1}.weight", [c, c, 1, 1])]

    @staticmethod
    def _halve(w, x, name):
        x = F.relu(x)
        even = F.conv2d(x, w[f"{name}.conv_1.weight"], stride=2)
        return norm(torch.cat([even, F.conv2d(x[:, :, 1:, 1:], w[f"{name}.conv_2.weight"], stride=2)], 1))

    @staticmethod
    def _depthwise(w, x, name, place, stride, dilation):
        kernel = w[f"{name}.{place}.weight"]
        padding = dilation * (kernel.shape[-1] - 1) // 2
        x = F.conv2d(F.relu(x), kernel, None, stride, padding, dilation, groups=len(kernel))
        return norm(F.conv2d(x, w[f"{name}.{place + 1}.weight"]))

    def _operation(self, w, x, name, op, stride):
        name = f"{name}.{self.NAMES[op]}"
        if op == 0:
            return torch.zeros_like(x[:, :, ::stride, ::stride])
        if op == 1:
            return norm(F.max_pool2d(x, 3, stride, 1))
        if op == 2:
            return norm(mean_pool(x, stride))
        if op == 3:
            return x if stride == 1 else self._halve(w, x, name)
        if op < 6:
            return self._depthwise(w, self._depthwise(w, x, name, 1, stride, 1), name, 5, 1, 1)
        return self._depthwise(w, x, name, 1, stride, 2)

    def _network(self, w, x, edge):
        """Row 14 · (whether the cell reduces) + e of the mixtures belongs to edge e."""
        before = last = norm(F.conv2d(x, w["stem.0.weight"], padding=1))
        for layer in range(self.layers):
            name = f"cells.{layer}"
            if self.reduces(layer - 1):
                first = self._halve(w, before, f"{name}.pre0")
            else:
                first = norm(F.conv2d(F.relu(before), w[f"{name}.pre0.1.weight"]))
            nodes = [first, norm(F.conv2d(F.relu(last), w[f"{name}.pre1.1.weight"]))]
            for target in range(2, 6):
                terms = []
                for place, (source, to) in enumerate(self.EDGES):
                    if to == target:
                        row = 14 * self.reduces(layer) + place
                        terms.append(edge(w, nodes[source], f"{name}.edges.{to}<-{source}", row, self._stride(layer, source)))
                nodes.append(sum(term for term in terms if term is not None))
            before, last = last, torch.cat(nodes[2:], 1)
        return F.linear(last.mean(dim=(2, 3)), w["classifier.weight"], w["classifier.bias"])

    def mixed(self, w, x, factors, edges=None):
        assert edges is None, "all channels pass the operations"

        def edge(w, x, name, row, stride):
            return sum(factors[row, op] * self._operation(w, x, name, op, stride) for op in range(self.OPS))

        return self._network(w, x, edge)

    def single(self, w, x, path):
        """Edges with the operation none are left out."""
        return self._network(w, x, lambda w, x, name, row, stride:
                             self._operation(w, x, name, path[row], stride) if path[row] else None)


def edge_weights(beta):
    """The softmax over the edges into each node of a cell."""
    return torch.cat([beta[:1].softmax(0), beta[1:3].softmax(0), beta[3:].softmax(0)])


class Search:
    """A network with the logits of its mixtures. All tensors have one precision."""

    def __init__(self, net, alpha, beta=None, dtype=torch.float64, formula=FORMULA):
        self.net, self.dtype = net, dtype
        self.weights = {name: value.to(dtype).requires_grad_() for name, value in fill(net.layout, formula).items()}
        self.arch = [logits.detach().clone().to(dtype).requires_grad_() for logits in ([alpha] if beta is None else [alpha, beta])]

    def logits(self, batch, weights=None):
        edges = edge_weights(self.arch[1]) if len(self.arch) > 1 else None
        weights = self.weights if weights is None else weights
        return self.net.mixed(weights, batch.images.to(self.dtype), self.arch[0].softmax(1), edges)

    def loss(self, batch, weights=None):
        return F.cross_entropy(self.logits(batch, weights), batch.labels)

    def weight_gradient(self, batch):
        return torch.autograd.grad(self.loss(batch), list(self.weights.values()))

    def arch_gradient(self, batch, weights=None):
        return torch.autograd.grad(self.loss(batch, weights), self.arch)

    def virtual(self, batch, momentum, create_graph=False):
        """The weights after one step of SGD on a batch, without clipping."""
        gradient = torch.autograd.grad(self.loss(batch), list(self.weights.values()), create_graph=create_graph)
        return {name: w - SGD["lr"] * (SGD["momentum"] * m + g + SGD["weight_decay"] * w)
                for (name, w), m, g in zip(self.weights.items(), momentum, gradient)}

    def second_order(self, train, valid, momentum, radius=RADIUS):
        """The validation loss after a virtual step, and DARTS's gradient of it with finite differences."""
        after = {name: w.detach().requires_grad_() for name, w in self.virtual(train, momentum).items()}
        loss = self.loss(valid, after)
        own, *direction = torch.autograd.grad(loss, [self.arch[0], *after.values()])
        epsilon = radius / math.sqrt(sum(v.square().sum().item() for v in direction))
        sides = []
        for sign in (1, -1):
            moved = {name: w.detach() + sign * epsilon * v for (name, w), v in zip(self.weights.items(), direction)}
            sides.append(self.arch_gradient(train, moved)[0])
        return loss, own - SGD["lr"] * (sides[0] - sides[1]) / (2 * epsilon)

    def zeros(self):
        return [torch.zeros_like(w) for w in self.weights.values()]

    def exact_second_order(self, train, valid):
        """The derivative through the virtual step, at the first step of a run."""
        return torch.autograd.grad(self.loss(valid, self.virtual(train, self.zeros(), create_graph=True)), self.arch)[0]


def descend(search, train, valid, order):
    """Steps of DARTS: the logits first, then the weights."""
    weights, alpha = list(search.weights.values()), search.arch[0]
    arch_optimizer, optimizer = torch.optim.Adam([alpha], **ALPHA), torch.optim.SGD(weights, **SGD)
    steps = []
    for _ in range(STEPS):
        step = {"validation_loss_at_weights": search.loss(valid).item()}
        if order == "first":
            loss = search.loss(valid)
            (alpha.grad,) = torch.autograd.grad(loss, [alpha])
        else:
            momentum = [optimizer.state[w].get("momentum_buffer", torch.zeros_like(w)) for w in weights]
            loss, alpha.grad = search.second_order(train, valid, momentum)
        step["validation_loss"], step["alpha_gradient"] = loss.item(), alpha.grad.tolist()
        arch_optimizer.step()
        loss = search.loss(train)
        for w, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            w.grad = gradient
        step["training_loss"] = loss.item()
        step["gradient_norm"] = torch.nn.utils.clip_grad_norm_(weights, CLIP).item()
        optimizer.step()
        step["alpha"] = alpha.tolist()
        steps.append(step)
    return {"steps": steps, "weights": [digest(w) for w in weights]}


def draw(seed, *shape):
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layout(net):
    return {"count": sum(math.prod(shape) for _, shape in net.layout), "weights": [list(entry) for entry in net.layout]}


NB201, PC_DARTS, DARTS = Nb201(4), Nb201(8, parts=4), Darts(4, layers=3)
NB201_ALPHA, PC_ALPHA, PC_BETA, DARTS_ALPHA = draw(1, 6, 5), draw(2, 6, 5), draw(3, 6), draw(4, 28, 8)
TRAIN, VALID = Batch(11, [0, 1, 2, 0, 1, 2]), Batch(12, [2, 0, 1, 1, 0, 2])
PC_BATCH, DARTS_BATCH = Batch(13, [1, 0, 2, 2, 0, 1]), Batch(14, [0, 2, 1, 0])


def nb201(dtype=torch.float64):
    search = Search(NB201, NB201_ALPHA, dtype=dtype)
    orders = {order: descend(Search(NB201, NB201_ALPHA, dtype=dtype), TRAIN, VALID, order) for order in ("first", "second")}
    return {
        "channels": NB201.channels, "cells": 1, "formula": FORMULA, **layout(NB201), "alpha": NB201_ALPHA.tolist(), "train": TRAIN.record(),
        "valid": VALID.record(), "logits": search.logits(VALID).tolist(), "loss": search.loss(VALID).item(),
        "alpha_gradient": search.arch_gradient(VALID)[0].tolist(), "training_loss": search.loss(TRAIN).item(),
        "weight_gradient": [digest(g) for g in search.weight_gradient(TRAIN)], **orders,
        "exact": exact(dtype),
    }


def exact(dtype):
    """The first step of the second order with weights for which finite differences are close to the derivative."""
    search = Search(NB201, NB201_ALPHA, dtype=dtype, formula=EXACT_FORMULA)
    loss, gradient = search.second_order(TRAIN, VALID, search.zeros())
    return {
        "formula": EXACT_FORMULA, "validation_loss_at_weights": search.loss(VALID).item(), "validation_loss": loss.item(),
        "first_order": search.arch_gradient(VALID)[0].tolist(), "finite_differences": gradient.tolist(),
        "autograd": search.exact_second_order(TRAIN, VALID).tolist(),
    }


def pc_darts(dtype=torch.float64):
    search = Search(PC_DARTS, PC_ALPHA, PC_BETA, dtype)
    alpha, beta = search.arch_gradient(PC_BATCH)
    return {
        "channels": PC_DARTS.channels, "channel_parts": PC_DARTS.parts, "cells": 1, "formula": FORMULA, **layout(PC_DARTS),
        "alpha": PC_ALPHA.tolist(), "beta": PC_BETA.tolist(), "batch": PC_BATCH.record(),
        "edge_weights": edge_weights(search.arch[1]).tolist(), "logits": search.logits(PC_BATCH).tolist(),
        "loss": search.loss(PC_BATCH).item(), "alpha_gradient": alpha.tolist(), "beta_gradient": beta.tolist(),
        "weight_gradient": [digest(g) for g in search.weight_gradient(PC_BATCH)],
    }


def darts(dtype=torch.float64):
    search = Search(DARTS, DARTS_ALPHA, dtype=dtype)
    return {
        "channels": 4, "layers": DARTS.layers, "formula": FORMULA, **layout(DARTS), "alpha": DARTS_ALPHA.tolist(),
        "batch": DARTS_BATCH.record(), "logits": search.logits(DARTS_BATCH).tolist(), "loss": search.loss(DARTS_BATCH).item(),
        "alpha_gradient": search.arch_gradient(DARTS_BATCH)[0].tolist(),
        "weight_gradient_norms": [digest(g)["norm"] for g in search.weight_gradient(DARTS_BATCH)],
    }


def settings():
    return {
        "image": IMAGE, "classes": CLASSES, "norm_eps": EPS, "normalize": {"mean": MEAN, "std": STD},
        "formula": "kernel_scale (4 dimensions) or scale (others) * sin(rate * i^2 + phase), rounded to f32; i counts the elements of all "
                   "trained tensors in the order of the layout",
        "digest": "norm: L2; dot: sum over j of x[j] * sin(0.37 * j^2 + 1); sample: x[s * len / n] with integer division, for s below "
                  "n = min(len, 16)",
        "alpha_optimizer": ALPHA, "weight_optimizer": {**SGD, "clip_norm": CLIP}, "steps": STEPS, "first": "architecture",
        "second_order": {"xi": SGD["lr"], "epsilon": f"{RADIUS} / norm of v"}, "torch": torch.__version__,
    }


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def check_differences(what, search, batch):
    """Compares the gradients of the logits with central differences."""
    worst, step = 0.0, 1e-6
    for logits, gradient in zip(search.arch, search.arch_gradient(batch)):
        numeric = torch.zeros_like(logits)
        with torch.no_grad():
            for i in range(logits.numel()):
                start, sides = logits.view(-1)[i].item(), []
                for sign in (1, -1):
                    logits.view(-1)[i] = start + sign * step
                    sides.append(search.loss(batch).item())
                logits.view(-1)[i] = start
                numeric.view(-1)[i] = (sides[0] - sides[1]) / (2 * step)
        worst = max(worst, relative(numeric, gradient))
    print(f"{what}: gradient of the logits against finite differences, relative {worst:.1e}")
    assert worst < 1e-6


def check_paths(what, net, paths, batch):
    """Compares mixtures with one-hot factors with the network of a single path."""
    worst, weights = 0.0, fill(net.layout)
    for path in paths:
        factors = F.one_hot(torch.tensor(path), net.OPS).double()
        edges = torch.ones(net.ROWS, dtype=torch.float64) if net is PC_DARTS else None
        mixed, single = net.mixed(weights, batch.images, factors, edges), net.single(weights, batch.images, path)
        worst = max(worst, (mixed - single).abs().max().item())
    print(f"{what}: one-hot factors against single paths, {len(paths)} paths, largest difference {worst:.1e}")
    assert worst < 1e-10


def check_second_order(what, formula, limit):
    search = Search(NB201, NB201_ALPHA, formula=formula)
    exact, first = search.exact_second_order(TRAIN, VALID), search.arch_gradient(VALID)[0]
    print(f"{what}: first order against autograd's second order, relative {relative(first, exact):.1e}")
    errors = [relative(search.second_order(TRAIN, VALID, search.zeros(), RADIUS / by)[1], exact) for by in (1, 10, 100)]
    print(f"{what}: finite differences against autograd, radius .01, .001, .0001: relative", *(f"{e:.1e}" for e in errors))
    assert min(errors) < limit


def numbers(value):
    """All numbers of a record, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for part in value for x in numbers(part)]
    return [value] if isinstance(value, float) else []


def compare(path, double, single):
    """Prints how far numbers in float32 are from those in float64: the largest difference over the largest number."""
    if isinstance(double, dict):
        for key in double:
            compare(f"{path}.{key}", double[key], single[key])
    elif isinstance(double, list) and double and isinstance(double[0], dict) and "steps" in path:
        for i, pair in enumerate(zip(double, single)):
            compare(f"{path}[{i}]", *pair)
    elif numbers(double) and ".formula" not in path:
        a, b = (torch.tensor(numbers(x), dtype=torch.float64) for x in (double, single))
        print(f"  {path}: {((a - b).abs().max() / a.abs().max()).item():.1e} of {a.abs().max().item():.2e}")


def check():
    check_differences("nb201", Search(NB201, NB201_ALPHA), VALID)
    check_differences("pc-darts", Search(PC_DARTS, PC_ALPHA, PC_BETA), PC_BATCH)
    check_differences("darts", Search(DARTS, DARTS_ALPHA), DARTS_BATCH)
    cells = [[(i + 2 * e) % 5 for e in range(6)] for i in range(5)] + [[3, 1, 2, 4, 3, 2]]
    check_paths("nb201", NB201, cells, VALID)
    check_paths("pc-darts", PC_DARTS, cells, PC_BATCH)
    check_paths("darts", DARTS, [[(i + 3 * e) % 8 for e in range(28)] for i in range(8)], DARTS_BATCH)
    check_second_order("nb201", FORMULA, 1e-5)
    check_second_order("exact", EXACT_FORMULA, 1e-5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    makers = {"nb201": nb201, "pc-darts": pc_darts, "darts": darts}
    record = {name: make() for name, make in makers.items()}
    with open("differentiable.json", "w") as file:
        json.dump({"settings": settings(), **record}, file, indent=0)
    check()
    print("float32 against float64:")
    for name, make in makers.items():
        compare(name, record[name], make(torch.float32))
