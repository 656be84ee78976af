"""Private ROS graphs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context

from nextscale_ros.bringup.processes import private_graph


@pytest.mark.parametrize("kind", [OSError, TimeoutError, ValueError, KeyboardInterrupt])
def test_what_goes_wrong_in_it_comes_out_as_it_is(
    kind: type[BaseException], tmp_path: Path
) -> None:
    with pytest.raises(kind, match="what happened"), private_graph(tmp_path):
        raise kind("what happened")


def test_two_at_a_time_have_domains_of_their_own(tmp_path: Path) -> None:
    with private_graph(tmp_path) as one, private_graph(tmp_path) as other:
        assert one["ROS_DOMAIN_ID"] != other["ROS_DOMAIN_ID"]


def test_a_domain_in_which_a_node_runs_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A robot's own nodes reserve nothing, and must not hear the sentences of a demo."""
    # Not those that others draw; somebody may work in one of them.
    drawn = random.sample(range(101, 200), 99)
    monkeypatch.setattr("random.sample", lambda *_: drawn)
    with private_graph(tmp_path) as graph:
        used = graph["ROS_DOMAIN_ID"]
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    rclpy.init(context=context, domain_id=int(used))
    node = rclpy.create_node("driver", context=context)
    try:
        with private_graph(tmp_path) as graph:
            assert graph["ROS_DOMAIN_ID"] != used
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    with private_graph(tmp_path) as graph:
        assert graph["ROS_DOMAIN_ID"] == used
