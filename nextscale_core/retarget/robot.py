"""`Robot`: a URDF and a profile, loaded and checked."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.resources import resource
from nextscale_core.retarget.profile import (
    LIMB_PARTS,
    SIDES,
    RobotProfile,
    nearest,
    read_profile,
)

_REVOLUTE = ("JointModelRX", "JointModelRY", "JointModelRZ", "JointModelRevoluteUnaligned")
_CONTINUOUS = ("JointModelRUBX", "JointModelRUBY", "JointModelRUBZ")


@dataclass(frozen=True, eq=False)
class Robot:
    """A humanoid: kinematic model with a floating base, limits and profile.

    Attributes:
        name: Name of the profile.
        joint_names: J actuated joints that are not locked, in the order of the description.
        position_lower: (J,) lower position limits [rad].
        position_upper: (J,) upper position limits [rad].
        velocity_limit: (J,) [rad/s].
        acceleration_limit: (J,) [rad/s^2].
        nominal: (J,) standing posture inside the limits [rad].
        profile: What the URDF does not say.
        model: pinocchio model; joint 1 is the free flyer, joint 2 + j is `joint_names[j]`.
        urdf_path: The description.
        mesh_dirs: Folders that `package://` is resolved in.
    """

    name: str
    joint_names: tuple[str, ...]
    position_lower: np.ndarray
    position_upper: np.ndarray
    velocity_limit: np.ndarray
    acceleration_limit: np.ndarray
    nominal: np.ndarray
    profile: RobotProfile
    model: pin.Model
    urdf_path: Path
    mesh_dirs: tuple[Path, ...]

    @property
    def num_joints(self) -> int:
        """J, the number of joints in a trajectory."""
        return len(self.joint_names)

    def configurations(
        self, base_position: np.ndarray, base_quaternion: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """Pinocchio configurations.

        Args:
            base_position: (N, 3) root link in the world [m].
            base_quaternion: (N, 4) x y z w.
            positions: (N, J) joint positions [rad].

        Returns:
            (N, nq); continuous joints take two entries (cosine and sine).
        """
        q = np.empty((len(positions), self.model.nq))
        q[:, :3], q[:, 3:7] = base_position, base_quaternion
        for j in range(self.num_joints):
            joint = self.model.joints[j + 2]
            if joint.nq == 2:
                q[:, joint.idx_q] = np.cos(positions[:, j])
                q[:, joint.idx_q + 1] = np.sin(positions[:, j])
            else:
                q[:, joint.idx_q] = positions[:, j]
        return q


@dataclass(frozen=True)
class RobotState:
    """Where the robot is when a trajectory begins.

    Attributes:
        positions: (J,) measured joint positions, in the order of `Robot.joint_names` [rad].
        velocities: (J,) measured joint velocities [rad/s]; None means at rest.
        base_position: (3,) root link in the world [m], or None when unknown.
        base_quaternion: (4,) root link in the world, x y z w, or None when unknown.

    Raises:
        RobotError: arrays of the wrong length, NaN, or a quaternion that is not one.
    """

    positions: np.ndarray
    velocities: np.ndarray | None = None
    base_position: np.ndarray | None = None
    base_quaternion: np.ndarray | None = None

    def __post_init__(self) -> None:
        positions = np.asarray(self.positions, dtype=np.float64)
        if positions.ndim != 1:
            raise RobotError(f"state positions must have shape (J,), got {positions.shape}")
        shapes = {
            "positions": positions.shape,
            "velocities": positions.shape,
            "base_position": (3,),
            "base_quaternion": (4,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = np.asarray(value, dtype=np.float64)
            if array.shape != shape:
                raise RobotError(f"state {name} must have shape {shape}, got {array.shape}")
            if not np.isfinite(array).all():
                raise RobotError(f"state {name} holds NaN or infinity")
            object.__setattr__(self, name, array)
        if self.base_quaternion is not None:
            norm = float(np.linalg.norm(self.base_quaternion))
            if abs(norm - 1) > 0.01:
                raise RobotError(f"state base_quaternion must have norm 1, got {norm:.3f}")
            object.__setattr__(self, "base_quaternion", self.base_quaternion / norm)


def list_robots() -> list[str]:
    """Names of the robots that come with the package, sorted."""
    return sorted(path.stem for path in resource("config/robots").glob("*.yaml"))


def load_robot(name_or_urdf: str, profile: Path | None = None) -> Robot:
    """Load a robot by its name, or any URDF with a profile.

    Args:
        name_or_urdf: One of `list_robots()`, or the path of a URDF file.
        profile: YAML profile; required with a path, optional with a name (it then replaces the
            one that comes with the package).

    Raises:
        RobotError: unknown robot (the message lists the known), missing package (the message
            says how to install it), or a profile that names a joint or link the URDF lacks.
        ConfigError: the profile itself is malformed.
    """
    if name_or_urdf in list_robots():
        path = profile or resource(f"config/robots/{name_or_urdf}.yaml")
        return _load_known(str(path), Path(path).stat().st_mtime_ns)
    urdf = Path(name_or_urdf)
    if urdf.suffix.lower() in (".urdf", ".xml") or urdf.is_file():
        if not urdf.is_file():
            raise RobotError(f"no URDF file {name_or_urdf}")
        if profile is None:
            raise RobotError(f"a URDF path needs a profile file: load_robot({name_or_urdf!r}, ...)")
        return build_robot(urdf, read_profile(profile), _package_roots(urdf))
    raise RobotError(f"unknown robot {name_or_urdf!r}; known: {', '.join(list_robots())}")


@lru_cache(maxsize=8)
def _load_known(path: str, _changed: int) -> Robot:
    profile = read_profile(path)
    source = profile.urdf
    if not source.path:
        raise ConfigError(f"{Path(path).name}: urdf.path is missing")
    if not source.distribution:
        urdf = Path(path).parent / source.path
        return build_robot(urdf, profile, _package_roots(urdf))
    root = _distribution_share(source.distribution, source.install)
    return build_robot(root / source.path, profile, (root.parent,))


def _distribution_share(distribution: str, install: str) -> Path:
    """Folder `share/<distribution>` of an installed pip distribution."""
    hint = f"install it with: {install}" if install else "install it with pip"
    try:
        files = importlib.metadata.distribution(distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        raise RobotError(f"the package {distribution} is not installed; {hint}") from None
    for file in files:
        if file.parts[-2:] == (distribution, "package.xml"):
            return Path(str(file.locate())).resolve().parent
    raise RobotError(f"the package {distribution} holds no robot descriptions; {hint}")


def _package_roots(urdf: Path) -> tuple[Path, ...]:
    """Folders above a URDF: `package://x/...` is below one of them."""
    return tuple(urdf.resolve().parents)[:5]


def build_robot(urdf: Path, profile: RobotProfile, mesh_dirs: tuple[Path, ...]) -> Robot:
    """Build a robot from a URDF file and a profile.

    Args:
        urdf: The description.
        profile: Which link is what; every name in it is checked against the URDF.
        mesh_dirs: Folders that `package://` is resolved in.

    Raises:
        RobotError: the URDF cannot be parsed, lacks a named joint or link, has limits that make
            no sense, or joints that are neither revolute, continuous, fixed nor locked.
    """
    try:
        model = pin.buildModelFromUrdf(str(urdf), pin.JointModelFreeFlyer())
    except (ValueError, RuntimeError) as error:
        raise RobotError(f"{urdf} cannot be read as a URDF: {error}") from error
    names = list(model.names)[2:]
    _check_names(model, names, profile)
    locked = _expand(profile, "locked", names)
    if locked:
        reference = pin.neutral(model)
        for joint, value in locked.items():
            reference[model.joints[model.getJointId(joint)].idx_q] = value
        ids = [model.getJointId(joint) for joint in locked]
        model = pin.buildReducedModel(model, ids, reference)
        names = list(model.names)[2:]
    lower, upper, velocity = _limits(model, names, profile)
    nominal = np.array([_expand(profile, "nominal", names).get(name, 0.0) for name in names])
    acceleration = _expand(profile, "acceleration", names)
    default = profile.acceleration["default"]
    return Robot(
        name=profile.name,
        joint_names=tuple(names),
        position_lower=lower,
        position_upper=upper,
        velocity_limit=velocity,
        acceleration_limit=np.array([acceleration.get(name, default) for name in names]),
        nominal=np.clip(nominal, lower, upper),
        profile=profile,
        model=model,
        urdf_path=Path(urdf),
        mesh_dirs=mesh_dirs,
    )


def _expand(profile: RobotProfile, key: str, names: list[str]) -> dict[str, float]:
    """Value per joint of one of the profile's pattern tables; a later pattern wins."""
    table: Mapping[str, float] = getattr(profile, key)
    values: dict[str, float] = {}
    for pattern, value in table.items():
        values.update({name: value for name in names if fnmatchcase(name, pattern)})
    return values


def _check_names(model: pin.Model, names: list[str], profile: RobotProfile) -> None:
    links = {frame.name for frame in model.frames if frame.type == pin.FrameType.BODY}
    for key in ("pelvis", "torso"):
        link = getattr(profile, key)
        if link not in links:
            raise RobotError(
                f"{profile.name}: parts.{key}: no link {link!r}; {nearest(link, links)}"
            )
    for pair in profile.collision_ignore:
        for link in pair:
            if link not in links:
                raise RobotError(
                    f"{profile.name}: collision.ignore: no link {link!r}; {nearest(link, links)}"
                )
    for side in SIDES:
        for part in LIMB_PARTS:
            joint = profile.limb(side)[part]
            if joint not in names:
                raise RobotError(
                    f"{profile.name}: parts.{side}.{part}: no joint {joint!r}; "
                    f"{nearest(joint, names)}"
                )
            if any(fnmatchcase(joint, pattern) for pattern in profile.locked):
                raise RobotError(
                    f"{profile.name}: parts.{side}.{part}: joint {joint!r} is also locked"
                )
    for key in ("nominal", "locked", "acceleration", "velocity"):
        for pattern in getattr(profile, key):
            if pattern != "default" and not any(fnmatchcase(name, pattern) for name in names):
                raise RobotError(
                    f"{profile.name}: {key}: no joint matches {pattern!r}; "
                    f"{nearest(pattern, names)}"
                )


def _limits(
    model: pin.Model, names: list[str], profile: RobotProfile
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lower, upper, velocity = (np.empty(len(names)) for _ in range(3))
    stricter = _expand(profile, "velocity", names)
    for j, name in enumerate(names):
        joint = model.joints[j + 2]
        kind = joint.shortname()
        if kind in _CONTINUOUS:
            lower[j], upper[j] = -4 * np.pi, 4 * np.pi
        elif kind in _REVOLUTE:
            lower[j] = model.lowerPositionLimit[joint.idx_q]
            upper[j] = model.upperPositionLimit[joint.idx_q]
        else:
            raise RobotError(
                f"{profile.name}: joint {name!r} is of type {kind}; "
                "only revolute joints can move, lock it in the profile"
            )
        velocity[j] = min(model.velocityLimit[joint.idx_v], stricter.get(name, np.inf))
        if not upper[j] - lower[j] > 2 * profile.position_margin:
            raise RobotError(
                f"{profile.name}: joint {name!r} may move from {lower[j]} to {upper[j]} rad only; "
                "lock it in the profile"
            )
        if not 0 < velocity[j] < np.inf:
            raise RobotError(
                f"{profile.name}: joint {name!r} has velocity limit {velocity[j]} rad/s; "
                "set a positive one in limits.velocity"
            )
    return lower, upper, velocity


def with_profile(robot: Robot, **changes: object) -> Robot:
    """The same URDF under a changed profile (for experiments and tests).

    Args:
        robot: Where URDF and profile come from.
        changes: Fields of `RobotProfile` to replace.
    """
    changed: RobotProfile = replace(robot.profile, **changes)  # type: ignore[arg-type]
    return build_robot(robot.urdf_path, changed, robot.mesh_dirs)
