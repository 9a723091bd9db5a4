import json

import numpy as np
import pytest

import pada
from pada.search import Searcher


def value(arch):
    return sum((op * 7 + e * 3) % 5 for e, op in enumerate(arch))


def cost(arch):
    return arch.count(2) + 3 * arch.count(3)


def fnv(found):
    """The hash of crates/pada-search/tests/search/golden.rs."""
    hash = 0xCBF29CE484222325
    for byte in "".join(f"{arch},{score:g},{cost:g};" for arch, score, cost in found).encode():
        hash = ((hash ^ byte) * 0x100000001B3) % 2**64
    return hash


EVOLUTION = {"population": 20, "generations": 6, "crossover": 10, "mutation": 10, "parents": 5}
PARETO = {"population": 20, "generations": 6, "mutation_rate": 0.1}


@pytest.mark.parametrize(
    ("space", "method", "settings", "expected"),
    [
        ("nb201", "random", {"samples": 100}, (100, 11555546542676710961)),
        ("darts", "random", {"samples": 100}, (100, 3508222882721448044)),
        ("nb201", "evolution", EVOLUTION, (114, 517605666995658417)),
        ("darts", "evolution", EVOLUTION, (140, 9663866967655876110)),
        ("nb201", "pareto", PARETO, (140, 12820870989804262355)),
        ("darts", "pareto", PARETO, (140, 12890862733899563817)),
    ],
)
def test_searches_visit_what_rust_visits(space, method, settings, expected):
    search = Searcher(space, method, seed=11, constraint=lambda arch: arch.count(1) < 4, **settings)
    best = search.run(value, cost)
    assert (len(search.history), fnv(search.history)) == expected
    assert best == search.best_n(3)[0] and best.score == max(found.score for found in search.history)


def test_a_search_continues_from_its_state():
    settings = {"population": 10, "samples": 40}
    whole = Searcher("nb201", "ageing-evolution", seed=1, **settings)
    whole.run(value)
    part = Searcher("nb201", "ageing-evolution", seed=1, **settings)
    for _ in range(17):
        part.ask()
        part.tell(value(part.ask().arch))
    waiting = part.ask()
    other = Searcher("nb201", "ageing-evolution", seed=9, **settings)
    other.load_state_dict(json.loads(json.dumps(part.state_dict())))
    assert other.ask() == waiting
    other.run(value)
    assert other.history == whole.history


def test_failures_and_limits_are_kept():
    search = Searcher("nb201", "random", samples=30, sub_space=pada.spaces.nb201().sub_space(["nor_conv_3x3", "none"]))
    search.run(lambda arch: None if arch.count(3) == 2 else arch.count(3))
    assert search.failed and all(set(found.arch) <= {0, 3} for found in search.history)
    assert Searcher("nb201").best() is None


def test_a_quick_score_is_asked_for():
    search = Searcher("nb201", "random-nas", rounds=1, archs=5, finalists=2)
    kinds = []
    while (request := search.ask()) is not None:
        kinds.append(request.quick)
        search.tell(value(request.arch))
    assert kinds == [True] * 5 + [False] * 2


def test_a_table_is_searched(tmp_path):
    found = pada.search.search_table("mini", "evolution", settings=EVOLUTION, out=tmp_path / "search", top=3)
    assert len(found) == 3 and found[0].score <= found.ceiling and found.file.is_file()
    assert found.frame("dict")["arch"][0] == found[0].arch and "visited architectures" in repr(found)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Searcher("nb201", "evolve"), "ageing-evolution"),
        (lambda: Searcher("nb201", popluation=3), "popluation"),
        (lambda: Searcher("nb201", population=0), "population is 0, but it must be at least 1"),
        (lambda: Searcher("nb201", seed=-1), "the seed is -1"),
        (lambda: Searcher("nb201", population={"size": {}}), "population"),
        (lambda: Searcher("nb201", population=object()), "no value of a setting"),
        (lambda: Searcher("nb201").tell(1.0), "ask for one first"),
        (lambda: Searcher("nb201", constraint=lambda arch: False).ask(), "relax them"),
        (lambda: Searcher("nb201").run(lambda arch: float("nan")), "is NaN"),
        (lambda: pada.search.search_table("mini", cost="watts"), "macs, params or latency"),
    ],
)
def test_misuse_is_an_error_with_a_reason(call, text):
    with pytest.raises(pada.InputError) as error:
        call()
    assert text in str(error.value)


def test_an_exception_of_the_constraint_is_raised():
    with pytest.raises(ZeroDivisionError):
        Searcher("nb201", constraint=lambda arch: 1 / 0).ask()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_infeasible_is_asked_for_after_an_exception_of_the_constraint(error):
    failing = True

    def constraint(arch):
        if failing:
            raise error
        return arch.count(1) >= 2

    for method in ("random", "ageing-evolution", "pareto"):
        failing = True
        search = Searcher("nb201", method, constraint=constraint)
        with pytest.raises(error):
            search.ask()
        failing = False
        request = search.ask()
        assert request is not None and request.arch.count(1) >= 2


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (lambda part: Searcher("darts", "random"), "a search of nb201, but this one searches darts"),
        (lambda part: Searcher("nb201", "random", sub_space=part), "another part of the space"),
        (lambda part: Searcher("nb201", "pareto"), "the method random, but the method of this search is pareto"),
    ],
)
def test_a_state_of_another_search_is_refused(other, text):
    part = pada.spaces.nb201().sub_space(["nor_conv_3x3", "none"])
    search = Searcher("nb201", "random")
    for ask in (False, True):
        if ask:
            search.ask()
        with pytest.raises(pada.InputError) as error:
            other(part).load_state_dict(search.state_dict())
        assert text in str(error.value)


def test_settings_keep_their_types():
    settings = {"name": "2024", "train": {"epochs": np.int64(3), "lr": np.float64(0.5), "flip": True, "warm": None}}
    found = pada.search._assignments(settings)
    assert found == ['name="2024"', "train.epochs=3", "train.lr=0.5", "train.flip=true"]
    found = pada.search._assignments({"a": {"b": ["x", 1], "c": np.arange(2)}, "d": 'q"é', "predictor": {"trees": {}}})
    assert found == ['a.b=["x", 1]', "a.c=[0, 1]", 'd="q\\"é"', 'predictor="trees"']
    Searcher("nb201", "ageing-evolution", population=np.int64(4), samples=None)
    Searcher("nb201", "predictor", predictor={"trees": {}})
