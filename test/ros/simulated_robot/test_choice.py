"""Which balancing controller a simulated robot gets, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from nextscale_core.exceptions import ConfigError, ModelLoadError
from nextscale_core.robots import Robot, load_robot
from nextscale_core.simulation.policies import WALKING_INSTALL
from nextscale_ros.simulated_robot import choice
from nextscale_ros.simulated_robot.choice import choose


@pytest.fixture(scope="module")
def g1() -> Robot:
    return load_robot("g1")


@pytest.fixture
def no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise ModelLoadError("no walking policy")

    monkeypatch.setattr(choice, "find_walking_policy", missing)


def test_without_a_policy_the_error_names_what_to_install_or_give(
    g1: Robot, no_policy: None
) -> None:
    for balancer in ("auto", "walking"):
        with pytest.raises(ConfigError) as caught:
            choose(g1, balancer)
        for word in (WALKING_INSTALL, "policy:=PATH", "balancer:=fixed"):
            assert word in str(caught.value)


def test_the_tracker_needs_a_path(g1: Robot) -> None:
    with pytest.raises(ConfigError, match="policy:=PATH"):
        choose(g1, "tracker")


def test_a_robot_that_no_policy_is_for_gets_a_fixed_base_and_a_note(no_policy: None) -> None:
    found = choose(load_robot("g1", joints="upper_body"))
    assert (found.balancer, found.output) == ("fixed", "topic")
    assert "fixed" in found.note and "g1" in found.note


@pytest.mark.parametrize("balancer", ["pd", "fixed"])
def test_what_no_policy_moves_takes_none(g1: Robot, balancer: str) -> None:
    assert choose(g1, balancer).policy is None
    with pytest.raises(ConfigError, match="uses no policy"):
        choose(g1, balancer, "tracker.onnx")


def test_a_policy_that_is_missing_is_named(g1: Robot) -> None:
    with pytest.raises(ModelLoadError, match=r"nowhere\.onnx"):
        choose(g1, "auto", "nowhere.onnx")


def test_an_unknown_balancer_is_refused_with_those_there_are(g1: Robot) -> None:
    with pytest.raises(ConfigError, match="auto, tracker, walking, pd, fixed"):
        choose(g1, "magic")


def test_without_the_physics_engine_the_error_names_what_to_install(
    g1: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(ConfigError, match=r"nextscale\[sim\]"):
        choose(g1, "fixed")
