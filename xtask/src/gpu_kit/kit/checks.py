"""Checks that run.sh makes on what the programs of this kit wrote. It needs nothing but Python's standard library.

    python3 checks.py libraries              prints the folders of shared libraries in Python packages of NVIDIA, with : between them
    python3 checks.py doctor FILE            fails unless `pada doctor --json` found a GPU that can be used
    python3 checks.py finished RECORD        fails unless the record is that of a finished run
    python3 checks.py result RECORD          prints the last loss and tau-b of a run
    python3 checks.py times FILE             prints the times that benchmarks printed
    python3 checks.py runs CPU GPU           fails unless two records of the same run agree
    python3 checks.py scores CPU GPU         fails unless two files of scores, made with the same weights, agree
"""
import csv
import glob
import json
import os
import site
import sys

# Two devices round differently, and training amplifies the difference with every step. In the first epoch both draw the same paths and
# images; over its 10 steps the losses of the engine and of the candle executor on a CPU are 0.04 % apart at most, those of different seeds
# 0.3 % or more. Later epochs draw in proportion to gradient norms, where one different draw changes everything behind it: their bounds only
# find what is broken. Shares of the CPU's loss:
FIRST_LOSS = 0.002
LATER_LOSS = 0.05
# Runs with different seeds are up to 0.1 apart.
TAU = 0.15
# With the same weights the engine and the candle executor count the same images as correct. Rounding may change the class of an image
# whose two largest logits are almost equal. Shares of the images, of one architecture and on average:
SCORE = 0.01
MEAN_SCORE = 0.002


def fail(text):
    print(f"error: {text}")
    sys.exit(1)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def libraries():
    packages = list(sys.path)
    packages += getattr(site, "getsitepackages", list)()
    packages.append(site.getusersitepackages())
    found = []
    for folder in packages:
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "nvidia", "*", "lib"))):
            if path not in found and glob.glob(os.path.join(glob.escape(path), "*.so*")):
                found.append(path)
    print(":".join(found))


def doctor(file):
    objects = [line for line in read(file).splitlines() if line.startswith("{")]
    if not objects:
        fail("pada doctor printed no JSON object")
    gpu = json.loads(objects[-1]).get("gpu", {})
    if not gpu.get("found"):
        fail(f"no GPU can be used: {gpu.get('detail', 'pada doctor says nothing of a GPU')}")
    print(f"GPU: {gpu.get('detail')}")


def finished(file):
    if not os.path.isfile(file) or json.loads(read(file)).get("ranking") is None:
        sys.exit(1)


def result(file):
    record = json.loads(read(file))
    if not record["epochs"]:
        fail(f"{file} is the record of a run without an epoch")
    found = tau(record)
    ranked = "not ranked" if found is None else f"tau-b {found:.3f}"
    print(f"{len(record['epochs'])} epochs, loss {record['epochs'][-1]['loss']:.4f}, {ranked}, {record['device']}")


def times(file):
    said = []
    for line in read(file).splitlines():
        if line.startswith("{"):
            found = json.loads(line)
            more = " with gradient variance" if found.get("gradient_variance") else ""
            said.append(f"{found['task']} {found['mode']}{more} {1000 * found['mean_s']:.2f} ms")
    if not said:
        fail("the benchmark printed no time")
    print(", ".join(said))


def tau(record):
    ranking = record.get("ranking") or {}
    agreements = ranking.get("agreements") or [{}]
    return find(agreements[0], "tau_b")


def find(value, key):
    """The first number with this key, however deep it is."""
    if isinstance(value, dict):
        if isinstance(value.get(key), (int, float)):
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        return next((number for number in (find(item, key) for item in value) if number is not None), None)
    return None


def runs(cpu, gpu):
    cpu, gpu = json.loads(read(cpu)), json.loads(read(gpu))
    print(f"CPU: {cpu['device']}, GPU: {gpu['device']}")
    if len(cpu["epochs"]) != len(gpu["epochs"]) or not cpu["epochs"]:
        fail(f"{len(cpu['epochs'])} epochs on the CPU, {len(gpu['epochs'])} on the GPU")
    broken = []
    for number, (ours, theirs) in enumerate(zip(cpu["epochs"], gpu["epochs"])):
        losses = ours["loss"], theirs["loss"]
        difference = abs(losses[1] - losses[0]) / abs(losses[0])
        bound = FIRST_LOSS if number == 0 else LATER_LOSS
        print(f"epoch {number}: loss {losses[0]:.5f} on the CPU, {losses[1]:.5f} on the GPU, {difference:.3%} apart")
        # A loss that is not a number compares as false.
        if not difference <= bound:
            broken.append(f"the losses of epoch {number} are {difference:.3%} apart, at most {bound:.1%} are allowed")
    taus = tau(cpu), tau(gpu)
    if None in taus:
        fail("a record has no tau-b")
    print(f"tau-b {taus[0]:.3f} on the CPU, {taus[1]:.3f} on the GPU")
    if not abs(taus[0] - taus[1]) <= TAU:
        broken.append(f"tau-b is {taus[0]:.3f} on the CPU and {taus[1]:.3f} on the GPU, at most {TAU:.2f} apart are allowed")
    if broken:
        fail("; ".join(broken))
    last = cpu["epochs"][-1]["loss"], gpu["epochs"][-1]["loss"]
    print(f"losses {last[0]:.4f} and {last[1]:.4f}, tau-b {taus[0]:.3f} and {taus[1]:.3f}: the GPU trains and ranks as the CPU does")


def scores(cpu, gpu):
    counts = []
    for file in (cpu, gpu):
        with open(file, newline="", encoding="utf-8") as lines:
            counts.append({row["arch"]: (int(row["correct"]), int(row["total"])) for row in csv.DictReader(lines)})
    if not counts[0] or counts[0].keys() != counts[1].keys():
        fail(f"{len(counts[0])} architectures on the CPU, {len(counts[1])} on the GPU, and not the same ones")
    apart = {arch: abs(counts[1][arch][0] - correct) / total for arch, (correct, total) in counts[0].items()}
    worst = max(apart, key=apart.get)
    mean = sum(apart.values()) / len(apart)
    said = f"{len(apart)} architectures, {mean:.3%} of the images apart on average, {apart[worst]:.2%} at most ({worst})"
    if apart[worst] > SCORE or mean > MEAN_SCORE:
        fail(f"{said}; {MEAN_SCORE:.1%} and {SCORE:.0%} are allowed")
    print(f"{said}: the GPU ranks as the CPU does")


COMMANDS = {"libraries": (libraries, 0), "doctor": (doctor, 1), "finished": (finished, 1), "runs": (runs, 2), "scores": (scores, 2),
            "result": (result, 1), "times": (times, 1)}

if __name__ == "__main__":
    command, arguments = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, -1))
    if arguments != len(sys.argv) - 2:
        print(__doc__)
        sys.exit(2)
    command(*sys.argv[2:])
