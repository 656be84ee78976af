"""npy arrays of SMPL-X parameters, one row a frame, without a rate: Motion-X and PHUMA.

Sources: the README of IDEA-Research/Motion-X (322 columns) and src/curation/preprocess_smplx.py of
DAVIAN-Robotics/PHUMA (69 columns, 73 with foot contacts).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.smpl import PELVIS, checked_parameters, posed_clip
from nextscale_core.motion.formats.world_frame import FileFrame
from nextscale_core.motion.reading import ReadNote, ReadOptions
from nextscale_core.motion.skeleton import NUM_JOINTS
from nextscale_core.rotations import exp, log, unit

ROW_FPS = 30.0
"""Rate of both data sets, which their files do not state [Hz]."""

_TILTS = np.radians([20.0, 50.0])
"""Smallest and largest tilt of a body that stands in the frame of a camera [rad]."""

_UPRIGHT = 0.9
"""Smallest length of the mean upward axis of a body that is upright in nearly every frame."""


class _Columns(NamedTuple):
    """First columns of the root's rotation, of the body's 21 rotations and of the place."""

    root: int
    body: int
    trans: int
    in_camera: bool
    """Whether the world may be that of a camera, whose axes have any tilt."""


MOTION_X, PHUMA = 322, 69
_LAYOUTS = {
    MOTION_X: _Columns(0, 3, 309, in_camera=True),
    PHUMA: _Columns(3, 6, 0, in_camera=False),
    PHUMA + 4: _Columns(3, 6, 0, in_camera=False),
}
ROW_WIDTHS = tuple(_LAYOUTS)
"""Numbers of columns of the arrays that `smplx_rows_clip` reads."""


def smplx_rows_clip(path: Path, array: np.ndarray, options: ReadOptions) -> MotionClip:
    """Motion of rows of SMPL-X parameters, y up, on the neutral skeleton, on the floor.

    Motion-X's motion from video is in the frame of its camera. Where the body stands 20 to 50
    degrees off the vertical in nearly every frame, its mean upward direction is taken as up.

    Args:
        path: The file, for messages.
        array: (T, 322), (T, 69) or (T, 73).
        options: Its known properties.

    Raises:
        MotionFileError: NaN, or numbers that are not parameters.
        InvalidMotionError: a body whose vertical is unclear.
    """
    layout = _LAYOUTS[array.shape[1]]
    checked = checked_parameters(path, "", array)
    turns = np.concatenate(
        [
            checked[:, layout.root : layout.root + 3],
            checked[:, layout.body : layout.body + 3 * NUM_JOINTS - 3],
        ],
        axis=1,
    ).reshape(-1, NUM_JOINTS, 3)
    trans = checked[:, layout.trans : layout.trans + 3]
    message = f"{ROW_FPS:g} frames per second assumed: the file states no rate"
    if options.fps:
        message = f"{options.fps:g} frames per second, as given"
    notes = [ReadNote("rate", message)]
    if layout.in_camera and options.up == "auto":
        turns, trans = _levelled(turns, trans, notes)
    return posed_clip(
        turns,
        trans,
        options.fps or ROW_FPS,
        options,
        model="smplx",
        frame=FileFrame("y", certain=False, floor_at_zero=False, has_forward=False),
        notes=tuple(notes),
        own_floor=not layout.in_camera,
    )


def _levelled(
    turns: np.ndarray, trans: np.ndarray, notes: list[ReadNote]
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and places with the body's mean upward direction turned onto y, if it is tilted."""
    root = exp(turns[:, 0])
    mean = root[:, :, 1].mean(axis=0)
    up = unit(mean)
    tilt = np.arccos(np.clip(np.abs(up[1]), 0.0, 1.0))
    if np.linalg.norm(mean) < _UPRIGHT or not _TILTS[0] < tilt < _TILTS[1]:
        return turns, trans
    across = np.cross(up, [0.0, 1.0, 0.0])
    angle = np.arctan2(np.linalg.norm(across), up[1])
    level = exp(unit(across) * angle)
    pelvis = np.array(PELVIS["smplx"])
    turns = turns.copy()
    turns[:, 0] = log(level @ root)
    message = (
        f"the body stands {np.degrees(tilt):.0f} degrees off the vertical, as seen by a camera: "
        "its upward direction taken as up; --up y keeps the file's"
    )
    notes.append(ReadNote("up", message))
    return turns, (trans + pelvis) @ level.T - pelvis
