"""`Plan`: constraints sorted by what they decide; contradictions are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nextscale_core.editing.constraints.root_path import RootGoal
from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.constraints import (
    BODIES,
    TOLERANCE,
    Constraint,
    Keyframe,
    Target,
    Waypoint,
    check_constraints,
    frame_of,
)
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS

MAX_SPEED = 4.0
"""Largest mean speed between two places; farther ones are approached as far as possible [m/s]."""

_SAME_HEADING = math.radians(5.0)


@dataclass(frozen=True)
class Plan:
    """What constraints decide, by frame.

    Attributes:
        roots: Goals of the path.
        poses: Frame -> keyframe.
        hands: Frame -> wrist -> (3,) place [m].
        feet: (Frame, ball of the foot) -> (3,) place [m].
        noted: Every constraint, and why it cannot be met as it is given; else ''.
    """

    roots: dict[int, RootGoal] = field(default_factory=dict)
    poses: dict[int, Keyframe] = field(default_factory=dict)
    hands: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    feet: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    noted: tuple[tuple[Constraint, str], ...] = ()

    @classmethod
    def build(
        cls,
        constraints: Sequence[object],
        frames: int,
        start: np.ndarray,
        fixed: np.ndarray | None = None,
    ) -> Plan:
        """Sort constraints.

        Args:
            constraints: Constraints in any order.
            frames: Frames of the motion.
            start: (3,) place and heading of the body where the free part begins [m], [rad].
            fixed: (T,) bool, frames that cannot change; None where only the path has a start.

        Raises:
            ConfigError: a constraint outside of the motion or in its fixed part, or two that
                contradict each other or the start.
        """
        ordered = check_constraints(constraints)
        roots: dict[int, list[tuple[Constraint, RootGoal]]] = {}
        plan = cls()
        for one in ordered:
            frame = frame_of(one, FPS)
            if frame >= frames:
                raise ConfigError(
                    f"{one}: the motion lasts {frames / FPS:g} s only, its last frame is at "
                    f"{(frames - 1) / FPS:g} s"
                )
            if fixed is not None and fixed[frame]:
                raise ConfigError(f"{one}: that part of the motion is given and cannot change")
            goal = _root_goal(one, frame)
            if goal is not None:
                roots.setdefault(frame, []).append((one, goal))
            if isinstance(one, Keyframe):
                if frame in plan.poses and not np.allclose(plan.poses[frame].pose, one.pose):
                    raise _contradiction(one, plan.poses[frame])
                plan.poses[frame] = one
        for one in ordered:
            if isinstance(one, Target):
                plan._take(one)
        for goals in roots.values():
            _check_same(goals)
        if fixed is None:
            _check_start(roots.pop(0, []), start)
        notes = plan._limit_speed(roots, start, fixed)
        return cls(
            plan.roots,
            plan.poses,
            plan.hands,
            plan.feet,
            tuple((one, notes.get(id(one), "")) for one in ordered),
        )

    def _take(self, target: Target) -> None:
        frame, joint = frame_of(target, FPS), BODIES[target.body]
        place = np.array(target.position)
        keyframe = self.poses.get(frame)
        if keyframe is not None:
            if keyframe.placed and math.dist(keyframe.pose[joint], place) < TOLERANCE["target"]:
                return
            raise _contradiction(target, keyframe)
        feet = target.body.endswith("foot")
        old = self.feet.get((frame, joint)) if feet else self.hands.get(frame, {}).get(joint)
        if old is not None and math.dist(old, place) > 1e-6:
            raise _contradiction(target, target)
        if feet:
            self.feet[frame, joint] = place
        else:
            self.hands.setdefault(frame, {})[joint] = place

    def _limit_speed(
        self,
        roots: dict[int, list[tuple[Constraint, RootGoal]]],
        start: np.ndarray,
        fixed: np.ndarray | None,
    ) -> dict[int, str]:
        """Take the goals in order of time, each as near as a human gets; returns notes."""
        notes: dict[int, str] = {}
        first = 0 if fixed is None or not fixed[0] else int(np.flatnonzero(fixed)[-1])
        before, place = first, start[:2]
        for frame, goals in sorted(roots.items()):
            goal = next((g for _, g in goals if g.place is not None), goals[0][1])
            yaw = next((g.yaw for _, g in goals if g.yaw is not None), None)
            assert goal.place is not None
            way, most = goal.place - place, MAX_SPEED * abs(frame - before) / FPS
            distance = float(np.linalg.norm(way))
            reached = goal.place
            if distance > most:
                reached = place + way * (most / distance)
                reason = (
                    f"{distance:.2f} m in {abs(frame - before) / FPS:g} s is faster than "
                    f"{MAX_SPEED:g} m/s"
                )
                notes |= {id(one): reason for one, _ in goals}
            self.roots[frame] = RootGoal(frame, reached, yaw)
            before, place = frame, reached
        return notes


def shortest(constraints: Sequence[object], multiple: int = 1) -> float:
    """Length of the shortest motion that has the frames of all constraints [s].

    Args:
        constraints: At least one constraint.
        multiple: The frames of the motion are a multiple of this number.

    Raises:
        ConfigError: an object of another type, or a frame beyond the longest motion.
    """
    last = max(check_constraints(constraints), key=lambda one: one.time)
    seconds = (frame_of(last, FPS) // multiple + 1) * multiple / FPS
    if seconds > MAX_SECONDS + 1e-6:
        raise ConfigError(
            f"{last}: the last frame of the longest motion is at {MAX_SECONDS - 1 / FPS:g} s"
        )
    return seconds


def _root_goal(one: Constraint, frame: int) -> RootGoal | None:
    if isinstance(one, Waypoint):
        return RootGoal(frame, np.array([one.x, one.y]), one.heading)
    if isinstance(one, Keyframe) and one.placed:
        return RootGoal(frame, one.pose[0, :2], float(heading_yaw(one.pose[None])[0]))
    return None


def _check_same(goals: Sequence[tuple[Constraint, RootGoal]]) -> None:
    first, goal = goals[0]
    for one, other in goals[1:]:
        assert goal.place is not None and other.place is not None
        turn = 0.0 if goal.yaw is None or other.yaw is None else goal.yaw - other.yaw
        apart = math.dist(goal.place, other.place) > TOLERANCE["waypoint"]
        if apart or abs(math.remainder(turn, 2 * math.pi)) > _SAME_HEADING:
            raise _contradiction(one, first)


def _check_start(goals: Sequence[tuple[Constraint, RootGoal]], start: np.ndarray) -> None:
    for one, goal in goals:
        assert goal.place is not None
        turn = 0.0 if goal.yaw is None else goal.yaw - float(start[2])
        apart = math.dist(goal.place, start[:2])
        if apart > TOLERANCE["waypoint"] or abs(math.remainder(turn, 2 * math.pi)) > _SAME_HEADING:
            raise ConfigError(
                f"{one}: a motion starts above the origin facing +x, but this one is {apart:.2f} m "
                f"and {math.degrees(turn):.0f} deg away from there"
            )


def _contradiction(one: Constraint, other: Constraint) -> ConfigError:
    return ConfigError(
        f"{one} contradicts the {other}: both decide the same frame ({1 / FPS:g} s); leave one out"
    )
