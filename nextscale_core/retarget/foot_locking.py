"""Feet of the robot: the human's steps at the robot's size, locked while they stand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from nextscale_core.kernels import kernels, run
from nextscale_core.retarget.config import RETARGET, FootLockingConfig
from nextscale_core.retarget.contacts import Contacts, stance_spans, steady_heading
from nextscale_core.robots.profile import SIDES, Sole
from nextscale_core.rotations import about_z, exp, log, smoothstep, unit, yaw

_NOTHING = 1e-3
"""Lack of distance that does not matter [m]."""


@dataclass(frozen=True)
class FootPlan:
    """Targets of both feet over T frames.

    Attributes:
        ankle: (T, 2, 3) ankle positions of the left and right foot [m], floor at z = 0.
        rotation: (T, 2, 3, 3) orientations of the soles.
        stance: (T, 2) from 0 (swinging) to 1 (standing, locked).
    """

    ankle: np.ndarray
    rotation: np.ndarray
    stance: np.ndarray


def plan_feet(
    ankle: np.ndarray,
    rotation: np.ndarray,
    contacts: Contacts,
    sole: Sole,
    lateral: np.ndarray,
    min_width: float,
    config: FootLockingConfig = RETARGET.foot_locking,
) -> FootPlan:
    """Keep the feet apart, lock them while they stand and keep them above the floor.

    Args:
        ankle: (T, 2, 3) unlocked ankle positions at the robot's size [m].
        rotation: (T, 2, 3, 3) unlocked orientations of the soles.
        contacts: The parts of the feet that stand.
        sole: Contact points of a foot that lies flat.
        lateral: (T, 3) horizontal unit vector to the robot's left.
        min_width: Least distance of ankles beside each other [m].
        config: How feet stand.
    """
    length = sole.toe[0] - sole.heel[0]
    ankle = spread(ankle, lateral, min_width, length)
    plan = _lock_both(ankle, rotation, contacts, sole, config)
    for _ in range(config.parting_rounds):
        # A place is the mean of its stance, in which the feet were further apart.
        push = _push_of_places(plan, lateral, config.parted * min_width, length)
        if not push.any():
            break
        ankle = ankle + push
        plan = _lock_both(ankle, rotation, contacts, sole, config)
    return plan


def _lock_both(
    ankle: np.ndarray,
    rotation: np.ndarray,
    contacts: Contacts,
    sole: Sole,
    config: FootLockingConfig,
) -> FootPlan:
    """Both feet, which have been kept apart, locked while they stand."""
    library = kernels()
    if library is not None:
        frames = len(ankle)
        sizes = (frames, config.relocate, config.min_stance)
        numbers = (config.slip, config.slip_turn, float(sole.half_width))
        toe, heel = (
            np.stack(ends) for ends in zip(*(_points(sole, n) for n in (0, 1)), strict=True)
        )
        down = (np.ascontiguousarray(part, np.uint8) for part in (contacts.ankle, contacts.ball))
        feet = (np.ascontiguousarray(part, np.float64) for part in (ankle, rotation))
        plan = FootPlan(
            np.empty((frames, 2, 3)), np.empty((frames, 2, 3, 3)), np.empty((frames, 2))
        )
        run(library, "ns_feet", *sizes, *numbers, toe, heel, *feet, *down, *vars(plan).values())
        return plan
    locked = [
        _lock(
            ankle[:, n],
            rotation[:, n],
            contacts.ankle[:, n],
            contacts.ball[:, n],
            _points(sole, n),
            config,
        )
        for n in range(len(SIDES))
    ]
    place, turn, stance = (np.stack(tracks, axis=1) for tracks in zip(*locked, strict=True))
    side = np.array([0.0, sole.half_width, 0.0])
    for n in range(len(SIDES)):
        corners = np.stack([end + sign * side for end in _points(sole, n) for sign in (1.0, -1.0)])
        corners = place[:, n, None] + (turn[:, n, None] @ corners[..., None])[..., 0]
        place[:, n, 2] += np.maximum(0.0, -corners[..., 2].min(1))
    return FootPlan(place, turn, stance)


def spread(ankle: np.ndarray, lateral: np.ndarray, width: float, length: float) -> np.ndarray:
    """Push feet apart that stand beside each other closer than `width`.

    Args:
        ankle: (T, 2, 3) left and right ankle [m].
        lateral: (T, 3) horizontal unit vector to the left.
        width: Least lateral distance [m].
        length: Length of a foot [m]; feet further apart fore and aft may cross.
    """
    push = 0.5 * _lacking(ankle, lateral, width, length)
    push = ndimage.gaussian_filter1d(push, 1.0, mode="nearest")
    shift = push[:, None] * lateral
    return ankle + np.stack([shift, -shift], axis=1)


def _lacking(ankle: np.ndarray, lateral: np.ndarray, width: float, length: float) -> np.ndarray:
    """(T,) what feet beside each other lack to a lateral distance [m]; see `spread`."""
    apart = ankle[:, 0] - ankle[:, 1]
    across = (apart * lateral).sum(-1)
    along = np.linalg.norm(apart[:, :2] - across[:, None] * lateral[:, :2], axis=-1)
    beside = 1.0 - smoothstep(along, 0.8 * length, 1.6 * length)
    beside *= 1.0 - smoothstep(np.abs(apart[:, 2]), 0.15, 0.25)
    return np.asarray(beside * np.maximum(0.0, width - across))


def _push_of_places(plan: FootPlan, lateral: np.ndarray, width: float, length: float) -> np.ndarray:
    """(T, 2, 3) shifts of locked feet that are closer than a width, a whole stance at a time [m].

    Of a standing and a swinging foot the swinging one gives way.
    """
    lacks = _lacking(plan.ankle, lateral, width, length)
    push = np.zeros_like(plan.ankle)
    if lacks.max(initial=0.0) < _NOTHING:
        return push
    stands = plan.stance >= 0.8
    share = np.where(stands[:, ::-1] & ~stands, 1.0, np.where(stands & ~stands[:, ::-1], 0.0, 0.5))
    for n, side in enumerate((1.0, -1.0)):
        own = side * (share[:, n] * lacks)[:, None] * lateral
        swings = np.where(stands[:, n, None], 0.0, own)
        push[:, n] = ndimage.gaussian_filter1d(swings, 1.0, axis=0, mode="nearest")
        for (span,) in ndimage.find_objects(ndimage.label(stands[:, n])[0]):
            push[span, n] = own[span][np.argmax(share[span, n] * lacks[span])]
    return push


def _points(sole: Sole, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Toe and heel of the left (0) or right (1) foot."""
    mirror = np.array([1.0, 1.0 if number == 0 else -1.0, 1.0])
    return mirror * sole.toe, mirror * sole.heel


def _lock(
    ankle: np.ndarray,
    rotation: np.ndarray,
    heel_down: np.ndarray,
    ball_down: np.ndarray,
    points: tuple[np.ndarray, np.ndarray],
    config: FootLockingConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One foot: the correction that locks it is carried smoothly through the swings."""
    frames = len(ankle)
    heading = np.unwrap(yaw(rotation))
    lain = _laid_flat(ankle, rotation, heel_down, ball_down, heading, points)
    spans = stance_spans(heel_down | ball_down, lain, config)
    if not spans:
        return ankle.copy(), rotation.copy(), np.zeros(frames)
    place, turn = ankle.copy(), rotation.copy()
    for span in spans:
        level = about_z(steady_heading(heading[span], config))
        place[span], turn[span] = _stand(
            lain[span], rotation[span], heel_down[span], ball_down[span], level, points
        )
    shift, twist = place - ankle, log(turn @ rotation.transpose(0, 2, 1))
    first, last = spans[0], spans[-1]
    shift[: first.start], twist[: first.start] = shift[first.start], twist[first.start]
    shift[last.stop :], twist[last.stop :] = shift[last.stop - 1], twist[last.stop - 1]
    for before, after in pairwise(spans):
        a, b = before.stop - 1, after.start
        u = smoothstep(np.arange(a + 1, b, dtype=float), a, b)[:, None]
        for track in (shift, twist):
            track[a + 1 : b] = (1 - u) * track[a] + u * track[b]
    standing = np.zeros(frames)
    for span in spans:
        standing[span] = 1.0
    ramp = ndimage.gaussian_filter1d(standing, 0.7, mode="nearest")
    return ankle + shift, exp(twist) @ rotation, np.maximum(ramp * ramp, 0.8 * standing)


def _laid_flat(
    ankle: np.ndarray,
    rotation: np.ndarray,
    heel_down: np.ndarray,
    ball_down: np.ndarray,
    heading: np.ndarray,
    points: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """(T, 2) where the ankle would be if the foot were laid flat about the part that stands."""
    toe, heel = points
    about = np.where((ball_down & ~heel_down)[:, None], toe, heel)
    rolled = (heel_down ^ ball_down)[:, None]
    shift = (rotation @ about[..., None] - about_z(heading) @ about[..., None])[..., 0]
    return (ankle + np.where(rolled, shift, 0.0))[:, :2]


def _stand(
    lain: np.ndarray,
    rotation: np.ndarray,
    heel_down: np.ndarray,
    ball_down: np.ndarray,
    level: np.ndarray,
    points: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Ankle and sole over one stance: flat, or rolling over the toe or the heel.

    `lain` are the places of the ankle of the foot laid flat, `level` the orientations of a flat
    sole. A flat foot turns about the point below the ankle, which bears its load; one that stands
    on its ball turns about the ball.
    """
    toe, heel = points
    flat = heel_down & ball_down
    sure = flat if flat.any() else np.ones(len(flat), dtype=bool)
    front, back = level @ toe, level @ heel
    on_ball = ball_down & ~heel_down
    turned = np.diff(front[:, :2], axis=0) * (on_ball[1:] & on_ball[:-1])[:, None]
    rest = np.zeros((len(lain), 3))
    rest[1:, :2] = -np.cumsum(turned, axis=0)
    rest[:, :2] += (lain - rest[:, :2])[sure].mean(0)
    rest[:, 2] = -toe[2]
    pitch = -np.arcsin(np.clip(rotation[:, 2, 0], -1, 1))  # positive: toes down
    pitch = np.where(flat, 0.0, np.where(ball_down, np.maximum(pitch, 0), np.minimum(pitch, 0)))
    pitch = np.clip(ndimage.gaussian_filter1d(pitch, 0.7, mode="nearest"), -0.8, 1.2)
    pitch[flat] = 0.0
    turn = level @ exp(pitch[:, None] * np.array([0.0, 1.0, 0.0]))
    about_toe = rest + front - turn @ toe
    about_heel = rest + back - turn @ heel
    return np.where(pitch[:, None] >= 0, about_toe, about_heel), turn


def heading_left(pelvis: np.ndarray) -> np.ndarray:
    """(T, 3) horizontal unit vector to the left of a pelvis orientation (T, 3, 3)."""
    forward = pelvis[..., 0].copy()
    # Bent far over, the x axis of the pelvis points down and its z axis points ahead.
    bent = smoothstep(np.abs(forward[..., 2]), 0.7, 0.95)[..., None]
    forward = (1 - bent) * forward - bent * np.sign(forward[..., 2:]) * pelvis[..., 2]
    forward[..., 2] = 0.0
    forward = unit(forward, np.broadcast_to([1.0, 0.0, 0.0], forward.shape))
    return np.stack([-forward[..., 1], forward[..., 0], np.zeros(len(forward))], -1)
