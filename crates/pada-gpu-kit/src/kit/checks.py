"""Checks that run.sh makes on what the programs of this kit wrote. It needs nothing but Python's standard library.

    python3 checks.py libraries              prints the folders of shared libraries in Python packages of NVIDIA, with : between them
    python3 checks.py doctor FILE            fails unless `pada doctor --json` found a GPU that can be used
    python3 checks.py finished RECORD        fails unless the record is that of a finished run
    python3 checks.py runs CPU GPU           fails unless two records of the same run agree
"""
import glob
import json
import os
import site
import sys

# Two devices round differently. In the first epoch paths and images are drawn uniformly, so that both train on the same ones and only
# rounding differs. Later epochs draw in proportion to gradient norms, and a draw that differs changes everything behind it.
FIRST_LOSS = 0.01
LATER_LOSS = 0.05
TAU = 0.10


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
        print(f"epoch {number}: loss {losses[0]:.5f} on the CPU, {losses[1]:.5f} on the GPU, {difference:.2%} apart")
        # A loss that is not a number compares as false.
        if not difference <= bound:
            broken.append(f"the losses of epoch {number} are {difference:.2%} apart, at most {bound:.0%} are allowed")
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


COMMANDS = {"libraries": (libraries, 0), "doctor": (doctor, 1), "finished": (finished, 1), "runs": (runs, 2)}

if __name__ == "__main__":
    command, arguments = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, -1))
    if arguments != len(sys.argv) - 2:
        print(__doc__)
        sys.exit(2)
    command(*sys.argv[2:])
