"""The end of an output that plays a reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.publisher import Publisher

from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_ros.messages.requests import Response
from nextscale_ros.node import stream_output
from nextscale_ros.node.stream_output import StreamOutput


class Ending(StreamOutput):
    """Ends at once; `last` makes the last message."""

    def __init__(self, last: Callable[[], Any]) -> None:
        self.errors: list[str] = []
        node = SimpleNamespace(
            context=SimpleNamespace(ok=lambda: True),
            get_logger=lambda: SimpleNamespace(error=self.errors.append),
        )
        reference: Any = SimpleNamespace(plan=lambda now: None)
        nothing: Any = None
        super().__init__(node, reference, nothing, nothing, time.monotonic)  # type: ignore[arg-type]
        self.last, self.released = last, False

    listeners, missing = 1, ""

    def _begin(self, response: Response) -> None: ...

    def _play(self, stream: ReferenceStream, now: float) -> None: ...

    def _rest(self, stream: ReferenceStream, now: float) -> None: ...

    def _end(self, now: float) -> Publisher:
        return self.last()

    def _release(self) -> None:
        self.released = True


def test_an_error_in_the_last_message_still_releases_what_the_output_holds() -> None:
    def fail() -> None:
        raise ValueError("no number")

    output = Ending(fail)
    output.close()
    assert output.released
    assert output.errors == ["the last message was not delivered: ValueError: no number"]


def test_the_last_message_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_output, "_DELIVERY", 0.05)
    asked: list[float] = []

    def received(timeout: Any) -> bool:
        asked.append(timeout.nanoseconds)
        return len(asked) == 3

    output = Ending(lambda: SimpleNamespace(wait_for_all_acked=received))
    output.close()
    # In looks that take no time: rclpy would hold all threads for as long as it waits.
    assert output.released and asked == [0, 0, 0] and not output.errors
    output = Ending(lambda: SimpleNamespace(wait_for_all_acked=lambda timeout: False))
    output.close()
    assert output.released and not output.errors
