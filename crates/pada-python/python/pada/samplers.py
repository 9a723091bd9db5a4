"""Samplers: which path and which images a supernet trains on next.

PA&DA in a training loop of your own::

    paths = pada.samplers.PathImportance(space, seed=0)
    images = pada.samplers.DataImportance(len(dataset), seed=0)
    loader = DataLoader(dataset, batch_size=64, sampler=images)
    for epoch in range(epochs):
        for indices, (x, y) in images.batches(loader):
            path = paths.next_path()
            logits = supernet(x, path)
            loss = cross_entropy(logits, y)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            paths.observe(path, pada.samplers.position_norms(supernet.modules_of(path)), float(loss))
            images.observe(indices, pada.samplers.image_norms(logits, y))
        paths.end_epoch(epoch, epochs)
        images.end_epoch(epoch, epochs)

E is the number of positions (decisions) of the search space and O the number of operations. The numbers equal those of
the Rust crates bit for bit. ``seed=0`` draws from the streams of a run with this seed: paths and images have one each, so
that their draws are independent. ``rng`` is a :class:`pada.Rng` of your own, which samplers can share. A sampler is resumed with ``state_dict()`` and ``load_state_dict()``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from pada import _native
from pada._arrays import as_array, vector
from pada._native import Arch, Rng
from pada.errors import InputError
from pada.spaces import ArchLike, SearchSpace, SpaceLike, sub_space

if TYPE_CHECKING:
    import numpy.typing as npt

    from pada._data_samplers import DataImportance, UniformData

__all__ = [
    "ConnectedPaths",
    "ConstantPaths",
    "DataImportance",
    "FairPaths",
    "OneChangePaths",
    "ParetoPaths",
    "PathImportance",
    "PathSampler",
    "UniformData",
    "UniformPaths",
    "image_norms",
    "position_norms",
]

#: First and last value of a linear schedule, such as a smoothing factor.
Schedule = Tuple[float, float]


def _schedule(values: Schedule) -> Dict[str, float]:
    first, last = values
    return {"first": float(first), "last": float(last)}


class _Stateful:
    """Storing and restoring of a sampler together with its random generator."""

    _sampler: Any
    _rng: Rng

    def state_dict(self) -> Dict[str, Any]:
        """Returns everything that the sampler remembers, and its random generator, as a dict of plain values.

        It can be stored as JSON or with ``torch.save``. A sampler that loads it draws the same as this one.
        """
        return {"sampler": json.loads(self._sampler.state()), "rng": json.loads(self._rng._state())}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Restores a state that :meth:`state_dict` returned.

        Raises :class:`pada.InputError` if the state belongs to another sampler or another space.
        """
        if set(state) != {"sampler", "rng"}:
            raise InputError("the state of a sampler is a dict with the keys 'sampler' and 'rng'")
        self._sampler.restore(json.dumps(state["sampler"]))
        self._rng._restore(json.dumps(state["rng"]))

    def end_epoch(self, epoch: int, epochs: int) -> None:
        """Ends epoch ``epoch``, counted from 0, of a run of ``epochs`` epochs, and updates the distribution."""
        self._sampler.end_epoch(epoch, epochs)


class PathSampler(_Stateful):
    """Draws the paths that a supernet is trained on; the base class of all path samplers.

    A training loop calls :meth:`next_paths` in every step, :meth:`observe` for every path that it trained, and
    :meth:`end_epoch` after every epoch.
    """

    _sampler: _native.PathSampler

    def __init__(
        self,
        space: SpaceLike,
        settings: Dict[str, Any],
        *,
        seed: int = 0,
        rng: Optional[Rng] = None,
        function: Optional[Callable[[Arch], Any]] = None,
    ) -> None:
        self._sampler = _native.PathSampler(sub_space(space), json.dumps(settings), function)
        self._rng = Rng._paths(seed) if rng is None else rng

    def next_paths(self) -> List[Arch]:
        """Draws the paths of one training step."""
        return self._sampler.next_paths(self._rng)

    def next_path(self) -> Arch:
        """Draws the path of one training step, for samplers that draw one."""
        paths = self.next_paths()
        if len(paths) != 1:
            raise InputError(f"this sampler draws {len(paths)} paths per step; call next_paths")
        return paths[0]

    def loss_weight(self, path: ArchLike) -> float:
        """Returns the factor of the loss of a path that was just drawn: 1 unless the sampler corrects its bias."""
        return self._sampler.loss_weight(path)

    def observe(self, path: ArchLike, position_norms: "npt.ArrayLike", loss: float = 0.0) -> None:
        """Learns from one path of a training step.

        ``position_norms`` has the shape ``[E]``: the gradient norm of the operation at each position, 0 for one without
        weights (see :func:`position_norms`). ``loss`` is the mean cross entropy of the batch, which only
        :class:`ParetoPaths` uses.
        """
        self._sampler.observe(path, vector(position_norms, what="the list of gradient norms"), float(loss))

    def distribution(self) -> "npt.NDArray[Any]":
        """Returns the probability of each operation, ``[R, O]``: one row if all positions share a distribution.

        Rows of positions with fewer operations end with zeros.
        """
        import numpy as np

        rows = self._sampler.distribution()
        width = max(map(len, rows), default=0)
        return np.array([row + [0.0] * (width - len(row)) for row in rows])


class UniformPaths(PathSampler):
    """Draws each operation of each position with the same probability, as SPOS does (Guo et al., ECCV 2020)."""

    def __init__(self, space: SpaceLike, *, seed: int = 0, rng: Optional[Rng] = None) -> None:
        super().__init__(space, {"rule": "uniform"}, seed=seed, rng=rng)


class PathImportance(PathSampler):
    """Draws operations in proportion to their gradient norms, mixed with the uniform distribution: PA&DA, Algorithm 1.

    At the end of an epoch the probability of each operation is ``p = δ · G/ΣG + (1 − δ)/O``, where G is the importance
    of the operation in this epoch.

    - ``variant``: ``"released"`` (the authors' code) or ``"paper"`` (its text).
    - ``smoothing``: δ at the start and at the end of the run.
    - ``importance_weights``: ``"none"``, or ``"unbiased"`` for the factor u(path)/p(path) on the loss, bounded by
      ``weight_bound``.
    - ``scope``: the positions that share a distribution: ``"all"`` as in the paper, ``"kind"`` or ``"position"``.
    """

    def __init__(
        self,
        space: SpaceLike,
        *,
        variant: str = "released",
        smoothing: Schedule = (0.0, 1.0),
        importance_weights: str = "none",
        weight_bound: float = 10.0,
        scope: str = "all",
        seed: int = 0,
        rng: Optional[Rng] = None,
    ) -> None:
        settings = {
            "rule": "importance",
            "variant": variant,
            "smoothing": _schedule(smoothing),
            "importance_weights": importance_weights,
            "weight_bound": float(weight_bound),
            "scope": scope,
        }
        super().__init__(space, settings, seed=seed, rng=rng)


class FairPaths(PathSampler):
    """Draws O paths per step in which every operation of every position occurs exactly once: FairNAS, Algorithm 1.

    ``variant="paper"`` shuffles for every step, ``"released"`` (the code of PA&DA's baseline) once per epoch.
    """

    def __init__(
        self, space: SpaceLike, *, variant: str = "paper", seed: int = 0, rng: Optional[Rng] = None
    ) -> None:
        super().__init__(space, {"rule": "fair", "variant": variant}, seed=seed, rng=rng)


class OneChangePaths(PathSampler):
    """Draws paths that differ from the previous one at exactly one active position: Magic-T (Xu et al., ICML 2022)."""

    def __init__(self, space: SpaceLike, *, seed: int = 0, rng: Optional[Rng] = None) -> None:
        super().__init__(space, {"rule": "one-change"}, seed=seed, rng=rng)


class ConstantPaths(PathSampler):
    """Draws operations from a given distribution ``[O]`` that no gradient changes: a control experiment."""

    def __init__(
        self,
        space: SpaceLike,
        distribution: Sequence[float],
        *,
        smoothing: Schedule = (0.0, 1.0),
        seed: int = 0,
        rng: Optional[Rng] = None,
    ) -> None:
        settings = {
            "rule": "constant",
            "distribution": [float(p) for p in distribution],
            "smoothing": _schedule(smoothing),
        }
        super().__init__(space, settings, seed=seed, rng=rng)


class ParetoPaths(PathSampler):
    """Draws near the Pareto front of training loss and cost among the paths that were seen. Not part of the paper.

    ``cost`` is a function of an architecture, for example ``lambda arch: space.cost(arch).macs``. ``memory`` is the
    number of paths that are remembered.
    """

    def __init__(
        self,
        space: SpaceLike,
        cost: Callable[[Arch], float],
        *,
        smoothing: Schedule = (0.0, 1.0),
        memory: int = 1000,
        seed: int = 0,
        rng: Optional[Rng] = None,
    ) -> None:
        settings = {"rule": "pareto", "smoothing": _schedule(smoothing), "memory": memory}
        super().__init__(space, settings, seed=seed, rng=rng, function=lambda arch: float(cost(arch)))


class ConnectedPaths(PathSampler):
    """Draws each connected architecture with the same probability, as the supernets of gradient matching do.

    ``is_connected`` is a function of an architecture. Every architecture of the space is tested once.
    """

    def __init__(
        self,
        space: SpaceLike,
        is_connected: Callable[[Arch], bool],
        *,
        seed: int = 0,
        rng: Optional[Rng] = None,
    ) -> None:
        super().__init__(
            space, {"rule": "connected"}, seed=seed, rng=rng, function=lambda arch: bool(is_connected(arch))
        )


def position_norms(modules: Iterable[Any]) -> "npt.NDArray[Any]":
    """Computes the gradient norm of the operation at each position of a path, ``[E]``, after ``loss.backward()``.

    ``modules`` contains one entry per position: a ``torch.nn.Module``, a list of modules (of several cells that share
    the position), or ``None``. The norm of an operation is the sum of the L2 norms of the gradients of its parameters,
    as in the released code of PA&DA; an operation without parameters has the norm 0.
    """
    import numpy as np

    norms = []
    for position in modules:
        parts = [] if position is None else position if isinstance(position, (list, tuple)) else [position]
        grads = [p.grad for module in parts for p in module.parameters() if p.grad is not None]
        norms.append(sum(float(grad.detach().double().norm()) for grad in grads))
    return np.array(norms, dtype=np.float64)


def image_norms(logits: Any, labels: Any) -> "npt.NDArray[Any]":
    """Computes the gradient norm of each image at the logits, ‖softmax(z) − onehot(y)‖₂, ``[B]``: PA&DA, Eq. 13.

    ``logits`` is a tensor ``[B, K]`` and ``labels`` a tensor ``[B]`` of integers from 0 to K − 1. NumPy arrays work too.
    """
    import numpy as np

    z, y = as_array(logits).astype(np.float64), as_array(labels)
    if z.ndim != 2 or y.shape != z.shape[:1]:
        raise InputError(f"the logits have the shape {z.shape} and the labels {y.shape}; they must be [B, K] and [B]")
    if y.size and (y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= z.shape[1]):
        raise InputError(f"the labels must be integers from 0 to {z.shape[1] - 1}, because there are {z.shape[1]} logits")
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1.0
    norms: "npt.NDArray[Any]" = np.sqrt((p**2).sum(axis=1)).astype(np.float32)
    return norms


def __getattr__(name: str) -> Any:
    # These classes are torch.utils.data.Sampler where PyTorch is installed, which takes a second to import.
    if name in ("DataImportance", "UniformData"):
        from pada import _data_samplers

        return getattr(_data_samplers, name)
    raise AttributeError(f"module 'pada.samplers' has no attribute {name!r}")
