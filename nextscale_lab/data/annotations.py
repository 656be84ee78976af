"""Captions for spans of single actions in recordings.

Many recordings hold a dozen actions under one line. `nextscale_lab/config/annotations.yaml` names
spans of single actions in them, written by looking at the motion: words and frame numbers only.
A data folder may bring further such files: every `*.yaml` in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.skeleton import floor_height
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.data.cmu import CmuFolder, overlaps

ANNOTATIONS = CONFIG / "annotations.yaml"


@dataclass(frozen=True)
class Annotation:
    """A captioned span of a recording.

    Attributes:
        trial: 'subject_take'.
        start: First frame at 20 fps.
        end: Frame after the last.
        captions: Sentences.
    """

    trial: str
    start: int
    end: int
    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ConfigError(f"annotation of {self.trial}: no frames in {self.start}..{self.end}")
        if not self.captions or any(not isinstance(c, str) or not c for c in self.captions):
            raise ConfigError(f"annotation of {self.trial}@{self.start}: a caption is missing")


def read_annotations(path: Path | None = None) -> tuple[Annotation, ...]:
    """Read annotations.

    Args:
        path: YAML list of {trial, start, end, captions}; None for the one in the package.

    Raises:
        ConfigError: bad YAML, or a row with a missing, unknown or wrong key.
    """
    path = path or ANNOTATIONS
    rows = read_yaml(path)
    if not isinstance(rows, list):
        raise ConfigError(f"{path} must hold a list of annotations")
    out = []
    for number, row in enumerate(rows, start=1):
        try:
            out.append(Annotation(**{**row, "captions": tuple(row["captions"])}))
        except (TypeError, KeyError) as error:
            raise ConfigError(f"{path}, entry {number}: {error}") from error
    return tuple(out)


def annotations_of(data: CmuFolder, path: Path | None = None) -> list[Annotation]:
    """The annotations that a CMU folder has motion for.

    Spans that touch the motion of a val or test clip are left out, whatever the file says; so
    are those of trials that the folder does not have.

    Args:
        data: The folder.
        path: File to read; None for the package's and every `*.yaml` of the folder.
    """
    held_out = data.held_out()
    paths = [path] if path else [None, *sorted(data.folder.glob("*.yaml"))]
    return [
        item
        for item in itertools.chain.from_iterable(map(read_annotations, paths))
        if (trial := data.trials.get(item.trial)) is not None
        and item.end <= trial.frames
        and not overlaps(held_out.get(item.trial, []), item.start, item.end)
    ]


def annotated_clips(folder: Path, path: Path | None = None) -> Iterator[CaptionedClip]:
    """Clips of `annotations_of` a CMU folder, all in the train split."""
    data = CmuFolder(folder)
    whole: dict[str, MotionClip] = {}
    for item in annotations_of(data, path):
        if item.trial not in whole:
            whole[item.trial] = data.trial_clip(data.trials[item.trial])
        joints = whole[item.trial].joints[item.start : item.end].copy()
        joints[..., 2] -= floor_height(joints)
        clip = MotionClip(joints, text=item.captions[0])
        name = f"{item.trial}#{item.start}-{item.end}"
        yield CaptionedClip(name, "train", item.captions, clip)
