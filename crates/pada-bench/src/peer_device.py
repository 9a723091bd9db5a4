"""Times PyTorch on the work that `cargo xtask bench` times the engine on, and prints one JSON line per measurement.

    python peer_device.py --peer DIR --device cuda:0 --task train,rank --modes eager,channels_last,bf16 --steps 12
    python peer_device.py --peer DIR --device cuda:0 --modes compile --steps 12
    python peer_device.py --print-paths --space nb201 --steps 12

DIR holds the networks: nb201_torch.py, darts_torch.py and mbconv_torch.py.

Work:
    train  One path per step: zero_grad, forward, cross entropy, backward, clip the gradient's norm to 5, SGD with momentum 0.9 and
           weight decay 2.5e-4. It does not compute gradient variance, which is not part of PyTorch.
    rank   Forward without gradients and the class of the largest logit, with twice the images of a train step.
Batch:     256 (nb201), 64 (darts) or 16 (proxyless). There is no data loading: images and labels stay on the device.

Modes:
    eager          float32, contiguous tensors.
    channels_last  float32, tensors in channels_last.
    bf16           channels_last, under torch.autocast to bfloat16.
    compile        bf16 with torch.compile. A path is a graph of its own, so this mode compiles and times the first --compile-paths
                   paths only.

On a GPU every mode runs with torch.backends.cudnn.benchmark = True. TF32 is left as PyTorch has it by default: cuDNN may use it for
float32 convolutions, matrix products do not. The fields cudnn_benchmark, tf32 (convolutions) and tf32_matmul say what held. On the CPU
they are false.

Before the clock starts, every path runs once in every mode, because cudnn.benchmark chooses an algorithm per shape, and on a GPU steps
go on for another second, so that the card has reached its clock rate. Each timed step ends with a synchronisation. On a GPU,
mean_s_back_to_back is the mean of the same steps with a single synchronisation at the end. first_sweep_s is the time of the first run
of every path, with what cudnn.benchmark and torch.compile need.
"""
import argparse
import contextlib
import json
import pathlib
import random
import re
import statistics
import sys
import time

# Nothing is written into the folder of the networks.
sys.dont_write_bytecode = True

MODES = ["eager", "channels_last", "bf16", "compile"]
TASKS = ["train", "rank"]
# Per space: the file of its network, images of a train step, height and width of an image, classes.
SPACES = {
    "nb201": ("nb201_torch", 256, 32, 10),
    "darts": ("darts_torch", 64, 32, 10),
    "proxyless": ("mbconv_torch", 16, 224, 1000),
}
SEED = 0
# At least so many steps run before the clock starts.
WARM_UP_STEPS = 4
# For so long steps of a GPU run once more before the clock starts.
WARM_UP_SECONDS = 1.0

DARTS_OPS = ["max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
DARTS_CELLS = 8
# Width, blocks and stride of the first block of every stage.
PROXYLESS_STAGES = [(24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)]


def draw_nb201(rng):
    return [rng.randrange(5) for _ in range(6)]


def draw_darts(rng):
    def cell():
        return [[rng.choice(DARTS_OPS), source] for node in range(2, 6) for source in rng.sample(range(node), 2)]

    return {"normal": cell(), "reduce": cell()}


def proxyless_can_skip():
    width, can_skip = 16, []
    for out, blocks, stride in PROXYLESS_STAGES:
        for block in range(blocks):
            can_skip.append((stride == 1 or block > 0) and width == out)
            width = out
    return can_skip


def draw_proxyless(rng):
    return [rng.randrange(7 if same else 6) for same in proxyless_can_skip()]


def draw_paths(space, count):
    """The same paths as `peer_bench.py --print-paths` draws, without PyTorch."""
    rng = random.Random(SEED)
    draw = {"nb201": draw_nb201, "darts": draw_darts, "proxyless": draw_proxyless}[space]
    return [draw(rng) for _ in range(count)]


def distinct(paths):
    """Each path once, in the order of the first appearance."""
    return list({json.dumps(path): path for path in paths}.values())


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="peer_device.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def at_least_one(text):
        number = int(text)
        if number < 1:
            raise argparse.ArgumentTypeError(f"{text} is less than 1")
        return number

    def list_of(names):
        def parse(text):
            chosen = text.split(",")
            unknown = [name for name in chosen if name not in names]
            if unknown:
                raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(names)}")
            return chosen

        return parse

    def device(text):
        if text != "cpu" and not re.fullmatch(r"cuda:\d+", text):
            raise argparse.ArgumentTypeError(f"{text!r} is neither cpu nor cuda:N")
        return text

    parser.add_argument("--peer", type=pathlib.Path, metavar="DIR", help="folder of the networks")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda:N (default: cpu)")
    parser.add_argument("--space", choices=list(SPACES), default="nb201")
    parser.add_argument("--task", type=list_of(TASKS), default=["train"], metavar="LIST", help="train, rank or both")
    parser.add_argument("--modes", type=list_of(MODES), default=MODES[:3], metavar="LIST", help=", ".join(MODES))
    parser.add_argument("--steps", type=at_least_one, default=12, help="paths of a sweep (default: 12)")
    parser.add_argument("--sweeps", type=at_least_one, default=1, help="how often all paths are timed (default: 1)")
    parser.add_argument("--paths", type=pathlib.Path, metavar="FILE.json", help="paths as --print-paths prints them")
    parser.add_argument("--compile-paths", type=at_least_one, default=2, help="paths of the mode compile (default: 2)")
    parser.add_argument("--batch", type=at_least_one, help="images of a step")
    parser.add_argument("--cells", type=at_least_one, default=5, help="cells per stage of nb201 (default: 5)")
    parser.add_argument("--threads", type=at_least_one, default=2, help="threads of the CPU (default: 2)")
    parser.add_argument("--print-paths", action="store_true", help="print the paths and stop; needs no PyTorch")
    a = parser.parse_args(given)
    try:
        paths = json.loads(a.paths.read_text()) if a.paths else draw_paths(a.space, a.steps)
    except (OSError, ValueError) as error:
        parser.error(f"--paths {a.paths}: {error}")
    if not isinstance(paths, list) or not paths:
        parser.error(f"--paths {a.paths}: the file holds no list of paths")
    a.paths = (paths * a.steps)[: a.steps]
    if not a.print_paths:
        network = SPACES[a.space][0] + ".py"
        if a.peer is None:
            parser.error(f"--peer is missing: name the folder that contains {network}")
        if not (a.peer / network).is_file():
            parser.error(f"--peer {a.peer}: the folder does not contain {network}")
    return a


def stop(reason):
    print(f"error: {reason}", file=sys.stderr)
    sys.exit(2)


def load_torch(a):
    try:
        import torch
    except ImportError as error:
        stop(f"{sys.executable} has no PyTorch ({error}); `pip install torch` installs it")
    if a.device != "cpu" and not torch.cuda.is_available():
        stop(f"--device {a.device}: no NVIDIA driver and GPU that PyTorch {torch.__version__} can use")
    if a.device != "cpu" and int(a.device[len("cuda:"):]) >= torch.cuda.device_count():
        stop(f"--device {a.device}: PyTorch sees {torch.cuda.device_count()} GPUs, which are numbered from 0")
    return torch


def network(a):
    if a.space == "nb201":
        from nb201_torch import Supernet
        return Supernet(16, a.cells), a.cells
    if a.space == "darts":
        from darts_torch import DartsSupernet
        return DartsSupernet(), DARTS_CELLS
    from mbconv_torch import ProxylessSupernet
    return ProxylessSupernet(), len(proxyless_can_skip())


def setting(torch, a, mode):
    """What decides which numbers are multiplied, and which library and card did it."""
    on_gpu = a.device != "cpu"
    tf32 = on_gpu and bool(torch.backends.cudnn.allow_tf32)
    products = "bf16" if mode in ("bf16", "compile") else "TF32" if tf32 else "f32"
    about = {
        "device": a.device,
        "products": products,
        "cudnn_benchmark": on_gpu and bool(torch.backends.cudnn.benchmark),
        "tf32": tf32,
        "tf32_matmul": on_gpu and bool(torch.backends.cuda.matmul.allow_tf32),
    }
    if on_gpu:
        about |= {
            "gpu": torch.cuda.get_device_name(a.device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return about


def time_mode(torch, a, task, mode):
    from torch.nn.functional import cross_entropy

    device = torch.device(a.device)
    _, train_batch, size, classes = SPACES[a.space]
    batch = a.batch or train_batch * (1 if task == "train" else 2)
    torch.manual_seed(SEED)
    net, cells = network(a)
    net = net.to(device)
    x = torch.randn(batch, 3, size, size).to(device)
    y = torch.randint(0, classes, (batch,)).to(device)
    if mode != "eager":
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)

    def amp():
        if mode in ("bf16", "compile"):
            return torch.autocast(device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    forward, paths = net, a.paths
    if mode == "compile":
        few = distinct(a.paths)[: a.compile_paths]
        paths = (few * a.steps)[: a.steps]
        compiled = {json.dumps(path): torch.compile(lambda x, path=path: net(x, path)) for path in few}

        def forward(x, path):
            return compiled[json.dumps(path)](x)

    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=2.5e-4)

    def step(path):
        if task == "rank":
            with torch.no_grad(), amp():
                return forward(x, path).argmax(1)
        optimiser.zero_grad()
        with amp():
            loss = cross_entropy(forward(x, path).float(), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimiser.step()

    def run(count):
        for i in range(count):
            step(paths[i % len(paths)])

    each = distinct(paths)
    started = time.perf_counter()
    for i in range(max(WARM_UP_STEPS, len(each))):
        step(each[i % len(each)])
    wait()
    first_sweep = time.perf_counter() - started
    started = time.perf_counter()
    while device.type == "cuda" and time.perf_counter() - started < WARM_UP_SECONDS:
        run(len(paths))
        wait()

    seconds = []
    for path in paths * a.sweeps:
        started = time.perf_counter()
        step(path)
        wait()
        seconds.append(time.perf_counter() - started)
    back_to_back = None
    if device.type == "cuda":
        started = time.perf_counter()
        run(len(seconds))
        wait()
        back_to_back = (time.perf_counter() - started) / len(seconds)
    mean = statistics.mean(seconds)
    return {
        "peer": "torch " + torch.__version__, "space": a.space, "task": task, "mode": mode, "batch": batch,
        "cells": cells, "threads": a.threads, "steps": a.steps, "sweeps": a.sweeps, "distinct_paths": len(each),
        **setting(torch, a, mode),
        "mean_s": mean, "median_s": statistics.median(seconds), "mean_s_back_to_back": back_to_back,
        "images_per_s": batch / mean, "first_sweep_s": first_sweep, "seconds": seconds,
    }


def main():
    a = arguments(sys.argv[1:])
    if a.print_paths:
        print(json.dumps(a.paths))
        return
    torch = load_torch(a)
    sys.path.insert(0, str(a.peer))
    torch.set_num_threads(a.threads)
    torch.backends.cudnn.benchmark = a.device != "cpu"
    for task in a.task:
        for mode in a.modes:
            print(json.dumps(time_mode(torch, a, task, mode)), flush=True)
            if a.device != "cpu":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
