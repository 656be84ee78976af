"""Joint positions over time: merged from several messages, unwrapped, interpolated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_NAME_LISTS = 64
"""Maximum number of lists of joint names that are remembered."""

Track = tuple[np.ndarray, np.ndarray]
"""Increasing times (N,) [s] and positions (N,) [rad] of one joint."""


@dataclass(frozen=True)
class JointSeries:
    """Positions from the messages with one list of joint names.

    Attributes:
        joints: (M,) indices in the robot.
        times: (N,) increasing [s].
        positions: (N, M) [rad]; NaN where missing.
    """

    joints: np.ndarray
    times: np.ndarray
    positions: np.ndarray


class Columns(NamedTuple):
    """Where the joints of a robot are in a message.

    Attributes:
        source: (M,) indices in the message of the joints that both have; of a joint that is named
            twice, the last.
        target: (M,) indices of these joints in the robot, increasing.
        repeated: (R, 3) for each other place of a joint: its index there and at the last place in
            the message, and in the robot.
    """

    source: np.ndarray
    target: np.ndarray
    repeated: np.ndarray


class NameLists:
    """The lists of joint names that messages have, up to `MAX_NAME_LISTS` of them.

    Args:
        index: Index of each joint of the robot by name.
    """

    def __init__(self, index: Mapping[str, int]) -> None:
        self._index = index
        self._known: dict[tuple[str, ...], Columns] = {}

    def columns(self, names: tuple[str, ...]) -> tuple[Columns, bool]:
        """Where the joints of the robot are in a message, and whether its list is a new one."""
        known = self._known.get(names)
        if known is not None:
            return known, False
        if len(self._known) >= MAX_NAME_LISTS:
            self._known.clear()
        index = self._index
        found = {name: n for n, name in enumerate(names) if name in index}
        column = {name: found[name] for name in sorted(found, key=index.__getitem__)}
        repeated = [
            (n, column[name], index[name])
            for n, name in enumerate(names)
            if column.get(name, n) != n
        ]
        self._known[names] = Columns(
            np.array(list(column.values()), dtype=np.intp),
            np.array([index[name] for name in column], dtype=np.intp),
            np.array(repeated, dtype=np.intp).reshape(-1, 3),
        )
        return self._known[names], True


def joint_tracks(series: Sequence[JointSeries], continuous: np.ndarray) -> list[Track]:
    """Track of each joint, from all messages that name it; empty where none does.

    Args:
        series: All messages; where two name a joint at the same time, the later series counts.
        continuous: (J,) True for continuous joints, which are unwrapped.
    """
    parts: list[list[Track]] = [[] for _ in continuous]
    for one in series:
        for joint, column in zip(one.joints, one.positions.T, strict=True):
            valid = np.isfinite(column)
            parts[joint].append((one.times[valid], column[valid]))
    tracks = [_merge(part) for part in parts]
    return [
        (times, unwrap(positions) if endless else positions)
        for (times, positions), endless in zip(tracks, continuous, strict=True)
    ]


def _merge(parts: Sequence[Track]) -> Track:
    if len(parts) == 1:
        return parts[0]
    times = np.concatenate([np.empty(0), *(part[0] for part in parts)])[::-1]
    positions = np.concatenate([np.empty(0), *(part[1] for part in parts)])[::-1]
    # Of equal times, `unique` keeps the first.
    times, first = np.unique(times, return_index=True)
    return times, positions[first]


def unwrap(positions: np.ndarray) -> np.ndarray:
    """Positions (N,) of a continuous joint without jumps by whole turns [rad].

    The last position stays as it was measured; NaN stay, too.
    """
    unwrapped = positions.copy()
    valid = np.isfinite(positions)
    if valid.any():
        turned: np.ndarray = np.unwrap(positions[valid])
        unwrapped[valid] = turned - (turned[-1] - positions[valid][-1])
    return unwrapped


def sample(tracks: Sequence[Track], times: np.ndarray, max_gap: float) -> np.ndarray:
    """Joint positions (T, J) at other times by linear interpolation [rad].

    Args:
        tracks: J tracks.
        times: (T,) [s].
        max_gap: Maximum time between two measurements that is bridged [s].

    Returns:
        Positions; NaN outside of the measurements and in longer gaps.
    """
    positions = np.full((len(times), len(tracks)), np.nan)
    for joint, (at, column) in enumerate(tracks):
        if not len(at):
            continue
        after = np.clip(np.searchsorted(at, times), 0, len(at) - 1)
        gap = at[after] - at[np.maximum(after - 1, 0)]
        inside = (gap <= max_gap) | (at[after] == times)
        values = np.interp(times, at, column, left=np.nan, right=np.nan)
        positions[inside, joint] = values[inside]
    return positions
