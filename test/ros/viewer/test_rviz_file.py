"""The RViz file as RViz 2 reads it: keys at the levels where it looks for them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time

from core.human_clips import walking_clip
from nextscale_core.exceptions import RobotError
from nextscale_core.resources import resource
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import list_robots, load_robot
from nextscale_core.robots.description import link_names
from nextscale_core.viz.scene import ASIDE
from nextscale_ros.tf import BASE_FOOTPRINT, BASE_LINK
from nextscale_ros.viewer.markers import PlanMarkers


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(resource("config/rviz/nextscale.rviz").read_text())
    return found


@pytest.fixture(scope="module")
def displays(file: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in file["Visualization Manager"]["Displays"]}


def test_the_window_is_large_and_most_of_it_is_the_robot(file: dict[str, Any]) -> None:
    # The main window reads these, beside the manager and its displays.
    assert set(file) == {"Panels", "Visualization Manager", "Window Geometry"}
    assert file["Window Geometry"]["Width"] >= 1200
    assert file["Window Geometry"]["Height"] >= 800
    # Each further panel would take a dock of some 250 pixels.
    assert [panel["Class"] for panel in file["Panels"]] == ["rviz_common/Displays"]


def shown(displays: dict[str, dict[str, Any]], frame: str) -> bool:
    """Whether RViz draws a frame: it searches the whitelist in the name, and all others vanish."""
    return re.search(displays["Frames"]["Filter (whitelist)"], frame) is not None


@pytest.mark.parametrize("name", list_robots(installed=True))
def test_no_link_is_covered_by_its_own_frame(displays: dict[str, Any], name: str) -> None:
    try:
        links = link_names(load_robot(name).model)
    except RobotError as error:
        pytest.skip(str(error))
    assert not [link for link in links - {BASE_LINK, BASE_FOOTPRINT} if shown(displays, link)]


@pytest.mark.parametrize("frame", ["odom", BASE_LINK, BASE_FOOTPRINT, f"left/{BASE_LINK}"])
def test_the_frames_of_the_base_are_shown(displays: dict[str, Any], frame: str) -> None:
    assert shown(displays, frame)


def test_every_part_of_a_plan_is_enabled_and_a_late_rviz_gets_it(displays: dict[str, Any]) -> None:
    try:
        robot = load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))
    clip = walking_clip()
    plan = PlanMarkers(robot, Retargeter(robot).retarget(clip), clip, "a person walks")
    parts = {marker.ns for marker in plan.at(0.0, Time()).markers}
    assert displays["Plan"]["Namespaces"] == dict.fromkeys(parts, True)
    for display, topic in (("Plan", "Topic"), ("Robot", "Description Topic")):
        assert displays[display][topic]["Durability Policy"] == "Transient Local"
        assert displays[display][topic]["Reliability Policy"] == "Reliable"


def test_the_human_stands_behind_the_robot_as_the_camera_sees_them(file: dict[str, Any]) -> None:
    view = file["Visualization Manager"]["Views"]["Current"]
    # An orbit view looks from distance * (cos yaw, sin yaw), seen from its target.
    camera = view["Distance"] * np.array([np.cos(view["Yaw"]), np.sin(view["Yaw"])])
    camera += [view["Focal Point"]["X"], view["Focal Point"]["Y"]]
    assert view["Target Frame"] == BASE_FOOTPRINT and camera[0] > 1.0, "it sees the front"
    human = np.array([0.0, ASIDE])
    assert np.linalg.norm(camera - human) > np.linalg.norm(camera) + 0.3


def test_the_grid_reaches_as_far_as_a_motion_does(displays: dict[str, Any]) -> None:
    grid = displays["Grid"]
    assert grid["Cell Size"] * grid["Plane Cell Count"] / 2 >= 20.0
