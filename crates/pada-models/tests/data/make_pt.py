"""Writes two PyTorch files with the weight names of the released PA-DA code: NAS-Bench-201's supernet with C=2, N=1.

    python make_pt.py    # needs torch

plain.pt    a state dict
wrapped.pt  the same under `state_dict`, each name behind `module.`, as a training script with DataParallel saves it
The i-th number of the network, counted over all tensors in PyTorch's order, is (i mod 4096) / 4096.
"""
import torch

C, N, CLASSES = 2, 1, 10
EDGES = ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]


def names():
    yield "stem.0.weight", (C, 3, 3, 3)
    cell = 0
    for stage in range(3):
        c = C * 2**stage
        if stage > 0:
            for conv, c_in in (("conv_a", c // 2), ("conv_b", c)):
                yield f"cells.{cell}.{conv}.op.1.weight", (c, c_in, 3, 3)
                yield f"cells.{cell}.{conv}.op.1.bias", (c,)
            yield f"cells.{cell}.downsample.1.weight", (c, c // 2, 1, 1)
            cell += 1
        for _ in range(N):
            for edge in EDGES:
                for op, k in ((2, 1), (3, 3)):
                    yield f"cells.{cell}.edges.{edge}.{op}.op.1.weight", (c, c, k, k)
                    yield f"cells.{cell}.edges.{edge}.{op}.op.1.bias", (c,)
            cell += 1
    yield "classifier.weight", (CLASSES, 4 * C)
    yield "classifier.bias", (CLASSES,)


start, weights = 0, {}
for name, shape in names():
    count = torch.Size(shape).numel()
    weights[name] = (torch.arange(start, start + count) % 4096).float().div(4096).reshape(shape)
    start += count
torch.save(weights, "plain.pt")
torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights.items()}}, "wrapped.pt")
print(len(weights), "tensors,", start, "numbers")
