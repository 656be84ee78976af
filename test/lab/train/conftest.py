"""A small data folder in HumanML3D's layout, of people who sway and wave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import clip_to_features
from nextscale_core.motion.skeleton import JOINT_INDEX

# Standing, x forward, y left, z up [m]; the right side is the mirror image.
_MIDDLE = {
    "pelvis": (0.0, 0.0, 0.93),
    "spine1": (-0.03, 0.0, 1.06),
    "spine2": (0.0, 0.0, 1.2),
    "spine3": (0.0, 0.0, 1.26),
    "neck": (-0.02, 0.0, 1.47),
    "head": (0.03, 0.0, 1.56),
}
_LEFT = {
    "hip": (-0.01, 0.06, 0.85),
    "knee": (0.02, 0.07, 0.47),
    "ankle": (-0.01, 0.08, 0.07),
    "foot": (0.11, 0.1, 0.02),
    "collar": (-0.02, 0.07, 1.38),
    "shoulder": (-0.03, 0.19, 1.42),
    "elbow": (-0.05, 0.22, 1.17),
    "wrist": (0.0, 0.24, 0.92),
}


def waving(frames: int, speed: float) -> MotionClip:
    """A person who walks slowly on, sways and waves both arms."""
    rest = np.zeros((22, 3))
    for name, place in _MIDDLE.items():
        rest[JOINT_INDEX[name]] = place
    for name, (x, y, z) in _LEFT.items():
        rest[JOINT_INDEX[f"left_{name}"]] = (x, y, z)
        rest[JOINT_INDEX[f"right_{name}"]] = (x, -y, z)
    time = np.arange(frames) / 20
    joints = np.repeat(rest[None], frames, axis=0)
    joints[:, :, 0] += 0.2 * time[:, None] * rest[:, 2]
    for side, phase in (("left", 0.0), ("right", 1.0)):
        for part, reach in (("elbow", 0.1), ("wrist", 0.3)):
            joints[:, JOINT_INDEX[f"{side}_{part}"], 0] += reach * np.sin(speed * time + phase)
            joints[:, JOINT_INDEX[f"{side}_{part}"], 2] += reach * np.cos(speed * time)
    return MotionClip(joints)


def write_humanml3d(folder: Path, clips: int = 8, frames: int = 90) -> Path:
    """Names 000000, 000001, ...; the last two are the validation split."""
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    names = [f"{number:06d}" for number in range(clips)]
    for number, name in enumerate(names):
        features = clip_to_features(waving(frames + 4 * number, 2.0 + number))
        np.save(folder / "new_joint_vecs" / f"{name}.npy", features.astype(np.float32))
        caption = f"a person waves the left hand {number} times"
        (folder / "texts" / f"{name}.txt").write_text(f"{caption}#a/DET#0.0#0.0\n")
    (folder / "train.txt").write_text("\n".join(names[:-2]) + "\n")
    (folder / "val.txt").write_text("\n".join(names[-2:]) + "\n")
    return folder


@pytest.fixture
def humanml3d(tmp_path: Path) -> Path:
    """The folder; a test may damage it."""
    return write_humanml3d(tmp_path / "waving")
