"""Tables of trained architectures.

>>> import pada
>>> table = pada.nasbench.load("mini", frame="dict")
>>> len(table["arch"])
300
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional, Union

from pada import _native
from pada._arrays import frame as _frame
from pada.spaces import SearchSpace, _native_space

__all__ = ["download", "load", "load_csv"]

PathLike = Union[str, "os.PathLike[str]"]


def data_dir(given: Optional[PathLike] = None) -> str:
    """Returns the folder of downloads: the given one, else ``$PADA_DATA``, else ``data``."""
    return str(Path(given or os.environ.get("PADA_DATA") or "data").expanduser())


def load(name: str, *, data_dir: Optional[PathLike] = None, frame: str = "auto") -> Any:
    """Reads a benchmark table: the column ``arch``, and columns of numbers.

    ``name`` is ``mini`` (embedded), ``nb201``, ``nb201-cifar100``, ``nb201-imagenet16``, ``nas-bench-macro``,
    ``darts-214`` or ``darts-1000``. All but ``mini`` must have been downloaded (:func:`download`) into the data folder:
    ``data_dir``, else ``$PADA_DATA``, else ``data``. ``nb201`` has the accuracies of all three data sets after 12 and
    200 epochs, parameters and MFLOPs; the other tables have ``accuracy`` in percent, and one column per seed.

    ``frame`` is ``"pandas"``, ``"polars"``, ``"dict"``, or ``"auto"`` for the first of them that is installed.
    Architectures are digits; ``space.parse`` reads them.
    """
    return _columns(*_native.load_table(name, _data_dir(data_dir), None), frame)


def load_csv(path: PathLike, space: Union[SearchSpace, str], *, frame: str = "auto") -> Any:
    """Reads your own table: a CSV file with the columns ``arch``, ``accuracy`` and, optionally, ``seed``.

    With a column ``seed``, the accuracy of an architecture is the mean over its seeds.
    """
    return _columns(*_native.load_table(str(Path(path).expanduser()), "", _native_space(space)), frame)


def download(
    name: str, *, data_dir: Optional[PathLike] = None, source: Optional[PathLike] = None, progress: bool = True
) -> "list[Path]":
    """Downloads a data set or a table into the data folder, verified with SHA-256, and returns its files.

    ``name`` is a table of :func:`load`, ``cifar10``, ``cifar100``, ``few-shot-scores`` or ``nb201-proxies``. The folder
    ``source`` is tried first. An interrupted download continues where it stopped.
    """
    from pada._progress import Bar

    source = None if source is None else Path(source).expanduser()
    with Bar(progress) as bar:
        files = _native.download(name, _data_dir(data_dir), source, lambda done, total: bar.show(name, done, total))
    return [Path(file) for file in files]


_data_dir = data_dir


def _columns(archs: Any, columns: Any, kind: str) -> Any:
    return _frame({"arch": [str(arch) for arch in archs], **dict(columns)}, kind)
