"""Recorded motions with captions, to measure checks against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nextscale_core.motion.clip import CaptionedClip
from nextscale_lab.captions.descriptions import sentence_from_description
from nextscale_lab.data.cmu import CmuFolder

_LONGEST_SECONDS = 20.0


def recorded_clips(folder: str | Path) -> Iterator[CaptionedClip]:
    """All captioned clips of a CMU folder, then the short trials that none of them is cut from.

    A trial's captions are its one-line description in plain English and what others wrote of it.
    Longer trials are left out: their line names many things or only the first.

    Args:
        folder: See `CmuFolder`.

    Raises:
        MotionFileError: the folder is incomplete or malformed.
    """
    data = CmuFolder(folder)
    yield from data.clips()
    cut = data.spans("train", "val", "test")
    for trial in data.trials.values():
        if trial.name in cut or not trial.descriptions:
            continue
        first, *others = trial.descriptions
        captions = (*sentence_from_description(first)[:1], *others)
        clip = data.trial_clip(trial)
        if captions and clip.seconds <= _LONGEST_SECONDS:
            yield CaptionedClip(trial.name, "trial", captions, clip.with_text(captions[0]))
