"""Captioned windows of recordings, and training samples of these."""

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
from nextscale_lab.auto_captions import filters
from nextscale_lab.auto_captions.clauses import SentenceWriter, Window
from nextscale_lab.auto_captions.jump_windows import jump_windows
from nextscale_lab.auto_captions.jumps import find_jumps
from nextscale_lab.auto_captions.loops import find_loops
from nextscale_lab.auto_captions.segments import find_segments
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.auto_captions.windows import (
    SHORTEST,
    action_windows,
    loop_windows,
    segment_windows,
)
from nextscale_lab.data.cmu import CmuFolder
from nextscale_lab.data.samples import Folders, Sample, data_folders, samples_of

PER_RECORDING, PER_RECORDING_RARE = 6, 12
"""Maximum number of windows of one kind from one recording: of common kinds, and of others."""

PER_KIND = 300
"""Maximum number of windows of one kind in the training samples."""

_OVERLAP = 0.5  # maximum overlap of two windows
_COMMON = ("walk", "walk_slow", "run", "stand", "back", "turn_around", "stand+walk")


@dataclass(frozen=True)
class CaptionedWindow:
    """A window of a recording with captions written by rule.

    Attributes:
        trial: 'subject_take'.
        start: First frame at 20 fps.
        end: Frame after the last.
        captions: Two to four sentences, the plainest first.
        kind: Kind for balancing: 'walk', 'circle_left', 'walk_turn_walk' ...; of a sequence the
            kinds of its parts with '+' between.
        speedup: Playback speed that fits the motion into 9.8 s.
    """

    trial: str
    start: int
    end: int
    captions: tuple[str, ...]
    kind: str
    speedup: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ConfigError(f"window of {self.trial}: no frames in {self.start}..{self.end}")
        if not self.captions:
            raise ConfigError(f"window of {self.trial}@{self.start} has no sentence")

    def clip(self, whole: MotionClip) -> MotionClip:
        """The window cut out of its recording, with the floor at z = 0."""
        joints = whole.joints[self.start : self.end].copy()
        if self.speedup != 1.0:
            joints = resample(joints, whole.fps, whole.fps / self.speedup)
        joints[..., 2] -= floor_height(joints)
        return MotionClip(joints, whole.fps, self.captions[0])


def caption_recording(
    whole: MotionClip, description: str = "", name: str = "", offset: int = 0, seed: int = 0
) -> list[CaptionedWindow]:
    """The captioned windows of one recording.

    Args:
        whole: The recording at 20 fps.
        description: Its one-line description; '' if unknown.
        name: Trial name for the results.
        offset: Frame of the recording at which `whole` begins.
        seed: Seed of wording and trims.

    Returns:
        Windows in order of time that overlap by half at most; rare kinds replace common ones.
    """
    if len(whole) < SHORTEST * whole.fps:
        return []
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), offset])
    signals = Signals(whole)
    windows = action_windows(signals, description)
    if not filters.has_unusual_path(description):
        windows += _path_windows(signals, description, rng)
    writer = SentenceWriter(rng)
    style, required = filters.style_of(description), filters.style_is_required(description)
    out = []
    for window in _without_overlaps(windows):
        captions = _captions(window, writer, style, required)
        if captions:
            start, end = offset + window.start, offset + window.end
            out.append(CaptionedWindow(name, start, end, captions, window.kind, window.speedup))
    return sorted(out, key=lambda n: n.start)


def _path_windows(signals: Signals, description: str, rng: np.random.Generator) -> list[Window]:
    """Windows of walks, runs, turns, loops and jumps."""
    gait, pace = filters.gait_of_description(description), filters.pace_of_description(description)
    eight = filters.mentions(description, r"figure (8|eight)|\b8\b")
    loops = find_loops(signals, gait, eight)
    corners = filters.mentions(description, "right angle")
    mentioned = eight or filters.mentions(description, "circle")
    windows = loop_windows(signals, loops, mentioned, corners)
    jumps, possible_flight = find_jumps(signals)
    segments = find_segments(signals, jumps, possible_flight, gait)
    windows += segment_windows(signals, segments, pace, rng)
    if filters.jumps_are_plain(description, signals.seconds(0, len(signals))):
        windows += jump_windows(signals, jumps, possible_flight, segments, gait, rng)
    return windows


def _rank(window: Window) -> tuple[float, float]:
    """Sort key: rare windows first."""
    if window.kind.startswith("figure"):
        return (-1, 0)
    if window.kind.startswith(("circle", "back_and_forth", "run_jump")):
        return (0, -len(window.parts))
    if window.kind.startswith(("jump", "hop")):
        return (0.5, len(window.parts))
    common = len(window.parts) == 1 and window.kind in _COMMON
    return (2 if common else 1, -len(window.parts) - 0.1 * (window.end - window.start) / 20)


def _without_overlaps(windows: list[Window]) -> list[Window]:
    """Windows of lowest rank, with a maximum overlap and a maximum number of each kind."""
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
    """Whether more than half is in common; of one kind, more than half of the shorter window.

    A circle may overlap a figure of eight, since both are rare.
    """
    loops = [w.kind.startswith(("circle", "figure")) for w in (a, b)]
    if all(loops) and a.kind != b.kind:
        return False
    shared = max(min(a.end, b.end) - max(a.start, b.start), 0)
    lengths = (a.end - a.start, b.end - b.start)
    whole = min(lengths) if a.kind == b.kind else sum(lengths) - shared
    return shared > _OVERLAP * whole


def _captions(
    window: Window, writer: SentenceWriter, style: str, required: bool
) -> tuple[str, ...]:
    """Two to four different sentences; the first is plain."""
    walks = window.kind.startswith(("walk", "circle_left", "circle_right", "figure_eight", "back"))
    if required and not (style and walks):
        return ()
    wanted = int(writer.rng.integers(2, 5))
    found: list[str] = []
    for attempt in range(4 * wanted):
        plain = attempt % 2 == 0
        parts = [
            writer.pick(part.plain if plain else part.detailed or part.plain)
            for part in window.parts
        ]
        if style and walks and (required or (attempt % 3 == 1 and len(parts) == 1)):
            parts[0] = f"{parts[0]} {style}"
        sentence = writer.sentence(parts)
        if sentence.split(" ", 1)[1] not in {s.split(" ", 1)[1] for s in found}:
            found.append(sentence)
        if len(found) == wanted:
            break
    return tuple(found)


def captioned_windows(
    folder: str | Path | CmuFolder, seed: int = 0, trials: Iterable[str] | None = None
) -> list[CaptionedWindow]:
    """Captioned windows of the recordings of a CMU folder, without frames of val or test clips.

    Args:
        folder: A CMU folder, or an open one.
        seed: Seed of wording and trims.
        trials: Names of recordings; None for all.

    Raises:
        MotionFileError: the folder is not a CMU folder or is malformed.
    """
    data = folder if isinstance(folder, CmuFolder) else CmuFolder(folder)
    return [window for window, _ in _with_recordings(data, seed, trials)]


def _with_recordings(
    data: CmuFolder, seed: int, trials: Iterable[str] | None = None
) -> Iterator[tuple[CaptionedWindow, MotionClip]]:
    held_out = data.held_out()
    wanted = None if trials is None else set(trials)
    chosen = [t for t in data.trials.values() if wanted is None or t.name in wanted]
    for trial in tqdm(chosen, desc="auto captions", unit="trial"):
        description = trial.descriptions[0] if trial.descriptions else ""
        whole = data.trial_clip(trial)
        begin = 0
        for first, end in [*sorted(held_out.get(trial.name, [])), (len(whole), len(whole))]:
            # Pieces between held-out spans, so that no signal extends over their borders.
            if first > begin:
                piece = whole.slice(begin, first)
                for window in caption_recording(piece, description, trial.name, begin, seed):
                    yield window, whole
            begin = max(begin, end)


def balanced(
    items: Iterable[CaptionedWindow], per_kind: int = 150, seed: int = 0
) -> list[CaptionedWindow]:
    """At most `per_kind` windows of each kind, drawn evenly over the recordings.

    Args:
        items: Captioned windows.
        per_kind: Maximum number of windows of a kind.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng(seed)
    by_kind: dict[str, list[CaptionedWindow]] = {}
    for item in items:
        by_kind.setdefault(item.kind, []).append(item)
    out: list[CaptionedWindow] = []
    for members in by_kind.values():
        order = rng.permutation(len(members))
        seen: Counter[str] = Counter()
        ranked: list[tuple[int, int, CaptionedWindow]] = []
        for index in order:
            item = members[index]
            ranked.append((seen[item.trial], len(ranked), item))
            seen[item.trial] += 1
        out.extend(item for _, _, item in sorted(ranked, key=lambda r: r[:2])[:per_kind])
    return sorted(out, key=lambda n: (n.trial, n.start, n.end))


def auto_captioned_clips(
    folder: str | Path, per_kind: int = 150, seed: int = 0
) -> Iterator[CaptionedClip]:
    """Captioned windows of a CMU folder as clips of the train split.

    The id of a clip is 'auto/<kind>/<trial>#<start>-<end>'.

    Args:
        folder: A CMU folder.
        per_kind: Maximum number of windows of a kind.
        seed: Seed of wording, trims and the draw.

    Raises:
        MotionFileError: the folder is not a CMU folder or is malformed.
    """
    found = dict(_with_recordings(CmuFolder(folder), seed))
    for item in balanced(found, per_kind, seed):
        name = f"auto/{item.kind}/{item.trial}#{item.start}-{item.end}"
        yield CaptionedClip(name, "train", item.captions, item.clip(found[item]))


def auto_captioned_samples(data: Folders, mirror: bool = False, seed: int = 0) -> list[Sample]:
    """Features of the captioned windows of CMU folders; folders without trials have none.

    Args:
        data: CMU folders.
        mirror: Also add the mirror image of every window, with left and right swapped.
        seed: Seed of wording, trims and the draw.
    """
    out: list[Sample] = []
    for folder in data_folders(data):
        if not (folder / "trials.jsonl").is_file():
            continue
        for item in auto_captioned_clips(folder, PER_KIND, seed):
            kind = item.id.split("/")[1].replace("_", " ")
            out.extend(samples_of(item.id, item.clip, item.captions, mirror=mirror, kind=kind))
    return out
