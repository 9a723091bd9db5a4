"""Writes networks.json: logits and gradients of published networks that are no architectures of a search space, from twins in PyTorch, in
float64: cells with five nodes, a cell for every stage, the network for ImageNet, squeeze-and-excitation.

    PYTHONPATH=../../../../../shared/peer python make_networks.py

Weights and images are formulas of their names and places, as in make_spaces.py. A gradient is stored as two numbers: its norm and its dot
product with a wave, which also depends on the order of its elements.
"""
import json

import torch
from torch import nn

from make_spaces import Chain, Reduce, affine, fill, images, separate, wave

# https://github.com/quark0/darts/blob/f276dd3/cnn/genotypes.py, lines 16 and 45; AutoDL-Projects, nas_infer_model/DXYs/genotypes.py, line 66
GENOTYPES = {
    "NASNet": (
        [("sep_conv_5x5", 1), ("sep_conv_3x3", 0), ("sep_conv_5x5", 0), ("sep_conv_3x3", 0), ("avg_pool_3x3", 1),
         ("skip_connect", 0), ("avg_pool_3x3", 0), ("avg_pool_3x3", 0), ("sep_conv_3x3", 1), ("skip_connect", 1)], [2, 3, 4, 5, 6],
        [("sep_conv_5x5", 1), ("sep_conv_7x7", 0), ("max_pool_3x3", 1), ("sep_conv_7x7", 0), ("avg_pool_3x3", 1),
         ("sep_conv_5x5", 0), ("skip_connect", 3), ("avg_pool_3x3", 2), ("sep_conv_3x3", 2), ("max_pool_3x3", 1)], [4, 5, 6]),
    "AmoebaNet": (
        [("avg_pool_3x3", 0), ("max_pool_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_5x5", 2), ("sep_conv_3x3", 0),
         ("avg_pool_3x3", 3), ("sep_conv_3x3", 1), ("skip_connect", 1), ("skip_connect", 0), ("avg_pool_3x3", 1)], [4, 5, 6],
        [("avg_pool_3x3", 0), ("sep_conv_3x3", 1), ("max_pool_3x3", 0), ("sep_conv_7x7", 2), ("sep_conv_7x7", 0),
         ("avg_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("conv_7x1_1x7", 0), ("sep_conv_3x3", 5)], [3, 4, 6]),
    "PNASNet": (
        [("sep_conv_5x5", 0), ("max_pool_3x3", 0), ("sep_conv_7x7", 1), ("max_pool_3x3", 1), ("sep_conv_5x5", 1),
         ("sep_conv_3x3", 1), ("sep_conv_3x3", 4), ("max_pool_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 1)], [2, 3, 4, 5, 6],
        [("sep_conv_5x5", 0), ("max_pool_3x3", 0), ("sep_conv_7x7", 1), ("max_pool_3x3", 1), ("sep_conv_5x5", 1),
         ("sep_conv_3x3", 1), ("sep_conv_3x3", 4), ("max_pool_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 1)], [2, 3, 4, 5, 6]),
    "ENAS": (
        [("sep_conv_3x3", 1), ("skip_connect", 1), ("sep_conv_5x5", 1), ("skip_connect", 0), ("avg_pool_3x3", 0),
         ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("avg_pool_3x3", 1), ("sep_conv_5x5", 1), ("avg_pool_3x3", 0)], [2, 3, 4, 5, 6],
        [("sep_conv_5x5", 0), ("avg_pool_3x3", 1), ("sep_conv_3x3", 1), ("avg_pool_3x3", 1), ("sep_conv_3x3", 1),
         ("avg_pool_3x3", 1), ("sep_conv_5x5", 4), ("avg_pool_3x3", 1), ("sep_conv_3x3", 5), ("sep_conv_5x5", 0)], [2, 3, 6]),
    "DARTS_V2": (
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1),
         ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)], [2, 3, 4, 5],
        [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1), ("max_pool_3x3", 0),
         ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)], [2, 3, 4, 5]),
}

# https://github.com/Sunzh1996/AGNAS/blob/bbeb8a5/Darts_Search_Space/genotypes.py, lines 85 to 90
AGNAS = [
    [("sep_conv_3x3", 0), ("dil_conv_3x3", 1), ("dil_conv_5x5", 0), ("skip_connect", 1), ("sep_conv_3x3", 0), ("sep_conv_5x5", 3),
     ("dil_conv_5x5", 0), ("sep_conv_3x3", 3)],
    [("max_pool_3x3", 0), ("sep_conv_5x5", 1), ("skip_connect", 0), ("sep_conv_5x5", 1), ("max_pool_3x3", 0), ("skip_connect", 1),
     ("sep_conv_5x5", 0), ("sep_conv_3x3", 1)],
    [("skip_connect", 0), ("sep_conv_3x3", 1), ("dil_conv_5x5", 0), ("sep_conv_3x3", 1), ("dil_conv_3x3", 0), ("sep_conv_5x5", 1),
     ("sep_conv_3x3", 1), ("dil_conv_5x5", 4)],
    [("skip_connect", 1), ("skip_connect", 0), ("dil_conv_3x3", 1), ("dil_conv_3x3", 0), ("avg_pool_3x3", 0), ("max_pool_3x3", 1),
     ("avg_pool_3x3", 0), ("max_pool_3x3", 1)],
    [("skip_connect", 0), ("dil_conv_5x5", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_5x5", 0), ("max_pool_3x3", 2),
     ("sep_conv_5x5", 0), ("sep_conv_3x3", 1)],
]


def edge(name, c, stride):
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduce(c, c)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(), nn.Conv2d(c, c, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
            nn.Conv2d(c, c, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False), affine(c))
    k = int(name[-1])
    return Chain(*separate(c, k, stride), *separate(c, k, 1)) if name[:3] == "sep" else Chain(*separate(c, k, stride, 2))


class Cell(nn.Module):
    def __init__(self, pairs, concat, c_pp, c_p, c, reduction, halved):
        super().__init__()
        self.preprocess0 = Reduce(c_pp, c) if halved else Chain(nn.ReLU(), nn.Conv2d(c_pp, c, 1, bias=False), affine(c))
        self.preprocess1 = Chain(nn.ReLU(), nn.Conv2d(c_p, c, 1, bias=False), affine(c))
        self.sources, self.concat = [source for _, source in pairs], concat
        self._ops = nn.ModuleList(edge(name, c, 2 if reduction and source < 2 else 1) for name, source in pairs)

    def forward(self, s0, s1, dropped):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for node in range(len(self._ops) // 2):
            terms = []
            for i in (2 * node, 2 * node + 1):
                term = self._ops[i](states[self.sources[i]])
                if not isinstance(self._ops[i], nn.Identity):
                    term = term * dropped[i].reshape(-1, 1, 1, 1)
                terms.append(term)
            states.append(terms[0] + terms[1])
        return torch.cat([states[i] for i in self.concat], 1)


class Head(nn.Module):
    """The auxiliary head; the one for ImageNet has another stride and no second norm."""

    def __init__(self, c, classes, imagenet):
        super().__init__()
        second = [] if imagenet else [affine(768)]
        self.features = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, 2 if imagenet else 3, 0, count_include_pad=False), nn.Conv2d(c, 128, 1, bias=False),
            affine(128), nn.ReLU(), nn.Conv2d(128, 768, 2, bias=False), *second, nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Network(nn.Module):
    """`NetworkCIFAR` and `NetworkImageNet` of quark0/darts, with the cell that `cell_of` returns for each layer."""

    def __init__(self, cell_of, c, layers, classes, imagenet):
        super().__init__()
        self.imagenet, self.layers = imagenet, layers
        if imagenet:
            self.stem0 = nn.Sequential(
                nn.Conv2d(3, c // 2, 3, 2, 1, bias=False), affine(c // 2), nn.ReLU(), nn.Conv2d(c // 2, c, 3, 2, 1, bias=False), affine(c))
            self.stem1 = nn.Sequential(nn.ReLU(), nn.Conv2d(c, c, 3, 2, 1, bias=False), affine(c))
            c_pp = c_p = c
        else:
            self.stem = nn.Sequential(nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), affine(3 * c))
            c_pp = c_p = 3 * c
        halved, cells = imagenet, []
        for layer in range(layers):
            reduction = layer in (layers // 3, 2 * layers // 3)
            c = 2 * c if reduction else c
            pairs, concat = cell_of(layer, reduction)
            cells.append(Cell(pairs, concat, c_pp, c_p, c, reduction, halved))
            c_pp, c_p, halved = c_p, len(concat) * c, reduction
            if layer == 2 * layers // 3:
                at_head = c_p
        self.cells = nn.ModuleList(cells)
        self.auxiliary_head = Head(at_head, classes, imagenet)
        self.classifier = nn.Linear(c_p, classes)

    def forward(self, x, dropped):
        s0 = self.stem0(x) if self.imagenet else self.stem(x)
        s1 = self.stem1(s0) if self.imagenet else s0
        first = 0
        for layer, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, dropped[first:])
            first += len(cell._ops)
            if layer == 2 * self.layers // 3:
                head = self.auxiliary_head(s1)
        return self.classifier(s1.mean(dim=(2, 3))), head


def gradients(model):
    out = {}
    for name, p in sorted(model.named_parameters()):
        if p.grad is not None and p.grad.norm() > 0:
            along = wave(p.numel(), sum(name.encode()) + 1)
            out[name] = [p.grad.norm().item(), (p.grad.flatten() * along).sum().item()]
    return out


def result(model, logits):
    return {"logits": logits.flatten().tolist(), "gradient": gradients(model), "weights": sum(p.numel() for p in model.parameters())}


def darts(cell_of, c, layers, size=32, imagenet=False):
    """One training pass with all that the published recipe adds: auxiliary head, drop-path, smoothed labels."""
    n, keep = 4, 0.75
    model = Network(cell_of, c, layers, 10, imagenet).double().train()
    fill(model, lambda name: True)
    slots = sum(len(cell._ops) for cell in model.cells)
    dropped = torch.tensor([[float((3 * slot + 5 * image) % 4 != 0) / keep for image in range(n)] for slot in range(slots)])
    logits, head = model(images(n, size, 0.5), dropped.float().double())
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    (loss(logits, torch.arange(n)) + 0.4 * loss(head, torch.arange(n))).backward()
    return result(model, logits)


def of_genotype(name):
    normal, normal_concat, reduce, reduce_concat = GENOTYPES[name]
    return lambda layer, reduction: (reduce, reduce_concat) if reduction else (normal, normal_concat)


def agnas(layers):
    first, second = layers // 3, 2 * layers // 3

    def cell_of(layer, _):
        stage = 0 if layer < first else 1 if layer == first else 2 if layer < second else 3 if layer == second else 4
        return AGNAS[stage], [2, 3, 4, 5]
    return cell_of


class Squeeze(nn.Module):
    """`SqueezeExcite` of timm."""

    def __init__(self, c, few):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(c, few, 1), nn.Conv2d(few, c, 1)

    def forward(self, x):
        return x * self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Inverted(nn.Sequential):
    """`InvertedResidual` of timm, and with expansion 1 its `DepthwiseSeparableConv`."""

    def __init__(self, c_in, c_out, kernel, stride, expansion, squeeze=None, skip=True):
        mid, parts = c_in * expansion, []
        if expansion != 1:
            parts += [nn.Conv2d(c_in, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU()]
        parts += [nn.Conv2d(mid, mid, kernel, stride, kernel // 2, groups=mid, bias=False), nn.BatchNorm2d(mid), nn.ReLU()]
        if squeeze:
            parts.append(Squeeze(mid, round(c_in * squeeze)))
        super().__init__(*parts, nn.Conv2d(mid, c_out, 1, bias=False), nn.BatchNorm2d(c_out))
        self.skip = skip and stride == 1 and c_in == c_out

    def forward(self, x):
        return x + super().forward(x) if self.skip else super().forward(x)


class MnasNetA1(nn.Module):
    """`_gen_mnasnet_a1` of timm, models/efficientnet.py."""

    def __init__(self, classes):
        super().__init__()
        stages = [(2, 24, 3, 2, 6, None), (3, 40, 5, 2, 3, 0.25), (4, 80, 3, 2, 6, None), (2, 112, 3, 1, 6, 0.25),
                  (3, 160, 5, 2, 6, 0.25), (1, 320, 3, 1, 6, None)]
        first = Inverted(32, 16, 3, 1, 1, skip=False)
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), first)
        blocks, c = [], 16
        for count, width, kernel, stride, expansion, squeeze in stages:
            for i in range(count):
                blocks.append(Inverted(c, width, kernel, stride if i == 0 else 1, expansion, squeeze))
                c = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Conv2d(c, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU())
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x):
        return self.classifier(self.head(self.blocks(self.stem(x))).mean((2, 3)))


def mnasnet():
    model = MnasNetA1(10).double().train()
    fill(model, lambda name: True)
    logits = model(images(4, 64, 0.5))
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    return result(model, logits)


def cost(cell_of, c, layers, size, imagenet, classes):
    """Parameters without the auxiliary head, and multiply-adds of convolutions and of the classifier with its bias."""
    model, macs = Network(cell_of, c, layers, classes, imagenet).eval(), []

    def count(module, _, out):
        macs.append(out.numel() * (module.weight[0].numel() + (module.bias is not None)))
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and not name.startswith("auxiliary_head"):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, size, size), torch.ones(sum(len(cell._ops) for cell in model.cells), 1))
    params = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("auxiliary_head"))
    return f"{params} parameters, {sum(macs)} multiply-adds"


if __name__ == "__main__":
    torch.set_num_threads(1)
    networks = {name: darts(of_genotype(name), 4, 4) for name in ("NASNet", "AmoebaNet", "PNASNet", "ENAS")}
    networks["AGNAS"] = darts(agnas(6), 4, 6)
    networks["DARTS_V2 for ImageNet"] = darts(of_genotype("DARTS_V2"), 4, 4, 224, True)
    networks["MnasNet_A1"] = mnasnet()
    with open("networks.json", "w") as file:
        json.dump(networks, file, indent=0)
        file.write("\n")
    # The counts in pada-models/tests/models/published_costs.rs.
    print("DARTS_V2 for ImageNet:", cost(of_genotype("DARTS_V2"), 48, 14, 224, True, 1000))
    print("AGNAS:", cost(agnas(20), 36, 20, 32, False, 10))
