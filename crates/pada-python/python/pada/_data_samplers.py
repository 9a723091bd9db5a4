"""Samplers of images, which a PyTorch ``DataLoader`` accepts."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, Optional, Tuple

from pada import _native
from pada._arrays import vector
from pada._native import Rng
from pada.errors import InputError
from pada.samplers import Schedule, _schedule, _Stateful

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch.utils.data import Sampler

    _Base = Sampler[int]
elif importlib.util.find_spec("torch"):
    from torch.utils.data import Sampler as _Base
else:

    class _Base:
        """Stands for ``torch.utils.data.Sampler`` where PyTorch is not installed."""


class _DataSampler(_Stateful, _Base):
    _sampler: _native.DataSampler
    _order: "npt.NDArray[Any]"

    def __init__(self, n: int, settings: Optional[Dict[str, Any]], seed: int, rng: Optional[Rng]) -> None:
        self._n = int(n)
        if self._n < 0:
            raise InputError(f"the number of images is {n}; it must be 1 or more")
        self._sampler = _native.DataSampler(self._n, None if settings is None else json.dumps(settings))
        self._rng = Rng._images(seed) if rng is None else rng

    def __len__(self) -> int:
        """The number of images of an epoch."""
        return self._n

    def __iter__(self) -> Iterator[int]:
        """Draws the images of an epoch, in training order."""
        return iter(self.epoch_order().tolist())

    def epoch_order(self) -> "npt.NDArray[Any]":
        """Draws the images of one epoch, in training order: ``[N]`` indices."""
        self._order = self._sampler.epoch_order(self._rng)
        return self._order

    def batches(self, loader: Iterable[Any]) -> Iterator[Tuple["npt.NDArray[Any]", Any]]:
        """Iterates over a ``DataLoader`` whose ``sampler`` is this one: the indices of each batch, and the batch.

        The loader must not have a ``batch_sampler`` of its own. Worker processes and prefetching are fine.
        """
        if getattr(loader, "sampler", None) is not self:
            raise InputError("pass the DataLoader that was created with sampler=… this sampler")
        size = loader.batch_size  # type: ignore[attr-defined]
        if size is None:
            raise InputError("the DataLoader has no batch_size; images are observed in batches")
        for number, batch in enumerate(loader):
            yield self._order[number * size : (number + 1) * size], batch

    def loss_weights(self, images: "npt.ArrayLike") -> "npt.NDArray[Any]":
        """Returns the factor of the loss of each image, ``[B]``: 1 unless the sampler corrects its bias."""
        return self._sampler.loss_weights(vector(images, "uint32", "the list of images"))

    def observe(self, images: "npt.ArrayLike", grad_norms: "npt.ArrayLike") -> None:
        """Learns from one batch: indices ``[B]``, and the gradient norm of each image ``[B]`` (``image_norms``)."""
        norms = vector(grad_norms, "float32", "the list of gradient norms")
        self._sampler.observe(vector(images, "uint32", "the list of images"), norms)

    def distribution(self) -> Optional["npt.NDArray[Any]"]:
        """Returns the probability of each image, ``[N]``, or ``None`` if each is drawn exactly once per epoch."""
        return self._sampler.distribution()


class UniformData(_DataSampler):
    """Draws every image once per epoch, in a new random order: the usual shuffled data loader."""

    def __init__(self, n: int, *, seed: int = 0, rng: Optional[Rng] = None) -> None:
        super().__init__(n, None, seed, rng)


class DataImportance(_DataSampler):
    """Draws images in proportion to their gradient norms, mixed with the uniform distribution: PA&DA, Eq. 13.

    It is a ``torch.utils.data.Sampler``. The first epoch is a random order of all ``n`` images. Later epochs draw ``n``
    images with ``q = τ · s/Σs + (1 − τ)/N``, where s is the gradient norm of an image in the epoch before.

    - ``variant``: ``"released"`` (the authors' code) or ``"paper"`` (its text).
    - ``smoothing``: τ at the start and at the end of the run.
    - ``importance_weights``: ``"none"``, or ``"unbiased"`` for the factor 1/(N·q) on the loss of an image.
    - ``replacement``: ``"with"``, or ``"without"`` to draw every image once, important ones early.
    - ``unseen``: the importance of an image that was not drawn: ``"zero"``, or ``"keep"`` for its last one.
    """

    def __init__(
        self,
        n: int,
        *,
        variant: str = "released",
        smoothing: Schedule = (0.0, 1.0),
        importance_weights: str = "none",
        replacement: str = "with",
        unseen: str = "zero",
        seed: int = 0,
        rng: Optional[Rng] = None,
    ) -> None:
        settings = {
            "variant": variant,
            "smoothing": _schedule(smoothing),
            "importance_weights": importance_weights,
            "replacement": replacement,
            "unseen": unseen,
        }
        super().__init__(n, settings, seed, rng)


for _class in (UniformData, DataImportance):
    _class.__module__ = "pada.samplers"
