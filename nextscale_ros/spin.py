"""Running nodes as a process that ends cleanly on SIGINT, SIGTERM and SIGHUP.

rclpy's signal handlers shut the context down under a waiting executor, which sometimes then blocks
or raises. Here a signal only sets a flag, which the loop polls.

Once its nodes have ended, the process exits at once: Python's finalization takes seconds with torch
loaded, and restores the default signal handlers, so that a second Ctrl-C would kill it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from nextscale_core.ending_signals import ending_signals
from nextscale_core.exceptions import NextscaleError
from nextscale_ros.executor import ThreadedExecutor

LOOK_EVERY = 0.1
"""Period of polling for a signal [s]."""

PATIENCE = 1.5
"""Maximum time for running work and callbacks to end [s]; `ros2 launch` sends SIGTERM after 5 s."""

_SWITCH = 0.0005
"""Python's thread switch interval, a tenth of the default: joint states are processed on time
beside a computing thread [s]."""


class _Signals:
    """Stores that a signal was received; interrupts work before the node is running."""

    def __init__(self) -> None:
        self.asked = False
        self.serving = False
        for number in ending_signals():
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if first and not self.serving:
            raise KeyboardInterrupt


def serve(
    makers: Mapping[str, Callable[[], Node]],
    threads: int,
    args: Sequence[str] | None = None,
) -> NoReturn:
    """Run nodes until one of `ending_signals`, then exit. Must be called in the main thread.

    The exit status is 0 after a signal, 1 if a node could not be created or started.

    An exception in a callback is logged and the nodes continue. All nodes end with status 1 if one
    sets its attribute `failure`, with status 0 if one sets `retired`. A node's method
    `close(seconds)`, if it has one, is called at the end and returns whether the node has stopped.

    Args:
        makers: Functions that create a node, called after `rclpy.init`, by the name that an error
            tells until there is a node.
        threads: Maximum number of concurrent callbacks.
        args: Command line with ROS arguments; None for that of the process.
    """
    sys.setswitchinterval(_SWITCH)
    signals = _Signals()
    with told_in_one_line():
        rclpy.init(
            args=None if args is None else list(args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    status, name = 0, ""
    nodes: list[Node] = []
    executor: Executor = SingleThreadedExecutor()
    if threads > 1:
        executor = ThreadedExecutor(num_threads=threads)
    try:
        for label, make in makers.items():
            name = label
            nodes.append(make())
            executor.add_node(nodes[-1])
        signals.serving = True
        while not signals.asked and not any(getattr(node, "retired", False) for node in nodes):
            _spin(executor, nodes[0])
            for node in nodes:
                if failure := getattr(node, "failure", ""):
                    status = _report(node.get_logger().name, failure)
            if status:
                break
    except KeyboardInterrupt:
        pass
    except NextscaleError as error:
        status = _report(name, str(error))
    except Exception:
        # An interrupt inside rclpy's C++ code can surface as any exception.
        if not signals.asked:
            raise
    _end(executor, nodes)
    with suppress(OSError):  # a terminal that is closed
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the process with one line where rcl cannot use the ROS arguments, such as a file."""
    try:
        yield
    except RuntimeError as error:
        # Where in rcl's source it was found follows.
        print("error:", str(error).partition(", at /")[0], file=sys.stderr)
        sys.exit(2)


def _end(executor: Executor, nodes: Sequence[Node]) -> None:
    """Stop the nodes; they are destroyed only if everything stopped in time."""
    until = time.monotonic() + PATIENCE

    def left() -> float:
        return max(until - time.monotonic(), 0.1)

    stopped = [close(left()) for node in nodes if (close := getattr(node, "close", None))]
    executor.shutdown(timeout_sec=0.0)
    pool = getattr(executor, "_executor", None)
    if isinstance(pool, ThreadPoolExecutor):
        pool.shutdown(wait=False, cancel_futures=True)
    # A node that has not stopped blocks its callbacks.
    while all(stopped) and _callbacks() and time.monotonic() < until:
        time.sleep(0.01)
    if all(stopped) and not _callbacks():
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()


def _callbacks() -> list[threading.Thread]:
    """Threads that run callbacks or wait for them."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("ThreadPoolExecutor") and thread.is_alive()
    ]


def _spin(executor: Executor, node: Node) -> None:
    """Spin once; an exception in a callback does not end the process."""
    try:
        executor.spin_once(timeout_sec=LOOK_EVERY)
    except Exception as error:
        node.get_logger().error(
            f"a callback failed, the node continues: {type(error).__name__}: {error}"
            f"\n{traceback.format_exc()}",
            throttle_duration_sec=1.0,
        )


def _report(name: str, failure: str) -> int:
    print(f"{name}: {failure}", file=sys.stderr)
    return 1
