"""Whole runs: training of a supernet, ranking, report, search and export, with the code of the program ``pada``."""

from __future__ import annotations

import csv
import html
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from pada import _native
from pada._arrays import frame as _frame, seed_of
from pada._progress import Observer, ProgressLike
from pada.errors import InputError, RunError
from pada.nasbench import PathLike, data_dir as _data_dir
from pada.search import FoundArch, SearchResult, _assignments, _job, _limit
from pada.spaces import Arch, ArchLike, SearchSpace, space as _space

__all__ = ["Report", "Run", "SupernetSearch", "differentiable_search", "load", "report", "resume", "retrain", "train", "zero_cost"]

#: The name of a config file, or its content as a dict. ``None`` is PA&DA on the embedded images.
ConfigLike = Union[PathLike, Mapping[str, Any], None]


def _place(data_dir: Optional[PathLike], device: str, checkpoint_every: Optional[float] = None) -> str:
    return json.dumps({"data_dir": _data_dir(data_dir), "device": device, "checkpoint_every": checkpoint_every})


def _without_none(table: Mapping[str, Any]) -> Dict[str, Any]:
    """Writes ``None`` as the value that unsets a key in a config."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else "none" if value is None else value
        for key, value in table.items()
    }


def _text(arch: ArchLike) -> str:
    """Returns the text of an architecture; a text may have any form that the space knows."""
    return arch if isinstance(arch, str) else str(Arch(arch))


def _new(
    config: ConfigLike, set: Optional[Mapping[str, Any]], seed: Optional[int], out: Optional[PathLike]
) -> Dict[str, Any]:
    return {
        "file": None if config is None or isinstance(config, Mapping) else str(Path(config).expanduser()),
        "table": _without_none(config) if isinstance(config, Mapping) else None,
        "assignments": _assignments(_without_none(set or {})),
        "seed": None if seed is None else seed_of(seed),
        "out": None if out is None else str(Path(out).expanduser()),
    }


def _start(
    config: ConfigLike,
    set: Optional[Mapping[str, Any]],
    seed: Optional[int],
    arch: Optional[str],
    out: Optional[PathLike],
    place: str,
    progress: ProgressLike,
) -> "Run":
    run = {**_new(config, set, seed, out), "arch": arch}
    with Observer(progress) as observer:
        return Run(_native.train(json.dumps(run), place, observer))


def train(
    config: ConfigLike = None,
    *,
    set: Optional[Mapping[str, Any]] = None,
    seed: Optional[int] = None,
    out: Optional[PathLike] = None,
    device: str = "auto",
    data_dir: Optional[PathLike] = None,
    checkpoint_every: float = 60.0,
    progress: ProgressLike = True,
) -> "Run":
    """Trains a supernet, ranks architectures with it, and compares the ranking with benchmark tables.

    It is the same run as ``pada train``, and writes the same run folder.

    - ``config``: a TOML file, or a dict with its sections, for example ``{"train": {"epochs": 5}}``. Without one the run
      is PA&DA on the embedded images, which takes about a minute on two cores.
    - ``set``: changes of the config, for example ``{"train.epochs": 5}``.
    - ``out``: the folder to create, by default ``runs/<name>-s<seed>-<number>``.
    - ``device``: ``auto``, ``cpu`` or ``cuda:N``.
    - ``progress``: ``True`` for a bar, ``False`` for none, or a function that receives a dict with the key ``event``:
      ``step``, ``epoch`` (with the record of the epoch) or ``scored``. An exception of this function stops the run.

    Ctrl-C (in a notebook, the stop button) stops the run after a checkpoint. The exception has the attribute
    ``folder``; :func:`resume` continues there, bit for bit.
    """
    return _start(config, set, seed, None, out, _place(data_dir, device, checkpoint_every), progress)


def retrain(
    arch: Optional[ArchLike] = None,
    config: ConfigLike = None,
    *,
    set: Optional[Mapping[str, Any]] = None,
    seed: Optional[int] = None,
    out: Optional[PathLike] = None,
    device: str = "auto",
    data_dir: Optional[PathLike] = None,
    checkpoint_every: float = 60.0,
    progress: ProgressLike = True,
) -> "Run":
    """Trains one architecture from scratch, as ``pada retrain``. The other arguments are those of :func:`train`.

    ``arch`` may be the name of a published network of darts or proxyless, and may be left out if the config has it.
    """
    text = "" if arch is None else _text(arch)
    return _start(config, set, seed, text, out, _place(data_dir, device, checkpoint_every), progress)


def resume(
    folder: PathLike,
    *,
    device: str = "auto",
    data_dir: Optional[PathLike] = None,
    checkpoint_every: float = 60.0,
    progress: ProgressLike = True,
) -> "Run":
    """Continues the run of a folder from its last checkpoint, as ``pada --resume``."""
    with Observer(progress) as observer:
        _native.resume(os.fspath(folder), _place(data_dir, device, checkpoint_every), observer)
    return Run(folder)


def load(folder: PathLike) -> "Run":
    """Returns the run of a folder that ``pada`` or this package wrote."""
    run = Run(folder)
    if not (run.folder / "config.toml").is_file():
        raise InputError(f"{run.folder} is not a run folder: it has no config.toml")
    return run


class SupernetSearch:
    """The result of :func:`differentiable_search`."""

    def __init__(self, found: Dict[str, Any]) -> None:
        #: The architecture that was found. Its score is the accuracy with the shared weights.
        self.found = FoundArch(**found["found"])
        #: The names of the operations, in digit order.
        self.ops: List[str] = found["ops"]
        #: The mixtures of operations after each epoch, as in the record: ``arch``, ``probabilities`` and others.
        self.epochs: List[Dict[str, Any]] = found["epochs"]
        #: The index of the sub-supernet whose architecture was found, if the supernet was split.
        self.sub_supernet: Optional[int] = found["sub_supernet"]
        #: The highest accuracy of the benchmark table, in percent.
        self.ceiling: Optional[float] = found["ceiling"]
        #: The images of the score, and those of the test if they are others.
        self.selected_on: str = found["selected_on"]
        self.tested_on: Optional[str] = found["tested_on"]
        #: Seconds of the training.
        self.train_seconds: float = found["train_seconds"]
        #: The run, with its folder, record and report.
        self.run = Run(found["folder"])

    def frame(self, frame: str = "auto") -> Any:
        """Returns one row per epoch as a data frame (see :func:`pada.nasbench.load`).

        The columns are ``epoch``, ``arch`` (the strongest architecture), ``validation_accuracy`` in percent, and the mean
        probability of each operation over all decisions that have it.
        """

        def mean(epoch: Dict[str, Any], op: int) -> float:
            pairs = zip(epoch["ops"], epoch["probabilities"])
            shares = [probs[ops.index(op)] for ops, probs in pairs if op in ops]
            return sum(shares) / len(shares) if shares else float("nan")

        columns: Dict[str, Any] = {
            "epoch": list(range(1, len(self.epochs) + 1)),
            "arch": [epoch["arch"] for epoch in self.epochs],
            "validation_accuracy": [epoch.get("validation_accuracy", float("nan")) for epoch in self.epochs],
        }
        columns.update({name: [mean(epoch, op) for epoch in self.epochs] for op, name in enumerate(self.ops)})
        return _frame(columns, frame)

    def __repr__(self) -> str:
        return f"<search: {self.found.arch} after {len(self.epochs)} epochs, in {self.run.folder}>"


def differentiable_search(
    method: str = "darts",
    config: ConfigLike = None,
    *,
    set: Optional[Mapping[str, Any]] = None,
    seed: Optional[int] = None,
    truth: Optional[str] = None,
    out: Optional[PathLike] = None,
    device: str = "auto",
    data_dir: Optional[PathLike] = None,
    checkpoint_every: float = 60.0,
    progress: ProgressLike = True,
) -> SupernetSearch:
    """Searches by training a supernet together with architecture parameters, as ``pada search --method darts``.

    - ``method``: ``darts``, ``pc-darts``, ``darts-pt``, ``gdas``, ``gdas-nsas``, ``snas``, ``proxyless-nas``, ``fbnet``,
      ``zarts``, ``balenas``, ``agnas``, or ``enas``, whose controller is trained in turn with the weights.
    - ``config``: a config of any supernet run, as in :func:`train`; the embedded images by default.
    - ``set``: settings of the method, for example ``{"order": "second"}``, and keys of other sections with their section:
      ``{"train.epochs": 50}``. ``docs/searchers.md`` lists them.
    - ``truth``: the benchmark table in which the result is looked up.

    After Ctrl-C, the same call continues from the last checkpoint.
    """
    search = {**_new(config, set, seed, out), "method": method, "truth": truth}
    with Observer(progress) as observer:
        found = _native.search_supernet(json.dumps(search), _place(data_dir, device, checkpoint_every), observer)
    return SupernetSearch(json.loads(found))


class Report:
    """An HTML page about runs, which a notebook shows inline."""

    def __init__(self, path: PathLike) -> None:
        #: The file, which needs no network connection.
        self.path = Path(path)

    def html(self) -> str:
        """Returns the page."""
        return self.path.read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        # A frame of its own keeps the styles of the page away from those of the notebook.
        source = html.escape(self.html(), quote=True)
        return f'<iframe srcdoc="{source}" style="width: 100%; height: 40em; border: 1px solid #ccc"></iframe>'

    def __repr__(self) -> str:
        return f"<report {self.path}>"


def report(
    *runs: Union["Run", PathLike], out: Optional[PathLike] = None, data_dir: Optional[PathLike] = None
) -> Report:
    """Writes one page about one or several runs, finished or running, as ``pada report``."""
    folders = [run.folder if isinstance(run, Run) else Path(run).expanduser() for run in runs]
    out = None if out is None else Path(out).expanduser()
    if not folders:
        raise InputError("a report needs at least one run")
    return Report(_native.write_report(folders, out, _data_dir(data_dir)))


class Run:
    """A run on disk. :func:`train`, :func:`resume` and :func:`load` return it."""

    def __init__(self, folder: PathLike) -> None:
        #: The run folder.
        self.folder = Path(folder).expanduser()

    def __repr__(self) -> str:
        return f"<run {self.folder}>"

    @property
    def record(self) -> Dict[str, Any]:
        """The record of the run: curves, the best architectures, agreement with benchmark tables."""
        try:
            text = (self.folder / "record.json").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RunError(f"{self.folder} has no record.json yet; continue it: pada.resume({str(self.folder)!r})") from error
        record: Dict[str, Any] = json.loads(text)
        return record

    @property
    def config(self) -> str:
        """The resolved config as TOML, which alone reproduces the run."""
        return (self.folder / "config.toml").read_text(encoding="utf-8")

    def scores(self, frame: str = "auto") -> Any:
        """Returns the scores of all ranked architectures as a data frame (see :func:`pada.nasbench.load`).

        The columns are those of ``ranking.csv``: ``arch``, ``accuracy`` with the weights of the supernet in percent,
        the zero-cost scores and the fused score.
        """
        try:
            file = (self.folder / "ranking.csv").open(encoding="utf-8", newline="")
        except FileNotFoundError as error:
            raise RunError(f"{self.folder} is not ranked yet; continue it: pada.resume({str(self.folder)!r})") from error
        with file:
            rows = list(csv.DictReader(file))
        columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
        return _frame({name: _numbers(name, column) for name, column in columns.items()}, frame)

    def report(self, *, out: Optional[PathLike] = None, data_dir: Optional[PathLike] = None) -> Report:
        """Writes the report of the run, by default ``report.html`` in its folder, and shows it in a notebook."""
        return report(self, out=out, data_dir=data_dir)

    def evaluate(
        self, archs: Union[str, Arch, Iterable[ArchLike]], *, device: str = "auto", data_dir: Optional[PathLike] = None
    ) -> Any:
        """Scores architectures with the weights of the run: accuracies in percent, an array ``[A]``.

        One architecture, a text or a :class:`pada.Arch`, stands for a list of one.
        """
        archs = [archs] if isinstance(archs, (str, Arch)) else archs
        texts = [_text(arch) for arch in archs]
        return _native.evaluate(self.folder, texts, _place(data_dir, device))

    def search(
        self,
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
        fuse: Union[str, Sequence[str]] = (),
        fusion: str = "log-ranks",
        out: Optional[PathLike] = None,
        device: str = "auto",
        data_dir: Optional[PathLike] = None,
        progress: ProgressLike = True,
    ) -> SearchResult:
        """Searches the supernet for the best architectures under limits, as ``pada search``.

        ``settings`` are those of the method, for example ``{"population": 20}``. Ctrl-C keeps the scores so far, and
        the same call continues with them.
        """
        options = {
            "cost": cost,
            "max_macs": _limit("max_macs", max_macs),
            "max_params": _limit("max_params", max_params),
            "max_latency": max_latency,
            "latency": latency,
            "seed": seed,
            "top": top,
            "fuse": fuse,
            "fusion": fusion,
        }
        job = _job(out or self.folder / "search", method, settings, options)
        with Observer(progress) as observer:
            found = _native.search_folder(self.folder, job, _place(data_dir, device), observer)
        return SearchResult(json.loads(found))

    def export(
        self,
        arch: Optional[ArchLike],
        file: PathLike,
        *,
        format: Optional[str] = None,
        overwrite: bool = False,
        recalibrate: Optional[int] = None,
        device: str = "auto",
        data_dir: Optional[PathLike] = None,
    ) -> Dict[str, Any]:
        """Exports one architecture with its weights, as ``pada export``, and returns a description.

        ``format`` is ``"onnx"``, ``"safetensors"`` or ``"pytorch"``, by default that of the ending of ``file``.
        ``"pytorch"`` writes a state dict and, beside it, a ``.py`` file with a module that loads it, whose name Python can
        import: ``my_net.py`` beside ``my-net.pt``. ``recalibrate`` is the number of training images for the statistics of
        the batch norms. ``arch`` is ``None`` for a retrained network.
        """
        file = Path(file).expanduser()
        text = None if arch is None else _text(arch)
        place = _place(data_dir, device)
        about: Dict[str, Any] = json.loads(
            _native.export(self.folder, text, file, format, overwrite, recalibrate, place)
        )
        return about


def _numbers(name: str, column: List[str]) -> Any:
    """Returns a column as numbers, with NaN where there is none. Architectures stay text: they start with zeros."""
    if name == "arch":
        return column
    try:
        numbers = [float(text) if text else float("nan") for text in column]
    except ValueError:
        return column
    import numpy as np

    return np.array(numbers)


def zero_cost(
    scores: Union[str, Sequence[str]] = ("active-conv-params", "jacov", "synflow"),
    archs: Union[str, Iterable[ArchLike]] = "random:100",
    *,
    space: Union[SearchSpace, str] = "nb201",
    channels: Optional[int] = None,
    cells: Optional[int] = None,
    data: str = "mini",
    image_size: Optional[int] = None,
    test_images: bool = False,
    images: int = 64,
    seed: int = 0,
    weights: Optional[PathLike] = None,
    frame: str = "auto",
    data_dir: Optional[PathLike] = None,
    progress: ProgressLike = True,
) -> Any:
    """Computes zero-cost scores, which need no training, as ``pada score``. Returns a data frame with the column ``arch``.

    - ``scores``: for example ``synflow``, ``jacov``, ``nwot``, ``zen``, ``az-nas``; ``docs/ranking.md`` lists all.
    - ``archs``: architectures, or ``"all"``, ``"random:100"``, or the name of a file with one per line. Of a list, the
      frame has one row per entry, and an architecture that occurs several times is scored once.
    - ``channels``, ``cells``: the size of the network; 16 channels and 5 cells per stage in nb201 by default.
    - ``data``: ``mini``, ``cifar10``, ``cifar100``, or a folder (with ``image_size`` for photographs).
    - ``images``: the first images of the training set, or of the test set with ``test_images``.
    - ``weights``: a file with the weights of a supernet, in place of initial ones.

    Scores that are not defined for an architecture are −∞; :func:`pada.metrics.finite_scores` makes them finite.
    """
    import tempfile

    space = _space(space) if isinstance(space, str) else space
    job: Dict[str, Any] = {
        "space": space.name,
        "channels": channels,
        "cells": cells,
        "data": data,
        "image_size": image_size,
        "test_images": test_images,
        "images": images,
        "seed": seed_of(seed),
        "weights": None if weights is None else str(Path(weights).expanduser()),
        "scores": [scores] if isinstance(scores, str) else list(scores),
    }
    rows = None if isinstance(archs, str) else [str(space.parse(arch)) for arch in archs]
    if rows is not None and not rows:
        raise InputError("the list of architectures is empty; a score needs at least one")
    with tempfile.TemporaryDirectory() as folder, Observer(progress) as observer:
        if rows is None:
            job["archs"] = str(Path(archs).expanduser()) if str(archs).startswith("~") else archs
        else:
            file = Path(folder) / "archs.txt"
            file.write_text("".join(f"{arch}\n" for arch in dict.fromkeys(rows)), encoding="utf-8")
            job["archs"] = str(file)
        found, columns = _native.zero_cost(json.dumps(job), _place(data_dir, "cpu"), observer)
    texts = [str(arch) for arch in found]
    if rows is None:
        return _frame({"arch": texts, **dict(columns)}, frame)
    place_of = {text: number for number, text in enumerate(texts)}
    places = [place_of[text] for text in rows]
    return _frame({"arch": rows, **{name: column[places] for name, column in columns}}, frame)
