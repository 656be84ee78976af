"""Sequences: sentence after sentence, each motion continuing the end of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from nextscale_core.editing.complete import TextToMotion, complete
from nextscale_core.exceptions import ConfigError
from nextscale_core.model.options import GenerationOptions, checked_seed
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_core.stopwatch import Run
from nextscale_core.text.validation import validate_sentence

Script = Sequence[str | tuple[str, float | None]]
"""Sentences, with or without the length of each [s]; None for that of the options or the model."""

Whole = Callable[[MotionClip | None, str, GenerationOptions, Run], MotionClip | None]
"""Makes the motion for a sentence after a known one, with that; None where the model is to."""

_MIN_OVERLAP, _MAX_OVERLAP = 0.2, 4.0


def stream(
    model: TextToMotion,
    script: Script,
    options: GenerationOptions,
    run: Run,
    *,
    overlap: float,
    start: MotionClip | None,
    whole: Whole | None = None,
) -> Iterator[MotionClip]:
    """See `MotionPipeline.stream`; `whole` makes the pieces that it does not leave to the model."""
    # Checked in the call itself, not when the first piece is taken.
    sentences = _checked(script, overlap, options.seconds)
    checked_seed(options.seed + len(sentences) - 1)
    return _pieces(model, sentences, options, run, overlap, start, whole)


def _checked(
    script: Script, overlap: float, default: float | None
) -> list[tuple[str, float | None]]:
    if not np.isfinite(overlap) or not _MIN_OVERLAP <= overlap <= _MAX_OVERLAP:
        raise ConfigError(
            f"overlap must be from {_MIN_OVERLAP:g} to {_MAX_OVERLAP:g} s, got {overlap:g}"
        )
    if isinstance(script, str):
        raise ConfigError("a sequence is a list of sentences, got one sentence")
    if not script:
        raise ConfigError("a sequence needs at least one sentence")
    longest = MAX_SECONDS - overlap
    out = []
    for number, entry in enumerate(script, start=1):
        text, own = (entry, None) if isinstance(entry, str) else entry
        seconds = default if own is None else own
        if seconds is not None and not MIN_SECONDS <= seconds <= longest + 1e-6:
            raise ConfigError(
                f"sentence {number} of the sequence must take {MIN_SECONDS:g} to {longest:g} s "
                f"({MAX_SECONDS:g} s less the overlap), got {seconds:g}"
            )
        out.append((validate_sentence(text), seconds))
    return out


def _pieces(
    model: TextToMotion,
    sentences: Sequence[tuple[str, float | None]],
    options: GenerationOptions,
    run: Run,
    overlap: float,
    start: MotionClip | None,
    whole: Whole | None,
) -> Iterator[MotionClip]:
    kept = round(overlap * FPS)
    past = None if start is None else tail(start, kept)
    for number, (text, seconds) in enumerate(sentences):
        own = replace(options, seed=options.seed + number, seconds=seconds)
        longer = None if whole is None else whole(past, text, own, run)
        if longer is None:
            if seconds is None:
                seconds = min(model.choose_seconds(text), MAX_SECONDS - overlap)
            longer = continued(model, past, text, replace(own, seconds=seconds), run)
        yield longer if past is None else longer.slice(len(past), len(longer))
        # Nothing older is kept, however long the sequence gets.
        past = tail(longer, kept)


def continued(
    model: TextToMotion, past: MotionClip | None, text: str, options: GenerationOptions, run: Run
) -> MotionClip:
    """A past, if there is one, and the motion for a sentence, which lasts `options.seconds`."""
    if past is None:
        return model.sampled(text, options, run)
    assert options.seconds is not None
    total = (len(past) + round(options.seconds * FPS)) / FPS
    return complete(model, past, None, text, replace(options, seconds=total), run)


def tail(clip: MotionClip, frames: int) -> MotionClip:
    """The last frames of a motion, or all of a shorter one."""
    return clip.slice(max(len(clip) - frames, 0), len(clip))


def joined(pieces: Sequence[MotionClip], seed: int) -> MotionClip:
    """Pieces of one world as one clip, its text the sentences in their order."""
    contacts = [piece.contacts for piece in pieces if piece.contacts is not None]
    return replace(
        pieces[0],
        joints=np.concatenate([piece.joints for piece in pieces]),
        contacts=np.concatenate(contacts) if len(contacts) == len(pieces) else None,
        text="; ".join(dict.fromkeys(piece.text for piece in pieces)),
        seed=seed,
    )
