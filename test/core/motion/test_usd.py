"""UsdSkel files, where usd-core is installed; without it, a clear error."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from core.motion.rig_files import moving_body
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_motion, write_motion

_KEEP = ReadOptions(keep_rate=True)
_needs_usd = pytest.mark.skipif(
    importlib.util.find_spec("pxr") is None, reason="usd-core, the extra 'usd', is not installed"
)


def test_without_the_library_the_extra_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pxr", None)
    clip = MotionClip(moving_body().joints())
    with pytest.raises(MotionFileError, match=r"nextscale\[usd\]"):
        write_motion(clip, tmp_path / "a.usd")
    with pytest.raises(MotionFileError, match=r"nextscale\[usd\]"):
        read_motion(tmp_path / "a.usd")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def clip() -> MotionClip:
    return MotionClip(moving_body(3, bend=0.8).joints(), 30.0, text="a person dances")


@pytest.fixture(scope="module")
def written(clip: MotionClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("usd") / "a.usda"
    write_motion(clip, path)
    return path


@_needs_usd
@pytest.mark.parametrize("suffix", [".usd", ".usda", ".usdc"])
def test_joints_come_back_at_their_own_rate(suffix: str, clip: MotionClip, tmp_path: Path) -> None:
    write_motion(clip, tmp_path / f"a{suffix}")
    back = read_motion(tmp_path / f"a{suffix}", _KEEP)
    assert back.fps == pytest.approx(30.0)
    assert len(back) == len(clip)
    assert float(np.linalg.norm(back.joints - clip.joints, axis=-1).max()) < 0.01
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@_needs_usd
def test_the_animation_has_scales_and_the_mesh_follows_it(written: Path, clip: MotionClip) -> None:
    from pxr import Usd, UsdGeom, UsdSkel

    stage = Usd.Stage.Open(str(written))
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/mannequin/skeleton/motion"))
    assert np.array(animation.GetScalesAttr().Get()).tolist() == [[1.0] * 3] * 22
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    root = UsdSkel.Root(stage.GetPrimAtPath("/mannequin"))
    cache = UsdSkel.Cache()
    cache.Populate(root, Usd.PrimDefaultPredicate)
    assert UsdSkel.BakeSkinning(root)
    points = np.array(
        UsdGeom.Mesh(stage.GetPrimAtPath("/mannequin/body")).GetPointsAttr().Get(20.0)
    )
    joints = clip.joints[20]
    apart = np.linalg.norm(points[:, None] - joints[None], axis=-1)
    assert float(apart.min(axis=1).max()) < 0.25
    assert float(apart.min(axis=0).max()) < 0.12


@_needs_usd
def test_an_animation_without_scales_is_refused_by_its_name(written: Path, tmp_path: Path) -> None:
    text = "\n".join(line for line in written.read_text().splitlines() if "scales" not in line)
    (tmp_path / "a.usda").write_text(text)
    with pytest.raises(MotionFileError, match="needs translations, rotations and scales"):
        read_motion(tmp_path / "a.usda")


@_needs_usd
def test_a_scene_with_y_up_in_centimetres_is_the_same_motion(
    written: Path, clip: MotionClip, tmp_path: Path
) -> None:
    from pxr import Gf, Usd, UsdGeom

    stage = Usd.Stage.Open(str(written))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    # z up and x forward become y up and z forward, a hundred times as large.
    turn = Gf.Matrix4d(0, 0, 100, 0, 100, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 1)
    UsdGeom.Xformable(stage.GetPrimAtPath("/mannequin")).AddTransformOp().Set(turn)
    stage.GetRootLayer().Export(str(tmp_path / "a.usda"))
    back = read_motion(tmp_path / "a.usda", _KEEP)
    assert float(np.linalg.norm(back.joints - clip.joints, axis=-1).max()) < 0.01


@_needs_usd
@pytest.mark.parametrize(
    "content", [b"", b"#usda 1.0\n", b"#usda 1.0\n\xf8\xca", b"PXR-USDC" + bytes(90), b"\0" * 9]
)
def test_a_file_without_an_animated_skeleton_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.usd").write_bytes(content)
    with pytest.raises(MotionFileError, match=r"a\.usd"):
        read_motion(tmp_path / "a.usd")


@_needs_usd
def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match=r"nowhere\.usd does not exist"):
        read_motion(tmp_path / "nowhere.usd")
