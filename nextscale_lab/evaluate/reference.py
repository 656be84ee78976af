"""Recorded clips as the reference of metrics, and their reconstruction."""

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
"""Limits of the length [frames]: shorter clips are left out, longer ones cut (HumanML3D)."""

MIN_CLIPS = 8
"""Minimum number of clips for metrics."""


@dataclass(frozen=True)
class ReferenceClip:
    """A recorded clip.

    Attributes:
        id: Name in its data set.
        captions: Valid sentences, at least one.
        clip: The motion, at most 197 frames.
        features: (T, 263) HumanML3D features.
    """

    id: str
    captions: tuple[str, ...]
    clip: MotionClip
    features: np.ndarray


@dataclass(frozen=True)
class ReconstructedClip:
    """A clip after encoding and decoding.

    Attributes:
        clip: The decoded clip after clean-up.
        mpjpe_mm: Mean error of the 22 joints before clean-up, with the root's ground position
            and heading aligned in every frame [mm].
        frames: Number of frames of the error.
    """

    clip: MotionClip
    mpjpe_mm: float
    frames: int


Reconstruct = Callable[[MotionClip], ReconstructedClip]


def reference_clips(folder: str | Path, split: str) -> tuple[ReferenceClip, ...]:
    """Captioned clips of a split.

    Args:
        folder: CMU folder (clips.jsonl) or HumanML3D folder (new_joint_vecs/ or new_joints/).
        split: 'val' or 'test'.

    Raises:
        ConfigError: another split, or fewer than 8 valid clips in it.
        MotionFileError: the folder is missing or of neither format.
    """
    if split not in SPLITS:
        raise ConfigError(
            f"split must be val or test, got {split!r}: metrics on training clips are meaningless"
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
    """Encoding and decoding by a pipeline, with clean-up."""
    import torch

    from nextscale_core.pipeline import decode_clips

    def reconstruct(clip: MotionClip) -> ReconstructedClip:
        features = clip_to_features(clip)
        tokens = pipeline.encode(clip)
        latents = len(features) // pipeline.tokenizer.frames_per_latent
        decoded = pipeline.tokenizer.decode([row[None] for row in tokens], latents)[0]
        delta = decoded.float().cpu() - torch.from_numpy(features[: len(decoded)])
        error = delta[:, POSITIONS].reshape(len(delta), NUM_JOINTS - 1, 3).norm(dim=-1).mean()
        # The aligned root has no error and is one of 22 joints.
        mpjpe = float(error) * (NUM_JOINTS - 1) / NUM_JOINTS * 1000
        # Decoded as by the pipeline, including clean-up.
        shown = decode_clips(pipeline.tokenizer, [tokens], latents, clip.text, 0)[0]
        return ReconstructedClip(shown, mpjpe, len(delta))

    return reconstruct
