"""New tokens for some body parts of a motion, around those of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nextscale_core.editing.complete import TextToMotion, sampled_around
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.latents import body_scale, encode_known
from nextscale_core.editing.seams import assemble
from nextscale_core.model.inpainting import KnownLatents, known_latents
from nextscale_core.model.options import GenerationOptions
from nextscale_core.model.skeletal_tokenizer import PARTS
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import FPS, MIRROR_ORDER
from nextscale_core.stopwatch import Run
from nextscale_core.text.validation import validate_sentence


def token_parts(moved: np.ndarray) -> np.ndarray:
    """(7,) parts of `PARTS` whose tokens change where the joints of a mask (22,) move.

    A part changes if its last joint moves: hand, foot, head or upper spine.
    """
    return np.array([moved[joints[-1]] for joints in PARTS.values()])


def regenerate_parts(
    model: TextToMotion,
    window: MotionClip,
    known_frames: np.ndarray,
    moved: np.ndarray,
    text: str,
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """A motion with new tokens for some parts of the body in some frames.

    The tokens of the other parts are known in all frames, so that the new ones fit them.

    Args:
        model: A model with a tokenizer of body parts.
        window: Motion at 20 fps.
        known_frames: (T,) bool, frames in which nothing changes.
        moved: (22,) bool, joints that change.
        text: What the person does.
        options: See `MotionPipeline.edit`.
        run: See `MotionPipeline.complete`.

    Returns:
        A clip in the world of the window, or canonical if no frame is known. Frames that change
        are a reconstruction, the kept parts too.
    """
    sentence = validate_sentence(text)
    timeline, whole = Timeline.build(window, known_frames), Timeline.build(window)
    tokenizer, scale = model.tokenizer, body_scale(whole)

    def encode(mirrored: bool) -> KnownLatents:
        latents = encode_known(tokenizer, whole.mirrored() if mirrored else whole).latents
        frames = known_latents(torch.from_numpy(known_frames), tokenizer.frames_per_latent)
        kept = torch.from_numpy(~token_parts(moved[list(MIRROR_ORDER)] if mirrored else moved))
        return KnownLatents(latents, (frames[:, None] | kept).to(latents.device))

    sampling = model.sampling.with_overrides(options)
    joints = sampled_around(model, encode, timeline, scale, sentence, options, sampling, run)
    contacts = window.contacts
    if known_frames.any():
        joints, contacts = assemble(timeline, joints, FPS)
    return replace(window, joints=joints, contacts=contacts, text=sentence, seed=options.seed)
