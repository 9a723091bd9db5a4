"""Times PyTorch as peer_bench.py does, on another device: python peer_device.py DEVICE OPTIONS, with that file where Python looks.

What peer_bench.py makes lies on the device, clocks wait for it, and autocast is the device's. All else is PyTorch's default: in float32
cuDNN may multiply TF32 numbers.
"""
import sys, time, types
import torch

device = torch.device(sys.argv.pop(1))
torch.set_default_device(device)
import peer_bench

wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
autocast = torch.autocast


def now():
    wait()
    return time.perf_counter()


peer_bench.time = types.SimpleNamespace(perf_counter=now)
torch.autocast = lambda _, **options: autocast(device.type, **options)
peer_bench.main()
