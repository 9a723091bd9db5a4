"""Agreement of two rankings, p-values, intervals and paired differences.

Every metric returns a :class:`Metric`: a ``float`` that can also compute its interval over architectures.

>>> import pada
>>> tau = pada.metrics.kendall_tau([61.2, 48.5, 70.1, 55.0, 66.6], [93.1, 90.2, 94.0, 92.5, 92.4])
>>> round(tau, 3), round(tau.p_value(), 3)
(0.6, 0.233)
>>> tau.interval(method="percentile")
Interval(low=-0.714..., high=1.0, level=0.95, method='percentile', resamples=997)

The values equal those of ``scipy.stats``. Larger scores are better in both lists; negate scores such as a loss.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from pada import _native
from pada._arrays import seed_of, vector
from pada.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "Difference",
    "Interval",
    "Metric",
    "all_metrics",
    "br_at_top",
    "finite_scores",
    "fuse",
    "kendall_tau",
    "mean_interval",
    "p_at_top",
    "paired_difference",
    "partial_tau",
    "pearson",
    "spearman",
    "tau_within",
    "weighted_tau",
]

#: The number of resamples of a bootstrap.
RESAMPLES = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """A confidence interval.

    An interval of a metric says how far the metric would move with another choice of architectures. It says nothing
    about other training seeds.
    """

    low: float
    high: float
    #: The confidence level, in (0, 1).
    level: float
    #: ``"bca"`` or ``"percentile"`` for a bootstrap, otherwise ``None``. If the BCa interval is undefined, the
    #: percentiles are used instead.
    method: Optional[str]
    #: The number of resamples in which the metric is defined; 0 without a bootstrap.
    resamples: int

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{100 * self.level:g} % [{self.low:.3f}, {self.high:.3f}]"


def _interval(found: Tuple[float, float, float, int, Optional[str]]) -> Interval:
    low, high, level, resamples, method = found
    return Interval(low, high, level, method, resamples)


class Metric(float):
    """A metric of a ranking: a number, with the lists that it was computed from."""

    _of: Tuple[Any, ...]

    def __new__(cls, name: str, predicted: Any, truth: Any, third: Any = None, fraction: float = 1.0) -> "Metric":
        # Copies, so that intervals and p-values are those of this metric even if the caller changes the arrays.
        predicted = vector(predicted, what="the list of predicted scores").copy()
        truth = vector(truth, what="the list of ground-truth scores").copy()
        third = third if third is None else vector(third, what="the third list").copy()
        metric = super().__new__(cls, _native.metric(name, predicted, truth, third, fraction))
        metric._of = (name, predicted, truth, third, fraction)
        return metric

    def __reduce__(self) -> Any:
        return Metric, self._of

    def interval(
        self, level: float = LEVEL, *, method: str = "bca", resamples: int = RESAMPLES, seed: int = 0
    ) -> Interval:
        """Computes the bootstrap interval over architectures.

        ``method`` is ``"bca"`` (corrected for bias and skewness, as ``scipy.stats.bootstrap`` does by default) or
        ``"percentile"``. The same seed gives the same interval for any number of threads.
        """
        name, predicted, truth, third, fraction = self._of
        found = _native.metric_interval(
            name, predicted, truth, third, fraction, resamples, level, seed_of(seed), method
        )
        return _interval(found)

    def p_value(self, method: str = "auto") -> float:
        """Computes the two-sided p-value of ``kendall_tau`` or ``spearman`` against random orders.

        For Kendall's tau, ``method`` is ``"auto"``, ``"exact"`` or ``"asymptotic"``, as in ``scipy.stats.kendalltau``.
        For Spearman's correlation it is ``"auto"`` or ``"asymptotic"``, which are the same, as in ``scipy.stats.spearmanr``.
        """
        name, predicted, truth, *_ = self._of
        if name == "spearman" and method == "exact":
            raise InputError("Spearman's correlation has no exact p-value; use method='asymptotic'")
        return _native.p_value(name, predicted, truth, method)


def kendall_tau(predicted: "npt.ArrayLike", truth: "npt.ArrayLike") -> Metric:
    """Computes Kendall's tau-b between predicted and true scores of the same architectures, ``[A]`` each.

    Raises :class:`pada.InputError` if all scores of a list are equal, because a collapsed supernet must not read as
    tau = 0, and for NaN. The same value as ``scipy.stats.kendalltau``.
    """
    return Metric("kendall_tau", predicted, truth)


def weighted_tau(predicted: "npt.ArrayLike", truth: "npt.ArrayLike") -> Metric:
    """Computes the weighted tau, in which the best architectures count most, as ``scipy.stats.weightedtau``."""
    return Metric("weighted_tau", predicted, truth)


def partial_tau(predicted: "npt.ArrayLike", truth: "npt.ArrayLike", control: "npt.ArrayLike") -> Metric:
    """Computes tau-b with the influence of a third list removed, for example of the number of parameters."""
    return Metric("partial_tau", predicted, truth, control)


def tau_within(predicted: "npt.ArrayLike", truth: "npt.ArrayLike", groups: "npt.ArrayLike") -> Metric:
    """Computes tau-b among pairs of architectures of the same group, for example of equal size."""
    return Metric("tau_within", predicted, truth, groups)


def spearman(predicted: "npt.ArrayLike", truth: "npt.ArrayLike") -> Metric:
    """Computes Spearman's rank correlation, as ``scipy.stats.spearmanr``."""
    return Metric("spearman", predicted, truth)


def pearson(predicted: "npt.ArrayLike", truth: "npt.ArrayLike") -> Metric:
    """Computes Pearson's correlation of the scores themselves, as ``scipy.stats.pearsonr``."""
    return Metric("pearson", predicted, truth)


def p_at_top(predicted: "npt.ArrayLike", truth: "npt.ArrayLike", fraction: float = 0.05) -> Metric:
    """Computes P@Top-k: the share of the truly best ``fraction`` that is among the predicted best ``fraction``.

    Architectures that are tied at rank k share the places that are left.
    """
    return Metric("p_at_top", predicted, truth, None, fraction)


def br_at_top(predicted: "npt.ArrayLike", truth: "npt.ArrayLike", fraction: float = 0.05) -> Metric:
    """Computes BR@Top-k: the best true rank among the predicted best ``fraction``, divided by A. Smaller is better."""
    return Metric("br_at_top", predicted, truth, None, fraction)


def all_metrics(
    predicted: "npt.ArrayLike", truth: "npt.ArrayLike", params: Optional["npt.ArrayLike"] = None
) -> Dict[str, Optional[float]]:
    """Computes all metrics of one ranking, with the names of ``pada metrics --json``.

    The p-values and the interval of that command are missing: :meth:`Metric.p_value` and :meth:`Metric.interval` are
    theirs.

    A metric of a top fraction is ``None`` if the fraction contains no architecture. ``params`` is the number of
    parameters of each architecture, for the partial tau.
    """
    third = None if params is None else vector(params, what="the list of parameters")
    text = _native.all_metrics(
        vector(predicted, what="the list of predicted scores"),
        vector(truth, what="the list of ground-truth scores"),
        third,
    )
    found: Dict[str, Optional[float]] = json.loads(text)
    return found


class Difference(NamedTuple):
    """A paired difference between the rankings of two methods."""

    #: Mean over seeds of the metric of method A minus that of method B.
    mean: float
    #: Interval of the mean over architectures and seeds. If it lies above 0, method A is significantly better.
    interval: Interval
    #: The number of seeds.
    seeds: int

    def __str__(self) -> str:
        return f"{self.mean:+.3f}, {self.interval}, {self.seeds} seed{'s' if self.seeds > 1 else ''}"


def paired_difference(
    a: Any,
    b: Any,
    truth: "npt.ArrayLike",
    *,
    top: Optional[float] = None,
    level: float = LEVEL,
    method: str = "bca",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Computes the mean over seeds of the difference of a metric between method A and method B, with its interval.

    ``a`` and ``b`` have the shape ``[A]``, or ``[S, A]`` for S seeds. The metric is tau-b, or P@Top-k with
    ``top=0.05``. Every resample draws architectures and seeds, the same ones for both methods.
    """
    rows_a, rows_b = ([vector(row, what="the list of scores") for row in _rows(scores)] for scores in (a, b))
    truth = vector(truth, what="the list of ground-truth scores")
    mean, interval, seeds = _native.paired_difference(
        rows_a, rows_b, truth, top, resamples, level, seed_of(seed), method
    )
    return Difference(mean, _interval(interval), seeds)


def _rows(scores: Any) -> Sequence[Any]:
    """Returns scores ``[A]`` as one row, and scores ``[S, A]`` as S rows."""
    import numpy as np

    first = next(iter(scores), None)
    return [scores] if first is None or np.ndim(first) == 0 else list(scores)


def mean_interval(values: "npt.ArrayLike", level: float = LEVEL) -> Tuple[float, Interval]:
    """Computes the mean of a few values, such as the tau-b of several seeds, and its interval by Student's t."""
    mean, interval = _native.mean_interval(vector(values, what="the list of values"), level)
    return mean, _interval(interval)


def finite_scores(scores: "npt.ArrayLike") -> "npt.NDArray[Any]":
    """Replaces −∞, the score of an architecture for which it is not defined, by a number below all others."""
    return _native.finite_scores(vector(scores, what="the list of scores"))


def fuse(
    scores: Union[Mapping[str, "npt.ArrayLike"], Sequence["npt.ArrayLike"]], method: str = "log-ranks"
) -> "npt.NDArray[Any]":
    """Fuses several scores of the same architectures into one: the mean of their ranks, or of the ranks' logarithms.

    The scores may have any units, because only their order counts. ``scores`` is a list of P lists, a dict, a data
    frame of scores, whose column ``arch`` is left out, or an array ``[P, A]``. ``method`` is ``"log-ranks"`` or ``"ranks"``. Returns ``[A]``; larger is
    better. A fused score belongs to its list: it cannot be compared with fused scores of another list.
    """
    keys = getattr(scores, "keys", None)  # a dict, or a data frame of pandas
    if keys is None and hasattr(scores, "get_columns"):  # a data frame of polars
        parts: List[Any] = [column for column in scores.get_columns() if column.name != "arch"]
    else:
        parts = list(scores) if keys is None else [scores[key] for key in keys() if key != "arch"]
    return _native.fuse([vector(part, what="a list of scores") for part in parts], method)
