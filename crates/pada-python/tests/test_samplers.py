import json
from pathlib import Path

import numpy as np
import pytest

import pada
from pada import samplers

GOLDEN = json.loads((Path(__file__).parent / "data" / "samplers.json").read_text())
EPOCHS, STEPS, IMAGES, BATCH = 3, 4, 23, 5
SCHEDULE = (0.25, 0.75)

# The same samplers as in crates/pada-sampler/tests/samplers/python.rs, which wrote the file.
PATHS = {
    "uniform": lambda **k: samplers.UniformPaths("nb201", **k),
    "importance": lambda **k: samplers.PathImportance("nb201", **k),
    "importance-paper": lambda **k: samplers.PathImportance(
        "nb201", variant="paper", smoothing=SCHEDULE, importance_weights="unbiased", **k
    ),
    "fair": lambda **k: samplers.FairPaths("nb201", **k),
    "fair-released": lambda **k: samplers.FairPaths("nb201", variant="released", **k),
    "one-change": lambda **k: samplers.OneChangePaths("nb201", **k),
    "constant": lambda **k: samplers.ConstantPaths("nb201", [1, 2, 3, 4, 5], smoothing=SCHEDULE, **k),
    "pareto": lambda **k: samplers.ParetoPaths(
        "nb201", lambda arch: arch.count(3), smoothing=SCHEDULE, memory=5, **k
    ),
}
DATA = {
    "images-uniform": lambda **k: samplers.UniformData(IMAGES, **k),
    "images-importance": lambda **k: samplers.DataImportance(IMAGES, **k),
    "images-paper": lambda **k: samplers.DataImportance(
        IMAGES, variant="paper", smoothing=SCHEDULE, importance_weights="unbiased", unseen="keep", **k
    ),
    "images-without": lambda **k: samplers.DataImportance(IMAGES, replacement="without", **k),
}


def norms_of(path, step):
    return [((op * 7 + e * 3 + step * 5) % 11) / 7 if op > 1 else 0.0 for e, op in enumerate(path)]


def run_paths(new, epochs=range(EPOCHS), sampler=None):
    sampler = sampler or new(rng=pada.Rng(7))
    drawn, weights, distributions = [], [], []
    for epoch in epochs:
        for step in range(STEPS):
            for path in sampler.next_paths():
                weights.append(sampler.loss_weight(path))
                sampler.observe(path, norms_of(path, step), 1 + step / 4)
                drawn.append(str(path))
        sampler.end_epoch(epoch, EPOCHS)
        distributions.append(sampler.distribution().tolist())
    return sampler, {"paths": drawn, "weights": weights, "distributions": distributions}


def run_images(new, epochs=range(EPOCHS), sampler=None):
    sampler = sampler or new(rng=pada.Rng(7))
    orders, weights, distributions = [], [], []
    for epoch in epochs:
        order = sampler.epoch_order()
        for start in range(0, IMAGES, BATCH):
            batch = order[start : start + BATCH]
            weights += sampler.loss_weights(batch).tolist()
            sampler.observe(batch, ((batch.astype(int) * 5 + epoch * 3) % 13).astype("float32") / np.float32(7))
        sampler.end_epoch(epoch, EPOCHS)
        orders.append(order.tolist())
        q = sampler.distribution()
        distributions.append(None if q is None else q.tolist())
    return sampler, {"orders": orders, "weights": weights, "distributions": distributions}


def exact(found, name):
    expected = dict(GOLDEN[name])
    # The file has the shortest text of a number of 32 bits.
    if name.startswith("images"):
        expected["weights"] = np.array(expected["weights"], "float32").tolist()
    assert found == expected


@pytest.mark.parametrize("name", PATHS)
def test_path_samplers_draw_what_rust_draws_to_the_bit(name):
    exact(run_paths(PATHS[name])[1], name)


@pytest.mark.parametrize("name", DATA)
def test_data_samplers_draw_what_rust_draws_to_the_bit(name):
    exact(run_images(DATA[name])[1], name)


@pytest.mark.parametrize(("name", "new", "run"), [
    *((name, new, run_paths) for name, new in PATHS.items()),
    *((name, new, run_images) for name, new in DATA.items()),
])
def test_a_restored_sampler_goes_on_to_the_bit(name, new, run):
    first, _ = run(new, range(1))
    state = json.loads(json.dumps(first.state_dict()))
    _, rest = run(new, range(1, EPOCHS), first)
    restored = new(seed=99)
    restored.load_state_dict(state)
    assert run(new, range(1, EPOCHS), restored)[1] == rest


def test_samplers_can_share_a_generator():
    rng = pada.Rng(3)
    paths, images = samplers.UniformPaths([2] * 20, rng=rng), samplers.UniformData(20, rng=rng)
    first = images.epoch_order().tolist()
    path = paths.next_path()
    again = pada.Rng(3)
    assert samplers.UniformData(20, rng=again).epoch_order().tolist() == first
    assert samplers.UniformPaths([2] * 20, rng=again).next_path() == path


def test_a_seed_draws_from_the_streams_of_a_run():
    # The numbers of RngStream::Paths and RngStream::Images in pada-trainer.
    for sampler, stream in ((samplers.UniformPaths("nb201", seed=5), 1), (samplers.UniformData(9, seed=5), 2)):
        rng = sampler.state_dict()["rng"]
        assert rng["stream"] == stream
        assert rng["seed"] == json.loads(pada.Rng(5)._state())["seed"]


def test_a_path_whose_cost_raises_is_not_remembered():
    failing = True

    def cost(arch):
        if failing:
            raise KeyError("no cost yet")
        return arch.count(1)

    sampler = samplers.ParetoPaths([2, 2], cost)
    empty = sampler.state_dict()
    with pytest.raises(KeyError):
        sampler.observe("01", [0.0, 1.0], 1.0)
    assert sampler.state_dict() == empty
    failing = False
    sampler.observe("01", [0.0, 1.0], 1.0)
    state = sampler.state_dict()
    failing = True
    other = samplers.ParetoPaths([2, 2], cost)
    with pytest.raises(KeyError):
        other.load_state_dict(state)
    assert other.state_dict()["sampler"] == empty["sampler"]


def test_rows_of_positions_with_fewer_operations_end_with_zeros():
    expected = [[1 / 3, 1 / 3, 1 / 3, 0]] * 2 + [[0.25] * 4]
    assert samplers.UniformPaths([3, 3, 4]).distribution() == pytest.approx(np.array(expected))


def test_connected_paths_call_the_test():
    space = pada.spaces.sub_space([2, 2])
    sampler = samplers.ConnectedPaths(space, lambda arch: 1 in arch, seed=0)
    assert {str(sampler.next_path()) for _ in range(50)} == {"01", "10", "11"}
    assert sampler.distribution() == pytest.approx(np.array([[1 / 3, 2 / 3]] * 2))


def test_exceptions_of_functions_are_raised():
    with pytest.raises(ZeroDivisionError):
        samplers.ConnectedPaths([2, 2], lambda arch: 1 / 0)
    sampler = samplers.ParetoPaths([2, 2], lambda arch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sampler.observe("01", [0.0, 1.0], 1.0)


def test_the_norms_of_images_are_the_gradients_at_the_logits():
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], "float32")
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = np.linalg.norm(p - np.eye(3)[[1, 2]], axis=1)
    assert samplers.image_norms(logits, np.array([1, 2])) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(pada.InputError, match="B, K"):
        samplers.image_norms(logits, np.array([1]))
    for labels in ([1, -1], [1, 3], [1.0, 2.0]):
        with pytest.raises(pada.InputError, match="integers from 0 to 2"):
            samplers.image_norms(logits, np.array(labels))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: samplers.PathImportance("nb201", smoothing=(0, 2)), "smoothing.last is 2, but it must be in 0..=1"),
        (lambda: samplers.PathImportance("nb201", variant="papr"), "unknown variant `papr`"),
        (lambda: samplers.FairPaths([2, 3]), "the number of operations is 3"),
        (lambda: samplers.FairPaths("nb201").next_path(), "draws 5 paths per step"),
        (lambda: samplers.UniformPaths("nb201").observe("33333", [0] * 6), None),
        (lambda: samplers.PathImportance("nb201").observe("33333", [0] * 6), "is not in the space"),
        (lambda: samplers.PathImportance("nb201").observe("333333", [1.0]), "has 1 gradient norms, but 6 are needed"),
        (lambda: samplers.PathImportance("nb201").observe("333333", [-1.0] * 6), "must be finite and not negative"),
        (lambda: samplers.PathImportance("nb201").end_epoch(3, 3), "epoch 3 does not exist"),
        (lambda: samplers.PathImportance("nb201", seed=-1), "an integer of 0 or more"),
        (lambda: pada.Rng(-1), "an integer of 0 or more"),
        (lambda: samplers.DataImportance(0), "nothing to sample from"),
        (lambda: samplers.DataImportance(5).observe([7], [1.0]), "image 7 does not exist"),
        (lambda: samplers.DataImportance(5).observe([-1], [1.0]), "integers from 0 to 4294967295"),
        (lambda: samplers.DataImportance(5).observe([1, 2], [1.0]), "has 1 gradient norms, but 2"),
        (
            lambda: samplers.DataImportance(5).load_state_dict(samplers.DataImportance(6).state_dict()),
            "6 elements instead of 5",
        ),
        (
            lambda: samplers.PathImportance("nb201").load_state_dict(samplers.UniformData(6).state_dict()),
            "belongs to `stateless`",
        ),
        (lambda: samplers.UniformPaths("nb201").load_state_dict({}), "keys 'sampler' and 'rng'"),
    ],
)
def test_misuse_is_an_error_with_a_reason(call, text):
    if text is None:
        return call()  # a sampler that does not learn ignores what it is told
    with pytest.raises(pada.InputError) as error:
        call()
    assert text in str(error.value)
