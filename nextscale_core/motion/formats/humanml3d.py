"""Reader of data sets in HumanML3D's layout.

    new_joint_vecs/NAME.npy   (T, 263) features
    new_joints/NAME.npy       (T, 22, 3) positions, y up
    texts/NAME.txt            one caption a line: caption#tokens#start#end
    train.txt, val.txt, test.txt   names, one a line

Source: Guo et al., "Generating Diverse and Natural 3D Human Motions from Text", CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.features import NUM_FEATURES, features_to_clip, foot_contacts
from nextscale_core.motion.formats.bad_data import bad_data, warn
from nextscale_core.motion.formats.npz import finite_numbers, joint_positions
from nextscale_core.motion.formats.world_frame import FileFrame, in_world
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadNote, ReadOptions
from nextscale_core.motion.skeleton import FPS
from nextscale_core.npz import read_npy

SPLITS = ("train", "val", "test")
_MIN_FRAMES = 2
_AS_RECORDED = ReadOptions(floor=False)  # models are trained on recorded heights


def read_humanml3d(folder: str | Path, split: str) -> Iterator[CaptionedClip]:
    """Iterate over the captioned clips of one split, in the order of its list.

    A caption with a span (start and end in seconds) becomes a separate clip with the id
    'NAME@start-end', as in HumanML3D's training code; captions of the whole motion stay together.
    Names in the list without a motion file are skipped, as HumanML3D's own lists hold some. A
    damaged motion or a damaged or missing caption file is an error, or skips the whole name inside
    `on_bad_data("skip")`.

    Args:
        folder: Folder with `texts/`, the split lists and `new_joint_vecs/` or `new_joints/`.
        split: 'train', 'val' or 'test'.

    Yields:
        Records with at least one caption and two frames each.

    Raises:
        MotionFileError: unknown split, missing list or folder, malformed file.
    """
    folder = Path(folder)
    if split not in SPLITS:
        raise MotionFileError(f"unknown split {split!r} in HumanML3D; known: {', '.join(SPLITS)}")
    candidates = (folder / name for name in ("new_joint_vecs", "new_joints"))
    motions = next((path for path in candidates if path.is_dir()), None)
    if motions is None:
        raise MotionFileError(f"{folder} holds neither new_joint_vecs/ nor new_joints/")
    reported = {"rate"}
    for line in _read_lines(folder / f"{split}.txt"):
        name = line.removesuffix(".npy")
        # A name with a path could lead out of the folder.
        if not name or name != Path(name).name:
            continue
        motion_path = motions / f"{name}.npy"
        if not motion_path.is_file():
            continue
        try:
            clips = _clips_of(name, split, motion_path, folder / "texts" / f"{name}.txt")
        except MotionFileError as error:
            bad_data(error)
            continue
        for note in clips[0].clip.notes if clips else ():
            if note.kind not in reported:
                reported.add(note.kind)
                warn(f"{motion_path}: {note} (reported once for {split}.txt)")
        yield from clips


def read_humanml3d_array(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read one npy array of HumanML3D: (T, 263) features, or joint positions, y up, 20 fps.

    Raises:
        MotionFileError: missing or malformed file, another shape, or not a human body.
    """
    array = read_npy(path)
    try:
        if array.ndim == 2 and array.shape[1] == NUM_FEATURES:
            features = finite_numbers(path, "", array)
            clip = in_world(features_to_clip(features), FileFrame("z"), options)
            return clip if options.fps is None else replace(clip, fps=options.fps)
        joints, notes = joint_positions(path, "", array)
        if options.fps is None:
            message = f"{FPS:g} frames per second assumed, as in HumanML3D"
            notes.insert(0, ReadNote("rate", message))
        clip = MotionClip(joints, options.fps or FPS, notes=tuple(notes))
        clip = in_world(clip, FileFrame("y"), options)
        if len(clip) < _MIN_FRAMES:
            return clip
        contacts = foot_contacts(clip.joints.astype(np.float64), clip.fps)
        # The last frame has no next frame and keeps the label of the one before.
        return replace(clip, contacts=np.concatenate([contacts, contacts[-1:]]))
    except InvalidMotionError as error:
        raise MotionFileError(f"{path}: {error}") from error


def _clips_of(name: str, split: str, motion_path: Path, text_path: Path) -> list[CaptionedClip]:
    """All clips of one name, after both of its files are read and checked."""
    clip = read_humanml3d_array(motion_path, _AS_RECORDED)
    spans: dict[tuple[float, float], list[str]] = {}
    for number, line in enumerate(_read_lines(text_path), start=1):
        if line:
            caption, start, end = _parse_caption(text_path, number, line)
            spans.setdefault((start, end), []).append(caption)
    if not spans:
        raise MotionFileError(f"{text_path} holds no caption of {motion_path.name}")
    out = []
    for (start, end), captions in spans.items():
        whole = start == end == 0.0
        first, stop = (0, len(clip)) if whole else (int(start * FPS), int(end * FPS))
        if min(stop, len(clip)) - first < _MIN_FRAMES:
            continue
        part_name = name if whole else f"{name}@{start:g}-{end:g}"
        part = clip.slice(first, stop).with_text(captions[0])
        out.append(CaptionedClip(part_name, split, tuple(captions), part))
    return out


def _parse_caption(path: Path, number: int, line: str) -> tuple[str, float, float]:
    fields = line.split("#")
    if len(fields) != 4 or not fields[0].strip():
        raise MotionFileError(
            f"{path} line {number}: expected 'caption#tokens#start#end', got {line[:60]!r}"
        )
    try:
        start, end = float(fields[2]), float(fields[3])
    except ValueError as error:
        raise MotionFileError(
            f"{path} line {number}: start and end must be seconds, got {fields[2:]!r}"
        ) from error
    # HumanML3D writes 'nan' for 'not given'.
    start, end = (0.0 if np.isnan(value) else value for value in (start, end))
    if not (start == end == 0.0 or 0.0 <= start < end < np.inf):
        raise MotionFileError(
            f"{path} line {number}: a span must have 0 <= start < end, got {start:g} to {end:g}"
        )
    return fields[0].strip(), start, end


def _read_lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise MotionFileError(f"cannot read {path}: {error}") from error
