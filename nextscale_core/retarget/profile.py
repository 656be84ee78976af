"""`RobotProfile`: what a URDF does not say about a humanoid, read from one YAML file."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nextscale_core.exceptions import ConfigError

SIDES = ("left", "right")
LIMB_PARTS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class UrdfSource:
    """Where a robot's description is.

    Attributes:
        path: Absolute, or relative to the distribution's share folder, or to the profile file.
        distribution: Name of the pip distribution that carries it, or '' for a plain file.
        install: Command that installs the distribution, for the error message.
    """

    path: str = ""
    distribution: str = ""
    install: str = ""


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
class RobotProfile:
    """Body parts, sole, posture and limits of a humanoid.

    Keys of `nominal`, `locked`, `acceleration` and `velocity` are joint names or shell patterns
    such as '*_knee_joint'; a later entry wins over an earlier one.

    Attributes:
        name: Short name, used on the command line.
        pelvis: Link that follows the human pelvis.
        torso: Link that follows the human chest.
        left: Joint of each of `LIMB_PARTS` on the left.
        right: The same on the right.
        sole: Contact points of both feet (the right one mirrored).
        description: One line for people.
        urdf: Where the description is.
        min_stance_width: Least distance of the ankles where the feet are beside each other [m].
        nominal: Standing posture [rad]; joints not named stand at 0.
        locked: Joints held at a position and left out of trajectories [rad].
        acceleration: Acceleration limits [rad/s^2]; 'default' for joints not named.
        velocity: Velocity limits stricter than the URDF's [rad/s].
        position_margin: Distance the plan keeps to the URDF's position limits [rad].
        collision_margin: Bodies may come this close [m].
        collision_ignore: Pairs of links that touch by construction.

    Raises:
        ConfigError: a value out of range or a missing body part; the message names the key.
    """

    name: str
    pelvis: str
    torso: str
    left: Mapping[str, str]
    right: Mapping[str, str]
    sole: Sole
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

    def __post_init__(self) -> None:
        for side in SIDES:
            limb = getattr(self, side)
            for part in LIMB_PARTS:
                if part not in limb:
                    raise ConfigError(f"{self.name}: parts.{side}.{part} is missing")
        for key in ("acceleration", "velocity"):
            for joint, value in getattr(self, key).items():
                if not value > 0:
                    raise ConfigError(
                        f"{self.name}: limits.{key}.{joint} must be positive, got {value}"
                    )
        if "default" not in self.acceleration:
            raise ConfigError(f"{self.name}: limits.acceleration.default is missing")
        if not self.sole.half_width > 0:
            raise ConfigError(f"{self.name}: sole.half_width must be positive")
        if not self.sole.toe[0] > self.sole.heel[0]:
            raise ConfigError(
                f"{self.name}: sole.toe must lie in front of sole.heel, "
                f"got x = {self.sole.toe[0]} and {self.sole.heel[0]}"
            )
        for key in ("min_stance_width", "position_margin", "collision_margin"):
            value = getattr(self, key)
            if not 0 <= value < 1:
                raise ConfigError(f"{self.name}: {key} must be in [0, 1), got {value}")

    def limb(self, side: str) -> Mapping[str, str]:
        """Joint names of one side ('left' or 'right')."""
        return self.left if side == "left" else self.right


def read_profile(path: Path | str) -> RobotProfile:
    """Read a profile from a YAML file.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing or out of range; the
            message names the file and the key.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"robot profile {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"robot profile {path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"robot profile {path} must be a mapping with name, parts, sole, ...")
    try:
        return _profile(tree)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def _profile(tree: dict[str, Any]) -> RobotProfile:
    _known(
        tree,
        "",
        {"name", "description", "urdf", "parts", "sole", "min_stance_width"}
        | {"nominal", "locked", "limits", "collision"},
    )
    parts = _mapping(tree, "parts", required=True)
    _known(parts, "parts.", {"pelvis", "torso", *SIDES})
    limbs = {side: _mapping(parts, side, "parts.", required=True) for side in SIDES}
    for side, limb in limbs.items():
        _known(limb, f"parts.{side}.", set(LIMB_PARTS))
    sole = _mapping(tree, "sole", required=True)
    _known(sole, "sole.", {"toe", "heel", "half_width"})
    limits = _mapping(tree, "limits")
    _known(limits, "limits.", {"acceleration", "velocity", "position_margin"})
    collision = _mapping(tree, "collision")
    _known(collision, "collision.", {"margin", "ignore"})
    urdf = _mapping(tree, "urdf")
    _known(urdf, "urdf.", {"distribution", "path", "install"})
    return RobotProfile(
        name=_string(tree, "name", ""),
        description=str(tree.get("description", "")),
        urdf=UrdfSource(**{key: str(value) for key, value in urdf.items()}),
        pelvis=_string(parts, "pelvis", "parts."),
        torso=_string(parts, "torso", "parts."),
        left={part: _string(limbs["left"], part, "parts.left.") for part in LIMB_PARTS},
        right={part: _string(limbs["right"], part, "parts.right.") for part in LIMB_PARTS},
        sole=Sole(
            toe=_point(sole, "toe"),
            heel=_point(sole, "heel"),
            half_width=_number(sole, "half_width", "sole."),
        ),
        min_stance_width=_number(tree, "min_stance_width", "", 0.12),
        nominal=_numbers(tree, "nominal", ""),
        locked=_numbers(tree, "locked", ""),
        acceleration=_numbers(limits, "acceleration", "limits.", {"default": 60.0}),
        velocity=_numbers(limits, "velocity", "limits."),
        position_margin=_number(limits, "position_margin", "limits.", 0.02),
        collision_margin=_number(collision, "margin", "collision.", 0.0),
        collision_ignore=_pairs(collision),
    )


def nearest(name: str, known: Collection[str]) -> str:
    """End of an error message: the nearest right name, or all of them where none is near.

    Args:
        name: What was given.
        known: What would have been right.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def _known(tree: Mapping[str, Any], prefix: str, allowed: set[str]) -> None:
    for key in tree:
        if key not in allowed:
            raise ConfigError(f"unknown key {prefix}{key}; {nearest(str(key), allowed)}")


def _mapping(
    tree: Mapping[str, Any], key: str, prefix: str = "", *, required: bool = False
) -> dict[str, Any]:
    value = tree.get(key)
    if value is None:
        if required:
            raise ConfigError(f"{prefix}{key} is missing")
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{prefix}{key} must be a mapping, got {value!r}")
    return value


def _string(tree: Mapping[str, Any], key: str, prefix: str) -> str:
    value = tree.get(key)
    if not isinstance(value, str) or not value:
        problem = "is missing" if value is None else f"must be a name, got {value!r}"
        raise ConfigError(f"{prefix}{key} {problem}")
    return value


def _number(tree: Mapping[str, Any], key: str, prefix: str, default: float | None = None) -> float:
    value = tree.get(key, default)
    if value is None:
        raise ConfigError(f"{prefix}{key} is missing")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{prefix}{key} must be a number, got {value!r}")
    return float(value)


def _numbers(
    tree: Mapping[str, Any], key: str, prefix: str, default: dict[str, float] | None = None
) -> dict[str, float]:
    values = _mapping(tree, key, prefix)
    if not values:
        return dict(default or {})
    return {str(joint): _number(values, joint, f"{prefix}{key}.") for joint in values}


def _point(sole: Mapping[str, Any], key: str) -> tuple[float, float, float]:
    value = sole.get(key)
    if not isinstance(value, list) or len(value) != 3:
        raise ConfigError(f"sole.{key} must be [x, y, z] in metres, got {value!r}")
    x, y, z = (_number({key: number}, key, "sole.") for number in value)
    return x, y, z


def _pairs(collision: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    value = collision.get("ignore") or []
    if not isinstance(value, list) or any(
        not isinstance(pair, list) or len(pair) != 2 for pair in value
    ):
        raise ConfigError(f"collision.ignore must be a list of [link, link], got {value!r}")
    return tuple((str(a), str(b)) for a, b in value)
