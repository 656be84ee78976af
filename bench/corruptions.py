"""Ways to break a human motion, for `robustness.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.motion.clip import MotionClip

Make = Callable[[MotionClip, np.random.Generator], MotionClip]


def nan(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Some coordinates are NaN, before the clip is made or after."""
    return _spoiled(clip, generator, np.nan)


def infinite(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Some coordinates are infinite, before the clip is made or after."""
    return _spoiled(clip, generator, generator.choice([np.inf, -np.inf]))


def _spoiled(clip: MotionClip, generator: np.random.Generator, value: float) -> MotionClip:
    joints = clip.joints.copy()
    count = int(10 ** generator.uniform(0, np.log10(joints.size)))
    where = generator.choice(joints.size, count, replace=False)
    if generator.random() < 0.5:
        joints.flat[where] = value
        return replace(clip, joints=joints)
    clip = replace(clip, joints=joints)
    clip.joints.flat[where] = value  # a frozen dataclass does not freeze its array
    return clip


def teleports(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """The whole body, or some joints, jump: for good or for a frame, 10 cm to 100 m."""
    joints = clip.joints.astype(np.float64)
    for _ in range(generator.integers(1, 5)):
        jump = generator.normal(size=3) * 10 ** generator.uniform(-1, 2)
        at = int(generator.integers(len(joints)))
        frames = slice(at, None if generator.random() < 0.5 else at + 1)
        if generator.random() < 0.5:
            joints[frames] += jump
        else:
            joints[frames, generator.choice(22, generator.integers(1, 6), replace=False)] += jump
    return replace(clip, joints=joints)


def wrong_shape(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Joints, axes, labels or frames are missing or too many, or are no numbers at all."""
    joints = clip.joints
    shapes: list[Callable[[], object]] = [
        lambda: joints[:, :21],
        lambda: np.concatenate([joints, joints], axis=1),
        lambda: joints[..., :2],
        lambda: joints.reshape(-1, 3),
        lambda: joints[0],
        lambda: joints[None],
        lambda: joints.transpose(1, 0, 2),
        lambda: [*joints.tolist()[:3], [[0.0]]],
        lambda: joints.astype(str).astype(object)[0],
        lambda: "motion",
        lambda: None,
        lambda: joints.astype(complex),
    ]
    number = int(generator.integers(len(shapes) + 2))
    if number == len(shapes):
        return replace(clip, contacts=np.ones((len(clip) + 1, 4), dtype=bool))
    if number == len(shapes) + 1:
        return replace(clip, fps=generator.choice([0.0, -20.0, np.nan, np.inf]))
    return replace(clip, joints=shapes[number](), contacts=None)  # type: ignore[arg-type]


def zero_length(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """No frames, or all bones of no length."""
    if generator.random() < 0.5:
        return clip.slice(0, 0)
    return replace(clip, joints=np.repeat(clip.joints[:, :1], 22, axis=1))


def one_frame(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """One frame, or a few."""
    at = int(generator.integers(len(clip)))
    return clip.slice(at, at + (1 if generator.random() < 0.7 else int(generator.integers(2, 6))))


def scaled(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """A hundred times as large: all of it, one axis, some frames, or the path only."""
    joints = clip.joints.astype(np.float64)
    kind = generator.integers(4)
    if kind == 0:
        joints *= 100.0
    elif kind == 1:
        joints[..., generator.integers(3)] *= 100.0
    elif kind == 2:
        joints[generator.random(len(joints)) < generator.uniform(0.05, 0.6)] *= 100.0
    else:
        joints += 99.0 * joints[:, :1] * [1.0, 1.0, 0.0]
    return replace(clip, joints=joints)


def upside_down(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Turned by half a turn about a horizontal axis, in the middle or throughout, or mirrored."""
    joints = clip.joints.astype(np.float64)
    centre = joints[:, :1] if generator.random() < 0.5 else joints[:1, :1]
    angle = generator.uniform(0, 2 * np.pi)
    turn = Rotation.from_rotvec(np.pi * np.array([np.cos(angle), np.sin(angle), 0.0])).as_matrix()
    if generator.random() < 0.3:
        turn = np.diag([1.0, 1.0, -1.0])
    begin = 0 if generator.random() < 0.6 else int(generator.integers(len(joints)))
    turned = (joints - centre) @ turn.T + centre
    joints[begin:] = turned[begin:]
    return replace(clip, joints=joints)


def random_rotations(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Every frame turned by itself, the whole clip turned, or it tumbles."""
    joints = clip.joints.astype(np.float64)
    frames, kind = len(joints), generator.integers(3)
    if kind == 0:
        turn = Rotation.random(frames, rng=generator)
    elif kind == 1:
        turn = Rotation.concatenate([Rotation.random(rng=generator)] * frames)
    else:
        spin = generator.normal(size=3) * generator.uniform(0.05, 1.0)
        turn = Rotation.from_rotvec(np.arange(frames)[:, None] * spin)
    centre = joints[:, :1]
    return replace(clip, joints=(joints - centre) @ turn.as_matrix().transpose(0, 2, 1) + centre)


CORRUPTIONS: dict[str, Make] = {
    "NaN": nan,
    "infinite": infinite,
    "teleports": teleports,
    "wrong shapes": wrong_shape,
    "zero length": zero_length,
    "one frame": one_frame,
    "scaled by 100": scaled,
    "upside down": upside_down,
    "random rotations": random_rotations,
}
