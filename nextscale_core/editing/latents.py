"""Known frames to known latents, and back from latents to joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nextscale_core.editing.bone_lengths import median_bones
from nextscale_core.editing.frame_mask import Timeline, between, runs
from nextscale_core.model.inpainting import KnownLatents, known_latents
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import CONTACTS, VELOCITIES, clip_to_features, features_to_clip
from nextscale_core.motion.skeleton import STANDARD_LEG

# Features of a frame that look at the next one: root and joint velocities, contacts.
_OF_NEXT = np.r_[0:3, VELOCITIES, CONTACTS]


def body_scale(timeline: Timeline) -> float:
    """Size of the known body: its legs relative to the standard skeleton's."""
    bones = median_bones(timeline.joints[timeline.known])
    return float((bones[[3, 4]] + bones[[6, 7]]).mean() / STANDARD_LEG)


def known_features(timeline: Timeline) -> np.ndarray:
    """HumanML3D features of a timeline, as if it were a clip of its own.

    The history is made canonical again: above the origin, facing forward, its first frame with
    the quirks of a clip's first frame; a body of another size is brought to the standard one.
    Frames that are not known only hold what lies between the known ones.

    Args:
        timeline: T frames, at least one of them known.

    Returns:
        (T, 263) float32.
    """
    joints = timeline.joints / body_scale(timeline)
    # One frame more, as the last of a clip only gives velocities.
    joints = np.concatenate([joints, joints[-1:]])
    features = clip_to_features(MotionClip(joints))
    for start, stop in runs(timeline.known):
        if stop - start > 1:
            features[stop - 1, _OF_NEXT] = features[stop - 2, _OF_NEXT]
    places = np.flatnonzero(timeline.known)
    return between(features[places], places, len(timeline)).astype(np.float32)


def encode_known(tokenizer: TemporalTokenizer, timeline: Timeline) -> KnownLatents:
    """Latents of the known frames.

    The encoder looks beyond a latent's own frames, there at what lies between the known frames;
    on training clips that moves the latent next to a seam by 0.36 (root mean square) and the
    others by 0.07 to 0.2, where quantisation moves all by 0.50. So a latent counts as known as
    soon as its own four frames are.

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
        latents = tokenizer.encoder(batch.transpose(1, 2)).transpose(1, 2)[0]
    known = known_latents(torch.from_numpy(timeline.known), tokenizer.frames_per_latent)
    return KnownLatents(latents, known.to(device))


@torch.no_grad()
def decode_around(
    tokenizer: TemporalTokenizer, tokens: Sequence[Tensor], known: KnownLatents
) -> MotionClip:
    """Joints from tokens, with the known latents put in as they are, not quantised.

    Args:
        tokenizer: The tokenizer.
        tokens: Per scale (n_k,) tokens.
        known: What is given.

    Returns:
        A canonical clip of 4 L frames, not cleaned up.
    """
    total = tokenizer.quantizer.accumulate([t[None] for t in tokens], len(known.known))
    total = torch.where(known.known[None, :, None], known.latents, total)
    decoded = tokenizer.decoder(total.transpose(1, 2)).transpose(1, 2)
    return features_to_clip(tokenizer.denormalize(decoded)[0].float().cpu().numpy())
