"""Writes small PyTorch files in the forms that other projects save weights in. Each has the tensor `w` = [0.5, -2, 3].

    python make_variants.py    # needs torch and numpy, writes into variants/

"""
import argparse
import os
import random
from collections import OrderedDict

import numpy as np
import torch

os.makedirs("variants", exist_ok=True)
w = torch.tensor([0.5, -2.0, 3.0])
sd = OrderedDict(w=w)
other = OrderedDict(w=w + 1)


def save(name, content, **how):
    torch.save(content, f"variants/{name}", **how)


save("beside_a_tensor.pt", {"state_dict": sd, "enc": torch.zeros(3, 6)})
save("best_acc1.pt", {"epoch": 3, "best_acc1": torch.tensor(71.0), "state_dict": sd})
for key in ("model_state_dict", "network", "search_model", "params_ema"):
    save(f"{key}.pt", {key: sd})
save("nested.pt", {"model": {"state_dict": sd}})
save("two.pt", {"ema": other, "state_dict": sd})
save("legacy.pt", {"state_dict": sd}, _use_new_zipfile_serialization=False)
save("legacy_half.pt", {"weights": {"w": w.half()}, "order": torch.arange(5)}, _use_new_zipfile_serialization=False)
save("checkpoint.pth.tar", sd)
save("pytorch_model.bin", sd)
for name, prefix in (("compiled", "_orig_mod."), ("parallel_compiled", "module._orig_mod."), ("model", "model.")):
    save(f"{name}.pt", {prefix + "w": w})
save("averaged.pt", {"n_averaged": torch.tensor(3), "module.w": w})
count = torch.zeros(1, dtype=torch.float64)
save("counted.pt", {"w": w, "total_ops": count, "total_params": count, "a.total_ops": count})
save("half.pt", {"w": w.half()})
save("double.pt", {"w": w.double()})
save("bfloat16.pt", {"w": w.bfloat16()})
state = {
    "state_dict": sd,
    "seed": 2**63 + 5,
    "big": -(2**127),
    "set": {1, 2},
    "frozen": frozenset([3]),
    "random": random.getstate(),
    "numpy": np.random.get_state(),
    "args": argparse.Namespace(lr=0.1, betas=[(0.9, 0.999)]),
}
save("states2.pt", state)
save("states4.pt", state, pickle_protocol=4)
save("no_weights.pt", {"epoch": 3, "losses": [1.0, 0.5]})
save("module.pt", torch.nn.Linear(2, 1))
