"""Motion files: npz, npy, and the door that picks the format by suffix."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.motion.rig_files import moving_body
from nextscale_core.conversion import read_any
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_motion, write_motion


@pytest.fixture
def clip() -> MotionClip:
    generator = np.random.default_rng(1)
    return MotionClip(
        joints=moving_body(1, frames=7).joints(),
        text="a person hops",
        contacts=generator.random((7, 4)) > 0.5,
        seed=5,
    )


def test_a_clip_comes_back_from_npz_as_it_was(clip: MotionClip, tmp_path: Path) -> None:
    write_motion(clip, tmp_path / "a.npz")
    back = read_motion(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.joints, clip.joints)
    np.testing.assert_array_equal(back.contacts, clip.contacts)
    assert (back.fps, back.text, back.seed) == (20.0, "a person hops", 5)


def test_recorded_motion_has_no_seed_and_unknown_contacts_stay_unknown(tmp_path: Path) -> None:
    write_motion(MotionClip(moving_body().joints()), tmp_path / "a.npz")
    back = read_motion(tmp_path / "a.npz")
    assert back.seed is None
    assert back.contacts is None


def test_an_unknown_suffix_is_refused_with_the_known_ones(clip: MotionClip, tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match=r"\.bvh, \.glb, \.gltf, \.npy, \.npz, \.usd"):
        read_motion(tmp_path / "a.fbx")
    with pytest.raises(MotionFileError, match=r"\.bvh, \.glb, \.npz, \.usd"):
        write_motion(clip, tmp_path / "a.fbx")


@pytest.mark.parametrize(
    ("name", "way"),
    [("a.fbx", "export glTF"), ("a.C3D", "solve them to a skeleton"), ("a.mvnx", "export BVH")],
)
@pytest.mark.parametrize("read", [read_motion, read_any])
def test_what_to_do_with_a_file_of_another_tool_is_said(
    read: Callable[[Path], object], name: str, way: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"Kaydara FBX Binary")
    with pytest.raises(MotionFileError, match=way):
        read(tmp_path / name)


def test_an_npy_with_objects_is_refused_with_what_would_be_right(tmp_path: Path) -> None:
    result = np.array({"motion": np.zeros((1, 22, 3, 40))}, dtype=object)
    np.save(tmp_path / "results.npy", result, allow_pickle=True)
    with pytest.raises(MotionFileError, match=r"Python objects.*of one motion with numpy.save"):
        read_motion(tmp_path / "results.npy")


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    for suffix in (".npz", ".npy", ".bvh", ".glb"):
        with pytest.raises(MotionFileError, match=f"nowhere{suffix}"):
            read_motion(tmp_path / f"nowhere{suffix}")


def test_writing_into_a_missing_folder_is_a_clear_error(clip: MotionClip, tmp_path: Path) -> None:
    for suffix in (".npz", ".bvh", ".glb"):
        with pytest.raises(MotionFileError, match="cannot write"):
            write_motion(clip, tmp_path / "nowhere" / f"a{suffix}")


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    clip: MotionClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    write_motion(clip, path)
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(MotionFileError, match="No space left"):
        write_motion(clip, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fps": 20.0}, "'joints'"),
        ({"joints": np.zeros((2, 22, 3))}, "'fps'"),
        ({"joints": np.zeros((2, 21, 3)), "fps": 20.0}, r"\(2, 21, 3\)"),
        ({"joints": np.zeros((0, 22, 3)), "fps": 20.0}, r"\(0, 22, 3\)"),
        ({"joints": np.full((2, 22, 3), np.nan), "fps": 20.0}, "NaN"),
        ({"joints": np.full((2, 22, 3), "x"), "fps": 20.0}, "'joints' must hold numbers"),
        ({"joints": np.zeros((2, 22, 3)), "fps": -1.0}, "fps"),
        ({"joints": np.zeros((2, 22, 3)), "fps": [20.0, 30.0]}, "fps"),
        ({"joints": np.zeros((2, 22, 3)), "fps": 20.0, "seed": 0.1 + np.inf}, "seed"),
        ({"joints": np.zeros((2, 22, 3)), "fps": 20.0, "text": 3}, "text"),
        ({"joints": np.zeros((2, 22, 3)), "fps": 20.0, "contacts": np.zeros((3, 4))}, "contacts"),
        ({"joints": np.zeros((2, 22, 3)), "fps": 20.0, "contacts": "yes"}, "contacts"),
    ],
)
def test_wrong_arrays_are_named(arrays: dict[str, object], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(MotionFileError, match=message):
        read_motion(tmp_path / "a.npz")


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.array([object()]), fps=20.0)
    with pytest.raises(MotionFileError, match="not a whole npz"):
        read_motion(tmp_path / "a.npz")


def test_a_file_that_unpacks_to_terabytes_is_refused_at_once(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00\x76\x00"
    header += b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 22, 3)}"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("joints.npy", header.ljust(127) + b"\n")
        archive.writestr("fps.npy", header.ljust(127) + b"\n")
    with pytest.raises(MotionFileError):
        read_motion(tmp_path / "a.npz")


def test_joints_without_a_rate_are_read_with_a_given_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=moving_body().joints())
    with pytest.raises(MotionFileError, match="--fps"):
        read_motion(tmp_path / "a.npz")
    assert read_motion(tmp_path / "a.npz", ReadOptions(fps=30.0)).fps == 30.0


def test_kimodo_s_joints_are_read_with_y_up_and_30_frames_per_second(tmp_path: Path) -> None:
    joints = moving_body().joints()
    contacts = np.arange(len(joints) * 4).reshape(-1, 4) % 3 == 0
    np.savez(
        tmp_path / "a.npz",
        posed_joints=joints[..., [1, 2, 0]],
        root_positions=joints[:, 0],
        foot_contacts=contacts.astype(float),
    )
    clip = read_motion(tmp_path / "a.npz")
    np.testing.assert_array_equal(clip.contacts, contacts)
    np.testing.assert_allclose(clip.joints, joints, atol=1e-5)
    assert clip.fps == 30.0
    assert "30 frames per second assumed" in str(clip.notes[0])
    assert read_motion(tmp_path / "a.npz", ReadOptions(fps=25.0)).fps == 25.0


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("count", [24, 52, 55])
def test_of_smpl_s_joints_the_first_22_are_taken(count: int, suffix: str, tmp_path: Path) -> None:
    joints = moving_body().joints()
    hands = np.repeat(joints[:, -1:], count - 22, axis=1)
    _save(tmp_path / f"a{suffix}", np.concatenate([joints, hands], axis=1))
    clip = read_motion(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(clip.joints, joints, atol=1e-5)
    assert f"the first 22 of {count} joints taken" in map(str, clip.notes)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_batch_of_one_is_that_one(suffix: str, tmp_path: Path) -> None:
    joints = moving_body().joints()
    _save(tmp_path / f"a{suffix}", joints[None])
    np.testing.assert_allclose(read_motion(tmp_path / f"a{suffix}").joints, joints, atol=1e-5)


def _save(path: Path, joints: np.ndarray) -> None:
    """Positions as npz (z up) or npy (y up)."""
    if path.suffix == ".npz":
        np.savez(path, joints=joints, fps=20.0)
    else:
        np.save(path, joints[..., [1, 2, 0]])


@pytest.mark.parametrize(
    ("arrays", "answer"),
    [
        ({"poses": np.zeros((9, 156)), "fps": 20.0}, "no array 'trans'"),
        ({"qpos": np.zeros((9, 36)), "fps": 30.0}, "a robot's motion"),
        ({"positions": np.zeros((9, 22, 3))}, r"'joints' \(right is \(T, 22, 3\)"),
        ({"joints": np.zeros((3, 9, 22, 3)), "fps": 20.0}, "a batch of 3 motions"),
        ({"joints": np.zeros((9, 77, 3)), "fps": 20.0}, "SOMA"),
        ({"joints": np.zeros((9, 21, 3)), "fps": 20.0}, "KIT-ML"),
        ({"joints": np.zeros((22, 3, 9)), "fps": 20.0}, "transpose"),
        ({"joints": np.zeros((9, 66)), "fps": 20.0}, "pose parameters"),
    ],
)
def test_other_arrays_are_answered_with_what_would_be_right(
    arrays: dict[str, object], answer: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(MotionFileError, match=answer):
        read_motion(tmp_path / "a.npz")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_cut_or_damaged_npz_is_refused_or_harmless(
    data: st.DataObject, clip: MotionClip, tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    write_motion(clip, path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        back = read_motion(path)
    except MotionFileError as error:
        assert "a.npz" in str(error)
    else:
        assert back.joints.shape[1:] == (22, 3)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 21, 3)), np.zeros((3, 262)), np.zeros(3), np.full((3, 22, 3), np.inf)]
)
def test_an_npy_that_is_not_humanml3d_is_refused(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(MotionFileError, match=r"a\.npy"):
        read_motion(tmp_path / "a.npy")


def test_humanml3d_joints_are_turned_z_up(tmp_path: Path) -> None:
    joints = moving_body().joints()
    np.save(tmp_path / "a.npy", joints[..., [1, 2, 0]])  # left, up, forward
    np.testing.assert_allclose(read_motion(tmp_path / "a.npy").joints, joints, atol=1e-5)
