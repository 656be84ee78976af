"""Captions of single actions in recordings.

Many recordings hold a dozen actions under one description. `nextscale_lab/config/annotations.yaml`
lists spans of single actions with captions written by hand. Every `*.yaml` file of a data folder
is read as further annotations.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictInt, StringConstraints
from pydantic.dataclasses import dataclass

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.skeleton import floor_height
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.data.cmu import CmuFolder, overlaps
from nextscale_lab.files import CLOSED, validated

ANNOTATIONS = CONFIG / "annotations.yaml"


_Caption = Annotated[str, StringConstraints(min_length=1)]


@dataclass(frozen=True, config=CLOSED)
class Annotation:
    """A captioned span of a recording.

    Attributes:
        trial: 'subject_take'.
        start: First frame at 20 fps.
        end: Frame after the last.
        captions: Sentences.
    """

    trial: str
    start: Annotated[StrictInt, Field(ge=0)]
    end: StrictInt
    captions: Annotated[tuple[_Caption, ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ConfigError(f"annotation of {self.trial}: no frames in {self.start}..{self.end}")


def read_annotations(path: Path | None = None) -> tuple[Annotation, ...]:
    """Read annotations.

    Args:
        path: YAML list of {trial, start, end, captions}; None for the one in the package.

    Raises:
        ConfigError: invalid YAML, or an entry with a missing, unknown or invalid key.
    """
    path = path or ANNOTATIONS
    return validated(tuple[Annotation, ...], read_yaml(path), str(path))


def annotations_of(data: CmuFolder, path: Path | None = None) -> list[Annotation]:
    """The annotations that a CMU folder has motion for.

    Spans that overlap a val or test clip are left out, and so are those of trials that the folder
    does not have.

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
