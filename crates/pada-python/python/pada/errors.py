"""Exceptions of the package. Their texts are those of the program ``pada``."""

from __future__ import annotations

__all__ = ["PadaError", "InputError", "RunError", "Stopped"]


class PadaError(Exception):
    """Any error of the package."""


class InputError(PadaError, ValueError):
    """An argument, a config or a file is not valid, and the caller can fix it."""


class RunError(PadaError, RuntimeError):
    """The machine or the run failed, for example by a full disk or diverged training."""


class Stopped(PadaError):
    """A run stopped on request and can be resumed in its folder."""
