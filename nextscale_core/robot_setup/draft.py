"""A first profile for a URDF that nobody has described, to be looked over by a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio as pin
from scipy.optimize import least_squares

from nextscale_core.exceptions import RobotError
from nextscale_core.robot_setup.anatomy import Anatomy, find_anatomy, trunk
from nextscale_core.robot_setup.footprint import (
    Footprint,
    body_points,
    foot_points,
    footprint,
    mesh_up_of,
)
from nextscale_core.robot_setup.name_patterns import grouped
from nextscale_core.robots.description import (
    CONTINUOUS,
    REVOLUTE,
    joint_names,
    link_masses,
    read_model,
    stand_up,
)
from nextscale_core.robots.find_urdf import package_roots
from nextscale_core.robots.limb_axes import hinge_points
from nextscale_core.robots.profile import SIDES, RobotProfile, Sole, UrdfSource
from nextscale_core.robots.remarks import some
from nextscale_core.robots.urdf import read_urdf
from nextscale_core.rotations import unit

_KNEE = 0.3
"""Bend of the knees in the drafted posture [rad]."""

_GUESS = 1.5
"""Position limits to either side of joints that have none [rad]."""

_FASTEST, _SLOWEST, _CAUTIOUS = 40.0, 0.5, 3.0
"""Velocity limits above the first mean that nobody set one; the third is put there. Leg joints
below the second slow down every step [rad/s]."""

_ROTOR, _SHARE, _HIGHEST = 0.02, 2 / 3, 60.0
"""Rotor inertia [kg m^2], share of effort / inertia, and cap [rad/s^2] of acceleration limits."""


@dataclass(frozen=True)
class Draft:
    """A profile that was guessed.

    Attributes:
        profile: The guess.
        notes: What a person should look at, one line each.
        moving: Joints that move.
    """

    profile: RobotProfile
    notes: tuple[str, ...]
    moving: tuple[str, ...]


def draft_profile(
    urdf: Path,
    name: str | None = None,
    mesh_dirs: Sequence[Path] | None = None,
    *,
    beside: Path | None = None,
) -> Draft:
    """Guess a profile from the geometry and the names of a URDF.

    Args:
        urdf: The description.
        name: Name of the robot; the URDF's own when None.
        mesh_dirs: Folders that `package://` is resolved in; those above the URDF when None.
        beside: The profile file to be: a URDF in or below its folder is named from there.

    Raises:
        RobotError: the URDF cannot be read, or is no humanoid with two legs and two arms.
    """
    folders = package_roots(urdf) if mesh_dirs is None else tuple(mesh_dirs)
    read = read_urdf(urdf)
    model, notes = read_model(read), []
    bare = _without_limits(model)
    guessed = bare if 2 * len(bare) > model.njoints - 2 else []
    _guess_limits(model, guessed)
    mesh_up = mesh_up_of(model, urdf, folders)
    shapes: dict[str, np.ndarray] = {}
    visual: frozenset[str] = frozenset()
    try:
        shapes, visual = body_points(model, urdf, folders, mesh_up)
    except RobotError as error:
        notes.append(str(error))
    anatomy = find_anatomy(model, shapes)
    notes += anatomy.notes
    parts = {joint for limb in anatomy.limbs.values() for joint in limb.values()}
    guessed = guessed or [joint for joint in bare if joint in parts]
    _guess_limits(model, guessed)
    stand_up(model, anatomy.axes)
    turn = anatomy.axes.rotation()
    shapes = {joint: points @ turn.T for joint, points in shapes.items()}
    sole = _sole(model, anatomy, shapes, visual, notes)
    moving = _moving(model, anatomy)
    guessed = [joint for joint in guessed if joint in moving]
    if guessed:
        notes.append(
            f"the URDF gives {some(guessed)} no room to move: {_GUESS:g} rad to either side is a "
            "guess; put the robot's own limits in limits.position before it moves"
        )
    # What mimics a joint moves and stands with it.
    free = {name for name, rule in read.mimics.items() if rule.leader in moving}
    locked = {joint: 0.0 for joint in joint_names(model) if joint not in {*moving, *free}}
    lower, upper = _ranges(model)
    locked = {
        joint: round(float(np.clip(0.0, lower.get(joint, 0.0), upper.get(joint, 0.0))), 3)
        for joint in locked
    }
    notes += _sluggish(model, anatomy)
    hips = [_place(model, anatomy.limbs[side]["hip"])[1] for side in SIDES]
    profile = RobotProfile(
        name=name or re.sub(r"\W+", "_", model.name).strip("_").lower() or "robot",
        description=f"{model.name}, {len(moving)} of {model.njoints - 2} joints, drafted",
        urdf=UrdfSource(path=_seen_from(urdf, beside), mesh_up=mesh_up),
        axes=anatomy.axes,
        pelvis=_link(model, urdf, anatomy.pelvis),
        torso=_link(model, urdf, anatomy.torso),
        left=anatomy.limbs["left"],
        right=anatomy.limbs["right"],
        sole=sole,
        hand=anatomy.hand,
        min_stance_width=round(max(2.4 * sole.half_width, 0.8 * abs(hips[0] - hips[1])), 2),
        nominal={
            joint: value
            for joint, value in _nominal(model, anatomy, notes).items()
            if joint not in read.mimics
        },
        locked=grouped(locked, joint_names(model)),
        acceleration={"default": _HIGHEST, **grouped(_slow(model, moving), joint_names(model))},
        velocity=grouped(_unlimited(model, moving), joint_names(model)),
        position=dict.fromkeys(guessed, (-_GUESS, _GUESS)),
    )
    return Draft(profile, tuple(notes), tuple(moving))


def _seen_from(urdf: Path, beside: Path | None) -> str:
    whole = urdf.resolve()
    folder = None if beside is None else beside.resolve().parent
    inside = folder is not None and whole.is_relative_to(folder)
    return str(whole.relative_to(folder)) if folder is not None and inside else str(whole)


def _place(model: pin.Model, joint: str) -> np.ndarray:
    """Origin of a joint at zero, from the base [m]."""
    data = model.createData()
    pin.forwardKinematics(model, data, pin.neutral(model))
    return np.array(data.oMi[model.getJointId(joint)].translation)


def _link(model: pin.Model, urdf: Path, joint: int) -> str:
    """The heaviest link that a joint carries: a massless root gives way to the body behind it."""
    links = [
        frame
        for frame in model.frames
        if frame.parentJoint == joint and frame.type == pin.FrameType.BODY
    ]
    mass = link_masses(urdf)
    return max(links, key=lambda frame: mass.get(frame.name, 0.0)).name


def _moving(model: pin.Model, anatomy: Anatomy) -> list[str]:
    limbs = {
        joint for side in SIDES for joint in (*anatomy.legs[side], *anatomy.arms[side])
    } | trunk(model, anatomy)
    return [joint for joint in joint_names(model) if joint in limbs and _can_move(model, joint)]


def _without_limits(model: pin.Model) -> list[str]:
    """Revolute joints whose lower and upper limit are the same, as CAD exports write them."""
    lower, upper = _ranges(model)
    return [joint for joint in lower if lower[joint] == upper[joint]]


def _guess_limits(model: pin.Model, joints: Sequence[str]) -> None:
    for joint in joints:
        row = model.joints[model.getJointId(joint)].idx_q
        lower, upper = model.lowerPositionLimit, model.upperPositionLimit
        lower[row], upper[row] = -_GUESS, _GUESS
        model.lowerPositionLimit, model.upperPositionLimit = lower, upper


def _can_move(model: pin.Model, joint: str) -> bool:
    number = model.getJointId(joint)
    kind = model.joints[number].shortname()
    if kind in CONTINUOUS:
        return True
    row = model.joints[number].idx_q
    span = model.upperPositionLimit[row] - model.lowerPositionLimit[row]
    return kind in REVOLUTE and bool(span > 0.05)


def _ranges(model: pin.Model) -> tuple[dict[str, float], dict[str, float]]:
    """Position limits of the revolute joints [rad]."""
    lower, upper = {}, {}
    for joint in joint_names(model):
        kind = model.joints[model.getJointId(joint)]
        if kind.shortname() in REVOLUTE:
            lower[joint] = float(model.lowerPositionLimit[kind.idx_q])
            upper[joint] = float(model.upperPositionLimit[kind.idx_q])
        elif kind.shortname() in CONTINUOUS:
            lower[joint], upper[joint] = -2 * np.pi, 2 * np.pi
    return lower, upper


def _sole(
    model: pin.Model,
    anatomy: Anatomy,
    shapes: Mapping[str, np.ndarray],
    visual: Collection[str],
    notes: list[str],
) -> Sole:
    """Sole from the shape of the feet, or from the length of the legs where they have none."""
    prints: list[Footprint] = []
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        points = foot_points(model, anatomy.limbs[side]["ankle"], shapes)
        if len(points):
            prints.append(footprint(points * [1.0, sign, 1.0]))
    if not prints:
        leg = abs(
            float(_place(model, anatomy.limbs["left"]["hip"])[2])
            - float(_place(model, anatomy.limbs["left"]["ankle"])[2])
        )
        notes.append("the feet have no shape: the soles are guessed from the length of the legs")
        front, back, low = (round(share * leg, 3) for share in (0.17, -0.08, -0.12))
        return Sole((front, 0.0, low), (back, 0.0, low), round(0.06 * leg, 3))
    if any(anatomy.limbs[side]["ankle"] in visual for side in SIDES):
        notes.append("the feet have no collision shape: the soles are those of the visual shape")
    front, back, low, middle, half = np.mean(
        [[p.front, p.back, p.low, p.middle, p.half_width] for p in prints], axis=0
    )
    middle = 0.0 if abs(middle) < 0.005 else middle
    toe, heel = ([round(float(v), 4) for v in (x, middle, low)] for x in (front, back))
    return Sole((toe[0], toe[1], toe[2]), (heel[0], heel[1], heel[2]), round(float(half), 4))


def _nominal(model: pin.Model, anatomy: Anatomy, notes: list[str]) -> dict[str, float]:
    """Knees a little bent, soles flat, arms hanging with the forearms a little forward."""
    lower, upper = _ranges(model)
    values: dict[str, float] = {}
    arm: dict[str, float] = {}
    for side in SIDES:
        for joint, wanted in _standing(model, anatomy, side, lower).items():
            value = float(np.clip(wanted, lower[joint] + 0.02, upper[joint] - 0.02))
            if abs(value - wanted) > 0.1:
                notes.append(
                    f"{joint} should stand at {wanted:.2f} rad, its limits are "
                    f"{lower[joint]:g} to {upper[joint]:g}: are they right? (limits.position)"
                )
            values[joint] = value
        arm = _hanging(model, anatomy, side, lower, upper, _mirrored(model, anatomy, arm))
        values.update(arm)
    return {joint: round(value, 2) for joint, value in values.items() if abs(value) > 0.02}


class _Posing:
    """A limb of which some joints are turned, the others are at zero."""

    def __init__(self, model: pin.Model, joints: Sequence[str], known: Collection[str]):
        kinds = model.joints
        self.joints = [
            joint for joint in joints if joint in known and kinds[model.getJointId(joint)].nq == 1
        ]
        self._rows = [kinds[model.getJointId(joint)].idx_q for joint in self.joints]
        self._model, self._data = model, model.createData()

    def __call__(self, angles: np.ndarray, *parts: str) -> list[pin.SE3]:
        """Where some joints are, with these angles [rad]."""
        q = pin.neutral(self._model)
        q[self._rows] = angles
        pin.forwardKinematics(self._model, self._data, q)
        return [self._data.oMi[self._model.getJointId(part)] for part in parts]


def _standing(
    model: pin.Model, anatomy: Anatomy, side: str, known: Collection[str]
) -> dict[str, float]:
    """Angles of the leg joints for bent knees and a sole as flat as at zero, whatever the limits.

    Thighs lean forward and shanks backward from the vertical, as seen from the side.
    """
    limb = anatomy.limbs[side]
    pose = _Posing(model, anatomy.legs[side], known)
    flat = pose(np.zeros(len(pose.joints)), limb["ankle"])[0].rotation.copy()
    lean = np.array([np.sin(_KNEE / 2), -np.cos(_KNEE / 2)])

    def miss(angles: np.ndarray) -> np.ndarray:
        hip, knee, ankle = pose(angles, limb["hip"], limb["knee"], limb["ankle"])
        thigh = (knee.translation - hip.translation)[[0, 2]]
        shank = (ankle.translation - knee.translation)[[0, 2]]
        return np.concatenate(
            [
                thigh / np.linalg.norm(thigh) - lean,
                shank / np.linalg.norm(shank) - lean * [-1.0, 1.0],
                (ankle.rotation - flat).reshape(-1),
                0.02 * angles,
            ]
        )

    best = least_squares(miss, np.zeros(len(pose.joints))).x
    return dict(zip(pose.joints, best.tolist(), strict=True))


def _hanging(
    model: pin.Model,
    anatomy: Anatomy,
    side: str,
    lower: Mapping[str, float],
    upper: Mapping[str, float],
    first: Mapping[str, float],
) -> dict[str, float]:
    """Angles of the arm joints for which the arm hangs calmly.

    Args:
        model: Standing upright.
        anatomy: Names the arm.
        side: 'left' or 'right'.
        lower: Lower limits [rad].
        upper: Upper limits [rad].
        first: Angles that are kept where no others let it hang much better: those of the other
            side [rad].
    """
    limb, arm = anatomy.limbs[side], anatomy.arms[side]
    mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
    pose = _Posing(model, arm[: arm.index(limb["wrist"])] if "wrist" in limb else arm, lower)
    elbow = pose(np.zeros(len(pose.joints)), limb["elbow"])[0].rotation.copy()
    aside = hinge_points(model, anatomy.limbs, anatomy.hand).get(f"{side}_elbow", np.zeros(3))
    aside = elbow.T @ aside
    hand = None if anatomy.hand is None else elbow.T @ (mirror * anatomy.hand)
    wanted = [unit(mirror * direction) for direction in ((0.0, 0.15, -1.0), (0.35, 0.15, -1.0))]

    def miss(angles: np.ndarray) -> np.ndarray:
        shoulder, elbow, end = pose(
            angles, limb["shoulder"], limb["elbow"], limb.get("wrist", limb["elbow"])
        )
        middle = elbow.act(aside)
        wrist = end.translation if "wrist" in limb else elbow.act(hand)
        return np.concatenate(
            [
                unit(middle - shoulder.translation) - wanted[0],
                unit(wrist - middle) - wanted[1],
                0.03 * angles,
            ]
        )

    low = np.array([lower[joint] for joint in pose.joints]) + 0.02
    high = np.maximum(np.array([upper[joint] for joint in pose.joints]) - 0.02, low + 1e-6)
    starts = _starts(low, high)
    if all(joint in first for joint in pose.joints):
        starts.insert(0, np.array([first[joint] for joint in pose.joints]))
    found = [least_squares(miss, np.clip(start, low, high), bounds=(low, high)) for start in starts]
    good = min(float(result.cost) for result in found) + 1e-3
    best = next(result for result in found if result.cost <= good)
    return dict(zip(pose.joints, best.x.tolist(), strict=True))


def _mirrored(model: pin.Model, anatomy: Anatomy, left: Mapping[str, float]) -> dict[str, float]:
    """Angles of the right arm that mirror those of the left [rad]."""
    data = model.createData()
    pin.computeJointJacobians(model, data, pin.neutral(model))
    pairs = zip(anatomy.arms["left"], anatomy.arms["right"], strict=False)
    angles = {}
    for one, other in pairs:
        axes = [data.J[3:, model.joints[model.getJointId(joint)].idx_v] for joint in (one, other)]
        if one in left:
            # A mirrored turning direction keeps its lateral part and loses the others.
            angles[other] = left[one] * float(np.sign(axes[0] @ ([-1.0, 1.0, -1.0] * axes[1])))
    return angles


def _starts(low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """Where the search for a hanging arm begins: zero and a few postures in the limits."""
    generator = np.random.default_rng(0)
    near = np.clip(low, -2.0, 0.0), np.clip(high, 0.0, 2.0)
    return [np.zeros(len(low)), *generator.uniform(near[0], near[1] + 1e-9, (4, len(low)))]


def _sluggish(model: pin.Model, anatomy: Anatomy) -> list[str]:
    """Notes on leg joints whose velocity limit slows every step down."""
    notes = []
    for joint in (joint for side in SIDES for joint in anatomy.legs[side]):
        speed = float(model.velocityLimit[model.joints[model.getJointId(joint)].idx_v])
        if 0 < speed < _SLOWEST:
            notes.append(f"{joint} turns no faster than {speed:g} rad/s: think of locking it")
    return notes


def _slow(model: pin.Model, moving: Sequence[str]) -> dict[str, float]:
    """Acceleration limits of joints that cannot reach the cap [rad/s^2]."""
    inertia = np.diag(pin.crba(model, model.createData(), pin.neutral(model)))
    slow = {}
    for joint in moving:
        row = model.joints[model.getJointId(joint)].idx_v
        effort = float(model.effortLimit[row])
        limit = _SHARE * effort / (float(inertia[row]) + _ROTOR)
        # Without an effort limit, or with a placeholder for an inertia, this says nothing.
        if 5.0 <= limit < _HIGHEST:
            slow[joint] = float(round(limit))
    return slow


def _unlimited(model: pin.Model, moving: Sequence[str]) -> dict[str, float]:
    """Joints whose velocity limit is missing or no limit at all [rad/s]."""
    speed = {
        joint: float(model.velocityLimit[model.joints[model.getJointId(joint)].idx_v])
        for joint in moving
    }
    return {joint: _CAUTIOUS for joint, v in speed.items() if not 0 < v <= _FASTEST}
