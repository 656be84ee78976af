"""Joining a motion that is under way: targets that begin where the robot is.

A plan that continues a motion does not wait and start anew. Its goals are cut where it is joined,
turned and shifted to where the robot stands, and then begin at what the robot does at that moment:
each goal g(t) becomes

    g(t) + h0(t) (r(0) - g(0)) + h1(t) (r'(0) - g'(0)),

where r is what the robot does, and h0 and h1 are quintics that fall to zero with zero slope and
curvature (minimum jerk). A foot that stands keeps its place on the floor for as long as it stands
and finds its way to the plan's place in its next swing, so it does not slide. As all of this
happens to goals and not to joint angles, the solver keeps feet on the floor while it happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.contacts import Contacts
from nextscale_core.retarget.foot_locking import FootPlan
from nextscale_core.retarget.human_frames import Body
from nextscale_core.retarget.perframe import POSTURE
from nextscale_core.retarget.targets import MIN_FRAMES, Targets
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.state import RobotState
from nextscale_core.rotations import exp
from nextscale_core.trajectory.time_parameterization import quintic_fade

FADE = 0.6
"""Time in which the plan takes over from what the robot did [s]."""

_STANDS = 0.5
"""A foot of the plan stands where its stance weighs more than this."""

_LANDING = 0.25
"""A foot in the air that stands in the plan gets so long to land [s]."""

_ON_FLOOR = 0.04
"""The robot's own foot stands where its sole is lower than this [m]."""

_PINNED = 1e5
"""Weight of the measured joints in the first frame [1/rad^2]."""

_LED, _LEAD = 3, 0.05
"""In so many frames the joints are led by the measured velocities, with this weight [1/rad^2]."""

_MOMENT = 1e-3
"""Step of the finite differences [s]."""


@dataclass(frozen=True)
class Joined:
    """Targets that begin where the robot is.

    Attributes:
        targets: From the moment of joining on.
        posture: (T, J) where joints should be that no target decides [rad].
        pull: (T, J) weight of that posture; the first frame is pinned to the measured state.
        state: The measured state, its base known or estimated, in the world of the targets.
        twist: (6,) velocity of the base [m/s] and its rate of turn in the world [rad/s], by which
            standing feet do not move; NaN where none stands.
        first: Frame of the whole motion that the targets begin with.
    """

    targets: Targets
    posture: np.ndarray
    pull: np.ndarray
    state: RobotState
    twist: np.ndarray
    first: int = 0


def joined(
    targets: Targets,
    kinematics: Kinematics,
    state: RobotState,
    begin: float,
    fade: float = FADE,
) -> Joined:
    """Cut targets where they are joined, and let them begin in a measured state.

    Args:
        targets: Of the whole motion, the past of the robot included.
        kinematics: The robot's.
        state: Where the robot is at that moment.
        begin: Time in the motion at which it is joined [s].
        fade: Time in which the plan takes over [s].

    Raises:
        RetargetError: the motion is over by then.
    """
    first = round(begin * targets.fps)
    if not 0 <= first <= len(targets) - MIN_FRAMES:
        raise RetargetError(
            f"a motion of {len(targets) / targets.fps:.2f} s cannot be joined at {begin:.2f} s: "
            f"at least {MIN_FRAMES} frames must follow"
        )
    cut = _from(targets, first)
    if state.base_quaternion is not None:
        measured = Rotation.from_quat(state.base_quaternion).as_matrix()
        cut = _turned(cut, _yaw(measured) - _yaw(cut.rotation[0]))
    state = with_planned_base(state, kinematics, cut.base[0], cut.rotation[0])
    here = pose_of(state)
    points = kinematics.points(here)[0]
    standing = _standing(cut, kinematics, points)
    if state.base_position is not None:
        cut = _shifted(cut, _offset(cut, kinematics, points, here, standing))
    speed, twist = _point_speeds(kinematics, state, here, standing)
    times = np.arange(len(cut)) / cut.fps
    gap = cut.residual(points, 0)
    relative = cut.second >= 0
    drift = speed[cut.first] - (cut.goal[1] - cut.goal[0]) * cut.fps
    drift[relative] -= speed[cut.second[relative]]
    goal = cut.goal + _fading(times, 0.0, fade, gap, drift)
    ankle, stance = cut.feet.ankle.copy(), cut.feet.stance.copy()
    heels, balls = cut.contacts.ankle.copy(), cut.contacts.ball.copy()
    for n, side in enumerate(SIDES):
        rows = _foot_rows(cut, kinematics, side)
        hold, until = _foot_times(cut.feet.stance[:, n], cut.fps, bool(standing[n]), fade)
        own = 0.0 if standing[n] else drift[rows]
        goal[:, rows] = cut.goal[:, rows] + _fading(times, hold, until, gap[rows], own)
        ankle[:, n] = goal[:, _row(cut, kinematics, f"{side}_ankle")]
        if not standing[n]:
            # Whatever the plan says, a foot that is on its way does not stand.
            coming = times < until
            for track in (stance, heels, balls):
                track[coming, n] = 0
    still = np.zeros_like(state.positions) if state.velocities is None else state.velocities
    nominal = kinematics.robot.nominal
    past, moving = (part[:, None] for part in _fade(times, 0.0, fade))
    posture = nominal + past * (state.positions - nominal) + moving * still
    pull = np.full(posture.shape, POSTURE)
    pull[:_LED] += _LEAD
    pull[0] = _PINNED
    cut = replace(
        cut,
        goal=goal,
        feet=replace(cut.feet, ankle=ankle, stance=stance),
        contacts=replace(cut.contacts, ankle=heels, ball=balls),
    )
    return Joined(cut, posture, pull, state, twist, first)


def _from(targets: Targets, first: int) -> Targets:
    """The frames from `first` on."""
    feet, contacts, body = targets.feet, targets.contacts, targets.body
    return replace(
        targets,
        goal=targets.goal[first:],
        weight=targets.weight[first:],
        base=targets.base[first:],
        rotation=targets.rotation[first:],
        feet=FootPlan(feet.ankle[first:], feet.rotation[first:], feet.stance[first:]),
        contacts=Contacts(contacts.ankle[first:], contacts.ball[first:], contacts.rest_height),
        body=Body(
            body.joints[first:],
            body.pelvis[first:],
            body.torso[first:],
            body.feet[first:],
            {name: track[first:] for name, track in body.bones.items()},
        ),
    )


def _turned(targets: Targets, angle: float) -> Targets:
    """The same, turned about the vertical through the first base [rad]."""
    turn = exp(np.array([0.0, 0.0, angle]))
    centre = targets.base[0] * [1.0, 1.0, 0.0]
    world = targets.second < 0
    goal = targets.goal @ turn.T
    goal[:, world] = (targets.goal[:, world] - centre) @ turn.T + centre
    feet, body = targets.feet, targets.body
    return replace(
        targets,
        goal=goal,
        base=(targets.base - centre) @ turn.T + centre,
        rotation=turn @ targets.rotation,
        feet=FootPlan((feet.ankle - centre) @ turn.T + centre, turn @ feet.rotation, feet.stance),
        body=Body(
            (body.joints - centre) @ turn.T + centre,
            turn @ body.pelvis,
            turn @ body.torso,
            turn @ body.feet,
            {name: track @ turn.T for name, track in body.bones.items()},
        ),
    )


def _shifted(targets: Targets, by: np.ndarray) -> Targets:
    """The same, shifted along the floor by (3,) [m]."""
    goal = targets.goal.copy()
    goal[:, targets.second < 0] += by
    feet, body = targets.feet, targets.body
    return replace(
        targets,
        goal=goal,
        base=targets.base + by,
        feet=replace(feet, ankle=feet.ankle + by),
        body=replace(body, joints=body.joints + by),
    )


def with_planned_base(
    state: RobotState, kinematics: Kinematics, base: np.ndarray, rotation: np.ndarray
) -> RobotState:
    """The state with a base: where it is not measured, upright on the floor as planned.

    Args:
        state: The measured state.
        kinematics: The robot's.
        base: (3,) where the plan has the base [m].
        rotation: (3, 3) how the plan has it turned.
    """
    quaternion = state.base_quaternion
    if quaternion is None:
        quaternion = Rotation.from_euler("z", _yaw(rotation)).as_quat()
    position = state.base_position
    if position is None:
        position = base.copy()
        here = pose_of(replace(state, base_position=position, base_quaternion=quaternion))
        position[2] -= float(kinematics.lowest_sole(here)[0])
    return replace(state, base_position=position, base_quaternion=quaternion)


def pose_of(state: RobotState) -> Poses:
    """One pose, of a state whose base is known."""
    assert state.base_position is not None and state.base_quaternion is not None
    rotation = Rotation.from_quat(state.base_quaternion).as_matrix()
    return Poses(state.base_position[None], rotation[None], state.positions[None])


def _standing(targets: Targets, kinematics: Kinematics, points: np.ndarray) -> np.ndarray:
    """(2,) bool: feet that stand in the plan's first frame and on the robot."""
    soles = points[kinematics.soles, 2].reshape(2, -1).min(1)
    return (targets.feet.stance[0] > _STANDS) & (soles < soles.min() + _ON_FLOOR)


def _offset(
    targets: Targets, kinematics: Kinematics, points: np.ndarray, here: Poses, standing: np.ndarray
) -> np.ndarray:
    """(3,) from the plan to the robot along the floor: of the standing feet, else of the base."""
    if standing.any():
        ankles = points[[kinematics.index[f"{side}_ankle"] for side in SIDES]]
        by = (ankles - targets.feet.ankle[0])[standing].mean(0)
    else:
        by = here.base[0] - targets.base[0]
    flat: np.ndarray = by * [1.0, 1.0, 0.0]
    return flat


def _point_speeds(
    kinematics: Kinematics, state: RobotState, here: Poses, standing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Velocities of the keypoints (K, 3) [m/s] and the twist of the base (6,).

    The base moves so that standing feet do not. Where none stands, nothing is known of its
    movement: the points' velocities are then those against the base.
    """
    speed = speeds_against_base(kinematics, state, here)
    if not standing.any():
        return speed, np.full(6, np.nan)
    arms = kinematics.points(here)[0] - here.base[0]
    soles = kinematics.soles.reshape(2, -1)[standing].ravel()
    # v + w x r = -u at every point of the standing soles; one foot alone turns about its points.
    turning = -_cross_matrix(arms[soles])
    system = np.concatenate([np.tile(np.eye(3), (len(soles), 1, 1)), turning], axis=2)
    twist = np.linalg.lstsq(system.reshape(-1, 6), -speed[soles].ravel(), rcond=None)[0]
    return speed + twist[:3] + np.cross(twist[3:], arms), twist


def speeds_against_base(kinematics: Kinematics, state: RobotState, here: Poses) -> np.ndarray:
    """(K, 3) velocities of the keypoints while the base stands still [m/s]."""
    still = np.zeros_like(state.positions) if state.velocities is None else state.velocities
    sides = [replace(here, joints=here.joints + s * _MOMENT * still) for s in (1, -1)]
    after, before = (kinematics.points(pose)[0] for pose in sides)
    speeds: np.ndarray = (after - before) / (2 * _MOMENT)
    return speeds


def _cross_matrix(vectors: np.ndarray) -> np.ndarray:
    """(N, 3, 3) matrices whose product with w is v x w."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), -1, 0)


def _foot_rows(targets: Targets, kinematics: Kinematics, side: str) -> np.ndarray:
    """Rows that say where a foot is and how it is turned."""
    levers = [kinematics.index[f"{side}_foot_{axis}"] for axis in "xyz"]
    is_lever = np.isin(targets.first, levers)
    is_place = (targets.first == kinematics.index[f"{side}_ankle"]) & (targets.second < 0)
    return np.flatnonzero(is_lever | is_place)


def _row(targets: Targets, kinematics: Kinematics, point: str) -> int:
    """The row that says where a point is in the world."""
    return int(np.flatnonzero((targets.first == kinematics.index[point]) & (targets.second < 0))[0])


def _foot_times(stance: np.ndarray, fps: float, standing: bool, fade: float) -> tuple[float, float]:
    """When a foot leaves the robot's place and when it is at the plan's [s]."""
    stands = stance > _STANDS
    lift = 0
    if standing:
        lifted = np.flatnonzero(~stands)
        if not len(lifted):
            return np.inf, np.inf
        lift = int(lifted[0])
    landing = np.flatnonzero(stands[lift:])
    swing = (landing[0] if len(landing) else len(stance) - lift) / fps
    # A swing that is nearly over leaves no time: the foot lands later than planned.
    return lift / fps, lift / fps + min(fade, max(float(swing), _LANDING))


def _fading(
    times: np.ndarray, begin: float, end: float, gap: np.ndarray, drift: np.ndarray | float
) -> np.ndarray:
    """(T, M, 3) the gap (M, 3) and the drift (M, 3) [1/s] as they fade."""
    place, slope = _fade(times, begin, end)
    return place[:, None, None] * gap + slope[:, None, None] * np.asarray(drift)


def _fade(times: np.ndarray, begin: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The curves h0 and h1 [s], with all their change between `begin` and `end` [s]."""
    if np.isinf(begin):
        return np.ones(len(times)), np.zeros(len(times))
    place, _, slope, _ = quintic_fade(times - begin, end - begin)
    return place, slope


def _yaw(rotation: np.ndarray) -> float:
    """Heading of an orientation (3, 3) [rad]."""
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))
