"""Conversions between Python and the arrays that the Rust crates read without a copy."""

from __future__ import annotations

import importlib
import importlib.util
import operator
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from pada.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def as_array(values: Any) -> "npt.NDArray[Any]":
    """Returns values as an array of any shape. PyTorch tensors may be on a GPU, may require gradients, and may be bfloat16."""
    import numpy as np

    detach = getattr(values, "detach", None)
    if callable(detach):
        values = detach().cpu()
        # NumPy has no type for the floats of PyTorch with fewer than 32 bits, apart from float16.
        if values.is_floating_point() and values.element_size() < 4:
            values = values.float()
        values = values.numpy()
    return np.asarray(values)


def seed_of(seed: Any) -> int:
    """Returns a seed as an integer from 0 to 2**64 − 1."""
    try:
        value = operator.index(seed)
    except TypeError:
        value = -1
    if not 0 <= value < 2**64:
        raise InputError(f"the seed is {seed!r}, but it must be an integer from 0 to 2**64 - 1")
    return value


def _has_text(array: "npt.NDArray[Any]") -> bool:
    if array.dtype.kind == "O":
        return any(isinstance(value, (str, bytes)) for value in array.flat)
    return array.dtype.kind in "USTMm"


def vector(values: Any, dtype: str = "float64", what: str = "the list") -> "npt.NDArray[Any]":
    """Returns values as a contiguous array of one dimension. An array of the right type is not copied.

    PyTorch tensors may be on a GPU and may require gradients. Texts are refused, also if they are digits: the column
    ``arch`` of a table would otherwise be a list of scores.
    """
    import numpy as np

    try:
        array = as_array(values)
        if _has_text(array):
            raise InputError(f"{what} is not a list of numbers: it contains texts or dates")
        if dtype.startswith("uint") and array.size:
            if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > np.iinfo(dtype).max:
                raise InputError(f"{what} must contain integers from 0 to {np.iinfo(dtype).max}, as indices are")
        array = np.ascontiguousarray(array, dtype=dtype)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} is not a list of numbers: {error}") from error
    if array.ndim != 1:
        raise InputError(f"{what} has the shape {array.shape}, but it must have one dimension")
    return array


#: The libraries of data frames, in the order in which they are looked for.
FRAMES = ("pandas", "polars")


def frame(columns: Mapping[str, "np.ndarray[Any, Any] | Sequence[Any]"], kind: str) -> Any:
    """Returns columns as a data frame of the library ``kind``, or as a dict.

    ``"auto"`` takes pandas, else polars, else a dict, whichever is installed.
    """
    if kind not in ("auto", "dict", *FRAMES):
        raise InputError(f"frame is {kind!r}; it must be auto, pandas, polars or dict")
    if kind == "auto":
        kind = next((name for name in FRAMES if importlib.util.find_spec(name)), "dict")
    if kind == "dict":
        return dict(columns)
    try:
        library = importlib.import_module(kind)
    except ImportError as error:
        raise InputError(f"frame is {kind!r}, but {kind} is not installed: pip install {kind}") from error
    return library.DataFrame(dict(columns))
