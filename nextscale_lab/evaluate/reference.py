"""The recorded clips that generated motion is measured against, and their reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nextscale_core.exceptions import ConfigError, InvalidTextError, MotionFileError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.features import POSITIONS, clip_to_features
from nextscale_core.motion.formats.humanml3d import read_humanml3d
from nextscale_core.motion.skeleton import NUM_JOINTS
from nextscale_core.text.validation import validate_sentence
from nextscale_lab.data.cmu import CmuFolder

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline

SPLITS = ("val", "test")
MIN_FRAMES, MAX_FRAMES = 20, 196
"""Clips of fewer frames of features are left out, longer ones are cut, as in HumanML3D."""

MIN_CLIPS = 8
"""With fewer clips no figure means anything."""


@dataclass(frozen=True)
class ReferenceClip:
    """A recorded clip as it is measured.

    Attributes:
        id: Name in its data set.
        captions: Sentences that the model can read, at least one.
        clip: The motion, at most 197 frames.
        features: (T, 263) HumanML3D features of it.
    """

    id: str
    captions: tuple[str, ...]
    clip: MotionClip
    features: np.ndarray


@dataclass(frozen=True)
class Reconstruction:
    """A clip after encoding and decoding.

    Attributes:
        clip: What the pipeline makes of the clip's tokens, clean-up included.
        mpjpe_mm: Mean error of the 22 joints before clean-up, with the root's ground position
            and heading aligned in every frame, as in the tokenizer's training [mm].
        frames: Frames over which the error was taken.
    """

    clip: MotionClip
    mpjpe_mm: float
    frames: int


Reconstruct = Callable[[MotionClip], Reconstruction]


def reference_clips(folder: str | Path, split: str) -> tuple[ReferenceClip, ...]:
    """Captioned clips of a split.

    Args:
        folder: CMU folder (clips.jsonl) or HumanML3D folder (new_joint_vecs/ or new_joints/).
        split: 'val' or 'test'.

    Raises:
        ConfigError: another split, or fewer than 8 usable clips in it.
        MotionFileError: no such folder, or neither of the two formats.
    """
    if split not in SPLITS:
        raise ConfigError(
            f"split must be val or test, got {split!r}: figures on trained clips mean nothing"
        )
    out = []
    for item in _open(Path(folder), split):
        captions = tuple(c for c in item.captions if _readable(c))
        clip = item.clip.slice(0, MAX_FRAMES + 1)
        if captions and len(clip) > MIN_FRAMES:
            out.append(ReferenceClip(item.id, captions, clip, clip_to_features(clip)))
    if len(out) < MIN_CLIPS:
        raise ConfigError(
            f"{folder}: split {split} has {len(out)} clips with captions and {MIN_FRAMES} frames, "
            f"{MIN_CLIPS} are needed"
        )
    return tuple(out)


def _open(folder: Path, split: str) -> Iterator[CaptionedClip]:
    if not folder.is_dir():
        raise MotionFileError(f"no data folder {folder}")
    if (folder / "clips.jsonl").is_file():
        return CmuFolder(folder).clips(split)
    if (folder / "new_joint_vecs").is_dir() or (folder / "new_joints").is_dir():
        return read_humanml3d(folder, split)
    raise MotionFileError(
        f"{folder} holds neither clips.jsonl (CMU) nor new_joint_vecs/ (HumanML3D)"
    )


def _readable(caption: str) -> bool:
    try:
        validate_sentence(caption)
    except InvalidTextError:
        return False
    return True


def pipeline_reconstruction(pipeline: MotionPipeline) -> Reconstruct:
    """Encoding and decoding by a pipeline, with its clean-up."""
    import torch

    from nextscale_core.pipeline import decode_clip

    def reconstruct(clip: MotionClip) -> Reconstruction:
        features = clip_to_features(clip)
        tokens = pipeline.encode(clip)
        latents = len(features) // pipeline.tokenizer.frames_per_latent
        decoded = pipeline.tokenizer.decode([row[None] for row in tokens], latents)[0]
        delta = decoded.float().cpu() - torch.from_numpy(features[: len(decoded)])
        error = delta[:, POSITIONS].reshape(len(delta), NUM_JOINTS - 1, 3).norm(dim=-1).mean()
        # The root is aligned on the ground and counts as exact, one joint of 22.
        mpjpe = float(error) * (NUM_JOINTS - 1) / NUM_JOINTS * 1000
        # The pipeline's own way from tokens to a clip, so that the row shows what users get.
        shown = decode_clip(pipeline.tokenizer, tokens, latents, clip.text, 0)
        return Reconstruction(shown, mpjpe, len(delta))

    return reconstruct
