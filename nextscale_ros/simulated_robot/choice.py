"""`choose`: the balancing controller of a simulated robot, and the output that commands it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nextscale_core.exceptions import ConfigError, ModelLoadError, RobotError
from nextscale_core.robots import Robot
from nextscale_core.simulation.balancer import UNITREE_JOINTS, joint_order
from nextscale_core.simulation.model import require_mujoco
from nextscale_core.simulation.policies import (
    WALKING_INSTALL,
    find_walking_policy,
    make_balancer,
)
from nextscale_ros.options import BALANCERS

AUTO, TRACKER, WALKING, PD, FIXED = "auto", "tracker", "walking", "pd", "fixed"
OUTPUTS = {TRACKER: "reference", WALKING: "walking", PD: "topic", FIXED: "topic"}
"""The generate node's parameter `output` by balancer."""


@dataclass(frozen=True)
class Choice:
    """A balancing controller.

    Attributes:
        balancer: 'tracker', 'walking', 'pd' or 'fixed'.
        policy: Its ONNX file; None where it has none.
        note: What a user should know about it; '' for nothing.
    """

    balancer: str
    policy: Path | None = None
    note: str = ""

    @property
    def output(self) -> str:
        """The generate node's parameter `output` that commands it."""
        return OUTPUTS[self.balancer]

    @property
    def words(self) -> str:
        """The controller and its file, for people."""
        return f"{self.balancer} ({self.policy})" if self.policy else self.balancer


def choose(robot: Robot, balancer: str = AUTO, policy: str = "") -> Choice:
    """Choose the balancing controller of a robot.

    Args:
        robot: The robot.
        balancer: One of `BALANCERS`. 'auto': the one that the policy is made for; without a policy
            'walking' where its policy is installed, and 'fixed' for robots that no policy is for.
        policy: Path of an ONNX file; '' for the installed walking policy.

    Raises:
        ConfigError: MuJoCo or the policy is missing, or policy and controller contradict each
            other; the message states what to install.
        ModelLoadError: the file is not a known policy.
        RobotError: the policy is made for another robot.
    """
    require_mujoco()
    if balancer not in BALANCERS:
        raise ConfigError(f"balancer must be one of {', '.join(BALANCERS)}, got {balancer!r}")
    if balancer in (PD, FIXED):
        if policy:
            raise ConfigError(f"balancer {balancer} uses no policy, got {policy}")
        free = "nothing keeps its base upright: it falls" if balancer == PD else "its base is fixed"
        return Choice(balancer, note=f"{robot.name}: {free}")
    if policy:
        name = make_balancer(robot, None if balancer == AUTO else balancer, policy).name
        return Choice(name, Path(policy))
    if balancer == TRACKER:
        raise ConfigError(f"balancer tracker needs policy:=PATH, {_TRACKER_FILE}")
    if balancer == AUTO and (reason := _unfit(robot)):
        return Choice(FIXED, note=f"{reason}: its base is fixed")
    try:
        path = find_walking_policy()
    except ModelLoadError as error:
        raise ConfigError(
            f"no policy keeps {robot.name} on its feet: '{WALKING_INSTALL}' installs one that "
            f"walks, policy:=PATH names one, such as {_TRACKER_FILE}; balancer:=fixed fixes the "
            "base instead"
        ) from error
    make_balancer(robot, WALKING, path)
    return Choice(WALKING, path)


_TRACKER_FILE = "the ONNX file of TWIST2's general motion tracker (docs/physics.md)"


def _unfit(robot: Robot) -> str:
    """Why no known policy is for a robot; '' where one is."""
    try:
        joint_order(robot, UNITREE_JOINTS, "")
    except RobotError:
        return f"no policy keeps {robot.name} with these joints on its feet"
    return ""
