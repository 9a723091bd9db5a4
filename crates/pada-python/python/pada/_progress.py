"""A progress bar: that of tqdm in terminals and notebooks if tqdm is installed, else a line on stderr."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, Optional, Union

Event = Dict[str, Any]
#: ``True`` for a bar, ``False`` for none, or a function that receives every event as a dict.
ProgressLike = Union[bool, Callable[[Event], None]]


class Bar:
    """A bar that appears with the first call of :meth:`show` and disappears at the end."""

    def __init__(self, visible: bool = True) -> None:
        self._visible = visible
        self._tqdm: Any = None
        self._line = 0
        self._next = 0.0

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._tqdm is not None:
            self._tqdm.close()
        if self._line:
            print("\r" + " " * self._line + "\r", end="", file=sys.stderr, flush=True)

    def show(self, text: str, done: int, total: Optional[int]) -> None:
        if not self._visible:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return self._show_line(text, done, total)
        if self._tqdm is None:
            self._tqdm = tqdm(total=total, leave=False)
        if done < self._tqdm.n or total != self._tqdm.total:
            self._tqdm.reset(total)
        self._tqdm.set_description(text, refresh=False)
        self._tqdm.update(done - self._tqdm.n)

    def _show_line(self, text: str, done: int, total: Optional[int]) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or (now < self._next and done != total):
            return
        self._next = now + 0.2
        line = f"{text} {done}" + (f"/{total}" if total else "")
        print("\r" + line.ljust(self._line), end="", file=sys.stderr, flush=True)
        self._line = max(self._line, len(line))


class Observer:
    """Turns the events of a run into calls of a bar or of the user's function."""

    def __init__(self, progress: ProgressLike) -> None:
        self._function = progress if callable(progress) else None
        self._bar = Bar(progress is True)

    def __enter__(self) -> Optional[Callable[[Event], None]]:
        self._bar.__enter__()
        return self._event if self._function or self._bar._visible else None

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def _event(self, event: Event) -> None:
        if event["event"] == "epoch":
            import json

            event = {"event": "epoch", **json.loads(event["record"])}
        if self._function:
            self._function(event)
        elif event["event"] == "step":
            stage = f"stage {event['stage']}, " if event["stage"] else ""
            text = f"{stage}epoch {event['epoch'] + 1}/{event['epochs']}, loss {event['loss']:.3f}"
            self._bar.show(text, event["epoch"] * event["steps"] + event["step"], event["epochs"] * event["steps"])
        elif event["event"] == "scored":
            self._bar.show("ranking", event["done"], event["total"])
