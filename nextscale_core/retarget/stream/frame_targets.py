"""Targets of single human frames: as in `make_targets`, but without the rest of the clip.

The size of the human and the height of the floor are estimated from the frames so far. A foot
that begins to stand is locked where the robot's foot is by then. The correction that this gives
fades while the foot is in the air.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.skeleton import CONTACT_JOINTS, JOINT_INDEX
from nextscale_core.retarget.config import RetargetConfig
from nextscale_core.retarget.human_frames import FOOT_REST, Body, body_of
from nextscale_core.retarget.stream.frame_solver import Goal
from nextscale_core.retarget.stream.streaming_config import StreamingConfig
from nextscale_core.robots.kinematics import LEVER, Kinematics
from nextscale_core.robots.profile import SIDES

_LEG, _ARM = (("hip", "knee"), ("knee", "ankle")), (("shoulder", "elbow"), ("elbow", "wrist"))
Placed = tuple[np.ndarray, np.ndarray]
"""Place (3,) of an ankle [m] and orientation (3, 3) of its sole."""

_SETTLE = 0.1
"""Share of a flat foot's pitch that a frame adds to the average."""

_LEVEL = 0.08
"""Pitch up to which a standing foot counts as level [rad]."""

_ROLL = 0.02
"""Time constant of the pitch of a standing foot [s]."""

_HIPS = [JOINT_INDEX[f"{side}_hip"] for side in SIDES]
_CONTACTS = list(CONTACT_JOINTS)
_KNEES = [JOINT_INDEX[f"{side}_knee"] for side in SIDES]
_ANKLES = [JOINT_INDEX[f"{side}_ankle"] for side in SIDES]
_UNKNOWN, _SIDES = np.zeros((1, 2), dtype=bool), np.array([[1.0], [-1.0]])


def target_rows() -> list[tuple[str, str | None]]:
    """Keypoints of all residuals: trunk, then legs, then arms."""

    def turn(part: str, origin: str) -> list[tuple[str, str | None]]:
        return [(f"{part}_{axis}", origin) for axis in "xyz"]

    rows: list[tuple[str, str | None]] = [("pelvis", None)]
    rows += turn("pelvis", "pelvis") + turn("torso", "torso")
    for side in SIDES:
        rows += [(f"{side}_ankle", None), *turn(f"{side}_foot", f"{side}_ankle")]
        rows += [(f"{side}_{end}", f"{side}_{start}") for start, end in _LEG]
    for side in SIDES:
        rows += [(f"{side}_{end}", f"{side}_{start}") for start, end in _ARM]
    return rows


class Shown(NamedTuple):
    """Targets of one frame.

    Attributes:
        goal: Residuals, in the order of `target_rows`.
        ankle: (2, 3) where the ankles should be [m].
        standing: (2,) bool, the feet that are locked.
    """

    goal: Goal
    ankle: np.ndarray
    standing: np.ndarray


@dataclass
class _Foot:
    """One foot over time; corrections are differences to what the human's foot asks for."""

    heel: bool = False
    ball: bool = False
    standing: bool = False
    free_until: float = -np.inf
    turning: bool = False
    heading: float = 0.0
    pitch: float = 0.0
    place: np.ndarray = field(default_factory=lambda: np.zeros(2))
    asked: np.ndarray = field(default_factory=lambda: np.zeros(2))
    # Shift and twist [m, rad], and their rates.
    correction: np.ndarray = field(default_factory=lambda: np.zeros(6))
    drift: np.ndarray = field(default_factory=lambda: np.zeros(6))
    # The human's foot, the target that came of it, and the rate of the target.
    human: Placed = field(default_factory=lambda: (np.zeros(3), np.eye(3)))
    target: Placed | None = None
    rate: np.ndarray = field(default_factory=lambda: np.zeros(6))

    def fade(self, seconds: float, constant: float) -> None:
        """Let the correction fade as a critically damped spring does."""
        pull = self.drift + self.correction / constant
        left = math.exp(-seconds / constant)
        self.correction = left * (self.correction + pull * seconds)
        self.drift = left * (self.drift - pull * seconds / constant)

    def corrected(self, place: np.ndarray, turn: np.ndarray) -> Placed:
        """Ankle and orientation with the correction."""
        return place + self.correction[:3], pin.exp3(self.correction[3:]) @ turn


class FrameTargets:
    """Turns frames of one human into targets of one robot.

    Args:
        kinematics: The robot's keypoints.
        config: Weights, and how feet are locked.
        streaming: Numbers of the stream.
    """

    def __init__(self, kinematics: Kinematics, config: RetargetConfig, streaming: StreamingConfig):
        self._kinematics, self._config, self._streaming = kinematics, config, streaming
        sole, limits = kinematics.robot.profile.sole.level, config.targets
        mirrors = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0]])
        self._toe, self._heel = mirrors * sole.toe, mirrors * sole.heel
        side = np.array([0.0, sole.half_width, 0.0])
        ends = (self._toe, self._heel)
        self._corners = np.stack([end + s * side for end in ends for s in (1, -1)], axis=1)
        leg = [limits.thigh, limits.shank]
        trunk = [limits.pelvis, *[limits.pelvis_turn] * 3, *[limits.torso_turn] * 3]
        arms = [limits.arm] * 4
        swing = [limits.foot, *[limits.foot_turn] * 3, *leg]
        stance = [limits.stance, *[limits.stance_turn] * 3, *leg]
        self._weight = {
            (left, right): np.array(
                [*trunk, *(stance if left else swing), *(stance if right else swing), *arms]
            )
            for left in (False, True)
            for right in (False, True)
        }
        lengths = kinematics.lengths
        limbs = [lengths.thigh, lengths.shank, lengths.upper_arm, lengths.forearm]
        self._lengths = np.array([*limbs, *limbs])[:, None]
        self._hips, self._hip = kinematics.hip_offset, kinematics.hip_offset.mean(0)
        self._feet = (_Foot(), _Foot())
        self._leg, self._frames, self._rest = 0.0, 0, np.zeros(2)
        self._pitches = np.full(2, FOOT_REST)

    def begin(
        self, joints: np.ndarray, hips: np.ndarray, heading: float, *, again: bool = False
    ) -> None:
        """Put a human over the robot.

        Args:
            joints: (22, 3) positions [m].
            hips: (3,) middle of the robot's hips [m].
            heading: Of the robot [rad].
            again: The same human: its size is known.

        Raises:
            InvalidMotionError: the legs do not have the length of a human's.
        """
        leg = self._leg_of(joints)
        low, high = self._config.targets.min_leg, self._config.targets.max_leg
        if not low <= leg <= high:
            raise InvalidMotionError(
                f"thigh and shank measure {leg:.3g} m together, a human's {low} to {high} m; "
                "are the joints in metres?"
            )
        if not again:
            self._leg, self._frames = leg, 1
            width = np.linalg.norm(joints[_HIPS[0]] - joints[_HIPS[1]])
            self._half_width = float(width) / 2
            self._rest, self._pitches = self._lowest(joints), np.full(2, FOOT_REST)
            locking = self._config.foot_locking
            if self._rest[0] > locking.raised:
                self._rest = np.array([locking.ankle_rest, locking.ball_rest])
        left = _left_of(body_of(joints[None], _UNKNOWN).pelvis[0])
        turn = heading - math.atan2(-left[0], left[1])
        c, s = np.cos(turn), np.sin(turn)
        self._turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        self._from = np.array([*joints[_HIPS, :2].mean(0), 0.0])
        self._to = np.array([hips[0], hips[1], 0.0])
        self._feet = (_Foot(), _Foot())

    def shown(
        self,
        times: Sequence[float],
        frames: Sequence[np.ndarray],
        ankles: np.ndarray,
        soles: np.ndarray,
        seconds: float,
    ) -> Shown:
        """Targets of the middle one of some frames.

        Args:
            times: (2 D + 1) of the frames [s].
            frames: (22, 3) positions of each [m].
            ankles: (2, 3) where the robot's ankles are [m].
            soles: (2, 3, 3) how its feet are turned.
            seconds: Time since the targets before [s].
        """
        middle = len(frames) // 2
        joints = frames[middle]
        self._measure(joints, seconds)
        self._touch(times, frames, middle)
        k = self._kinematics
        scale = k.lengths.leg / self._leg
        joints = (joints - self._from) @ self._turn.T
        pitches = self._pitches
        body = body_of(joints[None], _UNKNOWN, (float(pitches[0]), float(pitches[1])))
        lift = self._to + np.array([0.0, 0.0, k.ankle_height - self._rest[0] * scale])
        left = _left_of(body.pelvis[0])
        wider = self._hips[:, 1:2] - self._hip[1] - _SIDES * (self._half_width * scale)
        ankle = joints[_ANKLES] * scale + lift + wider * left
        push = self._too_near(ankle[0] - ankle[1], left) / 2
        if push:
            ankle += _SIDES * push * left
        placed = [
            self._foot(n, times[middle], seconds, ankle[n], body.feet[0, n], ankles[n], soles[n])
            for n in range(2)
        ]
        ankle, feet = (np.array(part) for part in zip(*placed, strict=True))
        standing = np.array([foot.standing for foot in self._feet])
        hips = (joints[_HIPS[0]] + joints[_HIPS[1]]) * (scale / 2) + lift
        pelvis = hips - body.pelvis[0] @ self._hip
        place = self._places(body, pelvis, ankle, feet)
        weight = self._weight[bool(standing[0]), bool(standing[1])]
        return Shown(Goal(place, weight), ankle, standing)

    def _places(
        self, body: Body, pelvis: np.ndarray, ankle: np.ndarray, feet: np.ndarray
    ) -> np.ndarray:
        """(M, 3) places of all residuals."""
        bones = np.concatenate(list(body.bones.values())) * self._lengths
        parts = [pelvis[None], LEVER * body.pelvis[0].T, LEVER * body.torso[0].T]
        for n in (0, 1):
            parts += [ankle[n, None], LEVER * feet[n].T, bones[4 * n : 4 * n + 2]]
        return np.concatenate([*parts, bones[2:4], bones[6:8]])

    def _too_near(self, apart: np.ndarray, left: np.ndarray) -> float:
        """How far feet beside each other are from the least width of a stance [m]."""
        profile = self._kinematics.robot.profile
        length = float(self._toe[0, 0] - self._heel[0, 0])
        across = float(apart @ left)
        along = math.hypot(apart[0] - across * left[0], apart[1] - across * left[1])
        beside = 1.0 - smoothstep_of(along, 0.8 * length, 1.6 * length)
        beside *= 1.0 - smoothstep_of(abs(float(apart[2])), 0.15, 0.25)
        return beside * max(0.0, profile.min_stance_width - across)

    def _leg_of(self, joints: np.ndarray) -> float:
        thigh = np.linalg.norm(joints[_KNEES] - joints[_HIPS], axis=1)
        shank = np.linalg.norm(joints[_ANKLES] - joints[_KNEES], axis=1)
        return float((thigh + shank).mean())

    def _lowest(self, joints: np.ndarray) -> np.ndarray:
        """(2,) heights of the lower ankle and the lower ball [m]."""
        return np.asarray(joints[_CONTACTS, 2].reshape(2, 2).min(0))

    def _measure(self, joints: np.ndarray, seconds: float) -> None:
        """Refine the size of the human and the height of the floor."""
        if self._frames < self._streaming.sizing:
            self._frames += 1
            self._leg += (self._leg_of(joints) - self._leg) / self._frames
        lowest = self._lowest(joints)
        rising = np.minimum(self._rest + self._streaming.rise * seconds, lowest)
        still = lowest < self._rest + self._config.foot_locking.ball_height
        self._rest = np.where(still, rising, self._rest)

    def _touch(self, times: Sequence[float], frames: Sequence[np.ndarray], middle: int) -> None:
        """Which parts of the feet stand: slow and low, with hysteresis."""
        locking, more = self._config.foot_locking, self._streaming.hysteresis
        before, here, after = (frames[n][_CONTACTS].tolist() for n in (0, middle, -1))
        since, until = times[middle] - times[0], times[-1] - times[middle]
        low = (locking.ankle_height, locking.ball_height)

        def stands(part: int, was: bool) -> bool:
            """Whether an ankle (0, 2) or a ball (1, 3) stands, if it did before or did not."""
            at = here[part]
            speed = min(math.dist(at, before[part]) / since, math.dist(after[part], at) / until)
            height = at[2] - float(self._rest[part % 2])
            fast = locking.labelled_speed if was else locking.speed
            return height < low[part % 2] + more * was and speed < fast

        for n, foot in enumerate(self._feet):
            ankle, ball = 2 * n, 2 * n + 1
            foot.heel, foot.ball = stands(ankle, foot.heel), stands(ball, foot.ball)
            if foot.heel and foot.ball:
                # Shoes and skeletons differ in the line from ankle to ball.
                rise = here[ball][2] - here[ankle][2]
                pitch = math.asin(rise / math.dist(here[ankle], here[ball]))
                pitch = min(max(pitch, FOOT_REST - 0.3), FOOT_REST + 0.3)
                self._pitches[n] += _SETTLE * (pitch - self._pitches[n])

    def _foot(
        self,
        n: int,
        time: float,
        seconds: float,
        ankle: np.ndarray,
        turn: np.ndarray,
        at: np.ndarray,
        sole: np.ndarray,
    ) -> Placed:
        """Ankle and orientation of one foot, from those that the human's foot asks for."""
        foot, streaming = self._feet[n], self._streaming
        locking = self._config.foot_locking
        heading = math.atan2(turn[1, 0], turn[0, 0])
        down = (foot.heel or foot.ball) and time >= foot.free_until
        about = self._about(n)
        lain = (ankle + turn @ about - _about_z(heading) @ about)[:2]
        if down and foot.standing and math.hypot(*(lain - foot.asked)) > locking.slip:
            # The human's foot slides to another place, and the robot's goes there too.
            down, foot.free_until = False, time + streaming.swing
        if down and not foot.standing:
            foot.heading = math.atan2(sole[1, 0], sole[0, 0])
            foot.place = (at + sole @ about - _about_z(foot.heading) @ about)[:2]
            foot.asked, foot.pitch, foot.turning = lain, _pitch(sole), False
        changed, foot.standing = down != foot.standing, down
        if foot.standing:
            self._turn_standing(foot, heading, seconds)
            foot.pitch += (1.0 - math.exp(-seconds / _ROLL)) * (_roll(foot, turn) - foot.pitch)
        raw = self._asked(n, ankle, turn)
        if changed and foot.target is not None:
            # The target goes on as fast as it was.
            own = np.zeros(6) if foot.standing else _between(foot.human, (ankle, turn)) / seconds
            foot.correction = _between(raw, foot.target) + foot.rate * seconds
            foot.drift = foot.rate - own
        else:
            foot.fade(seconds, streaming.land if foot.standing else streaming.swing)
        place, level = foot.corrected(*raw)
        lowest = place[2] + min((self._corners[n] @ level[2]).tolist())
        place[2] -= min(lowest, 0.0)
        if foot.target is not None:
            foot.rate = _between(foot.target, (place, level)) / seconds
        foot.human, foot.target = (ankle, turn), (place, level)
        return place, level

    def _asked(self, n: int, ankle: np.ndarray, turn: np.ndarray) -> Placed:
        """Ankle and orientation without correction: the human's, or the place it stands on."""
        foot = self._feet[n]
        if not foot.standing:
            return ankle, turn
        level = _about_z(foot.heading)
        turn = level @ _about_y(foot.pitch)
        rest = np.array([foot.place[0], foot.place[1], -self._toe[n, 2]])
        pivot = self._toe[n] if foot.pitch >= 0 else self._heel[n]
        return rest + level @ pivot - turn @ pivot, turn

    def _about(self, n: int) -> np.ndarray:
        """Point of the foot that stands, seen from the ankle [m]."""
        foot = self._feet[n]
        if foot.heel and foot.ball:
            return np.zeros(3)
        return self._toe[n] if foot.ball else self._heel[n]

    def _turn_standing(self, foot: _Foot, heading: float, seconds: float) -> None:
        """A foot whose human foot has turned far follows it, slowly."""
        error = (heading - foot.heading + np.pi) % (2 * np.pi) - np.pi
        foot.turning = abs(error) > (0.05 if foot.turning else self._config.foot_locking.slip_turn)
        if foot.turning:
            most = self._streaming.turn_rate * seconds
            foot.heading += min(max(error, -most), most)


def _roll(foot: _Foot, turn: np.ndarray) -> float:
    """Pitch of a standing foot that rolls over its toes or its heel [rad], toes down positive."""
    pitch = _pitch(turn)
    pitch = math.copysign(max(abs(pitch) - _LEVEL, 0.0), pitch)
    return min(max(pitch, -0.8 if foot.heel else 0.0), 1.2 if foot.ball else 0.0)


def _between(first: Placed, second: Placed) -> np.ndarray:
    """(6,) shift and rotation vector from one place and orientation to another."""
    return np.concatenate([second[0] - first[0], pin.log3(second[1] @ first[1].T)])


def smoothstep_of(x: float, low: float, high: float) -> float:
    """`smoothstep` of one number."""
    u = min(max((x - low) / (high - low), 0.0), 1.0)
    return u * u * (3.0 - 2.0 * u)


def _left_of(pelvis: np.ndarray) -> np.ndarray:
    """(3,) horizontal unit vector to the left of a pelvis; see `heading_left`."""
    x, y, z = pelvis[:, 0].tolist()
    # Bent far over, the x axis of the pelvis points down and its z axis points ahead.
    bent = smoothstep_of(abs(z), 0.7, 0.95)
    x = (1 - bent) * x - bent * math.copysign(1.0, z) * float(pelvis[0, 2])
    y = (1 - bent) * y - bent * math.copysign(1.0, z) * float(pelvis[1, 2])
    length = math.hypot(x, y)
    x, y = (x / length, y / length) if length > 1e-6 else (1.0, 0.0)
    return np.array([-y, x, 0.0])


def _pitch(turn: np.ndarray) -> float:
    return -math.asin(min(max(turn[2, 0], -1.0), 1.0))


def _about_z(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _about_y(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
