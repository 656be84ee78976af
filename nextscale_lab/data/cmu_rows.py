"""Reading and validation of the files of a CMU folder.

A broken line or recording is passed to `bad_data`: an error, or omitted where broken data is
skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.formats.bad_data import bad_data
from nextscale_core.npz import read_npz

SPLITS = ("train", "val", "test")
NUM_BODIES = 14
_ROOT_HEIGHT = (0.15, 1.6)  # median over all recordings [m]


@dataclass(frozen=True)
class Trial:
    """One recording.

    Attributes:
        name: 'subject_take', e.g. '13_11'.
        start: First row in the arrays.
        frames: Number of frames at 20 fps.
        descriptions: CMU's one-line description, then captions from KIT-ML if any.
    """

    name: str
    start: int
    frames: int
    descriptions: tuple[str, ...]

    @property
    def subject(self) -> int:
        """Number of the performer."""
        return int(self.name.split("_")[0])


@dataclass(frozen=True)
class ClipRow:
    """A captioned span of a recording.

    Attributes:
        id: Name of the clip.
        trial: Name of its recording.
        first: First frame.
        end: Frame after the last.
        split: 'train', 'val' or 'test'.
        captions: Sentences, best first.
    """

    id: str
    trial: str
    first: int
    end: int
    split: str
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CmuFiles:
    """Content of a CMU folder.

    Attributes:
        root: (N, 3) float64 root positions [m].
        quat: (N, 14, 4) int16 local rotations (x, y, z, w) times 32767.
        trials: Recordings by name.
        clips: Captioned spans of recordings, in file order.
        doubtful: Recordings in omitted lines, which may hold val or test clips: not for training
            outside of their captioned clips.
    """

    root: np.ndarray
    quat: np.ndarray
    trials: dict[str, Trial]
    clips: tuple[ClipRow, ...]
    doubtful: frozenset[str]


def read_cmu_files(folder: Path) -> CmuFiles:
    """Read and check the files of a CMU folder.

    Raises:
        MotionFileError: motion.npz is invalid, or a file, line or recording is broken and broken
            data is not skipped.
    """
    listed = dict(_trials(folder / "trials.jsonl"))
    root, quat = _arrays(folder / "motion.npz")
    broken = ~np.isfinite(root).all(-1) | ~quat.any(-1).all(-1)
    trials: dict[str, Trial] = {}
    for name, (line, trial) in listed.items():
        fault = ""
        if trial.start + trial.frames > len(root):
            fault = f"frames {trial.start} to {trial.start + trial.frames} of {len(root)}"
        elif broken[trial.start : trial.start + trial.frames].any():
            row = trial.start + int(broken[trial.start : trial.start + trial.frames].argmax())
            fault = f"row {row} holds NaN, infinity or a rotation of length zero"
        if fault:
            where = f"{folder / 'trials.jsonl'}, line {line}"
            bad_data(MotionFileError(f"{where}: motion.npz does not hold trial {name}: {fault}"))
        else:
            trials[name] = trial
    clips, doubtful = _clips(folder / "clips.jsonl", listed, trials)
    return CmuFiles(root, quat, trials, tuple(clips), frozenset(doubtful))


def _lines(path: Path) -> Iterator[tuple[int, bytes, Any]]:
    """Number, text and row of every line that is not empty; row None if broken."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            fault = "" if isinstance(row, dict) else f"expected an object, got {row!r}"
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            fault = str(error)
        if fault:
            bad_data(MotionFileError(f"{path}, line {number}: {fault}"))
        yield number, line, None if fault else row


def _trials(path: Path) -> Iterator[tuple[str, tuple[int, Trial]]]:
    for number, _, row in _lines(path):
        if row is None:
            continue
        try:
            texts = (row["description"], *row.get("kit_captions", []))
            trial = Trial(row["trial"], int(row["start"]), int(row["frames"]), texts)
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("descriptions must be texts")
            if trial.start < 0 or trial.frames < 1 or trial.subject < 0:
                raise ValueError(f"start {trial.start}, frames {trial.frames}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__} {error}"
            bad_data(MotionFileError(f"{path}, line {number}: bad trial ({reason}) in {row}"))
            continue
        yield trial.name, (number, trial)


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    arrays = read_npz(path, ("root", "quat"))
    root, quat = arrays["root"], arrays["quat"]
    if root.shape[1:] != (3,) or quat.shape[1:] != (NUM_BODIES, 4) or len(root) != len(quat):
        raise MotionFileError(
            f"{path}: root {root.shape} and quat {quat.shape} should be (N, 3) and "
            f"(N, {NUM_BODIES}, 4)"
        )
    if root.dtype.kind not in "iuf" or quat.dtype.kind != "i":
        raise MotionFileError(
            f"{path}: root must hold numbers and quat integers, got {root.dtype} and {quat.dtype}"
        )
    root = root.astype(np.float64)
    known = root[np.isfinite(root).all(-1)]
    middle = np.median(known, axis=0) if len(known) else np.zeros(3)
    if len(known) and not _ROOT_HEIGHT[0] < middle[2] < _ROOT_HEIGHT[1]:
        raise MotionFileError(
            f"{path}: root must be in metres with z up, but the median height is "
            f"{middle[2]:.3g} (x, y: {middle[0]:.3g}, {middle[1]:.3g})"
        )
    return root, quat


def _clips(
    path: Path, listed: Mapping[str, Any], trials: Mapping[str, Trial]
) -> tuple[list[ClipRow], set[str]]:
    clips: list[ClipRow] = []
    doubtful: set[str] = set()
    for number, line, row in _lines(path):
        if row is None:
            text = line.decode(errors="replace")
            doubtful |= {name for name in listed if f'"{name}"' in text}
            continue
        try:
            clips.append(_clip(row, trials))
        except (KeyError, ValueError, TypeError) as error:
            if row.get("split") != "train":
                doubtful |= {name for name in listed if name == row.get("trial")}
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            bad_data(MotionFileError(f"{path}, line {number}, clip {row.get('id')}: {reason}"))
    return clips, doubtful


def _clip(row: dict[str, Any], trials: Mapping[str, Trial]) -> ClipRow:
    captions = row["captions"]
    if not isinstance(captions, list) or not all(isinstance(c, str) for c in captions):
        raise ValueError(f"captions must be a list of texts, got {captions!r}")
    if row["split"] not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {row['split']!r}")
    if row["trial"] not in trials:
        raise ValueError(f"its trial {row['trial']!r} is unknown or broken")
    first, end = int(row["first_frame"]), int(row["end_frame"])
    if not 0 <= first < end <= trials[row["trial"]].frames:
        raise ValueError(f"frames [{first}, {end}) are outside of the trial")
    return ClipRow(str(row["id"]), row["trial"], first, end, row["split"], tuple(captions))
