"""Long motions: sentence after sentence, each going on from the end of the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.seeds import check_seed
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.durations import settle
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_core.text.validation import validate_sentence

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline

Script = Sequence[tuple[str, float | None]]
"""Sentences and how long each is to take [s]; None lets the model choose."""

_LEAST_OVERLAP, _MOST_OVERLAP = 0.2, 4.0


def checked(script: Script, overlap: float) -> list[tuple[str, float | None]]:
    """The script with sentences tidied.

    Raises:
        ConfigError: no sentence, a length or an overlap out of range.
        InvalidTextError: a sentence cannot be used.
    """
    if not np.isfinite(overlap) or not _LEAST_OVERLAP <= overlap <= _MOST_OVERLAP:
        raise ConfigError(
            f"overlap must be from {_LEAST_OVERLAP:g} to {_MOST_OVERLAP:g} s, got {overlap:g}"
        )
    if not script:
        raise ConfigError("a sequence needs at least one sentence")
    longest = MAX_SECONDS - overlap
    out = []
    for number, (text, seconds) in enumerate(script, start=1):
        if seconds is not None and not MIN_SECONDS <= seconds <= longest + 1e-6:
            raise ConfigError(
                f"sentence {number} of the sequence must take {MIN_SECONDS:g} to {longest:g} s "
                f"({MAX_SECONDS:g} s less the overlap), got {seconds:g}"
            )
        out.append((validate_sentence(text), seconds))
    return out


def stream(
    pipeline: MotionPipeline,
    script: Script,
    *,
    seed: int,
    overlap: float,
    start: MotionClip | None,
    **options: Any,
) -> Iterator[MotionClip]:
    """See `CompletionMethods.stream`; `options` are those of `CompletionMethods.complete`."""
    # Checked at once, not when the first piece is asked for.
    sentences = checked(script, overlap)
    check_seed(check_seed(seed) + len(sentences) - 1)
    return _pieces(pipeline, sentences, seed, overlap, start, options)


def _pieces(
    pipeline: MotionPipeline,
    sentences: Script,
    seed: int,
    overlap: float,
    start: MotionClip | None,
    options: dict[str, Any],
) -> Iterator[MotionClip]:
    past = start
    if past is not None:
        past = past.slice(max(len(past) - round(overlap * FPS), 0), len(past))
    for number, (text, seconds) in enumerate(sentences):
        if seconds is None:
            (seconds,) = settle([None], [pipeline.choose_seconds(text)])
            seconds = min(seconds, MAX_SECONDS - overlap)
        if past is None:
            piece = pipeline.generate(text, seconds=seconds, seed=seed + number, **options)
            longer = piece
        else:
            whole = (len(past) + round(seconds * FPS)) / FPS
            longer = pipeline.complete(
                past, None, text, seconds=whole, seed=seed + number, **options
            )
            piece = longer.slice(len(past), len(longer))
        yield piece
        # Only this much is kept, however long the chain gets.
        past = longer.slice(max(len(longer) - round(overlap * FPS), 0), len(longer))


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
