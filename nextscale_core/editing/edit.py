"""Editing: a span of time, some parts of the body, or both, changed to another sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nextscale_core.editing.complete import TextToMotion, complete
from nextscale_core.editing.foot_plants import hold_feet
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.ground_transform import GroundTransform
from nextscale_core.editing.part_tokens import regenerate_parts
from nextscale_core.editing.seams import beside, fading
from nextscale_core.editing.source_edit import edit_from_source
from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.model.options import GenerationOptions
from nextscale_core.motion.body_parts import joints_of, moved_along, with_parts
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import CONTACT_JOINTS, FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_core.stopwatch import Run

_CONTEXT = 2.0
"""Motion before and after the edited span that the model sees, at most [s]."""


def edit(
    model: TextToMotion,
    clip: MotionClip,
    text: str,
    options: GenerationOptions,
    run: Run,
    *,
    span: tuple[float, float] | None,
    parts: Sequence[str] | None,
    source: str | None = None,
) -> MotionClip:
    """See `MotionPipeline.edit`."""
    if span is None and parts is None and source is None:
        raise ConfigError(
            "an edit needs a span, parts, or a source sentence: else nothing of the clip is kept"
        )
    if options.seconds is not None:
        raise ConfigError("an edited motion is as long as the clip; leave out seconds")
    if abs(clip.fps - FPS) > 1e-3:
        raise InvalidMotionError(
            f"a motion to edit must have {FPS:g} fps, got {clip.fps:g}; resample it first"
        )
    moved = None if parts is None else joints_of(parts)
    first, last = _frames(clip, span)
    start, stop = _window(len(clip), first, last)
    window = clip.slice(start, stop)
    known = np.ones(len(window), dtype=bool)
    known[first - start : last - start] = False
    if source is not None:
        new = edit_from_source(model, window, known, moved, text, source, options, run)
    elif moved is not None and model.tokenizer.quantizer.schedule.parts > 1:
        new = regenerate_parts(model, window, known, moved, text, options, run)
    else:
        new = complete(model, window, known, text, options, run)
    if moved is not None and source is None:
        # A token may stand for the whole body, and latents are not exact: only the rotations of
        # these parts are taken.
        new = _only_parts(window, new, known, moved)
    joints = clip.joints.copy()
    joints[first:last] = new.joints[first - start : last - start]
    contacts = None if clip.contacts is None else clip.contacts.copy()
    if contacts is not None and new.contacts is not None:
        contacts[first:last] = new.contacts[first - start : last - start]
    return replace(clip, joints=joints, contacts=contacts, text=new.text, seed=new.seed)


def _frames(clip: MotionClip, span: tuple[float, float] | None) -> tuple[int, int]:
    if span is None:
        return 0, len(clip)
    start, stop = span
    if not 0 <= start < stop <= clip.seconds + 1e-6:
        raise ConfigError(
            f"the span to edit must lie within 0 to {clip.seconds:g} s, start first; got "
            f"{start:g} to {stop:g}"
        )
    first, last = round(start * FPS), round(stop * FPS)
    if first == last:
        raise ConfigError(f"the span {start:g} to {stop:g} s holds no frame")
    return first, last


def _window(frames: int, first: int, last: int) -> tuple[int, int]:
    """Frames [start, stop) that the model sees: the span and the context that fits."""
    most, least = round(MAX_SECONDS * FPS), round(MIN_SECONDS * FPS)
    if last - first > most:
        raise ConfigError(
            f"the part to edit lasts {(last - first) / FPS:g} s; at most {MAX_SECONDS:g} s can be "
            "generated at once: give a span"
        )
    if frames < least:
        raise ConfigError(f"a motion to edit must last {MIN_SECONDS:g} s, got {frames / FPS:g} s")
    room = most - (last - first)
    context = round(_CONTEXT * FPS)
    before = min(first, context, room // 2)
    after = min(frames - last, context, room - before)
    short = max(0, least - (before + last - first + after))
    more = min(short, first - before)
    return first - before - more, last + after + min(short - more, frames - last - after)


def _only_parts(
    window: MotionClip, new: MotionClip, known: np.ndarray, moved: np.ndarray
) -> MotionClip:
    """The window, its unknown frames with the rotations of the moved parts from the new motion."""
    old, other = window.joints.astype(np.float64), new.joints.astype(np.float64)
    if moved[0] and not known.any():
        # A new path begins where the old one does.
        other = GroundTransform.fit(other[0], old[0])(other)
    mixed = with_parts(old, other, moved)
    timeline = Timeline(old, known, window.contacts)
    for start, stop in timeline.gaps:
        before, after = beside(timeline, start, stop)
        if len(before) + len(after):
            mixed[start:stop] += fading(
                old[before] - mixed[before], old[after] - mixed[after], stop - start
            )
    mixed[known] = old[known]
    if not moved[[7, 8, 10, 11]].any():
        return replace(window, joints=mixed, text=new.text, seed=new.seed)
    joints, contacts = hold_feet(mixed, timeline, FPS)
    # The foot of a leg that does not move stays as it was.
    still = ~moved_along(moved)
    joints[:, still] = mixed[:, still]
    if window.contacts is not None:
        columns = still[list(CONTACT_JOINTS)]
        contacts[:, columns] = window.contacts[:, columns]
    return replace(window, joints=joints, contacts=contacts, text=new.text, seed=new.seed)
