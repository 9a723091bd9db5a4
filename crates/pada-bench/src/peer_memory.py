"""Memory of PyTorch's train step: python peer_memory.py THREADS BATCH CELLS PATHS, with nb201_torch.py where Python looks.

Runs one step per path as peer_bench.py does it in the mode eager and prints, in bytes, what the process had before the first
step and the most it has had; null where the system is not Linux.
"""
import json, pathlib, sys
import torch
import torch.nn.functional as F
from nb201_torch import Supernet


def status(key):
    table = pathlib.Path("/proc/self/status")
    lines = table.read_text().splitlines() if table.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(key)), None)


threads, batch, cells = map(int, sys.argv[1:4])
torch.set_num_threads(threads)
torch.manual_seed(0)
net = Supernet(16, cells)
x, y = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=2.5e-4)
before = status("VmRSS:")
for path in json.loads(sys.argv[4]):
    opt.zero_grad()
    loss = F.cross_entropy(net(x, path).float(), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
    opt.step()
print(json.dumps({"mode": "eager", "batch": batch, "setup_bytes": before, "peak_bytes": status("VmHWM:")}))
