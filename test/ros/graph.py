"""What the tests of a running graph share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rclpy.context import Context
from sensor_msgs.msg import JointState

from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import nanoseconds

HERE = Path(__file__).parent
START = 120.0
"""Patience with a node's start on a busy machine [s]."""
REPLY = 60.0
"""Patience with one trajectory on a busy machine [s]."""


@dataclass
class Graph:
    """A domain, a context in it, and the processes started so far."""

    env: dict[str, str]
    context: Context
    folder: Path
    stack: ExitStack
    children: list[Child] = field(default_factory=list)

    def start(
        self,
        module: str,
        parameters: Mapping[str, object] | None = None,
        ros_arguments: Sequence[str] = (),
    ) -> Child:
        log = self.folder / f"{len(self.children)}_{module.rpartition('.')[2]}.log"
        child = Child(
            module, parameters=parameters, ros_arguments=ros_arguments, env=self.env, log=log
        )
        self.children.append(self.stack.enter_context(child))
        return child

    def recorder(self) -> Recorder:
        recorder = Recorder(self.context)
        self.stack.callback(recorder.destroy_node)
        return recorder

    def alive(self) -> None:
        for child in self.children:
            child.check()


def measured_now(recorder: Recorder, check: Callable[[], None] = lambda: None) -> JointState:
    """A joint state that was measured after this call; on a busy machine older ones wait to be
    served, up to a second of them."""
    since = int(recorder.get_clock().now().nanoseconds)

    def fresh() -> bool:
        states = recorder.states
        return bool(states) and nanoseconds(states[-1].header.stamp) >= since

    recorder.wait(fresh, REPLY, "a joint state that is measured now", check)
    return recorder.states[-1]


def idle_share(child: Child, recorder: Recorder, seconds: float = 3.0) -> float:
    """Share of one core that a process takes while nobody wants anything of it."""

    def ticks() -> int:
        # The name in brackets may hold blanks.
        fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    recorder.listen(1.0)
    before, begin = ticks(), time.monotonic()
    recorder.listen(seconds)
    spent = (ticks() - before) / os.sysconf("SC_CLK_TCK")
    return spent / (time.monotonic() - begin)
