"""Latents of known frames, and joints from tokens around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nextscale_core.editing.bone_lengths import median_bones
from nextscale_core.editing.frame_mask import Timeline, between, runs
from nextscale_core.model.inpainting import KnownLatents, known_latents
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import CONTACTS, VELOCITIES, clip_to_features, features_to_clip
from nextscale_core.motion.skeleton import STANDARD_LEG

_OF_NEXT = np.r_[0:3, VELOCITIES, CONTACTS]
"""Features of a frame that depend on the next one: root and joint velocities, contacts."""


def body_scale(timeline: Timeline) -> float:
    """Length of the known body's legs relative to the standard skeleton's."""
    bones = median_bones(timeline.joints[timeline.known])
    return float((bones[[3, 4]] + bones[[6, 7]]).mean() / STANDARD_LEG)


def known_features(timeline: Timeline) -> np.ndarray:
    """HumanML3D features of a timeline, as of a clip of its own.

    The motion is made canonical (above the origin, facing forward) and scaled to the standard
    body; frames that are not known are interpolated between the known ones.

    Args:
        timeline: T frames, at least one of them known.

    Returns:
        (T, 263) float32.
    """
    joints = timeline.joints / body_scale(timeline)
    # One more frame, as the last of a clip only gives velocities.
    joints = np.concatenate([joints, joints[-1:]])
    features = clip_to_features(MotionClip(joints))
    for start, stop in runs(timeline.known):
        if stop - start > 1:
            features[stop - 1, _OF_NEXT] = features[stop - 2, _OF_NEXT]
    places = np.flatnonzero(timeline.known)
    return between(features[places], places, len(timeline)).astype(np.float32)


def encode_known(tokenizer: MotionTokenizer, timeline: Timeline) -> KnownLatents:
    """Latents of the known frames.

    The encoder's receptive field reaches beyond a latent's own frames, into interpolated ones. On
    training clips this moves the latent next to a seam by 0.36 (root mean square) and the others
    by 0.07 to 0.2, less than quantization (0.50). So a latent is known if its four frames are.

    Args:
        tokenizer: The tokenizer.
        timeline: T frames, at least one of them known.

    Returns:
        ceil(T / 4) latents.
    """
    features = known_features(timeline)
    missing = -len(features) % tokenizer.frames_per_latent
    features = np.concatenate([features, np.repeat(features[-1:], missing, axis=0)])
    device = tokenizer.feature_mean.device
    batch = tokenizer.normalize(torch.from_numpy(features)[None].to(device))
    with torch.no_grad():
        latents = tokenizer.encode_latents(batch)[0]
    known = known_latents(torch.from_numpy(timeline.known), tokenizer.frames_per_latent)
    return KnownLatents(latents, known.to(device))


@torch.no_grad()
def decode_around(
    tokenizer: MotionTokenizer, tokens: Sequence[Tensor], known: KnownLatents
) -> MotionClip:
    """Decode tokens, with the known latents inserted unquantized.

    Args:
        tokenizer: The tokenizer.
        tokens: Per scale (n_k,) tokens.
        known: The known latents.

    Returns:
        A canonical clip of 4 L frames, not cleaned up.
    """
    total = tokenizer.quantizer.accumulate([t[None] for t in tokens], len(known.known))
    total = torch.where(known.mask, known.latents, total)
    features = tokenizer.denormalize(tokenizer.decode_latents(total))[0]
    return features_to_clip(features.float().cpu().numpy())
