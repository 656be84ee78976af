"""Stops and the end of an output that plays a reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.publisher import Publisher

from nextscale_core.robots import load_robot
from nextscale_core.trajectory.reference import Reference
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_core.trajectory.standing import standing_pose, transition
from nextscale_ros.messages.requests import Response
from nextscale_ros.node import stream_output
from nextscale_ros.node.stream_output import STEP, StreamOutput
from nextscale_ros.robot_state.live_reference import LiveReference


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


class Stopping(Ending):
    """Plays references whose motion cannot go on from a tick on, while its clock runs ahead."""

    def __init__(self, reference: LiveReference) -> None:
        super().__init__(lambda: None)
        self._reference, self.ahead = reference, 0.0
        self.played: list[tuple[float, Reference]] = []
        self.ended: list[str] = []
        self._unfinished = None, lambda code, message: self.ended.append(message)

    def tick(self, now: float, *, problem: str) -> None:
        self.now, self.problem = now, problem
        self._clock = lambda: now + 0.004
        self._tick(now)

    def _problem(self, now: float) -> str:
        return self.problem

    def _play(self, stream: ReferenceStream, now: float) -> None:
        self.played.append((now, stream.at(now)))


@pytest.mark.parametrize("fallen", [False, True])
def test_a_motion_that_cannot_go_on_stops_without_a_jump_of_velocity(fallen: bool) -> None:
    robot = load_robot("g1")
    reference = LiveReference(robot, lambda time: None, lambda: 1.5, needs_base=False)
    stand = standing_pose(robot)
    bent = transition(robot, stand, replace(stand, positions=stand.positions + 0.3), seconds=3.0)
    reference.stream(0.0)
    reference.replace(bent, 0.0, 0.0)
    output = Stopping(reference)
    times = 1.5 + STEP * np.arange(10)
    for index, now in enumerate(times):
        if index == 5 and fallen:
            reference.fallen = lambda time: "the robot has fallen"  # type: ignore[method-assign]
        output.tick(now, problem="no joint states" if index >= 5 and not fallen else "")
    assert len(output.ended) == 1
    # The tick that stops the motion plays the first moment of the stop.
    stream = reference.stream(times[-1])
    assert stream is not None and stream.begin == times[5]
    speeds = np.array([one.velocities for _, one in output.played])
    assert np.abs(np.diff(speeds, axis=0)).max() < 0.2 * np.abs(speeds).max()
