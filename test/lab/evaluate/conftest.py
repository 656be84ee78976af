"""A stick figure: motions built from a root path, foot and hand tracks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS

THIGH, SHANK, UPPER_ARM, FOREARM = 0.39, 0.43, 0.26, 0.27
STAND = 0.95


def _bend(root: np.ndarray, end: np.ndarray, a: float, b: float, out: np.ndarray) -> np.ndarray:
    """Middle joint and reachable end of a two-bone limb; (T, 2, 3)."""
    line = end - root
    length = np.linalg.norm(line, axis=1, keepdims=True)
    reach = np.clip(length, abs(a - b) + 0.01, (a + b) * 0.999)
    along = line / np.maximum(length, 1e-9)
    x = (a * a - b * b + reach * reach) / (2 * reach)
    side = out - (out * along).sum(1, keepdims=True) * along
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    middle = root + x * along + np.sqrt(np.maximum(a * a - x * x, 0)) * side
    return np.stack([middle, root + reach * along], axis=1)


def build(
    seconds: float = 4.0,
    *,
    x: Callable | float = 0.0,
    y: Callable | float = 0.0,
    heading: Callable | float = 0.0,
    height: Callable | float = STAND,
    left_foot: tuple = (0.0, 0.1, 0.06),
    right_foot: tuple = (0.0, -0.1, 0.06),
    left_hand: tuple = (0.1, 0.1, -0.5),
    right_hand: tuple = (0.1, -0.1, -0.5),
) -> MotionClip:
    """A clip at 20 fps; numbers or functions of time [s].

    Args:
        seconds: Duration [s].
        x: Pelvis in the world [m].
        y: Pelvis in the world [m].
        heading: Direction faced [rad].
        height: Pelvis [m].
        left_foot: Ankle in the heading frame: x, y from the pelvis, z above the floor [m].
        right_foot: The same for the right ankle.
        left_hand: Wrist from its shoulder in the heading frame [m].
        right_hand: The same for the right wrist.
    """
    t = np.arange(round(seconds * 20)) / 20

    def track(value: Callable | float) -> np.ndarray:
        return np.array([value(s) if callable(value) else value for s in t], dtype=float)

    turn = track(heading)
    cos, sin = np.cos(turn), np.sin(turn)

    def world(px: np.ndarray, py: np.ndarray, pz: np.ndarray) -> np.ndarray:
        return np.stack([cos * px - sin * py, sin * px + cos * py, pz], axis=1)

    ones, none = np.ones(len(t)), np.zeros(len(t))
    ground = np.stack([track(x), track(y), none], axis=1)
    pelvis = ground + [0, 0, 1] * track(height)[:, None]
    front = world(ones, none, none)
    joints = np.zeros((len(t), NUM_JOINTS, 3))

    def put(name: str, position: np.ndarray) -> np.ndarray:
        joints[:, JOINT_INDEX[name]] = position
        return position

    put("pelvis", pelvis)
    heights = {"spine1": 0.12, "spine2": 0.26, "spine3": 0.32, "neck": 0.53, "head": 0.63}
    for name, up in heights.items():
        put(name, pelvis + np.array([0, 0, up]))
    for side, sign, foot, hand in (
        ("left", 1, left_foot, left_hand),
        ("right", -1, right_foot, right_hand),
    ):
        hip = put(f"{side}_hip", pelvis + world(none, 0.07 * sign * ones, -0.08 * ones))
        ankle = ground + world(*(track(f) for f in foot))
        knee, ankle = _bend(hip, ankle, THIGH, SHANK, front).swapaxes(0, 1)
        put(f"{side}_knee", knee)
        put(f"{side}_ankle", ankle)
        put(f"{side}_foot", ankle + world(0.13 * ones, none, -0.055 * ones))
        shoulder = pelvis + world(none, 0.19 * sign * ones, 0.48 * ones)
        put(f"{side}_collar", pelvis + world(none, 0.08 * sign * ones, 0.45 * ones))
        put(f"{side}_shoulder", shoulder)
        elbow, wrist = _bend(
            shoulder, shoulder + world(*(track(h) for h in hand)), UPPER_ARM, FOREARM, -front
        ).swapaxes(0, 1)
        put(f"{side}_elbow", elbow)
        put(f"{side}_wrist", wrist)
    return MotionClip(joints)


@pytest.fixture
def person() -> Callable[..., MotionClip]:
    """Builds motions; see `build`."""
    return build


def _stride(speed: float, phase: float) -> Callable[[float], float]:
    return lambda t: 0.25 * np.sin(2 * np.pi * (max(speed, 0.5) / 1.4) * t + phase)


def _lift(speed: float, phase: float) -> Callable[[float], float]:
    def lift(t: float) -> float:
        return 0.06 + 0.1 * max(0.0, np.cos(2 * np.pi * (max(speed, 0.5) / 1.4) * t + phase))

    return lift


def walk(
    speed: float = 1.0, towards: str = "forward", seconds: float = 5.0, **more: object
) -> MotionClip:
    """A walk, run or sidestep at a speed [m/s]; feet swing in turns."""
    axis = {"forward": (1, 0), "backward": (-1, 0), "left": (0, 1), "right": (0, -1)}[towards]
    feet = {
        "left_foot": (_stride(speed, 0.0), 0.1, _lift(speed, 0.0)),
        "right_foot": (_stride(speed, np.pi), -0.1, _lift(speed, np.pi)),
    }
    path = {"x": lambda t: axis[0] * speed * t, "y": lambda t: axis[1] * speed * t}
    return build(seconds, **{**path, **feet, **more})


@pytest.fixture
def walking() -> Callable[..., MotionClip]:
    """Builds walks; see `walk`."""
    return walk


def circling(
    side: int = 1, radius: float = 1.0, turns: float = 1.0, speed: float = 1.0
) -> MotionClip:
    """A walk along a circle, counterclockwise for side 1, clockwise for -1."""
    seconds = turns * 2 * np.pi * radius / speed
    rate = side * speed / radius
    return walk(
        speed,
        seconds=seconds,
        x=lambda t: radius * np.sin(abs(rate) * t),
        y=lambda t: side * radius * (1 - np.cos(rate * t)),
        heading=lambda t: rate * t,
    )


@pytest.fixture
def circle_walk() -> Callable[..., MotionClip]:
    """Builds walks in a circle; see `circling`."""
    return circling


def hopping(
    *, rise: float = 0.35, at: tuple[float, ...] = (1.0,), lifted: float = 0.06, speed: float = 0.0
) -> MotionClip:
    """Jumps straight up at some times: a crouch before, a flight of 0.5 s.

    Args:
        rise: Height of the flight [m].
        at: Times of take-off [s].
        lifted: Height of the right ankle over the left: above 0.06 it hops on the left leg [m].
        speed: Speed forward [m/s].
    """

    def flight(t: float) -> float:
        return max([0.0, *(rise * (1 - ((t - s - 0.25) / 0.25) ** 2) for s in at)])

    def crouch(t: float) -> float:
        return sum(0.12 * np.exp(-(((t - s + 0.2) / 0.1) ** 2)) for s in at)

    return build(
        max(at) + 1.5,
        x=lambda t: speed * t,
        height=lambda t: STAND + flight(t) - crouch(t),
        left_foot=(0.0, 0.1, lambda t: 0.06 + flight(t)),
        right_foot=(0.0, -0.1, lambda t: lifted + flight(t)),
    )


@pytest.fixture
def jumping() -> Callable[..., MotionClip]:
    """Builds jumps and hops; see `hopping`."""
    return hopping


@pytest.fixture
def motions(person, walking, circle_walk, jumping) -> dict[str, MotionClip]:
    """Sentence -> a motion that shows it."""
    up = (0.25, -0.1, 0.2)

    def lowered(t: float) -> float:
        return 0.95 - 0.45 * np.sin(np.pi * np.clip((t - 1) / 2, 0, 1))

    def shaking(t: float) -> float:
        return -0.1 + 0.08 * np.sin(2 * np.pi * 2 * t)

    def once(t: float, start: float = 1.0, seconds: float = 0.6) -> float:
        return float(np.sin(np.pi * np.clip((t - start) / seconds, 0, 1)))

    def reach_down(t: float) -> float:
        return -0.5 + 0.02 * once(t, 1, 2)

    return {
        "walks forward": walking(1.0),
        "walks backward": walking(0.8, "backward"),
        "runs": walking(3.0),
        "jumps": jumping(rise=0.35),
        "hops": jumping(rise=0.2, lifted=0.3, at=(1.0, 2.0, 3.0)),
        "waves the right hand": person(right_hand=(0.25, shaking, 0.2)),
        "waves the left hand": person(left_hand=(0.25, lambda t: -shaking(t), 0.2)),
        "raises both arms": person(
            left_hand=(0.1, 0.1, lambda t: -0.5 + 0.9 * once(t, 1, 2)),
            right_hand=(0.1, -0.1, lambda t: -0.5 + 0.9 * once(t, 1, 2)),
        ),
        "squats": person(height=lowered),
        "kicks with the right leg": person(
            right_foot=(lambda t: 0.75 * once(t), -0.1, lambda t: 0.06 + 0.6 * once(t))
        ),
        "turns around": person(heading=lambda t: np.pi * np.clip((t - 1) / 1.5, 0, 1)),
        "walks in a circle": circle_walk(),
        "sits down": person(
            x=lambda t: -0.45 * np.clip(t - 1, 0, 1),
            height=lambda t: 0.95 - 0.45 * np.clip(t - 1, 0, 1),
            left_foot=(lambda t: 0.45 * np.clip(t - 1, 0, 1), 0.1, 0.06),
            right_foot=(lambda t: 0.45 * np.clip(t - 1, 0, 1), -0.1, 0.06),
        ),
        "picks something up from the floor": person(
            height=lambda t: 0.95 - 0.6 * once(t, 1, 2), right_hand=(0.1, -0.1, reach_down)
        ),
        "punches": person(right_hand=(lambda t: 0.12 + 0.38 * once(t, 1, 0.4), 0.0, -0.05)),
        "stands still": person(),
        "raised right hand": person(right_hand=up),
    }
