"""Pickles of motion libraries: files of joblib, one motion each, read without running them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.robot_motions import waving_g1
from nextscale_core.conversion import read_any
from nextscale_core.exceptions import MotionFileError
from nextscale_core.trajectory.formats.motion_library import read_motion_library
from nextscale_core.trajectory.formats.orders import G1_JOINTS
from nextscale_core.trajectory.formats.restricted_pickle import read_plain
from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions

joblib = pytest.importorskip("joblib")


@pytest.fixture(scope="module")
def waving() -> RobotMotion:
    return waving_g1()


def arrays_of(motion: RobotMotion, *, wrists: bool = True, order: str = "xyzw") -> dict[str, Any]:
    at = motion.trajectory
    names = [name for name in G1_JOINTS if wrists or "_wrist_" not in name]
    turn = at.base_quaternion[:, [3, 0, 1, 2]] if order == "wxyz" else at.base_quaternion
    return {
        "root_trans_offset": at.base_position.astype(np.float32),
        "root_rot": turn.astype(np.float32),
        "dof": at.positions[:, [at.joint_names.index(name) for name in names]].astype(np.float32),
        "pose_aa": np.zeros((len(at), 1 + len(names), 3), dtype=np.float32),
        "contact_mask": np.ones((len(at), 2)),
        "fps": 50,
    }


def read(path: Path, options: RobotReadOptions | None = None) -> RobotMotion:
    found = read_any(path, robot=options or RobotReadOptions())
    assert found.format.name == "motionlib-pkl"
    assert isinstance(found.motion, RobotMotion)
    return found.motion


@pytest.mark.parametrize("compress", [False, True, ("gzip", 3)])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_file_of_joblib_is_read_whatever_its_compression_and_protocol(
    waving: RobotMotion, tmp_path: Path, compress: object, protocol: int
) -> None:
    path = tmp_path / "a.pkl"
    joblib.dump({"wave": arrays_of(waving)}, path, compress=compress, protocol=protocol)
    back = read(path)
    np.testing.assert_allclose(back.trajectory.positions, waving.trajectory.positions, atol=1e-6)
    assert back.trajectory.fps == 50.0


def test_arrays_in_columns_first_order_keep_their_numbers(tmp_path: Path) -> None:
    table = np.arange(12.0).reshape(3, 4)
    joblib.dump({"a": np.asfortranarray(table), "b": table.astype(">f4").T}, tmp_path / "a.pkl")
    found = read_plain(tmp_path / "a.pkl")
    assert np.array_equal(found["a"], table)
    assert np.array_equal(found["b"], table.T)


def test_23_joints_are_those_without_wrists_which_stand_at_0(
    waving: RobotMotion, tmp_path: Path
) -> None:
    joblib.dump({"wave": arrays_of(waving, wrists=False)}, tmp_path / "a.pkl")
    back = read(tmp_path / "a.pkl")
    for column, name in enumerate(back.robot.joint_names):
        wanted = waving.trajectory.positions[:, column] if "_wrist_" not in name else 0.0
        np.testing.assert_allclose(back.trajectory.positions[:, column], wanted, atol=1e-6)
    assert any("wrists at 0" in note for note in back.notes)


def test_the_feet_show_that_a_quaternion_is_w_x_y_z(waving: RobotMotion, tmp_path: Path) -> None:
    turn = Rotation.from_euler("z", 0.7)
    base = waving.trajectory.base_quaternion
    arrays = arrays_of(waving)
    arrays["root_rot"] = (turn * Rotation.from_quat(base)).as_quat()[:, [3, 0, 1, 2]]
    joblib.dump({"wave": arrays}, tmp_path / "a.pkl")
    back = read(tmp_path / "a.pkl")
    heading = Rotation.from_quat(back.trajectory.base_quaternion[0]).as_euler("xyz")
    np.testing.assert_allclose(heading, [0.0, 0.0, 0.7], atol=1e-5)


def test_a_library_that_is_written_is_one_that_joblib_loads(
    waving: RobotMotion, tmp_path: Path
) -> None:
    from nextscale_core.trajectory.formats.motion_library import write_motion_library

    write_motion_library(waving, tmp_path / "wave.pkl")
    ((name, entry),) = joblib.load(tmp_path / "wave.pkl").items()
    assert name == "wave"
    assert entry["pose_aa"].shape == (len(waving.trajectory), 30, 3)
    # About the axis of a joint, a rotation vector is as long as the angle.
    np.testing.assert_allclose(
        np.linalg.norm(entry["pose_aa"][:, 1:], axis=-1), np.abs(entry["dof"]), atol=1e-6
    )
    # The first joint of the file, the pitch of the left hip, turns about y.
    np.testing.assert_allclose(entry["pose_aa"][:, 1, 1], entry["dof"][:, 0], atol=1e-6)


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("ran",)


@pytest.mark.parametrize("compress", [False, True])
def test_code_in_a_file_of_joblib_is_refused_and_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], compress: bool
) -> None:
    for content in ({"a": _Code()}, {"a": np.array([_Code()], dtype=object)}):
        joblib.dump(content, tmp_path / "a.pkl", compress=compress)
        with pytest.raises(MotionFileError, match="plain values and arrays"):
            read_plain(tmp_path / "a.pkl")
    assert capsys.readouterr().out == ""


def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextscale_core.trajectory.formats.restricted_pickle.MAX_BYTES", 100_000)
    joblib.dump({"a": np.zeros(100_000)}, tmp_path / "a.pkl", compress=True)
    assert (tmp_path / "a.pkl").stat().st_size < 100_000
    with pytest.raises(MotionFileError, match="unpacks to more than 100000 bytes"):
        read_plain(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dof": np.zeros((61, 24))}, "'dof' has 24 columns, g1 has 29 joints"),
        ({"root_rot": np.zeros((61, 3))}, "'root_rot' must have 4 columns"),
        ({"root_trans_offset": np.zeros(61)}, "'root_trans_offset' must be an array"),
        ({"fps": "fast"}, "'fps' must be a number"),
    ],
)
def test_what_is_wrong_with_a_motion_of_a_library_is_named(
    waving: RobotMotion, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"wave": {**arrays_of(waving), **change}}))
    with pytest.raises(MotionFileError, match=said):
        read_motion_library(path, RobotReadOptions())


def test_of_a_library_of_several_motions_the_names_are_listed(
    waving: RobotMotion, tmp_path: Path
) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({name: arrays_of(waving) for name in ("walk", "run")}))
    with pytest.raises(MotionFileError, match=r"holds 2 motions.*walk, run"):
        read(path)
