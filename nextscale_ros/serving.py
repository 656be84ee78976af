"""Running one node as a process that ends cleanly on SIGINT and SIGTERM.

rclpy's own signal handlers shut the context down under a waiting executor; now and then it then
waits for ever, or raises. Here the signal only asks, and the loop looks.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import rclpy
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from nextscale_core.exceptions import NextscaleError

LOOK_EVERY = 0.1
"""How long a signal may go unnoticed [s]."""


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


def serve(make_node: Callable[[], Node], threads: int, args: Sequence[str] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM. Must be called in the main thread.

    Args:
        make_node: Makes the node; called once ROS is initialised.
        threads: How many callbacks may run at the same time.
        args: Command line, with ROS arguments; None is the process's own.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not be made.
    """
    signals = _Signals()
    rclpy.init(
        args=None if args is None else list(args),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    node: Node | None = None
    executor: Executor = SingleThreadedExecutor()
    if threads > 1:
        executor = MultiThreadedExecutor(num_threads=threads)
    try:
        node = make_node()
        executor.add_node(node)
        signals.serving = True
        while not signals.asked:
            executor.spin_once(timeout_sec=LOOK_EVERY)
    except KeyboardInterrupt:
        pass
    except NextscaleError as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        return 1
    finally:
        executor.shutdown(timeout_sec=1.0)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
