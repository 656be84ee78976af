"""Training samples: features of captioned clips and of whole trials, with mirror images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.features import (
    CONTACTS,
    NUM_FEATURES,
    POSITIONS,
    ROOT,
    ROTATIONS,
    VELOCITIES,
    clip_to_features,
)
from nextscale_core.motion.formats.humanml3d import read_humanml3d
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.motion.resample import resample
from nextscale_core.text.mirror import mirror_text
from nextscale_lab.captions.descriptions import sentence_from_description
from nextscale_lab.data.annotations import annotated_clips
from nextscale_lab.data.cmu import CmuFolder
from nextscale_lab.ranks import is_main_process

MIN_FRAMES = 20
"""Minimum length of a training sample [frames]: 1 s."""
_QUIET = not is_main_process()

Folders = str | Path | Sequence[str | Path]
"""One data folder or several."""


def data_folders(data: Folders) -> tuple[Path, ...]:
    """The folders as a tuple of paths."""
    single = isinstance(data, str | Path)
    return (Path(data),) if single else tuple(map(Path, data))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sample:
    """One training motion.

    Attributes:
        id: Clip or trial name; mirrored samples end in '/mirror'.
        features: (T, 263) float32 HumanML3D features.
        captions: Sentences; may be empty.
        weak: The captions describe the whole recording of which this is a part.
        kind: Kind of an auto-captioned window; else empty.
    """

    id: str
    features: np.ndarray
    captions: tuple[str, ...]
    weak: bool = False
    kind: str = ""


def folder_names(data: Folders) -> str:
    """Names of the folders, joined by '+'."""
    return "+".join(folder.resolve().name for folder in data_folders(data))


def change_speed(clip: MotionClip, factor: float) -> MotionClip:
    """The motion at another speed (factor > 1 is faster) and the same frame rate."""
    if factor == 1.0:
        return clip
    return replace(clip, joints=resample(clip.joints, clip.fps, clip.fps / factor), contacts=None)


def _is_long(clip: MotionClip) -> bool:
    return len(clip) > MIN_FRAMES


def samples_of(
    name: str,
    clip: MotionClip,
    captions: tuple[str, ...],
    *,
    mirror: bool,
    weak: bool = False,
    kind: str = "",
) -> Iterator[Sample]:
    """A motion as a sample, optionally with its mirror image; none if it is too short."""
    if not _is_long(clip):
        return
    yield Sample(name, clip_to_features(clip), captions, weak, kind)
    if mirror:
        mirrored = clip_to_features(mirror_clip(clip))
        own = tuple(map(mirror_text, captions))
        yield Sample(f"{name}/mirror", mirrored, own, weak, mirror_text(kind))


def training_captions(data: Folders) -> list[str]:
    """Captions of the training clips that are samples, in their order.

    Args:
        data: See `captioned_samples`.

    Raises:
        MotionFileError: a folder is neither.
    """
    clips = (item for folder in data_folders(data) for item in _open(folder, "train"))
    return [text for item in clips if _is_long(item.clip) for text in item.captions]


def captioned_samples(
    data: Folders, split: str, mirror: bool = False, speed: float = 1.0
) -> list[Sample]:
    """Features of the captioned clips of a split.

    Args:
        data: CMU folders (clips.jsonl) or HumanML3D folders (new_joint_vecs/).
        split: 'train', 'val' or 'test'.
        mirror: Also add the mirror image of every clip, with left and right swapped.
        speed: Playback speed.

    Raises:
        MotionFileError: a folder is neither.
    """
    clips = [item for folder in data_folders(data) for item in _open(folder, split)]
    out: list[Sample] = []
    for item in tqdm(clips, desc=f"features ({split})", unit="clip", disable=_QUIET):
        clip = change_speed(item.clip, speed)
        out.extend(samples_of(item.id, clip, item.captions, mirror=mirror))
    return out


def _open(folder: Path, split: str) -> Iterator[CaptionedClip]:
    if (folder / "clips.jsonl").is_file():
        cmu = CmuFolder(folder)
        if split != "train":
            return cmu.clips(split)
        return itertools.chain(cmu.training_clips(), annotated_clips(folder))
    if (folder / "new_joint_vecs").is_dir():
        return read_humanml3d(folder, split)
    raise MotionFileError(
        f"{folder} holds neither clips.jsonl (CMU) nor new_joint_vecs/ (HumanML3D)"
    )


def trial_samples(data: Folders, mirror: bool = False, speed: float = 1.0) -> list[Sample]:
    """Whole CMU recordings without the frames of val and test clips.

    The one-line description and KIT-ML sentences of a recording become weak captions. Pieces of a
    recording with val or test clips have none, since the description may be of another part.
    """
    folders = [folder for folder in data_folders(data) if (folder / "trials.jsonl").is_file()]
    return [s for folder in folders for s in _trial_samples(CmuFolder(folder), mirror, speed)]


def _trial_samples(data: CmuFolder, mirror: bool, speed: float) -> list[Sample]:
    held_out = data.held_out()
    out: list[Sample] = []
    trials = list(data.trials.values())
    for trial in tqdm(trials, desc="features (trials)", unit="trial", disable=_QUIET):
        clip = data.trial_clip(trial)
        spans = sorted(held_out.get(trial.name, []))
        captions: tuple[str, ...] = ()
        if not spans:
            texts = [s for d in trial.descriptions[:1] for s in sentence_from_description(d)]
            captions = tuple(dict.fromkeys([*texts, *trial.descriptions[1:]]))
        begin = 0
        for first, end in [*spans, (len(clip), len(clip))]:
            if first > begin:
                name = f"{trial.name}@{begin}"
                piece = change_speed(clip.slice(begin, first), speed)
                out.extend(samples_of(name, piece, captions, mirror=mirror, weak=True))
            begin = max(begin, end)
    return out


def feature_statistics(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Mean per feature, and standard deviation per group of features, as in HumanML3D.

    A common deviation keeps small parts (a foot's velocity at rest) from being amplified.

    Returns:
        (263,) mean and (263,) standard deviation.
    """
    stacked = np.concatenate([sample.features for sample in samples])
    mean, std = stacked.mean(0), stacked.std(0)
    groups = [slice(0, 1), slice(1, 3), slice(3, ROOT.stop)]
    groups += [POSITIONS, ROTATIONS, VELOCITIES, CONTACTS]
    for group in groups:
        std[group] = std[group].mean()
    assert std.shape == (NUM_FEATURES,)
    return mean.astype(np.float32), np.maximum(std, 1e-4).astype(np.float32)
