"""BVH files as tools write them: their rigs, orders, units, axes, rates and oddities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.motion.rig_files import joints_of, moving_body, write_rig
from core.motion.rigs_of_the_field import RIGS
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_bvh, write_bvh
from nextscale_core.motion.formats.bvh_syntax import Bvh, read_bvh_text, write_bvh_text
from nextscale_core.motion.skeleton import JOINT_INDEX

_TO_Z_UP = Rotation.from_euler("x", 90, degrees=True)  # faces -y, as from Blender


@dataclass(frozen=True)
class Dialect:
    """How a tool writes a rig; `rig_files.write_rig` makes y up, facing z, centimetres, Z X Y."""

    rig: str
    order: str = "ZYX"
    fps: float = 30.0
    metres: float = 0.01
    turn: Rotation = Rotation.identity()  # noqa: RUF009 (never altered)
    along_x: bool = False  # at rest every bone points along x, not in a T-pose


DIALECTS = {
    "LAFAN1": Dialect("LAFAN1, Qualisys, Captury", along_x=True),
    "SOMA, BONES-SEED": Dialect("SOMA", fps=120.0),
    "Mixamo": Dialect("Mixamo", "XYZ", 60.0),
    "Xsens from 3ds Max": Dialect("Xsens", "YXZ", 240.0),
    "Xsens segments in metres": Dialect("Xsens segments", "YXZ", 60.0, 1.0),
    "OptiTrack Motive": Dialect("Motive", "XYZ", 120.0),
    "Motive in metres": Dialect("Motive", "ZXY", 120.0, 1.0),
    "CMU": Dialect("CMU in MotionBuilder", "ZYX", 120.0, 0.0254 / 0.45),
    "Blender": Dialect("Mixamo", "XYZ", 24.0, 1.0, _TO_Z_UP),
    "Blender, armature turned": Dialect(
        "LAFAN1, Qualisys, Captury", "XYZ", 24.0, 1.0,
        Rotation.from_euler("z", 37, degrees=True) * _TO_Z_UP,
    ),
    "z up, facing x, millimetres": Dialect(
        "SOMA", "ZXY", 50.0, 0.001, Rotation.from_euler("xz", [90, 90], degrees=True)
    ),
    "upside down": Dialect(
        "Xsens", "XYZ", 60.0, 0.01, Rotation.from_euler("z", 180, degrees=True)
    ),
}  # fmt: skip


def _write(dialect: Dialect, path: Path, body=None) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Write a moving body; its joints [m]."""
    body = moving_body(3, bend=0.8) if body is None else body
    write_rig(RIGS[dialect.rig], body, path)
    bvh = read_bvh_text(path)
    scale, turn = 0.01 / dialect.metres, dialect.turn.as_matrix()
    frames = [_along_first_child(bvh, index) if dialect.along_x else np.eye(3)
              for index in range(len(bvh.joints))]  # fmt: skip
    column = 0
    for index, joint in enumerate(bvh.joints):
        above = turn if joint.parent < 0 else turn @ frames[joint.parent].T
        joint.offset = tuple((scale * above @ np.array(joint.offset)).tolist())  # type: ignore[assignment]
        places = joint.channels[:-3]
        if places:
            bvh.values[:, column : column + 3] = (
                scale * bvh.values[:, column : column + 3] @ above.T
            )
            column += 3
        if joint.channels:
            angles = bvh.values[:, column : column + 3]
            matrices = Rotation.from_euler("ZXY", angles, degrees=True).as_matrix()
            matrices = above @ matrices @ frames[index] @ turn.T
            angles[:] = Rotation.from_matrix(matrices).as_euler(dialect.order, degrees=True)
            joint.channels = (*places, *(f"{axis}rotation" for axis in dialect.order))
            column += 3
    bvh.frame_time = 1.0 / dialect.fps
    write_bvh_text(bvh, path)
    return body.joints()


def _along_first_child(bvh: Bvh, index: int) -> np.ndarray:
    """Rotation of x to the first bone below a joint."""
    bones = [np.array(joint.offset) for joint in bvh.joints if joint.parent == index]
    bone = next((bone for bone in bones if np.linalg.norm(bone) > 1e-6), np.array([1.0, 0, 0]))
    return Rotation.align_vectors(bone[None], [[1.0, 0.0, 0.0]])[0].as_matrix()


def _apart(clip: MotionClip, joints: np.ndarray, rig: str) -> float:
    """Largest distance of a joint that the rig has, but for the height of the floor [m]."""
    names = [name for name in joints_of(RIGS[rig]) if not name.startswith("spine")]
    index = [JOINT_INDEX[name] for name in names]
    apart = (clip.joints - joints)[:, index]
    apart[..., 2] -= np.median(apart[..., 2])
    return float(np.linalg.norm(apart, axis=-1).max())


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_read_upright_facing_x_in_metres_at_its_rate(
    name: str, tmp_path: Path
) -> None:
    dialect = DIALECTS[name]
    joints = _write(dialect, tmp_path / "a.bvh")
    clip = read_bvh(tmp_path / "a.bvh", ReadOptions(keep_rate=True))
    assert clip.fps == pytest.approx(dialect.fps, rel=1e-3)
    assert _apart(clip, joints, dialect.rig) < 0.01
    assert read_bvh(tmp_path / "a.bvh").fps == 20.0


def test_a_file_that_went_through_blender_says_what_was_put_right(tmp_path: Path) -> None:
    _write(DIALECTS["Blender, armature turned"], tmp_path / "a.bvh")
    notes = "; ".join(map(str, read_bvh(tmp_path / "a.bvh").notes))
    assert "turned by 53 degrees: the rest pose now faces x" in notes  # -90 + 37 about z
    assert "24 frames per second as the file states" in notes
    assert "unit taken as m" in notes


def _six_everywhere(bvh: Bvh, order: str) -> str:
    """The file with 6 channels at every joint and OFFSETs of six numbers, as one SOMA variant."""
    lines = [f"CHANNELS 6 {' '.join(f'{axis}position' for axis in 'XYZ')} "]
    lines[0] += " ".join(f"{axis}rotation" for axis in order)
    values, column = [], 0
    for joint in bvh.joints:
        if not joint.channels:
            continue
        own = bvh.values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        place = own[:, :-3] if len(joint.channels) == 6 else np.tile(joint.offset, (len(own), 1))
        values += [place, own[:, -3:]]
        joint.channels = (*(f"{axis}position" for axis in "XYZ"), *joint.channels[-3:])
    bvh.values = np.concatenate(values, axis=1)
    return lines[0]


def test_a_variant_with_six_channels_and_offsets_of_six_numbers_is_the_same_motion(
    tmp_path: Path,
) -> None:
    dialect = DIALECTS["SOMA, BONES-SEED"]
    joints = _write(dialect, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    channels = _six_everywhere(bvh, dialect.order)
    write_bvh_text(bvh, tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text()
    assert channels in text
    lines = [
        f"{line} 0.000000 0.000000 0.000000" if "OFFSET" in line else line
        for line in text.splitlines()
    ]
    (tmp_path / "a.bvh").write_text("\n".join(lines) + "\n")
    clip = read_bvh(tmp_path / "a.bvh", ReadOptions(keep_rate=True))
    assert _apart(clip, joints, dialect.rig) < 0.01


def test_soma_s_left_leg_is_the_hip_and_mixamo_s_the_knee(tmp_path: Path) -> None:
    for name in ("SOMA, BONES-SEED", "Mixamo"):
        _write(DIALECTS[name], tmp_path / "a.bvh")
        clip = read_bvh(tmp_path / "a.bvh")
        knee, hip = (
            clip.joints[0, JOINT_INDEX["left_knee"]],
            clip.joints[0, JOINT_INDEX["left_hip"]],
        )
        assert np.linalg.norm(knee - hip) == pytest.approx(0.40, abs=0.01)
        assert np.linalg.norm(hip - clip.joints[0, 0]) < 0.15


def test_a_written_bvh_is_read_back_at_its_own_rate(tmp_path: Path) -> None:
    clip = MotionClip(moving_body(1).joints(), 60.0)
    write_bvh(clip, tmp_path / "a.bvh")
    back = read_bvh(tmp_path / "a.bvh", ReadOptions(keep_rate=True))
    assert back.fps == pytest.approx(60.0, rel=1e-5)
    assert float(np.linalg.norm(back.joints - clip.joints, axis=-1).max()) < 0.01


def test_a_failed_write_leaves_the_old_bvh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = MotionClip(moving_body(1).joints())
    write_bvh(clip, tmp_path / "a.bvh")
    before = (tmp_path / "a.bvh").read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(MotionFileError, match="No space left"):
        write_bvh(clip, tmp_path / "a.bvh")
    assert (tmp_path / "a.bvh").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.bvh"]
