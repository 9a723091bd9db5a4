"""Search spaces and architectures.

>>> import pada
>>> space = pada.spaces.nb201()
>>> arch = space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|")
>>> str(arch)
'334131'
>>> space.cost(arch).params
802426
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Union

from pada._native import Arch, Rng, SubSpace
from pada._native import Space as _Space
from pada.errors import InputError

__all__ = [
    "Arch",
    "ArchLike",
    "Cost",
    "Drawing",
    "SearchSpace",
    "SpaceLike",
    "SubSpace",
    "darts",
    "nas_bench_macro",
    "nb201",
    "proxyless",
    "space",
    "sub_space",
]

#: An architecture, one of its text forms, or its list of choices. Of texts, objects without a space of their own
#: (:class:`Arch`, :class:`SubSpace`, path samplers) read digits only.
ArchLike = Union[Arch, str, Sequence[int]]


#: A random generator, the seed of a new one, or ``None`` for random numbers that differ in every process.
RngLike = Union[Rng, int, None]


class Cost(NamedTuple):
    """The cost of a stand-alone network."""

    #: Number of parameters.
    params: int
    #: Multiply-adds for one image.
    macs: int


class Drawing:
    """A picture of architectures, which a notebook shows inline."""

    def __init__(self, svg: str) -> None:
        #: The picture as SVG, in the colours of light pages; it has others in dark ones.
        self.svg = svg

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes the picture into a file, ``cell.svg`` for example. An existing file is replaced."""
        Path(path).expanduser().write_text(self.svg, encoding="utf-8")

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<drawing of {len(self.svg)} bytes of SVG>"


class SearchSpace:
    """A search space: a set of architectures, their text forms, and which of them are the same.

    E is the number of decisions (in a cell space: of edges) and O the number of operations.
    Functions :func:`nb201`, :func:`darts`, :func:`proxyless` and :func:`nas_bench_macro` create the known ones.
    """

    def __init__(self, name: str) -> None:
        self._native = _Space(name)

    @property
    def name(self) -> str:
        """The name that configs, files and the command line use."""
        return self._native.name

    @property
    def n_ops(self) -> List[int]:
        """The number of choices of each decision, ``[E]``."""
        return self._native.n_ops

    @property
    def op_names(self) -> List[str]:
        """The names of the operations, ``[O]``, in digit order."""
        return self._native.op_names

    def __len__(self) -> int:
        """The number of architectures. :attr:`size` also counts spaces that are too large for ``len``."""
        return self.size

    def __bool__(self) -> bool:
        """True, also for a space that is too large for ``len``."""
        return True

    @property
    def size(self) -> int:
        """The number of architectures."""
        return self._native.size()

    def __iter__(self) -> Iterator[Arch]:
        """Iterates over all architectures in digit order, so that the last decision changes fastest."""
        index = 0
        while (arch := self._native.nth(index)) is not None:
            yield arch
            index += 1

    def __contains__(self, arch: ArchLike) -> bool:
        try:
            self._native.parse(arch)
        except ValueError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<search space {self.name}: {len(self.n_ops)} decisions, operations {', '.join(self.op_names)}>"

    def parse(self, arch: ArchLike) -> Arch:
        """Parses an architecture from any text form of the space, or checks one.

        Raises :class:`pada.InputError` with the decision and the valid operations.
        """
        return self._native.parse(arch)

    def format(self, arch: ArchLike) -> str:
        """Writes the long text form, as benchmarks of the space write it."""
        return self._native.format(arch)

    def sample(self, rng: RngLike = None) -> Arch:
        """Draws an architecture. The choice of every decision is uniform."""
        return self._native.sample(rng)

    def mutate(self, arch: ArchLike, rate: float = 0.1, rng: RngLike = None) -> Arch:
        """Redraws the choice of each decision uniformly with probability ``rate``. The new choice may equal the old one."""
        return self._native.mutate(arch, rate, rng)

    def crossover(self, a: ArchLike, b: ArchLike, rng: RngLike = None) -> Arch:
        """Returns a child that has the choice of each decision from one of two parents, with equal probability."""
        return self._native.crossover(a, b, rng)

    def neighbours(self, arch: ArchLike) -> List[Arch]:
        """Returns all architectures that differ from this one in exactly one decision."""
        return self._native.neighbours(arch)

    def active(self, arch: ArchLike) -> List[bool]:
        """Computes which decisions influence the output of the network, ``[E]``."""
        return self._native.active(arch)

    def canonical(self, arch: ArchLike, *, own_weights: bool = False) -> Arch:
        """Computes the smallest architecture that is the same as ``arch``.

        By default, two architectures are the same if they compute the same function of the shared weights of a
        supernet. With ``own_weights``, they are the same if each is trained from scratch.
        """
        return self._native.canonical(arch, own_weights)

    def draw(self, *archs: ArchLike) -> Drawing:
        """Draws architectures, as ``pada draw``: cells of nb201 and darts as graphs, and blocks of the others as chains.

        An architecture may be the name of a published network of darts or proxyless.
        """
        if not archs:
            raise InputError("a drawing needs at least one architecture")
        return Drawing(self._native.draw(list(archs)))

    def cost(
        self,
        arch: ArchLike,
        *,
        channels: Optional[int] = None,
        cells: Optional[int] = None,
        image_size: Optional[int] = None,
        classes: Optional[int] = None,
        skeleton: Optional[str] = None,
    ) -> Cost:
        """Counts parameters and multiply-adds of the stand-alone network, as ``pada cost`` does.

        Without arguments the network has the size that the paper of the space trains: 16 channels and 5 cells per
        stage in nb201, 36 channels and 20 cells in darts. ``arch`` may be the name of a published network of darts or
        proxyless. ``skeleton`` is ``"cifar"`` or ``"imagenet"``, in darts only.
        """
        return Cost(*self._native.cost(arch, skeleton, channels, cells, image_size, classes))

    def sub_space(self, ops: Optional[Sequence[str]] = None) -> SubSpace:
        """Returns the whole space as a :class:`SubSpace`, or the part that uses only these operations."""
        return SubSpace.full(self._native) if ops is None else SubSpace.with_ops(self._native, list(ops))


#: A search space, a part of one, the name of one, or the number of operations of each decision of your own space.
SpaceLike = Union[SearchSpace, SubSpace, str, Sequence[int]]


def nb201() -> SearchSpace:
    """NAS-Bench-201: cells of 6 edges with 5 operations, 15,625 architectures."""
    return SearchSpace("nb201")


def darts() -> SearchSpace:
    """The cells of DARTS: a normal and a reduction cell of four nodes with two inputs each."""
    return SearchSpace("darts")


def proxyless() -> SearchSpace:
    """The MobileNet blocks of ProxylessNAS, with the channels of its search."""
    return SearchSpace("proxyless")


def nas_bench_macro() -> SearchSpace:
    """NAS-Bench-Macro: 8 layers with 3 operations, 6,561 architectures."""
    return SearchSpace("macro")


def space(name: str) -> SearchSpace:
    """Returns the space with a name: ``nb201``, ``darts``, ``proxyless`` or ``macro``."""
    return SearchSpace(name)


def sub_space(space: SpaceLike) -> SubSpace:
    """Returns a space as a :class:`SubSpace`, which samplers draw from.

    A list of numbers describes your own space: ``[3, 3, 4]`` has three decisions with 3, 3 and 4 operations.
    """
    if isinstance(space, SubSpace):
        return space
    if isinstance(space, str):
        space = SearchSpace(space)
    if isinstance(space, SearchSpace):
        return space.sub_space()
    return SubSpace.from_op_counts([int(count) for count in space])


def _native_space(space: Any) -> _Space:
    if isinstance(space, str):
        space = SearchSpace(space)
    if not isinstance(space, SearchSpace):
        raise TypeError("the space must be a pada.spaces.SearchSpace or the name of one")
    return space._native
