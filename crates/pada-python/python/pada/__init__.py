"""One-shot neural architecture search: samplers, spaces, tables, metrics, zero-cost scores, searches and whole runs.

>>> import pada
>>> run = pada.train(set={"train.epochs": 2})  # PA&DA on embedded images
>>> run.report()  # shown in a notebook

The package calls the Rust crates of the program ``pada``, so that its numbers and its run folders are the same.
"""

from pada import metrics, nasbench, samplers, search, spaces
from pada._native import Arch, Rng, SubSpace, set_threads
from pada._native import version as _version
from pada.errors import InputError, PadaError, RunError, Stopped
from pada.metrics import fuse
from pada.nasbench import download
from pada.runs import Report, Run, SupernetSearch, differentiable_search, load, report, resume, retrain, train, zero_cost

__version__ = _version()

__all__ = [
    "Arch",
    "InputError",
    "PadaError",
    "Report",
    "Rng",
    "Run",
    "RunError",
    "Stopped",
    "SubSpace",
    "SupernetSearch",
    "differentiable_search",
    "download",
    "fuse",
    "load",
    "metrics",
    "nasbench",
    "report",
    "resume",
    "retrain",
    "samplers",
    "search",
    "set_threads",
    "spaces",
    "train",
    "zero_cost",
]
