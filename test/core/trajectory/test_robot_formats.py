"""Files of robot motion: round trips, and the traps in which their dialects differ."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.robot_motions import swinging_talos, turned, waving_g1
from nextscale_core.conversion import FORMATS, read_any
from nextscale_core.exceptions import MotionFileError, NextscaleError, RobotError
from nextscale_core.motion.formats.registry import find_format
from nextscale_core.robots import Robot, load_robot
from nextscale_core.trajectory.formats.bodies import bodies, body_names
from nextscale_core.trajectory.formats.evidence import shown_order
from nextscale_core.trajectory.formats.files import ROBOT_FORMATS
from nextscale_core.trajectory.formats.orders import G1_JOINTS, commanded, joint_tree
from nextscale_core.trajectory.formats.restricted_pickle import read_plain
from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions

NAMES = [one.name for one in ROBOT_FORMATS]
ANY_ROBOT = [one.name for one in ROBOT_FORMATS if not one.robot]
AT_50 = RobotReadOptions(fps=50.0)


@pytest.fixture(scope="module")
def waving() -> RobotMotion:
    return turned(waving_g1(), 0.7)


@pytest.fixture(scope="module")
def talos_bow() -> RobotMotion:
    return swinging_talos()


def write(motion: RobotMotion, name: str, folder: Path) -> Path:
    made = find_format(name, FORMATS)
    path = folder / f"{name}{made.suffix}"
    assert made.write is not None
    made.write(motion, path)
    return path


def read(path: Path, options: RobotReadOptions = AT_50, name: str | None = None) -> RobotMotion:
    source = None if name is None else find_format(name, FORMATS)
    motion = read_any(path, source, robot=options).motion
    assert isinstance(motion, RobotMotion)
    return motion


def same(one: RobotMotion, other: RobotMotion, tolerance: float = 1e-6) -> None:
    a, b = one.trajectory, other.trajectory
    assert a.joint_names == b.joint_names
    assert a.fps == b.fps
    assert np.allclose(a.positions, b.positions, atol=tolerance)
    assert np.allclose(a.base_position, b.base_position, atol=tolerance)
    turns = np.abs((a.base_quaternion * b.base_quaternion).sum(axis=1))
    assert np.allclose(turns, 1.0, atol=tolerance)


# -- round trips


@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_recognised_and_gives_back_what_was_written(
    waving: RobotMotion, tmp_path: Path, name: str
) -> None:
    path = write(waving, name, tmp_path)
    found = read_any(path, robot=AT_50)
    assert found.format.name == name
    assert isinstance(found.motion, RobotMotion)
    same(waving, found.motion)


def test_a_motion_survives_all_formats_one_after_the_other(
    waving: RobotMotion, tmp_path: Path
) -> None:
    motion = waving
    for name in NAMES:
        motion = read(write(motion, name, tmp_path))
    same(waving, motion, 1e-5)


@pytest.mark.parametrize("name", ANY_ROBOT)
def test_formats_for_any_robot_keep_the_joints_of_a_talos_apart(
    talos_bow: RobotMotion, tmp_path: Path, name: str
) -> None:
    # Pinocchio's order differs from the file's, which MuJoCo keeps.
    assert commanded(talos_bow.robot) != talos_bow.robot.joint_names
    options = RobotReadOptions(robot=talos_bow.robot)
    same(talos_bow, read(write(talos_bow, name, tmp_path), options))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ANY_ROBOT])
def test_formats_of_the_g1_refuse_other_robots_and_name_those_for_any(
    talos_bow: RobotMotion, tmp_path: Path, name: str
) -> None:
    with pytest.raises(RobotError, match=r"29 joints of a Unitree G1, not talos.*mujoco-npz"):
        write(talos_bow, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- orders


def test_isaac_labs_order_is_the_one_that_gr00t_publishes() -> None:
    to_mujoco = [0, 3, 6, 9, 13, 17, 1, 4, 7, 10, 14, 18, 2, 5, 8]
    to_mujoco += [11, 15, 19, 21, 23, 25, 27, 12, 16, 20, 22, 24, 26, 28]
    tree = joint_tree(load_robot("g1"))
    assert tree.joints == G1_JOINTS
    breadth = tree.breadth_first()
    assert [breadth[row] for row in to_mujoco] == list(range(29))


def test_npz_with_the_same_names_are_told_apart_by_their_bodies(
    waving: RobotMotion, tmp_path: Path
) -> None:
    mjlab, beyond = (write(waving, name, tmp_path) for name in ("mjlab-npz", "beyondmimic-npz"))
    assert {*np.load(mjlab)} == {*np.load(beyond)}
    assert all(np.load(mjlab)[key].shape == np.load(beyond)[key].shape for key in np.load(mjlab))
    with pytest.raises(MotionFileError, match=r"bodies are .* m from where the joints put them"):
        read(mjlab, name="beyondmimic-npz")
    with pytest.raises(MotionFileError, match=r"bodies are .* m from where the joints put them"):
        read(beyond, name="mjlab-npz")


def test_an_npz_with_the_root_alone_asks_for_its_format(
    waving: RobotMotion, tmp_path: Path
) -> None:
    path = write(waving, "beyondmimic-npz", tmp_path)
    arrays = dict(np.load(path))
    np.savez(path, **{k: v[:, :1] if k.startswith("body") else v for k, v in arrays.items()})
    with pytest.raises(MotionFileError, match=r"mjlab-npz .* and beyondmimic-npz .* give --from"):
        read(path)
    same(waving, read(path, name="beyondmimic-npz"))


def test_an_npz_whose_joints_contradict_its_bodies_is_refused(
    waving: RobotMotion, tmp_path: Path
) -> None:
    path = write(waving, "mjlab-npz", tmp_path)
    arrays = dict(np.load(path))
    arrays["joint_pos"] = np.load(write(waving, "beyondmimic-npz", tmp_path))["joint_pos"]
    np.savez(path, **arrays)
    with pytest.raises(MotionFileError, match=r"mjlab-npz: .*beyondmimic-npz: "):
        read(path)


# -- quaternions


@pytest.mark.parametrize("heading", [0.0, 1.5, 3.1])
@pytest.mark.parametrize("name", ["lafan1-csv", "kimodo-csv"])
def test_the_feet_decide_the_order_of_a_csv_in_any_heading(
    waving: RobotMotion, tmp_path: Path, name: str, heading: float
) -> None:
    motion = turned(bowing(waving), heading - 0.7)
    path = write(motion, name, tmp_path)
    assert read_any(path).format.name == name
    other = "kimodo-csv" if name == "lafan1-csv" else "lafan1-csv"
    with pytest.raises(MotionFileError, match="the feet do not stand on the floor"):
        read(path, name=other)


def bowing(motion: RobotMotion) -> RobotMotion:
    """The motion with the whole robot leaning: its feet are level only in the right order."""
    trajectory = motion.trajectory
    lean = Rotation.from_euler("y", 0.12)
    base = (Rotation.from_quat(trajectory.base_quaternion) * lean).as_quat()
    positions = trajectory.positions.copy()
    for side in ("left", "right"):
        positions[:, trajectory.joint_names.index(f"{side}_hip_pitch_joint")] -= 0.12
    return replace(
        motion, trajectory=replace(trajectory, base_quaternion=base, positions=positions)
    )


def test_a_robot_that_stands_still_and_level_asks_for_the_order(g1: Robot, tmp_path: Path) -> None:
    row = np.concatenate([[0.0, 0.0, 0.79], [0.0, 0.0, 0.0, 1.0], np.zeros(29)])
    path = tmp_path / "still.csv"
    np.savetxt(path, np.tile(row, (30, 1)), delimiter=",")
    with pytest.raises(MotionFileError, match=r"lafan1-csv .* and kimodo-csv .*--quaternion"):
        read(path)
    known = read(path, RobotReadOptions(quaternion="xyzw"))
    assert np.allclose(known.trajectory.base_quaternion, [0.0, 0.0, 0.0, 1.0])
    other = read(path, RobotReadOptions(quaternion="wxyz"))
    assert np.allclose(np.abs(other.trajectory.base_quaternion), [0.0, 0.0, 1.0, 0.0])


def test_gmrs_xsens_files_are_read_by_what_the_feet_show(
    waving: RobotMotion, tmp_path: Path
) -> None:
    path = write(waving, "gmr-pkl", tmp_path)
    content = pickle.loads(path.read_bytes())
    content["root_rot"] = content["root_rot"][:, [3, 0, 1, 2]]
    path.write_bytes(pickle.dumps(content))
    motion = read(path)
    same(waving, motion)
    assert any("wxyz, not xyzw as usual" in note for note in motion.notes)


def test_holomotion_files_hold_x_y_z_w_and_mjlab_files_w_x_y_z(
    waving: RobotMotion, tmp_path: Path
) -> None:
    root = waving.trajectory.base_quaternion
    holomotion = np.load(write(waving, "holomotion-npz", tmp_path))["ref_global_rotation_quat"]
    mjlab = np.load(write(waving, "mjlab-npz", tmp_path))["body_quat_w"]
    assert np.allclose(np.abs((holomotion[:, 0] * root).sum(1)), 1.0, atol=1e-5)
    assert np.allclose(np.abs((mjlab[:, 0] * root[:, [3, 0, 1, 2]]).sum(1)), 1.0, atol=1e-5)


def test_omniretarget_has_the_quaternion_before_the_place(
    waving: RobotMotion, tmp_path: Path
) -> None:
    path = write(waving, "mujoco-npz", tmp_path)
    qpos = np.load(path)["qpos"]
    box = np.zeros((len(qpos), 7))
    np.savez(path, qpos=np.concatenate([qpos[:, 3:7], qpos[:, :3], qpos[:, 7:], box], axis=1))
    motion = read(path)
    same(waving, motion)
    assert any("before the place" in note for note in motion.notes)
    assert any("object" in note for note in motion.notes)


@pytest.mark.parametrize("order", ["xyzw", "wxyz"])
def test_the_motion_shows_one_order_however_it_is_read_first(
    waving: RobotMotion, order: str
) -> None:
    swap = {"xyzw": [0, 1, 2, 3], "wxyz": [1, 2, 3, 0]}[order]
    trajectory = waving.trajectory
    read_as = replace(trajectory, base_quaternion=trajectory.base_quaternion[:, swap])
    assert shown_order(replace(waving, trajectory=read_as), order) == "xyzw"  # type: ignore[arg-type]


# -- units and rates


def test_bones_files_are_in_centimetres_and_degrees(waving: RobotMotion, tmp_path: Path) -> None:
    path = write(waving, "bones-csv", tmp_path)
    header = path.read_text().split("\n", 1)[0].split(",")
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    knee = rows[:, header.index("left_knee_joint_dof")]
    own = waving.trajectory.positions[:, waving.robot.joint_names.index("left_knee_joint")]
    assert np.allclose(np.radians(knee), own, atol=1e-6)
    assert np.allclose(rows[:, header.index("root_translateZ")] / 100,
                       waving.trajectory.base_position[:, 2], atol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("factor", "columns", "message"),
    [(57.3, slice(7, 36), "degrees"), (100.0, slice(0, 3), "centimetres")],
)
def test_a_csv_in_other_units_is_refused(
    waving: RobotMotion, tmp_path: Path, factor: float, columns: slice, message: str
) -> None:
    path = write(waving, "lafan1-csv", tmp_path)
    rows = np.loadtxt(path, delimiter=",")
    rows[:, columns] *= factor
    np.savetxt(path, rows, delimiter=",")
    with pytest.raises(MotionFileError, match=message):
        read(path, name="lafan1-csv")


@pytest.mark.parametrize(
    ("name", "usual"), [("lafan1-csv", 30.0), ("bones-csv", 120.0), ("sonic", 50.0)]
)
def test_a_file_without_a_rate_has_the_formats_rate_and_says_so(
    waving: RobotMotion, tmp_path: Path, name: str, usual: float
) -> None:
    path = write(waving, name, tmp_path)
    motion = read(path, RobotReadOptions())
    assert motion.trajectory.fps == usual
    assert any("assumed" in note for note in motion.notes)
    assert read(path, RobotReadOptions(fps=25.0)).trajectory.fps == 25.0


def test_another_rate_is_the_same_motion_in_time(waving: RobotMotion) -> None:
    other = waving.at_rate(30.0)
    assert other.trajectory.seconds >= waving.trajectory.seconds
    back = other.at_rate(50.0).trajectory.positions[: len(waving.trajectory)]
    assert np.abs(back - waving.trajectory.positions).max() < 0.02
    assert np.allclose(other.trajectory.velocities[-1], 0.0)


# -- bodies


def test_the_velocities_of_bodies_are_the_derivatives_of_their_places(
    talos_bow: RobotMotion,
) -> None:
    fine = talos_bow.at_rate(600.0)
    at, fps = fine.samples()
    states = bodies(fine.robot, at)
    middle = slice(2, -30)
    speed = np.gradient(states.positions, 1.0 / fps, axis=0)
    assert np.allclose(speed[middle], states.linear[middle], atol=2e-3)
    turns = Rotation.from_quat(states.quaternions.reshape(-1, 4))
    turns = turns.as_matrix().reshape(*states.quaternions.shape[:2], 3, 3)
    step = turns[2:] @ np.swapaxes(turns[:-2], -1, -2) * fps / 2
    rate = np.stack([step[..., 2, 1], step[..., 0, 2], step[..., 1, 0]], axis=-1)
    rate -= np.stack([step[..., 1, 2], step[..., 2, 0], step[..., 0, 1]], axis=-1)
    assert np.allclose(rate[middle] / 2, states.angular[1:-1][middle], atol=2e-3)
    assert np.abs(states.centre_linear - states.linear).max() > 0.01


def test_holosoma_files_name_their_joints_and_bodies_world_first(
    waving: RobotMotion, tmp_path: Path
) -> None:
    arrays = np.load(write(waving, "holosoma-npz", tmp_path))
    assert [*arrays["body_names"]] == ["world", *body_names(waving.robot)]
    assert not arrays["body_pos_w"][:, 0].any()
    assert arrays["joint_pos"].shape[1] == 7 + len(arrays["joint_names"])
    order = [*range(7), *(7 + np.random.default_rng(0).permutation(29))]
    shuffled = dict(arrays)
    shuffled["joint_pos"] = arrays["joint_pos"][:, order]
    shuffled["joint_names"] = arrays["joint_names"][np.array(order[7:]) - 7]
    del shuffled["joint_vel"]
    path = tmp_path / "shuffled.npz"
    np.savez(path, **shuffled)
    same(waving, read(path))


# -- pickles


class _Innocent:
    """Not among the admitted names."""


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"fps": Fraction(30)}, "fractions.Fraction"),
        ({"root_pos": np.array([Fraction(1)], dtype=object)}, "arrays of"),
        ({"root_pos": _Innocent}, "_Innocent"),
        ({"root_pos": np.datetime64("2020-01-01")}, "arrays of"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 3, 5])
def test_a_pickle_that_names_anything_but_plain_arrays_is_refused(
    tmp_path: Path, content: dict[str, Any], name: str, protocol: int
) -> None:
    path = tmp_path / "motion.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(MotionFileError, match="plain values and arrays"):
        read_plain(path)


def test_a_pickle_of_code_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr("builtins.print", called.append)
    path = tmp_path / "motion.pkl"
    path.write_bytes(b"cbuiltins\nprint\n(S'ran'\ntR.")
    with pytest.raises(MotionFileError, match=r"asks for builtins\.print.* could run code"):
        read_plain(path)
    assert called == []


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_values_are_read_from_every_pickle_protocol(
    tmp_path: Path, protocol: int
) -> None:
    content = {
        "fps": np.float64(30.0),
        "root_pos": np.arange(6.0).reshape(2, 3),
        "turned": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "names": ["a", "b"],
        "none": None,
    }
    path = tmp_path / "motion.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_plain(path)
    assert found["fps"] == 30.0
    assert found["names"] == ["a", "b"]
    assert found["none"] is None
    for name in ("root_pos", "turned", "big"):
        assert np.array_equal(found[name], content[name])  # type: ignore[arg-type]


def test_gmr_pickles_name_no_module_that_older_numpy_lacks(
    waving: RobotMotion, tmp_path: Path
) -> None:
    data = write(waving, "gmr-pkl", tmp_path).read_bytes()
    assert b"numpy._core" not in data
    content = pickle.loads(data)
    assert {"fps", "root_pos", "root_rot", "dof_pos"} < {*content}


# -- bad files


def test_a_malformed_line_of_a_csv_is_named(waving: RobotMotion, tmp_path: Path) -> None:
    path = write(waving, "lafan1-csv", tmp_path)
    lines = path.read_text().splitlines()
    for bad, message in (("1,2", "line 3 has 2 columns, not 36"), ("x" + lines[2][1:], "line 3: ")):
        path.write_text("\n".join([*lines[:2], bad, *lines[3:]]))
        with pytest.raises(MotionFileError, match=message):
            read(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("joint_pos", lambda a: a * np.nan, "joint positions holds NaN or infinity in frame 0"),
        ("body_quat_w", lambda a: a * 2, "quaternion in frame 0 has length 2"),
        ("fps", lambda a: a * 0, "rate must be within"),
        ("body_pos_w", lambda a: a[:1], "'body_pos_w' must have shape"),
        ("joint_pos", lambda a: a[:, :20], "'joint_pos' must have 29 columns"),
    ],
)
def test_what_is_wrong_with_an_npz_is_named(
    waving: RobotMotion,
    tmp_path: Path,
    key: str,
    change: Callable[[np.ndarray], np.ndarray],
    message: str,
) -> None:
    path = write(waving, "mjlab-npz", tmp_path)
    arrays = dict(np.load(path))
    arrays[key] = change(arrays[key])
    np.savez(path, **arrays)
    with pytest.raises(MotionFileError, match=message):
        read(path, RobotReadOptions(), "mjlab-npz")


@pytest.mark.parametrize("name", ["lafan1-csv", "mjlab-npz", "gmr-pkl"])
def test_a_write_that_fails_leaves_nothing_and_keeps_the_old_file(
    waving: RobotMotion, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(waving, name, tmp_path)
    before = path.read_bytes()

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(MotionFileError, match="cannot write"):
        write(waving, name, tmp_path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_folder_is_written_whole_and_never_over_another(
    waving: RobotMotion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", full)
        with pytest.raises(MotionFileError, match="No space left"):
            write(waving, "sonic", tmp_path)
    assert list(tmp_path.iterdir()) == []
    path = write(waving, "sonic", tmp_path)
    with pytest.raises(MotionFileError, match="exists already"):
        write(waving, "sonic", tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_short_anywhere_raises_a_typed_error(
    waving: RobotMotion, tmp_path: Path, name: str
) -> None:
    path = write(waving, name, tmp_path)
    file = path / "joint_pos.csv" if path.is_dir() else path
    data = file.read_bytes()
    for share in (0.0, 0.02, 0.5, 0.97):
        file.write_bytes(data[: int(share * len(data))])
        try:
            read(path)
        except NextscaleError as error:
            assert str(error)
        else:
            assert file.suffix == ".csv"  # whole lines are a shorter motion
