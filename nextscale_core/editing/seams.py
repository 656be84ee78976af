"""Seams: generated frames blended onto the known ones beside them."""

from __future__ import annotations

import numpy as np

from nextscale_core.editing.bone_lengths import median_bones, with_bones
from nextscale_core.editing.foot_plants import hold_feet
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.ground_transform import GroundTransform, carried
from nextscale_core.motion.skeleton import bone_lengths

EASE = 10
"""Frames over which an offset at a seam decays (0.5 s)."""

_BESIDE = 3
"""Known frames beside a seam that give position, velocity and acceleration."""

_SMOOTH = 30.0
"""Weight of the offset's jerk against the offset itself."""


def assemble(
    timeline: Timeline, generated: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Known frames unchanged, generated ones between them.

    Each gap is moved along the floor to the known frames beside it; remaining offsets of the pose
    at its seams decay inside it with minimum jerk; bones get the known body's lengths, and
    standing feet are held still.

    Args:
        timeline: T frames, at least one known.
        generated: (T, 22, 3) the whole motion as the model generates it [m].
        fps: Frames per second [Hz].

    Returns:
        (T, 22, 3) joints in the timeline's world [m], and (T, 4) contacts.
    """
    joints = timeline.joints.copy()
    for start, stop in timeline.gaps:
        joints[start:stop] = _placed(timeline, generated, start, stop, fps)
        joints[start:stop] = with_bones(joints[start:stop], _lengths(timeline, start, stop))
    return hold_feet(joints, timeline, fps)


def _placed(
    timeline: Timeline, generated: np.ndarray, start: int, stop: int, fps: float
) -> np.ndarray:
    """(n, 22, 3) frames of one gap, in the world, without jumps at its seams."""
    before, after = beside(timeline, start, stop)
    ends = _ends(timeline, generated, before, after)
    placed = carried(generated[start:stop], ends[0], ends[-1], fps)
    rest_before = timeline.joints[before] - ends[0](generated[before])
    rest_after = timeline.joints[after] - ends[-1](generated[after])
    return placed + fading(rest_before, rest_after, stop - start)


def closing_error(timeline: Timeline, generated: np.ndarray) -> float:
    """Offset behind the gaps of a generated motion that is aligned before them.

    Args:
        timeline: T frames.
        generated: (T, 22, 3) positions [m].

    Returns:
        Mean distance of the joints behind a gap [m], summed over the gaps that have known
        frames on both sides; 0 without such a gap.
    """
    total = 0.0
    for start, stop in inner_gaps(timeline):
        before, after = beside(timeline, start, stop)
        first, last = _ends(timeline, generated, before, after)
        behind = generated[stop]
        total += float(np.linalg.norm(first(behind) - last(behind), axis=-1).mean())
    return total


def inner_gaps(timeline: Timeline) -> list[tuple[int, int]]:
    """Gaps with known frames before and after."""
    return [(a, b) for a, b in timeline.gaps if a > 0 and b < len(timeline)]


def beside(timeline: Timeline, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the known frames next to a gap, at most three on each side."""
    before = np.arange(start - 1, max(start - _BESIDE, 0) - 1, -1)
    after = np.arange(stop, min(stop + _BESIDE, len(timeline)))
    unbroken = [side[np.logical_and.accumulate(timeline.known[side])] for side in (before, after)]
    return unbroken[0][::-1], unbroken[1]


def _ends(
    timeline: Timeline, generated: np.ndarray, before: np.ndarray, after: np.ndarray
) -> list[GroundTransform]:
    """Transforms of the generated motion onto the frames before a gap and onto those after it."""
    return [
        GroundTransform.fit(generated[frames], timeline.joints[frames])
        for frames in (before, after)
        if len(frames)
    ]


def fading(before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    """An offset that continues smoothly from both sides of a gap and decays inside it.

    Least squares: the jerk (third difference) of the offset is small everywhere, and the offset
    itself is small far from the seams.

    Args:
        before: (b, ...) offsets on the frames before the gap; empty without a seam there.
        after: (a, ...) offsets on the frames after it.
        count: Frames n of the gap.

    Returns:
        (n, ...) offsets in the gap.
    """
    b, a = len(before), len(after)
    shape = (before if b else after).shape[1:]
    width = int(np.prod(shape))
    ends = np.concatenate([before.reshape(b, width), after.reshape(a, width)])
    total = b + count + a
    order = min(3, total - 1)
    jerk = np.diff(np.eye(total), n=order, axis=0)
    inside = slice(b, b + count)
    given = np.concatenate([jerk[:, :b], jerk[:, b + count :]], axis=1)
    at = np.arange(count) + 1.0
    distance = np.minimum(at if b else np.inf, at[::-1] if a else np.inf)
    weight = (distance / EASE) ** 4
    system = _SMOOTH * jerk[:, inside].T @ jerk[:, inside] + np.diag(weight)
    solution = np.linalg.solve(system, -_SMOOTH * jerk[:, inside].T @ (given @ ends))
    return solution.reshape(count, *shape)


def _lengths(timeline: Timeline, start: int, stop: int) -> np.ndarray:
    """(n, 21) bone lengths in a gap [m]: those of the known frames beside it fade to the median."""
    median = median_bones(timeline.joints[timeline.known])
    lengths = np.tile(median, (stop - start, 1))
    at = np.arange(1, stop - start + 1)
    for edge, distance in ((start - 1, at), (stop, at[::-1])):
        if 0 <= edge < len(timeline):
            share = 0.5 + 0.5 * np.cos(np.pi * np.clip(distance / EASE, 0, 1))
            lengths += share[:, None] * (bone_lengths(timeline.joints[edge]) - median)
    return lengths
