"""Writes epochs.json: four epochs of path and data importance on a tiny problem, in plain Python.

    python make_epochs.py

Written from the text of the method, not from this project's Rust. All observed norms are multiples of 1/64, so f32 holds them.
"""
import json
import random

OPS, POSITIONS, IMAGES, STEPS, EPOCHS, TOTAL = 5, 6, 7, 5, 4, 10


def mix(scores, share):
    total = sum(scores)
    n = len(scores)
    return [share * s / total + (1 - share) / n for s in scores] if total > 0 else [1 / n] * n


def main():
    draw = random.Random(7)
    norm = lambda: draw.randrange(0, 128) / 64
    epochs = []
    for epoch in range(EPOCHS):
        steps = []
        for _ in range(STEPS):
            path = [draw.randrange(OPS) for _ in range(POSITIONS)]
            # Operations 2 and 3 have weights; now and then such a norm is exactly zero.
            norms = [norm() * draw.randrange(4) if op in path and op in (2, 3) else 0.0 for op in range(OPS)]
            images = [draw.randrange(IMAGES - 1 - epoch % 2) for _ in range(3)]
            steps.append({"path": path, "op_norms": norms, "images": images, "image_norms": [norm() for _ in images]})
        epochs.append(steps)
    expected = {}
    # "keep" is the released code with images that keep their importance while they are not drawn.
    for variant in ("released", "paper", "keep"):
        kept = [0.0] * IMAGES
        out = []
        for epoch, steps in enumerate(epochs):
            g, stood, seen = [0.0] * OPS, [0] * OPS, set()
            sums = [0.0] * OPS
            for step in steps:
                for op, value in enumerate(step["op_norms"]):
                    if op in step["path"]:
                        sums[op] += value
                        stood[op] += 1
                    if value != 0:
                        g[op] = (g[op] + value) / 2
                for image, value in zip(step["images"], step["image_norms"]):
                    again = image in seen and kept[image] != 0
                    kept[image] = (kept[image] + value) / 2 if again else value
                    seen.add(image)
            if variant != "keep":
                kept = [s if i in seen else 0.0 for i, s in enumerate(kept)]
            share = epoch / TOTAL
            if variant == "paper":
                g = [s / n if n else 0.0 for s, n in zip(sums, stood)]
                # Algorithm 1, lines 9 to 11: δ and τ grow before p and q are updated.
                share = (epoch + 1) / TOTAL
            out.append({"p": mix(g, share), "q": mix(kept, share)})
        expected[variant] = out
    json.dump({"total_epochs": TOTAL, "epochs": epochs, "expected": expected}, open("epochs.json", "w"), indent=1)


if __name__ == "__main__":
    main()
