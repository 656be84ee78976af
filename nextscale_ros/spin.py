"""Running nodes as a process that ends cleanly on SIGINT and SIGTERM.

rclpy's own signal handlers shut the context down under a waiting executor; now and then it then
waits for ever, or raises. Here the signal only asks, and the loop looks.

A process that has ended its nodes leaves at once: Python's own finalization takes seconds where
torch is loaded, and restores the default signal handlers, so that a second Ctrl-C would kill it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import rclpy
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from nextscale_core.exceptions import NextscaleError

LOOK_EVERY = 0.1
"""How long a signal may go unnoticed [s]."""

PATIENCE = 1.5
"""Time for the work at hand and all callbacks to end [s]; `ros2 launch` sends SIGTERM after 5."""

_SWITCH = 0.0005
"""How long a thread that computes may keep one that hears the robot waiting [s]; Python's own value
is ten times that."""


class _Signals:
    """Remembers that an end was asked for; interrupts what happens before the node serves."""

    def __init__(self) -> None:
        self.asked = False
        self.serving = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if first and not self.serving:
            raise KeyboardInterrupt


def serve(
    make_nodes: Callable[[], Node] | Sequence[Callable[[], Node]],
    threads: int,
    args: Sequence[str] | None = None,
) -> NoReturn:
    """Run nodes until SIGINT or SIGTERM, then end the process. Must be called in the main thread.

    The exit status is 0 after a signal, 1 when a node could not be made or started.

    What a callback raises is logged, and the nodes go on. A node that cannot start by itself says
    so in an attribute `failure`; then all end. All end with status 0 where a node's attribute
    `retired` is true. A node with a method `close(seconds)` is notified of the
    end, and says whether it has stopped.

    Args:
        make_nodes: Makes a node, or several; called once ROS is initialised.
        threads: How many callbacks may run at the same time.
        args: Command line, with ROS arguments; None is the process's own.
    """
    sys.setswitchinterval(_SWITCH)
    signals = _Signals()
    rclpy.init(
        args=None if args is None else list(args),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    status = 0
    nodes: list[Node] = []
    executor: Executor = SingleThreadedExecutor()
    if threads > 1:
        executor = MultiThreadedExecutor(num_threads=threads)
    try:
        for make in [make_nodes] if callable(make_nodes) else make_nodes:
            nodes.append(make())
            executor.add_node(nodes[-1])
        signals.serving = True
        while not signals.asked and not any(getattr(node, "retired", False) for node in nodes):
            _spin(executor, nodes[0])
            failures = [failure for node in nodes if (failure := getattr(node, "failure", ""))]
            if failures:
                status = _told(failures[0])
                break
    except KeyboardInterrupt:
        pass
    except NextscaleError as error:
        status = _told(str(error))
    except Exception:
        # An interrupt inside of rclpy's C++ code may come out as any exception.
        if not signals.asked:
            raise
    _end(executor, nodes)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end(executor: Executor, nodes: Sequence[Node]) -> None:
    """Stop everything; where something does not stop in time, nothing is destroyed under it."""
    until = time.monotonic() + PATIENCE

    def left() -> float:
        return max(until - time.monotonic(), 0.1)

    stopped = [close(left()) for node in nodes if (close := getattr(node, "close", None))]
    executor.shutdown(timeout_sec=0.0)
    pool = getattr(executor, "_executor", None)
    if isinstance(pool, ThreadPoolExecutor):
        pool.shutdown(wait=False, cancel_futures=True)
    # What has not stopped keeps its callbacks waiting.
    while all(stopped) and _callbacks() and time.monotonic() < until:
        time.sleep(0.01)
    if all(stopped) and not _callbacks():
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()


def _callbacks() -> list[threading.Thread]:
    """Threads in which callbacks run, or wait for work."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("ThreadPoolExecutor") and thread.is_alive()
    ]


def _spin(executor: Executor, node: Node) -> None:
    """Serve for a moment; one callback that raises does not end the process."""
    try:
        executor.spin_once(timeout_sec=LOOK_EVERY)
    except Exception as error:
        node.get_logger().error(
            f"a callback failed, the node goes on: {type(error).__name__}: {error}"
            f"\n{traceback.format_exc()}",
            throttle_duration_sec=1.0,
        )


def _told(failure: str) -> int:
    print(f"{Path(sys.argv[0]).stem}: {failure}", file=sys.stderr)
    return 1
