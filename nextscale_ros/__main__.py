"""Run a node or program with clean handling of Ctrl-C during its imports.

`python -m nextscale_ros NODE` and the installed executables begin here. The imports take seconds,
before which `nextscale_ros.spin` cannot install its signal handlers.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

from nextscale_core.ending_signals import ending_signals

NODES = {
    "bag_recorder": "nextscale_ros.bags.bag_recorder",
    "bag_replay": "nextscale_ros.bags.bag_replay",
    "generate_node": "nextscale_ros.node.fleet",
    "mock_robot": "nextscale_ros.mock.mock_robot",
    "simulated_robot": "nextscale_ros.simulated_robot.simulated_robot",
    "viewer_node": "nextscale_ros.viewer.viewer_node",
}
"""Executables of the package and their modules."""

PROGRAMS = {
    "nextscale-demo": "nextscale_ros.demo.run",
    "nextscale-ros": "nextscale_ros.bringup.run",
}
"""Executables that start nodes, and their modules."""

ANSWERS = ("bag_replay", "nextscale-demo")
"""Programs whose exit status is a result: an interrupt must not look like success."""


_PR_SET_PDEATHSIG = 1
"""Request of prctl(2) for the signal at the death of the parent."""


def main() -> None:
    """Run the node or module named by the first argument.

    `--parent PID` before it: as a child of that process, with which it ends.
    """
    parent = 0
    if sys.argv[1:2] == ["--parent"]:
        parent = int(sys.argv.pop(2))
        del sys.argv[1]
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in NODES and "." not in name:
        sys.exit(f"usage: python -m nextscale_ros NODE [ARGUMENTS]; NODE is {', '.join(NODES)}")
    _end_quietly(name)
    if parent:
        _end_with(parent)
    runpy.run_module(NODES.get(name, name), run_name="__main__", alter_sys=True)


def executable() -> None:
    """Entry point of the installed executables, told apart by their file names."""
    name = Path(sys.argv[0]).stem
    usual = _end_quietly(name)
    module = importlib.import_module({**NODES, **PROGRAMS}[name])
    if name in PROGRAMS:
        # From here on there may be nodes to stop; a node's own handlers come with its spinning.
        for number, handler in usual.items():
            signal.signal(number, handler)
    module.main()


def _end_quietly(name: str) -> dict[int, Any]:
    """Let signals end the process: nothing has been started yet that would have to be stopped.

    Returns:
        The handlers until now, by signal.
    """
    status = 130 if name in ANSWERS else 0
    return {one: signal.signal(one, lambda *_: os._exit(status)) for one in ending_signals()}


def _end_with(parent: int) -> None:
    """Receive SIGTERM when the parent ends in whatever way, also by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        # It ended before.
        signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
