"""`Robot`: a URDF and a profile, loaded and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.resources import resource
from nextscale_core.robots.description import (
    expand,
    held_joints,
    joint_names,
    limb_offsets,
    locked_joints,
    name_problems,
    orientations,
    read_model,
    reduced,
    sliding_followers,
    stand_up,
)
from nextscale_core.robots.find_urdf import find_urdf, is_installed, keep_description, package_roots
from nextscale_core.robots.limits import acceleration_limits, joint_limits
from nextscale_core.robots.mimic import Coupling, Mimic, coupling, with_followers
from nextscale_core.robots.profile import SIDES, RobotProfile, changed, read_profile
from nextscale_core.robots.state import RobotState as RobotState
from nextscale_core.robots.urdf import read_urdf

_ENDLESS = 1e100
"""Effort from which on a limit of pinocchio's means that the URDF has none [N m]."""


@dataclass(frozen=True, eq=False)
class Robot:
    """A humanoid: kinematic model with a floating base, limits and profile.

    Attributes:
        name: Name of the profile.
        joint_names: J joints that a controller commands: neither locked, held nor followers.
            In pinocchio's order, not that of the file: each joint before those it carries, and
            those that one link carries by name.
        position_lower: (J,) lower position limits [rad].
        position_upper: (J,) upper position limits [rad].
        velocity_limit: (J,) [rad/s].
        acceleration_limit: (J,) [rad/s^2].
        nominal: (J,) standing posture inside the limits [rad].
        profile: The profile.
        model: pinocchio model; joint 1 is the free flyer. Without `coupling`, joint 2 + j is
            `joint_names[j]`; with it, the model includes the followers. The base frame is at the
            origin of the root link, with x forward, y left and z up at the zero posture.
        urdf_path: The description.
        mesh_dirs: Folders that `package://` is resolved in.
        held: Positions of the joints that the profile's `joints` leaves out [rad].
        base_held: True if joints of a leg are held; the base is then held too.
        mimics: Every movable joint of the URDF that mimics another (`<mimic>`), chains resolved,
            including locked and held ones. None is commanded or in `/joint_states`. Prismatic
            ones are fixed in the model, where the nominal posture puts them.
        coupling: Map from the commanded joints to all joints of the model; None if they are the
            same.
        upright: (3, 3) orientation of each body part ('torso', 'left_ankle', ...) relative to the
            base at the zero posture, nothing held.
        aside: (3,) from a joint's origin to the knee or elbow ('left_knee'), where that lies
            beside it, at the zero posture [m].
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
    held: Mapping[str, float] = field(default_factory=dict)
    base_held: bool = False
    mimics: Mapping[str, Mimic] = field(default_factory=dict)
    coupling: Coupling | None = None
    upright: Mapping[str, np.ndarray] = field(default_factory=dict)
    aside: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def num_joints(self) -> int:
        """J, the number of joints in a trajectory."""
        return len(self.joint_names)

    @property
    def continuous(self) -> np.ndarray:
        """(J,) True for joints without position limits in the URDF."""
        numbers = [self.model.getJointId(name) for name in self.joint_names]
        return np.array([self.model.joints[number].nq == 2 for number in numbers], dtype=bool)

    @cached_property
    def effort_limit(self) -> np.ndarray:
        """(J,) effort limits of the URDF [N m]; infinite where it has none, or 0."""
        rows = [self.model.joints[self.model.getJointId(n)].idx_v for n in self.joint_names]
        limit = self.model.effortLimit[rows]
        return np.where((limit > 0) & (limit < _ENDLESS), limit, np.inf)

    def root_quaternion(self, base_quaternion: np.ndarray) -> np.ndarray:
        """Orientation of the URDF's own root link, (..., 4) x y z w.

        Args:
            base_quaternion: (..., 4) orientation of the base, as in trajectories and states.
        """
        turn = Rotation.from_matrix(self.profile.axes.rotation())
        return (Rotation.from_quat(base_quaternion) * turn).as_quat()

    def configurations(
        self, base_position: np.ndarray, base_quaternion: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """Pinocchio configurations.

        Args:
            base_position: (N, 3) root link in the world [m].
            base_quaternion: (N, 4) x y z w.
            positions: (N, J) joint positions [rad].

        Returns:
            (N, nq); continuous joints have two entries (cosine and sine).
        """
        q = np.empty((len(positions), self.model.nq))
        q[:, :3], q[:, 3:7] = base_position, base_quaternion
        if self.coupling is not None:
            positions = self.coupling.positions(positions)
        for j in range(positions.shape[1]):
            joint = self.model.joints[j + 2]
            if joint.nq == 2:
                q[:, joint.idx_q] = np.cos(positions[:, j])
                q[:, joint.idx_q + 1] = np.sin(positions[:, j])
            else:
                q[:, joint.idx_q] = positions[:, j]
        return q


def list_robots(*, installed: bool = False) -> list[str]:
    """Names of the robots that have a profile in the package, sorted.

    Args:
        installed: Leave out those whose description is in a package that is not installed.
    """
    paths = sorted(resource("config/robots").glob("*.yaml"))
    return [path.stem for path in paths if not installed or is_installed(read_profile(path).urdf)]


def load_robot(
    name_or_urdf: str, profile: Path | None = None, joints: str | Sequence[str] | None = None
) -> Robot:
    """Load a robot by its name, or any URDF with a profile.

    Args:
        name_or_urdf: One of `list_robots()`, the path of a URDF file, or the path of a profile
            with `urdf.path`.
        profile: YAML profile; required with a URDF, optional with a name (it then replaces the
            packaged one, and must have the same name).
        joints: Joints that move, instead of the profile's: 'all', 'upper_body' or patterns of
            joint names. The others are held in the nominal posture (see `hold_at`).

    Raises:
        RobotError: unknown robot (the message lists the known), missing package (the message
            names the command that installs it), two profiles, or names in the profile that the
            URDF lacks.
        ConfigError: the profile is not valid.
    """
    if joints is not None and not isinstance(joints, str):
        joints = tuple(joints)  # the cache needs hashable arguments
    if profile is not None:
        refuse_two_profiles(name_or_urdf, profile, read_profile(profile).name)
    if name_or_urdf in list_robots():
        path = profile or resource(f"config/robots/{name_or_urdf}.yaml")
        return _load_known(str(path), _mtime(Path(path)), joints)
    urdf = Path(name_or_urdf)
    exists = is_file(urdf)
    if urdf.suffix.lower() in (".yaml", ".yml") and exists:
        return _load_known(str(urdf.resolve()), _mtime(urdf), joints)
    if urdf.suffix.lower() in (".urdf", ".xml") or exists:
        if not exists:
            raise RobotError(f"no URDF file {name_or_urdf}")
        if profile is None:
            raise RobotError(
                f"a URDF path needs a profile file: load_robot({name_or_urdf!r}, ...); "
                f"'nextscale robots draft {name_or_urdf}' writes a first one"
            )
        return build_robot(urdf, _chosen(read_profile(profile), joints), package_roots(urdf))
    raise unknown_robot(name_or_urdf)


def refuse_two_profiles(name_or_urdf: str, profile: Path, profile_name: str) -> None:
    """Refuse a profile beside another one.

    Args:
        name_or_urdf: As for `load_robot`.
        profile: YAML profile.
        profile_name: Name of the robot in it.

    Raises:
        RobotError: both are profiles, or the profile is not that of the packaged robot.
    """
    if Path(name_or_urdf).suffix.lower() in (".yaml", ".yml"):
        raise RobotError(
            f"{name_or_urdf} and {profile} are two profiles; give one of them, or a URDF and a "
            "profile"
        )
    if name_or_urdf in list_robots() and profile_name != name_or_urdf:
        raise RobotError(
            f"{profile} is the profile of {profile_name!r}, not of {name_or_urdf!r}; give it as "
            "the robot, without a second profile"
        )


def unknown_robot(name: str) -> RobotError:
    """The error for a name that is neither a file nor a packaged robot."""
    return RobotError(f"unknown robot {name!r}; known: {', '.join(list_robots())}")


def is_file(path: Path) -> bool:
    """Whether a file exists; False for a name that no file can have."""
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _mtime(profile: Path) -> int:
    """Time of the last modification of a profile [ns]."""
    try:
        return profile.stat().st_mtime_ns
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"robot profile {str(profile)[:500]!r} cannot be read: {error}"
        ) from error


@lru_cache(maxsize=8)
def _load_known(path: str, _mtime: int, joints: str | tuple[str, ...] | None) -> Robot:
    profile = read_profile(path)
    if not profile.urdf.path:
        raise ConfigError(f"{Path(path).name}: urdf.path is missing")
    urdf, mesh_dirs = find_urdf(profile.urdf, Path(path))
    return build_robot(urdf, _chosen(profile, joints), mesh_dirs)


def load_robot_description(
    xml: str,
    profile: Path | RobotProfile,
    joints: str | Sequence[str] | None = None,
    mesh_dirs: Sequence[Path] = (),
) -> Robot:
    """Load a robot from the text of a URDF, as published on the topic `robot_description`.

    Args:
        xml: The URDF.
        profile: YAML profile, or one already read.
        joints: Joints that move, as for `load_robot`.
        mesh_dirs: Folders to resolve `package://` in, before those of a sourced ROS workspace.

    Raises:
        RobotError: the text is not a URDF, or does not fit the profile.
        ConfigError: the profile is not valid.
    """
    if not xml.strip():
        raise RobotError("the robot description is empty")
    if not isinstance(profile, RobotProfile):
        profile = read_profile(profile)
    urdf = keep_description(xml)
    return build_robot(urdf, _chosen(profile, joints), (*mesh_dirs, *package_roots(urdf)))


def _chosen(profile: RobotProfile, joints: str | Sequence[str] | None) -> RobotProfile:
    """The profile with another choice of moving joints, if there is one."""
    return profile if joints is None else changed(profile, joints=joints)


def build_robot(
    urdf: Path,
    profile: RobotProfile,
    mesh_dirs: tuple[Path, ...],
    held_at: Mapping[str, float] | None = None,
) -> Robot:
    """Build a robot from a URDF file and a profile.

    Args:
        urdf: The description.
        profile: The profile; every name in it is checked against the URDF.
        mesh_dirs: Folders that `package://` is resolved in.
        held_at: Positions of the joints that `profile.joints` leaves out [rad]; the nominal
            posture for those not in it.

    Raises:
        RobotError: the URDF cannot be parsed, lacks named joints or links, has limits that are
            not valid, or joints that are neither revolute, continuous, fixed nor locked, nor
            prismatic followers. The
            message lists all problems.
    """
    read = read_urdf(urdf)
    mimics, model = read.mimics, read_model(read)
    stand_up(model, profile.axes)
    wrong = name_problems(model, profile, mimics)
    if wrong:
        raise RobotError(f"{profile.name}: {'; '.join(wrong)}")
    model = reduced(model, locked_joints(model, profile, mimics))
    upright = orientations(model, profile)
    aside = limb_offsets(model, {side: profile.limb(side) for side in SIDES}, profile.hand)
    held, base_held = held_joints(model, profile, mimics)
    names = joint_names(model)
    limits, wrong = joint_limits(model, profile, read, ignored=held)
    if wrong:
        raise RobotError(f"{profile.name}: {'; '.join(wrong)}")
    accelerations = acceleration_limits(names, profile, read)
    nominal = expand(profile.nominal, names)
    standing = {
        name: float(np.clip(nominal.get(name, 0.0), *limits[name][:2]))
        for name in names
        if name not in mimics
    }
    at = {name: float((held_at or {}).get(name, standing[name])) for name in held}
    # Kinematics and kernels have no prismatic joints; no part of the body depends on these.
    slides = {
        name: mimics[name].at(standing[mimics[name].leader])
        for name in sliding_followers(model, mimics)
        if mimics[name].leader in standing
    }
    model = reduced(model, slides | with_followers(at, mimics, names))
    names = [name for name in joint_names(model) if name not in mimics]
    lower, upper, velocity = (np.array([limits[name][n] for name in names]) for n in range(3))
    return Robot(
        name=profile.name,
        joint_names=tuple(names),
        position_lower=lower,
        position_upper=upper,
        velocity_limit=velocity,
        acceleration_limit=np.array([accelerations[name] for name in names]),
        nominal=np.array([standing[name] for name in names]),
        profile=profile,
        model=model,
        urdf_path=Path(urdf),
        mesh_dirs=mesh_dirs,
        held=at,
        base_held=base_held,
        mimics=mimics,
        coupling=coupling(joint_names(model), mimics),
        upright=upright,
        aside=aside,
    )


def with_profile(robot: Robot, **changes: object) -> Robot:
    """The same URDF with some fields of the profile replaced (for experiments and tests)."""
    return build_robot(robot.urdf_path, changed(robot.profile, **changes), robot.mesh_dirs)


def hold_at(robot: Robot, measured: Mapping[str, float]) -> Robot:
    """The same robot with its held joints at measured positions.

    Args:
        robot: A robot of which only some joints move.
        measured: Positions by joint name [rad]; those of other joints are ignored.

    Raises:
        RobotError: the position of a held joint is missing or NaN.
    """
    missing = [name for name in robot.held if not np.isfinite(measured.get(name, np.nan))]
    if missing:
        raise RobotError(f"{robot.name}: no measured position of {', '.join(missing)}")
    wanted = {name: float(measured[name]) for name in robot.held}
    if wanted == robot.held:
        return robot
    return build_robot(robot.urdf_path, robot.profile, robot.mesh_dirs, wanted)
