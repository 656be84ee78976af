"""Seams: generated frames eased onto the known ones beside them."""

from __future__ import annotations

import numpy as np

from nextscale_core.editing.bone_lengths import median_bones, with_bones
from nextscale_core.editing.foot_plants import hold_feet
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.ground_transform import GroundTransform, carried
from nextscale_core.motion.skeleton import bone_lengths

EASE = 10
"""Frames over which what does not fit at a seam dies away (0.5 s)."""

_BESIDE = 3
"""Known frames beside a seam that say where a motion stands, how fast it is and accelerates."""

_SMOOTH = 30.0  # weight of the offset's jerk against the offset itself


def assemble(
    timeline: Timeline, generated: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Known frames as they are, generated ones between them.

    Each gap is brought to the known frames beside it along the floor; what still differs at its
    seams (a pose a little off) dies away inside it, with the least jerk; limbs get the known
    body's lengths; feet that stand, stand still.

    Args:
        timeline: T frames, at least one known.
        generated: (T, 22, 3) the motion as the model sees all of it, known frames too [m].
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
    """How far a generated motion that fits before each gap is from fitting after it.

    Args:
        timeline: T frames.
        generated: (T, 22, 3) positions [m].

    Returns:
        Mean distance of the joints behind a gap [m], added up over the gaps that have known
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
    """The known frames next to a gap, at most three on each side."""
    before = np.arange(max(start - _BESIDE, 0), start)
    after = np.arange(stop, min(stop + _BESIDE, len(timeline)))
    return before[_unbroken(timeline.known[before][::-1])[::-1]], after[
        _unbroken(timeline.known[after])
    ]


def _unbroken(known: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.logical_and.accumulate(known)
    return out


def _ends(
    timeline: Timeline, generated: np.ndarray, before: np.ndarray, after: np.ndarray
) -> list[GroundTransform]:
    """Where the generated motion stands by the frames before a gap and by those after it."""
    return [
        GroundTransform.fit(generated[frames], timeline.joints[frames])
        for frames in (before, after)
        if len(frames)
    ]


def fading(before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    """An offset that goes on smoothly from what it was before a gap, dies away, and comes back.

    Least squares: the jerk (third difference) of the offset is small everywhere, and the offset
    itself small where the seams are far.

    Args:
        before: (b, ...) offsets on the frames before the gap; none when it has no seam there.
        after: (a, ...) offsets on the frames after it.
        count: Frames n of the gap.

    Returns:
        (n, ...).
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
    """(n, 21) bone lengths in a gap: those of the known frames beside it, then the usual ones."""
    usual = median_bones(timeline.joints[timeline.known])
    lengths = np.tile(usual, (stop - start, 1))
    at = np.arange(stop - start)
    if start > 0:
        share = _fade(at)[:, None]
        lengths += share * (bone_lengths(timeline.joints[start - 1]) - usual)
    if stop < len(timeline):
        share = _fade(at[::-1])[:, None]
        lengths += share * (bone_lengths(timeline.joints[stop]) - usual)
    return lengths


def _fade(distance: np.ndarray) -> np.ndarray:
    """From 1 beside a seam to 0 at `EASE` frames from it."""
    out: np.ndarray = 0.5 + 0.5 * np.cos(np.pi * np.clip((distance + 1) / EASE, 0, 1))
    return out
