"""A ROS graph of one's own on this machine: a free domain, and nothing beyond localhost."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from domain_coordinator import domain_id


@contextmanager
def private_graph(ros_home: Path) -> Iterator[dict[str, str]]:
    """Reserve a ROS domain for as long as the `with` block lasts.

    Args:
        ros_home: Folder for ROS's own logs.

    Yields:
        An environment for the processes of the graph.

    Raises:
        RuntimeError: no free domain on this machine.
    """
    # Starting at a random domain: one that was used a moment ago may still have a late talker.
    candidates = iter(random.sample(range(1, 101), 100))
    reservation = domain_id(lambda: next(candidates))
    domain = reservation.__enter__()
    try:
        yield graph_environment(domain, ros_home)
    finally:
        # Without what went wrong in the block: it takes any OSError for a domain in use.
        reservation.__exit__(None, None, None)


def graph_environment(
    domain: int, ros_home: Path, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a process in ROS domain `domain` that only talks on this machine."""
    env = dict(os.environ if base is None else base)
    # Deprecated, and it would override the discovery range.
    env.pop("ROS_LOCALHOST_ONLY", None)
    env.pop("ROS_LOG_DIR", None)
    env.update(
        ROS_DOMAIN_ID=str(domain),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        ROS_HOME=str(ros_home),
    )
    return env
