"""Search methods by ask and tell, over a score of your own.

>>> import pada
>>> search = pada.search.Searcher("nb201", "ageing-evolution", samples=30, seed=0)
>>> while (request := search.ask()) is not None:
...     search.tell(request.arch.count(3))  # any score, larger is better
>>> search.best().arch
Arch('...')
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from pada import _native
from pada._arrays import seed_of
from pada._native import Arch, SubSpace
from pada.errors import InputError
from pada.nasbench import PathLike, data_dir as _data_dir
from pada.spaces import SearchSpace, _native_space

__all__ = ["Evaluated", "FoundArch", "Request", "Searcher", "SearchResult", "search_table"]


class Request(NamedTuple):
    """An architecture whose score a search needs."""

    arch: Arch
    #: True if a cheap estimate is enough, for example the accuracy on few images. Only ``random-nas`` asks for one.
    quick: bool


class Evaluated(NamedTuple):
    """An evaluated architecture."""

    arch: Arch
    #: Larger is better.
    score: float
    #: Smaller is better.
    cost: float


def _toml(value: Any) -> str:
    """Writes a value as TOML. Texts are quoted, so that ``"2024"`` stays a text."""
    if hasattr(value, "tolist"):  # numbers and arrays of NumPy, tensors
        value = value.tolist()
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, os.PathLike):
        return _toml(os.fspath(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_toml(str(key))} = {_toml(item)}' for key, item in value.items())}}}"
    raise InputError(f"{value!r} is no value of a setting; use numbers, texts, booleans, lists or dicts")


def _assignments(settings: Mapping[str, Any]) -> List[str]:
    """Writes settings as ``key=value`` in TOML: ``predictor={"trees": {"depth": 3}}`` is ``predictor.trees.depth=3``.

    ``predictor={"trees": {}}`` is ``predictor="trees"``, and ``None`` leaves a setting as it is.
    """
    found = []
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            (name, rest), *others = value.items()
            if isinstance(rest, Mapping) and not rest and not others:
                found.append(f"{key}={_toml(name)}")
            else:
                found += [f"{key}.{rest}" for rest in _assignments(value)]
        elif value is not None:
            found.append(f"{key}={_toml(value)}")
    return found


class Searcher:
    """A search method that is asked for architectures and told their scores.

    - ``space``: a search space, or the name of one.
    - ``method``: ``random``, ``evolution``, ``pareto``, ``ageing-evolution``, ``reinforce``, ``enas``, ``pnas``,
      ``predictor`` or ``random-nas``.
    - ``sub_space``: the part of the space that is searched; all by default.
    - ``constraint``: a function of an architecture; only those for which it is true are asked for.
    - ``settings``: those of the method, for example ``population=20``; ``docs/searchers.md`` lists them.

    The same seed and the same scores visit the same architectures as in Rust. Architectures that compute the same
    function of shared weights are asked for once.
    """

    def __init__(
        self,
        space: Union[SearchSpace, str],
        method: str = "evolution",
        *,
        seed: int = 0,
        sub_space: Optional[SubSpace] = None,
        constraint: Optional[Callable[[Arch], bool]] = None,
        **settings: Any,
    ) -> None:
        native = _native_space(space)
        self._search = _native.AskTell(native, sub_space, method, _assignments(settings), seed_of(seed))
        self._constraint = constraint

    def ask(self) -> Optional[Request]:
        """Returns the next architecture to score, or ``None`` if the search is finished.

        Until its score is told, it is the same one. An exception of the constraint is raised here; architectures that the
        method drew in this call are not asked for.
        """
        asked = self._search.ask(self._constraint)
        return None if asked is None else Request(*asked)

    def tell(self, score: Optional[float], cost: float = 0.0) -> None:
        """Receives the score of the architecture that was asked for last; ``None`` if it cannot be scored.

        Only ``pareto`` (and ``reinforce`` with a target) trades the cost off against the score; the other methods use
        it to order architectures of equal score.
        """
        self._search.tell(None if score is None else float(score), float(cost))

    def run(
        self, score: Callable[[Arch], Optional[float]], cost: Optional[Callable[[Arch], float]] = None
    ) -> Optional[Evaluated]:
        """Asks and tells until the search is finished, and returns the best architecture."""
        while (request := self.ask()) is not None:
            self.tell(score(request.arch), 0.0 if cost is None else cost(request.arch))
        return self.best()

    def best(self) -> Optional[Evaluated]:
        """Returns the best architecture so far, or ``None`` before the first score."""
        return next(iter(self.best_n(1)), None)

    def best_n(self, n: int) -> List[Evaluated]:
        """Returns the ``n`` best architectures, best first. Of equal scores, the lower cost comes first."""
        return [Evaluated(*found) for found in self._search.best(n)]

    @property
    def history(self) -> List[Evaluated]:
        """Every evaluated architecture, in the order of evaluation."""
        return [Evaluated(*found) for found in self._search.evaluated()]

    @property
    def failed(self) -> List[Arch]:
        """The architectures that could not be scored."""
        return self._search.failed()

    def state_dict(self) -> Dict[str, Any]:
        """Returns the whole search as a dict of plain values, also while an architecture waits for its score."""
        state: Dict[str, Any] = json.loads(self._search.state())
        return state

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Continues the search of a state that :meth:`state_dict` returned. The constraint is not part of it.

        Raises :class:`pada.InputError` if the state belongs to another space, another part of it, or another method.
        """
        self._search.restore(json.dumps(state))


class FoundArch(NamedTuple):
    """An architecture of the result of a search."""

    #: The architecture as digits.
    arch: str
    #: The architecture in the notation of the benchmarks of its space.
    text: str
    #: Accuracy on the images that the search selected on, or the score in the table, in percent.
    score: float
    #: Accuracy on test images, if the search selected on others.
    test: Optional[float]
    #: The fused score, if scores were fused.
    fused: Optional[float]
    #: Parameters of the stand-alone network.
    params: int
    #: Multiply-adds of the stand-alone network for one image.
    macs: int
    #: Latency from the file of latencies.
    latency: Optional[float]
    #: Stand-alone accuracy in the benchmark table, in percent.
    truth: Optional[float]


class SearchResult:
    """The result of a search with a trained supernet or a table: a sequence of architectures, best first."""

    def __init__(self, found: Dict[str, Any]) -> None:
        self.archs: List[FoundArch] = [FoundArch(**arch) for arch in found.pop("archs")]
        #: The highest accuracy of the benchmark table, in percent.
        self.ceiling: Optional[float] = found["ceiling"]
        #: The number of different architectures that were visited, and of those that were scored now.
        self.visited: int = found["visited"]
        self.scored: int = found["scored"]
        self.seconds: float = found["seconds"]
        #: The images or the table that the search selected on, for example ``2000 images of mini test``.
        self.selected_on: str = found["selected_on"]
        #: Whether these are test images, so that the scores are optimistic.
        self.on_test_images: bool = found["on_test_images"]
        self.tested_on: Optional[str] = found["tested_on"]
        #: The CSV file of the result.
        self.file = Path(found["file"])

    def __len__(self) -> int:
        return len(self.archs)

    def __getitem__(self, index: int) -> FoundArch:
        return self.archs[index]

    def frame(self, frame: str = "auto") -> Any:
        """Returns the architectures as a data frame, see :func:`pada.nasbench.load`."""
        from pada._arrays import frame as as_frame

        columns = {name: [getattr(arch, name) for arch in self.archs] for name in FoundArch._fields}
        return as_frame(columns, frame)

    def __repr__(self) -> str:
        best = f"; the best is {self.archs[0].arch} with {self.archs[0].score:.2f} %" if self.archs else ""
        return f"<search result: {len(self.archs)} of {self.visited} visited architectures{best}>"


def _limit(name: str, limit: Optional[float]) -> Optional[int]:
    """Reads a limit such as ``300e6``, which is a float in Python."""
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit != limit or limit < 1:
        raise InputError(f"{name} is {limit!r}; it must be a number of 1 or more")
    if limit == float("inf"):
        return None
    return int(limit)


def _job(out: PathLike, method: str, settings: Optional[Dict[str, Any]], options: Dict[str, Any]) -> str:
    latency, fuse = options.pop("latency"), options.pop("fuse")
    job = {
        "method": method,
        "settings": _assignments(settings or {}),
        "latency": None if latency is None else str(Path(latency).expanduser()),
        "fuse": [fuse] if isinstance(fuse, str) else list(fuse or []),
        "out": str(Path(out).expanduser()),
        **options,
        "seed": seed_of(options["seed"]),
    }
    return json.dumps(job)


def search_table(
    scores: str,
    method: str = "evolution",
    *,
    settings: Optional[Dict[str, Any]] = None,
    cost: Optional[str] = None,
    max_macs: Optional[float] = None,
    max_params: Optional[float] = None,
    max_latency: Optional[float] = None,
    latency: Optional[PathLike] = None,
    seed: int = 0,
    top: int = 10,
    out: Optional[PathLike] = None,
    data_dir: Optional[PathLike] = None,
) -> SearchResult:
    """Searches a benchmark table in seconds, as ``pada search --scores``.

    ``scores`` is a table, such as ``mini`` or ``nb201``, or a column of NAS-Bench-201 such as
    ``nb201:cifar10_valid_12``. ``settings`` are those of the method, ``out`` is a folder for the result,
    by default ``runs/search-TABLE``.
    """
    options = {
        "cost": cost,
        "max_macs": _limit("max_macs", max_macs),
        "max_params": _limit("max_params", max_params),
        "max_latency": max_latency,
        "latency": latency,
        "seed": seed,
        "top": top,
        "fuse": None,
        "fusion": "log-ranks",
    }
    folder = out or Path("runs") / f"search-{scores}".replace(":", "-")
    found = _native.search_scores(scores, _job(folder, method, settings, options), _data_dir(data_dir))
    return SearchResult(json.loads(found))
