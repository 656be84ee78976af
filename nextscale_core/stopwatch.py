"""`Stopwatch` and `Run`: time by stage, progress, and cancelling."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stopwatch:
    """Wall-clock seconds by stage name, in the order the stages first ran.

    Attributes:
        seconds: Stage name -> accumulated seconds [s].
        entered: Called with the name of each stage that begins; may raise to stop.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    entered: Callable[[str], None] | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the `with` block to stage `name`."""
        if self.entered is not None:
            self.entered(name)
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    @property
    def total(self) -> float:
        """Sum over all stages [s]."""
        return sum(self.seconds.values())

    def line(self) -> str:
        """Text of one line: 'text 0.01 s, generate 0.50 s, total 0.51 s'."""
        parts = [f"{name} {value:.3f} s" for name, value in self.seconds.items()]
        return ", ".join([*parts, f"total {self.total:.3f} s"])


def _ignore(done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Run:
    """One call of a model as its caller follows it.

    Attributes:
        stopwatch: Takes the time of each stage.
        progress: Called with (passes done, passes in total) after every pass of the model; raises,
            for example `GenerationCancelled`, to cancel the call.
    """

    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    progress: Callable[[int, int], None] = _ignore
