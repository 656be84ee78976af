"""From recordings to narrated windows, and from those to captioned clips."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.resample import resample
from nextscale_core.motion.skeleton import floor_height
from nextscale_lab.auto_captions import guards
from nextscale_lab.auto_captions.acting import action_windows
from nextscale_lab.auto_captions.airborne import jump_windows
from nextscale_lab.auto_captions.jumps import find_jumps
from nextscale_lab.auto_captions.loops import find_loops
from nextscale_lab.auto_captions.phases import find_phases
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.auto_captions.windows import SHORTEST, Window, loop_windows, phase_windows
from nextscale_lab.auto_captions.wording import Voice, tidy
from nextscale_lab.data.cmu import CmuFolder

PER_RECORDING, PER_RECORDING_RARE = 6, 12
"""Windows of one kind from one recording: of the commonest kinds, and of others."""

_OVERLAP = 0.5
# Windows of these kinds, longer ones first, are what most recordings hold anyway.
_COMMON = ("walk", "walk_slow", "run", "stand", "back", "turn_around", "stand+walk")


@dataclass(frozen=True)
class Narration:
    """A narrated window of a recording.

    Attributes:
        trial: 'subject_take'.
        start: First frame at 20 fps.
        end: Frame after the last.
        captions: Two to four sentences, the plainest first.
        kind: What happens, for balancing: 'walk', 'circle_left', 'walk_turn_walk' ...; of a
            sequence the kinds of its parts with '+' between.
        play: Factor by which the motion is to be played faster to fit 9.8 s.
    """

    trial: str
    start: int
    end: int
    captions: tuple[str, ...]
    kind: str
    play: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ConfigError(f"narration of {self.trial}: no frames in {self.start}..{self.end}")
        if not self.captions:
            raise ConfigError(f"narration of {self.trial}@{self.start} has no sentence")

    def clip(self, whole: MotionClip) -> MotionClip:
        """The window cut out of its recording, with the floor at z = 0."""
        joints = whole.joints[self.start : self.end].copy()
        if self.play != 1.0:
            joints = resample(joints, whole.fps, whole.fps / self.play)
        joints[..., 2] -= floor_height(joints)
        return MotionClip(joints, whole.fps, self.captions[0])


def narrate(
    whole: MotionClip, description: str = "", name: str = "", offset: int = 0, seed: int = 0
) -> list[Narration]:
    """The narrated windows of one recording.

    Args:
        whole: The recording at 20 fps.
        description: What the recording is said to show; '' for nothing known.
        name: Trial name for the results.
        offset: Frame of the recording at which `whole` begins.
        seed: Of the choice of words and of trims.

    Returns:
        Windows in order of time; those that overlap by more than half were dropped, common kinds
        before rare ones.
    """
    if len(whole) < SHORTEST * whole.fps:
        return []
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), offset])
    signals = Signals(whole)
    windows = action_windows(signals, description)
    if not guards.tells_of_other_things(description):
        windows += _on_the_way(signals, description, rng)
    voice = Voice(rng)
    style, needed = guards.style_of(description), guards.style_is_needed(description)
    out = []
    for window in _without_overlaps(windows):
        captions = _captions(window, voice, style, needed)
        if captions:
            out.append(
                Narration(
                    name, offset + window.start, offset + window.end, captions, window.kind,
                    window.play,
                )
            )  # fmt: skip
    return sorted(out, key=lambda n: n.start)


def _on_the_way(signals: Signals, description: str, rng: np.random.Generator) -> list[Window]:
    """Windows of walks, runs, turns, loops and jumps."""
    evidence, told = guards.gait_told(description), guards.pace_told(description)
    eight = guards.speaks(description, r"figure (8|eight)|\b8\b")
    loops = find_loops(signals, evidence, eight)
    corners = guards.speaks(description, "right angle")
    windows = loop_windows(signals, loops, eight or guards.speaks(description, "circle"), corners)
    jumps, perhaps = find_jumps(signals)
    phases = find_phases(signals, jumps, perhaps, evidence)
    windows += phase_windows(signals, phases, told, rng)
    seconds = signals.seconds(0, len(signals))
    if guards.jumps_are_plain(description, seconds):
        windows += jump_windows(signals, jumps, perhaps, phases, evidence, rng)
    return windows


def _rank(window: Window) -> tuple[float, float]:
    """Rare and telling windows first."""
    if window.kind.startswith("figure"):
        return (-1, 0)
    if window.kind.startswith(("circle", "back_and_forth", "run_jump")):
        return (0, -len(window.plain))
    if window.kind.startswith(("jump", "hop")):
        return (0.5, len(window.plain))
    common = len(window.plain) == 1 and window.kind in _COMMON
    return (2 if common else 1, -len(window.plain) - 0.1 * (window.end - window.start) / 20)


def _without_overlaps(windows: list[Window]) -> list[Window]:
    """Greedy choice with bounded overlap and a cap per kind."""
    kept: list[Window] = []
    counts: Counter[str] = Counter()
    for window in sorted(windows, key=_rank):
        most = PER_RECORDING if window.kind in _COMMON else PER_RECORDING_RARE
        if counts[window.kind] >= most:
            continue
        if any(_too_close(window, other) for other in kept):
            continue
        counts[window.kind] += 1
        kept.append(window)
    return kept


def _too_close(a: Window, b: Window) -> bool:
    """More than half in common; of one kind, with more than half of the shorter window.

    A circle may lie in a figure of eight: both are rare, and each is what one sees.
    """
    loops = [w.kind.startswith(("circle", "figure")) for w in (a, b)]
    if all(loops) and a.kind != b.kind:
        return False
    shared = max(min(a.end, b.end) - max(a.start, b.start), 0)
    lengths = (a.end - a.start, b.end - b.start)
    whole = min(lengths) if a.kind == b.kind else sum(lengths) - shared
    return shared > _OVERLAP * whole


def _captions(window: Window, voice: Voice, style: str, needed: bool) -> tuple[str, ...]:
    """Two to four different sentences; the first is plain."""
    walks = window.kind.startswith(("walk", "circle_left", "circle_right", "figure_eight", "back"))
    if needed and not (style and walks):
        return ()
    wanted = int(voice.rng.integers(2, 5))
    found: list[str] = []
    for attempt in range(4 * wanted):
        source = window.plain if attempt % 2 == 0 else window.detailed
        clauses = [voice.pick(options) for options in source]
        if style and walks and (needed or (attempt % 3 == 1 and len(clauses) == 1)):
            clauses[0] = f"{clauses[0]} {style}"
        sentence = tidy(voice.sentence(clauses))
        if sentence.split(" ", 1)[1] not in {s.split(" ", 1)[1] for s in found}:
            found.append(sentence)
        if len(found) == wanted:
            break
    return tuple(found)


def narrations(
    folder: str | Path | CmuFolder, seed: int = 0, trials: Iterable[str] | None = None
) -> list[Narration]:
    """Narrated windows of the recordings of a CMU folder, without a frame of val or test clips.

    Args:
        folder: A CMU folder, or one that is open already.
        seed: Of the choice of words and of trims.
        trials: Names of recordings; None for all.

    Raises:
        MotionFileError: the folder is no CMU folder or is malformed.
    """
    data = folder if isinstance(folder, CmuFolder) else CmuFolder(folder)
    return [narration for narration, _ in _narrated(data, seed, trials)]


def _narrated(
    data: CmuFolder, seed: int, trials: Iterable[str] | None = None
) -> Iterator[tuple[Narration, MotionClip]]:
    held_out = data.held_out()
    wanted = None if trials is None else set(trials)
    chosen = [t for t in data.trials.values() if wanted is None or t.name in wanted]
    for trial in tqdm(chosen, desc="narration", unit="trial"):
        description = trial.descriptions[0] if trial.descriptions else ""
        whole = data.trial_clip(trial)
        begin = 0
        for first, end in [*sorted(held_out.get(trial.name, [])), (len(whole), len(whole))]:
            # Pieces between held-out spans: no measure looks over their borders.
            if first > begin:
                piece = whole.slice(begin, first)
                for narration in narrate(piece, description, trial.name, begin, seed):
                    yield narration, whole
            begin = max(begin, end)


def balanced(items: Iterable[Narration], per_kind: int = 150, seed: int = 0) -> list[Narration]:
    """At most `per_kind` windows of each kind, drawn evenly over the recordings.

    Args:
        items: Narrated windows.
        per_kind: Cap.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    by_kind: dict[str, list[Narration]] = {}
    for item in items:
        by_kind.setdefault(item.kind, []).append(item)
    out: list[Narration] = []
    for members in by_kind.values():
        order = rng.permutation(len(members))
        seen: Counter[str] = Counter()
        ranked: list[tuple[int, int, Narration]] = []
        for index in order:
            item = members[index]
            ranked.append((seen[item.trial], len(ranked), item))
            seen[item.trial] += 1
        out.extend(item for _, _, item in sorted(ranked, key=lambda r: r[:2])[:per_kind])
    return sorted(out, key=lambda n: (n.trial, n.start, n.end))


def narrated_clips(
    folder: str | Path, per_kind: int = 150, seed: int = 0, kinds: Iterable[str] | None = None
) -> Iterator[CaptionedClip]:
    """Narrated windows of a CMU folder as captioned clips of the train split.

    The id of a clip is 'narration/<kind>/<trial>#<start>-<end>'.

    Args:
        folder: A CMU folder.
        per_kind: Cap for each kind, so that plain walks do not drown circles.
        seed: Of words, trims and the draw.
        kinds: Only these; None for all.

    Raises:
        MotionFileError: the folder is no CMU folder or is malformed.
    """
    data = CmuFolder(folder)
    found = dict(_narrated(data, seed))
    wanted = None if kinds is None else set(kinds)
    chosen = [n for n in balanced(found, per_kind, seed) if wanted is None or n.kind in wanted]
    for item in chosen:
        name = f"narration/{item.kind}/{item.trial}#{item.start}-{item.end}"
        yield CaptionedClip(name, "train", item.captions, item.clip(found[item]))
