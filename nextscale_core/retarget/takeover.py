"""Taking over a motion that is under way: targets that begin where the robot is.

A plan that continues a motion does not wait and start anew. Its goals are cut at the moment of the
takeover, turned and shifted to where the robot stands, and then begin at what the robot does at
that moment: each goal g(t) becomes

    g(t) + h0(t) (r(0) - g(0)) + h1(t) (r'(0) - g'(0)),

where r is what the robot does, and h0 and h1 fall to zero with minimum jerk. A foot that stands
keeps its place on the floor for as long as it stands and reaches the plan's place in its next
swing, so it does not slide. As this happens to goals and not to joint angles, the solver keeps the
feet on the floor meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.config import RETARGET, RetargetConfig, TakeoverConfig
from nextscale_core.retarget.contacts import Contacts
from nextscale_core.retarget.foot_locking import FootPlan
from nextscale_core.retarget.human_frames import Body
from nextscale_core.retarget.targets import MIN_FRAMES, Targets
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.state import RobotState
from nextscale_core.rotations import about_z, skew, yaw
from nextscale_core.trajectory.curves import quintic_fade

_DIFFERENCE = 1e-3
"""Step of the finite differences [s]."""


@dataclass(frozen=True)
class Joined:
    """Targets that begin where the robot is.

    Attributes:
        targets: From the moment of the takeover on.
        posture: (T, J) posture of joints that no target decides [rad].
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
    config: RetargetConfig = RETARGET,
) -> Joined:
    """Cut targets at a moment, and let them begin in a measured state.

    Args:
        targets: Of the whole motion, the past of the robot included.
        kinematics: The robot's.
        state: The state of the robot at that moment.
        begin: That moment in the motion [s].
        config: Durations and weights of the takeover.

    Raises:
        RetargetError: the motion is over by then.
    """
    takeover, first = config.takeover, round(begin * targets.fps)
    if not 0 <= first <= len(targets) - MIN_FRAMES:
        raise RetargetError(
            f"a motion of {len(targets) / targets.fps:.2f} s cannot be joined at {begin:.2f} s: "
            f"at least {MIN_FRAMES} frames must follow"
        )
    cut = _from(targets, first)
    if state.base_quaternion is not None:
        measured = Rotation.from_quat(state.base_quaternion).as_matrix()
        turn, centre = about_z(yaw(measured) - yaw(cut.rotation[0])), cut.base[0] * [1.0, 1.0, 0.0]
        cut = _moved(cut, turn, centre - turn @ centre)
    here, state = _with_base(state, kinematics, cut.base[0], cut.rotation[0])
    points = kinematics.points(here)[0]
    standing = (cut.feet.stance[0] > takeover.stance) & _on_floor(kinematics, points, takeover)
    cut = _moved(cut, np.eye(3), _offset(cut, kinematics, points, here, standing))
    speed, twist = _point_speeds(kinematics, state, here, standing)
    times = np.arange(len(cut)) / cut.fps
    gap = cut.residual(points, 0)
    relative = cut.second >= 0
    drift = speed[cut.first] - (cut.goal[1] - cut.goal[0]) * cut.fps
    drift[relative] -= speed[cut.second[relative]]
    goal = cut.goal + _fading(times, 0.0, takeover.fade, gap, drift)
    ankle, stance = cut.feet.ankle.copy(), cut.feet.stance.copy()
    heels, balls = cut.contacts.ankle.copy(), cut.contacts.ball.copy()
    for n, side in enumerate(SIDES):
        rows, place = _foot_rows(cut, kinematics, side)
        hold, until = _foot_times(cut.feet.stance[:, n], cut.fps, bool(standing[n]), takeover)
        own = 0.0 if standing[n] else drift[rows]
        goal[:, rows] = cut.goal[:, rows] + _fading(times, hold, until, gap[rows], own)
        ankle[:, n] = goal[:, place]
        if not standing[n]:
            # A foot that is on its way does not stand, whatever the plan says.
            coming = times < until
            for track in (stance, heels, balls):
                track[coming, n] = 0
    still = np.zeros_like(state.positions) if state.velocities is None else state.velocities
    nominal = kinematics.robot.nominal
    past, moving = (part[:, None] for part in _fade(times, 0.0, takeover.fade))
    posture = nominal + past * (state.positions - nominal) + moving * still
    pull = np.full(posture.shape, config.inverse_kinematics.posture)
    pull[: takeover.led_frames] += takeover.led
    pull[0] = takeover.pinned
    cut = replace(
        cut,
        goal=goal,
        feet=replace(cut.feet, ankle=ankle, stance=stance),
        contacts=replace(cut.contacts, ankle=heels, ball=balls),
    )
    return Joined(cut, posture, pull, state, twist, first)


def best_moment(
    targets: Targets,
    kinematics: Kinematics,
    state: RobotState,
    begin: float,
    slack: float,
    config: TakeoverConfig = RETARGET.takeover,
) -> float:
    """The moment near an expected one in which posture, velocity and contacts fit best.

    The robot may not be where it was expected: planning took long, or the robot was moved by hand.
    A step that is taken over while the robot's own foot swings spares it a slide.

    Args:
        targets: Of the whole motion.
        kinematics: The robot's.
        state: The state of the robot.
        begin: Expected moment [s].
        slack: Largest distance from it [s].
        config: Costs of what does not fit.

    Returns:
        A moment on a frame [s]; `begin` where the motion is over by then.
    """
    reach = int(slack * targets.fps)
    expected = round(begin * targets.fps)
    last = len(targets) - MIN_FRAMES
    frames = np.arange(max(expected - reach, 0), min(expected + reach, last) + 1)
    if reach < 1 or not len(frames):
        return begin
    there = min(expected, last)
    here, state = _with_base(state, kinematics, targets.base[there], targets.rotation[there])
    points, speed = kinematics.points(here)[0], _speeds_against_base(kinematics, state, here)
    rows = targets.second >= 0
    first, second = targets.first[rows], targets.second[rows]
    turn = about_z(float(yaw(here.rotation[0])) - yaw(targets.rotation[frames]))
    goal = targets.goal[:, rows]
    rate = (goal[frames + 1] - goal[frames]) * targets.fps
    place = goal[frames] @ turn.transpose(0, 2, 1) - (points[first] - points[second])
    moving = rate @ turn.transpose(0, 2, 1) - (speed[first] - speed[second])
    weight = targets.weight[frames][:, rows] / targets.weight[frames][:, rows].sum(1, keepdims=True)
    apart = (place**2).sum(-1) + config.look_ahead**2 * (moving**2).sum(-1)
    cost = (weight * apart).sum(1)
    down = _on_floor(kinematics, points, config)
    stands = targets.feet.stance[frames] > config.stance
    cost += (config.lands * (stands & ~down) + config.lifts * (~stands & down)).sum(1)
    cost += config.away * ((frames - expected) / reach) ** 2
    return float(frames[int(cost.argmin())]) / targets.fps


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


def _moved(targets: Targets, turn: np.ndarray, shift: np.ndarray) -> Targets:
    """The same for a human elsewhere: every point p of the world goes to turn p + shift."""
    goal, world = targets.goal @ turn.T, targets.second < 0
    goal[:, world] += shift
    feet, body = targets.feet, targets.body
    return replace(
        targets,
        goal=goal,
        base=targets.base @ turn.T + shift,
        rotation=turn @ targets.rotation,
        feet=FootPlan(feet.ankle @ turn.T + shift, turn @ feet.rotation, feet.stance),
        body=Body(
            body.joints @ turn.T + shift,
            turn @ body.pelvis,
            turn @ body.torso,
            turn @ body.feet,
            {name: track @ turn.T for name, track in body.bones.items()},
        ),
    )


def _with_base(
    state: RobotState, kinematics: Kinematics, base: np.ndarray, rotation: np.ndarray
) -> tuple[Poses, RobotState]:
    """The state with a base, as a pose too; an unmeasured base is upright on the floor.

    Its place (3,) and heading are then those of the plan.
    """
    quaternion = state.base_quaternion
    if quaternion is None:
        quaternion = Rotation.from_euler("z", float(yaw(rotation))).as_quat()

    def at(position: np.ndarray) -> tuple[Poses, RobotState]:
        here = replace(state, base_position=position, base_quaternion=quaternion)
        turn = Rotation.from_quat(here.base_quaternion).as_matrix()
        return Poses(position[None], turn[None], state.positions[None]), here

    if state.base_position is not None:
        return at(state.base_position)
    depth = float(kinematics.lowest_sole(at(base)[0])[0])
    return at(base - [0.0, 0.0, depth])


def _on_floor(kinematics: Kinematics, points: np.ndarray, config: TakeoverConfig) -> np.ndarray:
    """(2,) bool: feet of the robot whose soles are as low as the lower one, from (K, 3) points."""
    soles = points[kinematics.soles, 2].reshape(2, -1).min(1)
    return np.asarray(soles < soles.min() + config.on_floor)


def _offset(
    targets: Targets, kinematics: Kinematics, points: np.ndarray, here: Poses, standing: np.ndarray
) -> np.ndarray:
    """(3,) from the plan to the robot along the floor: of the standing feet, else of the base."""
    if standing.any():
        ankles = points[[kinematics.index[f"{side}_ankle"] for side in SIDES]]
        by = (ankles - targets.feet.ankle[0])[standing].mean(0)
    else:
        by = here.base[0] - targets.base[0]
    return np.asarray(by * [1.0, 1.0, 0.0])


def _point_speeds(
    kinematics: Kinematics, state: RobotState, here: Poses, standing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Velocities of the keypoints (K, 3) [m/s] and the twist of the base (6,).

    The base moves so that standing feet do not. Where none stands, its movement is unknown: the
    points' velocities are then those against the base.
    """
    speed = _speeds_against_base(kinematics, state, here)
    if not standing.any():
        return speed, np.full(6, np.nan)
    arms = kinematics.points(here)[0] - here.base[0]
    soles = kinematics.soles.reshape(2, -1)[standing].ravel()
    # v + w x r = -u at every point of the standing soles; one foot alone turns about its points.
    system = np.concatenate([np.tile(np.eye(3), (len(soles), 1, 1)), -skew(arms[soles])], axis=2)
    twist = np.linalg.lstsq(system.reshape(-1, 6), -speed[soles].ravel(), rcond=None)[0]
    return speed + twist[:3] + np.cross(twist[3:], arms), twist


def _speeds_against_base(kinematics: Kinematics, state: RobotState, here: Poses) -> np.ndarray:
    """(K, 3) velocities of the keypoints while the base stands still [m/s]."""
    still = np.zeros_like(state.positions) if state.velocities is None else state.velocities
    sides = [replace(here, joints=here.joints + s * _DIFFERENCE * still) for s in (1, -1)]
    after, before = (kinematics.points(pose)[0] for pose in sides)
    return np.asarray((after - before) / (2 * _DIFFERENCE))


def _foot_rows(targets: Targets, kinematics: Kinematics, side: str) -> tuple[np.ndarray, int]:
    """Rows of the place and the orientation of a foot, and the row of its place alone."""
    levers = [kinematics.index[f"{side}_foot_{axis}"] for axis in "xyz"]
    is_lever = np.isin(targets.first, levers)
    is_place = (targets.first == kinematics.index[f"{side}_ankle"]) & (targets.second < 0)
    return np.flatnonzero(is_lever | is_place), int(np.flatnonzero(is_place)[0])


def _foot_times(
    stance: np.ndarray, fps: float, standing: bool, config: TakeoverConfig
) -> tuple[float, float]:
    """When a foot leaves the robot's place and when it reaches the plan's [s]."""
    stands = stance > config.stance
    lift = 0
    if standing:
        lifted = np.flatnonzero(~stands)
        if not len(lifted):
            return np.inf, np.inf
        lift = int(lifted[0])
    landing = np.flatnonzero(stands[lift:])
    swing = (landing[0] if len(landing) else len(stance) - lift) / fps
    # A swing that is nearly over leaves no time: the foot lands later than planned.
    return lift / fps, lift / fps + min(config.fade, max(float(swing), config.landing))


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
