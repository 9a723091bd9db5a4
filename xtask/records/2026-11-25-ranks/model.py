"""Expected scaling of training over ranks, from what measure.sh found on one machine with two ranks.

python3 model.py COMPUTE_S MESSAGES BYTES GRADIENT_BYTES
    COMPUTE_S       seconds in which one rank computes its images of a step, without messages
    MESSAGES        messages of a rank in a step of two ranks
    BYTES           bytes it sent in them
    GRADIENT_BYTES  bytes of the gradient among them

The model, for R ranks which keep their images per rank (so the batch grows with R), latency a and bytes per second b of a link:
    every message but the gradient goes to log2 R neighbours one after the other: log2 R * (MESSAGES - 1) * a, and as often its bytes;
    the gradient is added in parts and handed round: 2 log2 R * a + 2 (R - 1) / R * GRADIENT_BYTES / b;
    nothing is computed meanwhile, and no rank waits for a slower one.
A step takes COMPUTE_S + that; the share of COMPUTE_S in it is the efficiency. In brackets: the share in which the gradient is sent.
"""
import math
import sys

LINKS = [("10 Gb/s Ethernet", 30e-6, 1.25e9), ("100 Gb/s Ethernet", 5e-6, 12.5e9), ("200 Gb/s InfiniBand", 1.5e-6, 25e9)]
compute, messages, sent, gradient = map(float, sys.argv[1:])
print("| link | latency | 8 ranks | 64 ranks | 512 ranks |\n|---|---|---|---|---|")
for name, a, b in LINKS:
    cells = []
    for ranks in (8, 64, 512):
        rounds = math.log2(ranks)
        small = rounds * ((messages - 1) * a + (sent - gradient) / b)
        large = 2 * rounds * a + 2 * (ranks - 1) / ranks * gradient / b
        step = compute + small + large
        cells.append(f"{compute / step:.2f} ({large / step:.2f})")
    print(f"| {name} | {a * 1e6:g} µs | {' | '.join(cells)} |")
