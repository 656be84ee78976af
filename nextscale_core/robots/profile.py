"""`RobotProfile`: what a URDF does not state about a humanoid, read from one YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass
from typing_extensions import NotRequired, TypedDict

from nextscale_core.exceptions import ConfigError
from nextscale_core.yaml_files import config_errors, nearest, read_yaml

SIDES = ("left", "right")
LIMB_PARTS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")

ALL_JOINTS, UPPER_BODY = "all", "upper_body"
"""Values of `joints` other than patterns of joint names."""

Direction = Literal["x", "y", "z", "-x", "-y", "-z"]
_DIRECTIONS: tuple[Direction, ...] = ("x", "y", "z", "-x", "-y", "-z")
_FORBID_EXTRA = ConfigDict(extra="forbid")


def _shaped(form: str) -> WrapValidator:
    """Report any error inside a value as one error about the form of the whole value."""

    def check(value: object, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(f"must be {form}, got {value!r:.200}") from None

    return WrapValidator(check)


def _file_name(name: str) -> str:
    if not name.isprintable() or set("/\\") & set(name) or not 0 < len(name) <= 64:
        raise ValueError("must be 1 to 64 characters that a file name may contain")
    return name


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("not ascending")  # reported by `_shaped`
    return limits


def _with_default(limits: Mapping[str, float]) -> Mapping[str, float]:
    if "default" not in limits:
        raise ValueError("must have a 'default'")
    return limits


def _known_word(joints: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(joints, str) and joints not in (ALL_JOINTS, UPPER_BODY):
        raise ValueError(
            f"must be {_JOINTS}, got {joints!r}; {nearest(joints, (ALL_JOINTS, UPPER_BODY))}"
        )
    return joints


_JOINTS = f"{ALL_JOINTS!r}, {UPPER_BODY!r} or a list of patterns"
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Positive = Annotated[_Number, Field(gt=0)]
_Margin = Annotated[_Number, Field(ge=0, lt=1)]
_Name = Annotated[str, Field(min_length=1)]
_Point = Annotated[tuple[_Number, _Number, _Number], _shaped("[x, y, z] in metres")]
_Interval = Annotated[
    tuple[_Number, _Number], AfterValidator(_ascending), _shaped("[lower, upper]")
]
_Pairs = Annotated[tuple[tuple[_Name, _Name], ...], _shaped("a list of [link, link]")]
_Patterns = Annotated[tuple[_Name, ...], Field(min_length=1)]

if TYPE_CHECKING:
    Limb = Mapping[str, str]
else:

    class Limb(TypedDict):
        """Joint names of one side."""

        hip: _Name
        knee: _Name
        ankle: _Name
        shoulder: _Name
        elbow: _Name
        wrist: NotRequired[_Name]


@dataclass(frozen=True, config=_FORBID_EXTRA)
class UrdfSource:
    """Location of a robot's description.

    Attributes:
        path: Absolute, or relative to the profile file; the end of a path in the distribution.
        distribution: Name of the pip distribution that contains it, or '' for a plain file.
        install: Command that installs the distribution, for the error message.
        mesh_up: 'y' to turn COLLADA meshes whose files state Y_UP; 'z' to leave them as RViz and
            Gazebo do, since many exporters write Y_UP for any mesh.
    """

    path: str = ""
    distribution: str = ""
    install: str = ""
    mesh_up: Literal["z", "y"] = "z"


@dataclass(frozen=True, config=_FORBID_EXTRA)
class Sole:
    """Contact points of a foot relative to the ankle at the zero posture.

    Attributes:
        toe: Middle of the front edge (x forward, y left, z up) [m].
        heel: Middle of the rear edge [m].
        half_width: Half of the sole's width [m].
    """

    toe: _Point
    heel: _Point
    half_width: _Positive

    def __post_init__(self) -> None:
        front, back = self.toe[0], self.heel[0]
        if not front > back:
            raise ValueError(f"must have toe in front of heel, got x = {front} and {back}")

    @property
    def tilt(self) -> np.ndarray:
        """(3, 3) orientation of the sole at the zero posture, turned about y only."""
        x, _, z = np.subtract(self.toe, self.heel)
        c, s = np.array([x, z]) / np.hypot(x, z)
        return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])

    @property
    def level(self) -> Sole:
        """The sole as it is while it lies flat on the floor."""
        if self.toe[2] == self.heel[2]:
            return self
        toe, heel = (tuple(map(float, self.tilt.T @ end)) for end in (self.toe, self.heel))
        return Sole((toe[0], toe[1], heel[2]), (heel[0], heel[1], heel[2]), self.half_width)


@dataclass(frozen=True, config=_FORBID_EXTRA)
class Axes:
    """Orientation of the root link at the zero posture.

    Attributes:
        forward: The root link's axis that points forward.
        up: The root link's axis that points up.
    """

    forward: Direction = "x"
    up: Direction = "z"

    def __post_init__(self) -> None:
        if self.forward[-1] == self.up[-1]:
            raise ValueError(f"must not lie on one line, got {self.forward!r} and {self.up!r}")

    def rotation(self) -> np.ndarray:
        """(3, 3) from the root link's axes to x forward, y left, z up."""
        signed = np.concatenate([np.eye(3), -np.eye(3)])
        forward, up = (signed[_DIRECTIONS.index(key)] for key in (self.forward, self.up))
        return np.stack([forward, np.cross(up, forward), up])


def nearest_axis(direction: np.ndarray) -> Direction:
    """The axis nearest to a direction (3,)."""
    axis = int(np.abs(direction).argmax())
    return _DIRECTIONS[axis + 3 * int(direction[axis] < 0)]


@dataclass(frozen=True, config=_FORBID_EXTRA, kw_only=True)
class _Parts:
    """The mapping `parts` of a profile file."""

    pelvis: _Name
    torso: _Name
    left: Limb
    right: Limb


@dataclass(frozen=True, config=_FORBID_EXTRA, kw_only=True)
class _Limits:
    """The mapping `limits` of a profile file."""

    acceleration: Annotated[Mapping[str, _Positive], AfterValidator(_with_default)] = field(
        default_factory=lambda: {"default": 60.0}
    )
    velocity: Mapping[str, _Positive] = field(default_factory=dict)
    position: Mapping[str, _Interval] = field(default_factory=dict)
    position_margin: _Margin = 0.02


@dataclass(frozen=True, config=_FORBID_EXTRA)
class _Collision:
    """The mapping `collision` of a profile file."""

    margin: _Margin = 0.0
    ignore: _Pairs = ()


@dataclass(frozen=True, config=_FORBID_EXTRA)
class FeasibilityLimits:
    """What the safety gate calls balanced, flight and slow; it rejects nothing by them.

    Attributes:
        friction: Coefficient of friction of the soles on the floor.
        missing_wrench: Largest mean part of the contact wrench that the feet may lack in a
            balanced motion, as share of the body weight.
        centre_depth: Least distance of the centre of mass to the edge of the soles in contact
            while a balanced motion is slow [m].
        torque_use: Largest share of an effort limit in a balanced motion.
        slow_speed: Horizontal speed of the centre of mass below which a motion is slow [m/s].
        flight_seconds: Longest time without a sole near the floor that is no flight [s].
    """

    friction: _Positive = 0.7
    missing_wrench: _Positive = 0.03
    centre_depth: _Number = 0.0
    torque_use: _Positive = 1.5
    slow_speed: _Positive = 0.1
    flight_seconds: _Positive = 0.1


@dataclass(frozen=True, config=_FORBID_EXTRA, kw_only=True)
class _TopLevel:
    """The keys that a profile file and a `RobotProfile` have in common."""

    name: Annotated[str, AfterValidator(_file_name)]
    description: str = ""
    urdf: UrdfSource = UrdfSource()
    axes: Axes = Axes()
    sole: Sole
    hand: _Point | None = None
    min_stance_width: _Margin = 0.12
    nominal: Mapping[str, _Number] = field(default_factory=dict)
    locked: Mapping[str, _Number] = field(default_factory=dict)
    armature: Mapping[str, _Positive] = field(default_factory=dict)
    joints: Annotated[str | _Patterns, _shaped(_JOINTS), AfterValidator(_known_word)] = ALL_JOINTS
    feasibility: FeasibilityLimits = FeasibilityLimits()


@dataclass(frozen=True, config=_FORBID_EXTRA, kw_only=True)
class _File(_TopLevel):
    """A profile file."""

    parts: _Parts
    limits: _Limits = _Limits()
    collision: _Collision = _Collision()


@dataclass(frozen=True, config=_FORBID_EXTRA, kw_only=True)
class RobotProfile(_TopLevel, _Parts, _Limits):
    """Body parts, sole, posture and limits of a humanoid.

    Keys of `nominal`, `locked`, `acceleration`, `velocity` and `position` are joint names or shell
    patterns such as '*_knee_joint'; a later entry takes precedence.

    Attributes:
        name: Short name, used on the command line.
        description: One line for people.
        urdf: Location of the description.
        axes: Orientation of the root link at the zero posture.
        pelvis: Link that follows the human pelvis.
        torso: Link that follows the human chest.
        left: Joint of each of `LIMB_PARTS` on the left; without 'wrist' where the arm ends at the
            elbow, which needs `hand`.
        right: The same on the right.
        sole: Contact points of both feet (the right one mirrored).
        hand: End of the left forearm relative to the elbow joint at the zero posture (x forward,
            y left, z up) [m], for arms whose last joint is the elbow (the right one mirrored).
        min_stance_width: Minimum distance between the ankles with the feet side by side [m].
        nominal: Standing posture [rad]; joints not named are at 0.
        locked: Joints held at a position and left out of trajectories [rad].
        armature: Inertia of a motor's rotor as seen at its joint, for simulation [kg m^2].
        joints: Joints that move: 'all', 'upper_body' or patterns. The others are held in the
            nominal posture and left out of trajectories.
        feasibility: Thresholds of the dynamics in the safety gate's report.
        acceleration: Acceleration limits [rad/s^2]; 'default' for joints not named.
        velocity: Velocity limits stricter than the URDF's [rad/s].
        position: Position limits that replace the URDF's [rad].
        position_margin: Distance that plans keep to the position limits [rad].
        collision_margin: Minimum distance between bodies [m].
        collision_ignore: Pairs of links that touch by construction.

    Raises:
        pydantic.ValidationError: values out of range or missing body parts; `read_profile` and
            `changed` raise `ConfigError` instead.
    """

    collision_margin: _Margin = 0.0
    collision_ignore: _Pairs = ()

    def __post_init__(self) -> None:
        for side in SIDES:
            if "wrist" not in self.limb(side) and self.hand is None:
                raise ValueError(
                    f"parts.{side}.wrist is missing: name the joint, or give hand: [x, y, z] for "
                    "an arm that ends at the elbow"
                )

    def limb(self, side: str) -> Mapping[str, str]:
        """Joint names of one side ('left' or 'right'); without 'wrist' the arm ends at `hand`."""
        return self.left if side == "left" else self.right


def read_profile(path: Path | str) -> RobotProfile:
    """Read a profile from a YAML file.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing or out of range; the
            message names the file and every such key.
    """
    path = Path(path)
    try:
        tree = _stated(read_yaml(path))
    except ConfigError as error:
        raise ConfigError(f"robot profile {error}") from error
    for group in ("limits", "collision", "feasibility"):
        if isinstance(tree, dict) and group in tree:
            tree[group] = _stated(tree[group])
    with config_errors(path.name, _File):
        file = TypeAdapter(_File).validate_python(tree)
        top = {key.name: getattr(file, key.name) for key in fields(_TopLevel)}
        return RobotProfile(
            **top,
            **vars(file.parts),
            **vars(file.limits),
            collision_margin=file.collision.margin,
            collision_ignore=file.collision.ignore,
        )


def _stated(tree: Any) -> Any:
    """A mapping without the keys that have no value."""
    if not isinstance(tree, dict):
        return tree
    return {key: value for key, value in tree.items() if value is not None}


def changed(profile: RobotProfile, **changes: Any) -> RobotProfile:
    """The profile with other values of some fields.

    Raises:
        ConfigError: a value is out of range.
    """
    with config_errors(profile.name, RobotProfile):
        return replace(profile, **changes)
