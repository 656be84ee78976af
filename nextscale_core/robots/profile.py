"""`RobotProfile`: what a URDF does not say about a humanoid, read from one YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots.profile_keys import Keys, nearest
from nextscale_core.yaml_files import read_yaml

SIDES = ("left", "right")
LIMB_PARTS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")

ALL_JOINTS, UPPER_BODY = "all", "upper_body"
"""Words for which joints move, beside patterns of joint names."""

_NO_WRIST = ": name the joint, or give hand: [x, y, z] for an arm that ends at the elbow"

_DIRECTIONS = {
    sign + axis: tuple(float(number) * (axis == name) for name in "xyz")
    for sign, number in (("", 1), ("-", -1))
    for axis in "xyz"
}


@dataclass(frozen=True)
class UrdfSource:
    """Where a robot's description is.

    Attributes:
        path: Absolute, or relative to the distribution's share folder, or to the profile file.
        distribution: Name of the pip distribution that carries it, or '' for a plain file.
        install: Command that installs the distribution, for the error message.
        mesh_up: 'z', or 'y' where COLLADA files that say they have y up are to be turned. RViz
            and Gazebo leave them as they are, since many exporters write that of any mesh.
    """

    path: str = ""
    distribution: str = ""
    install: str = ""
    mesh_up: str = "z"


@dataclass(frozen=True)
class Sole:
    """Contact points of a foot, seen from the ankle of the robot standing at zero.

    Attributes:
        toe: Middle of the front edge (x forward, y left, z up) [m].
        heel: Middle of the rear edge [m].
        half_width: Half of the sole's width [m].
    """

    toe: tuple[float, float, float]
    heel: tuple[float, float, float]
    half_width: float


@dataclass(frozen=True)
class Axes:
    """How the root link lies in the robot that stands at zero.

    Attributes:
        forward: The root link's axis that points forward: 'x', '-x', 'y', ...
        up: The one that points up.

    Raises:
        ConfigError: no such axis, or both along the same line.
    """

    forward: str = "x"
    up: str = "z"

    def __post_init__(self) -> None:
        for key in ("forward", "up"):
            value = getattr(self, key)
            if value not in _DIRECTIONS:
                raise ConfigError(f"axes.{key} must be one of {', '.join(_DIRECTIONS)}: {value!r}")
        if self.forward[-1] == self.up[-1]:
            raise ConfigError(f"axes.forward {self.forward!r} and axes.up {self.up!r} are one line")

    def rotation(self) -> np.ndarray:
        """(3, 3) from the root link's axes to x forward, y left, z up."""
        forward, up = (np.array(_DIRECTIONS[key], dtype=float) for key in (self.forward, self.up))
        return np.stack([forward, np.cross(up, forward), up])


@dataclass(frozen=True)
class RobotProfile:
    """Body parts, sole, posture and limits of a humanoid.

    Keys of `nominal`, `locked`, `acceleration` and `velocity` are joint names or shell patterns
    such as '*_knee_joint'; a later entry wins over an earlier one.

    Attributes:
        name: Short name, used on the command line.
        pelvis: Link that follows the human pelvis.
        torso: Link that follows the human chest.
        left: Joint of each of `LIMB_PARTS` on the left; without 'wrist' where the arm ends at the
            elbow, which needs `hand`.
        right: The same on the right.
        sole: Contact points of both feet (the right one mirrored).
        hand: End of the left forearm, from the elbow joint of the robot standing at zero (x
            forward, y left, z up) [m]: stands for the wrist of arms whose last joint is the elbow
            (the right one mirrored).
        description: One line for people.
        urdf: Where the description is.
        min_stance_width: Least distance of the ankles where the feet are beside each other [m].
        nominal: Standing posture [rad]; joints not named stand at 0.
        locked: Joints held at a position and left out of trajectories [rad].
        acceleration: Acceleration limits [rad/s^2]; 'default' for joints not named.
        velocity: Velocity limits stricter than the URDF's [rad/s].
        position: Position limits in the place of the URDF's [rad].
        position_margin: Distance the plan keeps to the URDF's position limits [rad].
        collision_margin: Bodies may come this close [m].
        collision_ignore: Pairs of links that touch by construction.
        axes: How the root link lies in the standing robot.
        joints: Which joints move: 'all', 'upper_body' or patterns; the others are held in the
            nominal posture, where they are no part of a trajectory.

    Raises:
        ConfigError: values out of range or missing body parts; the message names every key.
    """

    name: str
    pelvis: str
    torso: str
    left: Mapping[str, str]
    right: Mapping[str, str]
    sole: Sole
    hand: tuple[float, float, float] | None = None
    description: str = ""
    urdf: UrdfSource = field(default_factory=UrdfSource)
    min_stance_width: float = 0.12
    nominal: Mapping[str, float] = field(default_factory=dict)
    locked: Mapping[str, float] = field(default_factory=dict)
    acceleration: Mapping[str, float] = field(default_factory=lambda: {"default": 60.0})
    velocity: Mapping[str, float] = field(default_factory=dict)
    position_margin: float = 0.02
    collision_margin: float = 0.0
    collision_ignore: tuple[tuple[str, str], ...] = ()
    position: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    axes: Axes = field(default_factory=Axes)
    joints: str | tuple[str, ...] = ALL_JOINTS

    def __post_init__(self) -> None:
        wrong = list(self._problems())
        if wrong:
            raise ConfigError(f"{self.name}: {'; '.join(wrong)}")

    def _problems(self) -> Iterator[str]:
        if not self.name.isprintable() or set("/\\") & set(self.name) or len(self.name) > 64:
            yield "name must be up to 64 characters that a file name may have"
        for side in SIDES:
            for part in LIMB_PARTS:
                if part not in self.limb(side) and not (part == "wrist" and self.hand):
                    yield f"parts.{side}.{part} is missing{_NO_WRIST if part == 'wrist' else ''}"
        for key in ("acceleration", "velocity"):
            for joint, value in getattr(self, key).items():
                if not value > 0:
                    yield f"limits.{key}.{joint} must be positive, got {value}"
        for joint, (lower, upper) in self.position.items():
            if not lower < upper:
                yield f"limits.position.{joint} must be [lower, upper], got [{lower}, {upper}]"
        if self.urdf.mesh_up not in ("y", "z"):
            yield f"urdf.mesh_up must be y or z, got {self.urdf.mesh_up!r}"
        if "default" not in self.acceleration:
            yield "limits.acceleration.default is missing"
        if not self.sole.half_width > 0:
            yield "sole.half_width must be positive"
        if not self.sole.toe[0] > self.sole.heel[0]:
            yield (
                "sole.toe must lie in front of sole.heel, "
                f"got x = {self.sole.toe[0]} and {self.sole.heel[0]}"
            )
        for key in ("min_stance_width", "position_margin", "collision_margin"):
            value = getattr(self, key)
            if not 0 <= value < 1:
                yield f"{key} must be in [0, 1), got {value}"
        if isinstance(self.joints, str) and self.joints not in (ALL_JOINTS, UPPER_BODY):
            yield (
                f"joints must be {ALL_JOINTS!r}, {UPPER_BODY!r} or a list of patterns, "
                f"got {self.joints!r}; {nearest(self.joints, (ALL_JOINTS, UPPER_BODY))}"
            )

    def limb(self, side: str) -> Mapping[str, str]:
        """Joint names of one side ('left' or 'right'); without 'wrist' the arm ends at `hand`."""
        return self.left if side == "left" else self.right


def read_profile(path: Path | str) -> RobotProfile:
    """Read a profile from a YAML file.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing or out of range; the
            message names the file and the key.
    """
    path = Path(path)
    try:
        tree = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"robot profile {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"robot profile {path} must be a mapping with name, parts, sole, ...")
    try:
        return _profile(tree)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def _profile(tree: dict[str, Any]) -> RobotProfile:
    keys = Keys(
        tree,
        [
            *("name", "description", "urdf", "axes", "parts", "sole", "hand", "min_stance_width"),
            *("nominal", "locked", "joints", "limits", "collision"),
        ],
    )
    parts = keys.branch("parts", ("pelvis", "torso", *SIDES), required=True)
    limbs = {side: parts.branch(side, LIMB_PARTS, required=True) for side in SIDES}
    hand = tree.get("hand") is not None
    sole = keys.branch("sole", ("toe", "heel", "half_width"), required=True)
    limits = keys.branch("limits", ("acceleration", "velocity", "position", "position_margin"))
    collision = keys.branch("collision", ("margin", "ignore"))
    urdf = keys.branch("urdf", ("distribution", "path", "install", "mesh_up"))
    axes = keys.branch("axes", ("forward", "up"))
    values: dict[str, Any] = {
        "name": keys.name("name"),
        "description": keys.text("description"),
        "urdf": UrdfSource(
            urdf.text("path"),
            urdf.text("distribution"),
            urdf.text("install"),
            urdf.text("mesh_up") or "z",
        ),
        "pelvis": parts.name("pelvis"),
        "torso": parts.name("torso"),
        "left": _limb(limbs["left"], "left", hand),
        "right": _limb(limbs["right"], "right", hand),
        "sole": Sole(sole.point("toe"), sole.point("heel"), sole.number("half_width")),
        "hand": keys.point("hand") if hand else None,
        "min_stance_width": keys.number("min_stance_width", 0.12),
        "nominal": keys.numbers("nominal"),
        "locked": keys.numbers("locked"),
        "joints": keys.words("joints", ALL_JOINTS),
        "acceleration": limits.numbers("acceleration", {"default": 60.0}),
        "velocity": limits.numbers("velocity"),
        "position": limits.intervals("position"),
        "position_margin": limits.number("position_margin", 0.02),
        "collision_margin": collision.number("margin", 0.0),
        "collision_ignore": collision.pairs("ignore"),
    }
    forward, up = axes.text("forward") or "x", axes.text("up") or "z"
    if keys.problems:
        raise ConfigError("; ".join(keys.problems))
    return RobotProfile(axes=Axes(forward, up), **values)


def _limb(keys: Keys, side: str, hand: bool) -> dict[str, str]:
    """Joint names of one side; the wrist may be missing where the profile says `hand`."""
    there = [part for part in LIMB_PARTS if part != "wrist" or "wrist" in keys]
    if "wrist" not in there and not hand:
        keys.problems.append(f"parts.{side}.wrist is missing{_NO_WRIST}")
    return {part: keys.name(part) for part in there}
