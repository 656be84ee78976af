"""Private ROS graphs."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context

from nextscale_ros.bringup.processes import Child, private_graph


@pytest.mark.parametrize("kind", [OSError, TimeoutError, ValueError, KeyboardInterrupt])
def test_what_goes_wrong_in_it_comes_out_as_it_is(
    kind: type[BaseException], tmp_path: Path
) -> None:
    with pytest.raises(kind, match="what happened"), private_graph(tmp_path):
        raise kind("what happened")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 imports from there")
def test_scripts_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported by mistake')")
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log"
    with Child("mock_robot", parameters={"robot": "r2d2"}, log=log) as child:
        assert child.process.wait(60.0) == 1
    assert "r2d2" in log.read_text() and "by mistake" not in log.read_text()


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
