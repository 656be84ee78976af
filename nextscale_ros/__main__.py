"""`python -m nextscale_ros NODE`: run a node with clean handling of Ctrl-C during its imports.

The imports take seconds, before which `nextscale_ros.spin` cannot install its signal handlers.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

NODES = {
    "bag_recorder": "nextscale_ros.bags.bag_recorder",
    "bag_replay": "nextscale_ros.bags.bag_replay",
    "generate_node": "nextscale_ros.node.fleet",
    "mock_robot": "nextscale_ros.mock.mock_robot",
    "simulated_robot": "nextscale_ros.simulated_robot.simulated_robot",
    "viewer_node": "nextscale_ros.viewer.viewer_node",
}
"""Executables of the package and their modules."""

ANSWERS = ("bag_replay",)
"""Programs whose exit status is a result: an interrupt must not look like success."""


def main() -> None:
    """Run the node or module named by the first argument."""
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in NODES and "." not in name:
        sys.exit(f"usage: python -m nextscale_ros NODE [ARGUMENTS]; NODE is {', '.join(NODES)}")
    status = 130 if name in ANSWERS else 0
    for number in (signal.SIGINT, signal.SIGTERM):
        # Nothing has been started yet that would have to be stopped.
        signal.signal(number, lambda *_: os._exit(status))
    runpy.run_module(NODES.get(name, name), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
