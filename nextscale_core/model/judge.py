"""How well a motion agrees with a sentence, by rule; ranks several motions of one sentence."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from nextscale_core.model.options import MAX_CANDIDATES
from nextscale_core.motion import measures
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.tracks import Tracks
from nextscale_core.text.clauses import SIZED, Claim, clauses
from nextscale_core.text.language import TextWarning, shortened

_CUTS = 8
"""Places at which one clause of a sequence may end and the next begin, and the end."""

LEAST_AGREEMENT = 0.2
"""Agreement below which a motion does not show what its sentence asks for. On the prompt suite and
its other words (two seeds, best of four), 7 of the 17 motions that fail their check are below it,
and none of the 253 others."""

_CLEAR = 0.99
"""Agreement with which no further candidate is made."""

_WALK, _RUN = {"slowest": 0.5, "fastest": 1.5}, {"slowest": 1.4, "fastest": 3.5}

_MEASURES: dict[str, Callable[[Tracks, Claim], float]] = {
    "walk": lambda t, c: measures.travel(t, direction=c.direction, pace=c.pace, **_WALK),
    "run": lambda t, c: measures.travel(t, direction=c.direction, pace=c.pace, **_RUN),
    "turn": lambda t, c: measures.turn(t, side=c.side, degrees=c.degrees),
    "circle": lambda t, c: measures.circle(t, side=c.side),
    "run_circle": lambda t, c: (
        measures.circle(t, side=c.side) * measures.grade(float(np.median(t.speed)), 0.5, 1.3)
    ),
    "figure_eight": lambda t, c: measures.figure_eight(t),
    "jump": lambda t, c: measures.jump(t, count=c.count, direction=c.direction),
    "air_spin": lambda t, c: measures.jump(t, count=c.count, spin=True),
    "still": lambda t, c: measures.still(t),
    "stop": lambda t, c: measures.stop(t),
    "squat": lambda t, c: measures.squat(t, count=c.count),
    "kneel": lambda t, c: measures.kneel(t),
    "sit": lambda t, c: measures.sit(t),
    "bend": lambda t, c: measures.bend(t),
    "pick_up": lambda t, c: measures.pick_up(t),
    "balance": lambda t, c: measures.balance(t),
    "wave": lambda t, c: measures.wave(t, side=c.side),
    "raise": lambda t, c: measures.raise_arms(t, side=c.side),
    "clap": lambda t, c: measures.clap(t, count=c.count),
    "punch": lambda t, c: measures.punch(t, side=c.side, count=c.count),
    "throw": lambda t, c: measures.throw(t),
    "kick": lambda t, c: measures.kick(t, side=c.side),
    "march": lambda t, c: measures.march(t),
    "jacks": lambda t, c: measures.jacks(t),
}


class DisagreementWarning(TextWarning):
    """A motion does not show what its sentence asks for."""


def agreement(sentence: str, clip: MotionClip) -> float | None:
    """Agreement of a motion with a sentence.

    The clauses of a sequence are compared with successive parts of the motion, cut where they
    agree best; claims that are made at the same time are compared with the same part.

    Args:
        sentence: English.
        clip: The motion.

    Returns:
        0 to 1, comparable between motions of one sentence; None for a sentence without a known
        action.
    """
    wanted = clauses(sentence)
    if not wanted:
        return None
    count = len(wanted)
    edges = np.linspace(0, len(clip), _CUTS + 1 if count > 1 else 2).round().astype(int).tolist()
    count = min(count, len(edges) - 1)

    @cache
    def part(start: int, end: int) -> Tracks:
        return Tracks(clip.slice(start, end))

    @cache
    def score(clause: int, start: int, end: int) -> float:
        if end - start < 2:
            return 0.0
        tracks = part(start, end)
        return float(np.mean([_MEASURES[claim.action](tracks, claim) for claim in wanted[clause]]))

    best = 0.0
    for inner in itertools.combinations(edges[1:-1], count - 1):
        cuts = (0, *inner, edges[-1])
        spans = itertools.pairwise(cuts)
        scores = [score(k, start, end) for k, (start, end) in enumerate(spans)]
        # One clause that is missing cannot be made good by the others.
        best = max(best, 0.5 * float(np.mean(scores)) + 0.5 * min(scores))
    return best


def disagreement(sentence: str, clip: MotionClip, meaning: str | None = None) -> str | None:
    """Why a motion does not show what its sentence asks for; None where it may.

    Args:
        sentence: English.
        clip: The motion.
        meaning: The sentence in known words, where its own are not.
    """
    found = agreement(meaning or sentence, clip)
    if found is None or found >= LEAST_AGREEMENT:
        return None
    return (
        f"the motion hardly shows what {shortened(sentence)!r} asks for (agreement {found:.2f} of "
        "1); try other seeds, more candidates or other words"
    )


def worth_sampling(sentence: str, candidates: int) -> int:
    """The number of candidates for a sentence.

    One without an action by which to rank them; twice as many, up to `MAX_CANDIDATES`, where the
    sentence says how often, which the model alone gets right least often.
    """
    wanted = clauses(sentence)
    if not wanted or candidates == 1:
        return 1
    counted = any(
        claim.count > 1 and claim.action not in SIZED for clause in wanted for claim in clause
    )
    return min(2 * candidates, MAX_CANDIDATES) if counted else candidates


def best_of(sentence: str, clips: Sequence[MotionClip]) -> int:
    """Index of the motion that agrees best with a sentence; the first of equals."""
    if len(clips) == 1:
        return 0
    scores = [agreement(sentence, clip) or 0.0 for clip in clips]
    return scores.index(max(scores))


def best_motions(
    sentences: Sequence[str],
    candidates: Sequence[int],
    make: Callable[[list[tuple[int, int]], int], list[list[MotionClip]]],
    at_once: bool = False,
) -> list[MotionClip]:
    """Of several motions of each sentence the one that agrees best.

    The first motion of each sentence is made alone: half of them leave nothing to be wished for,
    and the others are then not made.

    Args:
        sentences: B sentences, in words whose actions are known.
        candidates: B numbers of motions.
        make: From (sentence, number of candidates from `first` on) of some sentences and `first`
            to the motions of each.
        at_once: Make all at once, which is faster on a graphics processor.

    Returns:
        B motions.
    """
    most = max(candidates, default=0)
    rounds = [(0, most)] if at_once or most == 1 else [(0, 1), (1, most)]
    best: dict[int, tuple[float, MotionClip]] = {}
    for first, last in rounds:
        open_rows = [
            (row, min(last, count) - first)
            for row, count in enumerate(candidates)
            if count > first and (row not in best or best[row][0] < _CLEAR)
        ]
        if not open_rows:
            break
        for (row, _), clips in zip(open_rows, make(open_rows, first), strict=True):
            for clip in clips:
                score = 0.0
                if candidates[row] > 1:
                    score = agreement(sentences[row], clip) or 0.0
                if row not in best or score > best[row][0]:
                    best[row] = score, clip
    return [best[row][1] for row in range(len(candidates))]
