"""`nextscale convert` between formats of human motion."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.motion.rig_files import moving_body
from nextscale_core.cli import app as cli
from nextscale_core.cli.outputs import check_outputs
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_motion, write_motion
from nextscale_core.motion.formats.files import HUMAN_FORMATS


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("take") / "take.bvh"
    write_motion(MotionClip(moving_body(2).joints(), 60.0), path)
    return path


@pytest.mark.parametrize("name", ["human-npz", "bvh", "glb", "smpl-npz"])
def test_a_human_motion_keeps_its_rate_from_format_to_format(
    name: str, take: Path, tmp_path: Path
) -> None:
    (written,) = [one for one in HUMAN_FORMATS if one.name == name]
    out = tmp_path / f"out{written.suffix}"
    result = run("convert", take, out, "--to", name)
    assert result.exit_code == 0, result.output
    back = read_motion(out, ReadOptions(keep_rate=True))
    assert back.fps == pytest.approx(60.0, rel=1e-4)
    assert len(back) == 40
    apart = back.joints - read_motion(take, ReadOptions(keep_rate=True)).joints
    apart -= apart[:, :1]  # smpl-npz: the path is that of other legs
    assert float(np.linalg.norm(apart, axis=-1).max()) < (0.06 if name == "smpl-npz" else 0.01)


def test_what_the_reader_assumed_is_reported(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", posed_joints=moving_body().joints()[..., [1, 2, 0]])
    result = run("convert", tmp_path / "a.npz", tmp_path / "a.glb")
    assert result.exit_code == 0, result.output
    assert "kimodo-npz" in result.output
    assert "30 frames per second assumed" in result.output


def test_a_file_that_cannot_be_read_leaves_no_output(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(b"glTF" + bytes(20))
    result = run("convert", tmp_path / "a.glb", tmp_path / "b.bvh")
    assert result.exit_code != 0
    assert "a.glb" in result.output
    assert not (tmp_path / "b.bvh").exists()


def test_a_missing_extra_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MotionFileError, match=r"nextscale\[usd\]"):
        check_outputs([tmp_path / "a.usd"], robot=False, inputs=())
    assert check_outputs([tmp_path / "a.glb"], robot=False, inputs=())
    with pytest.raises(MotionFileError, match=r"a \.glb file holds human motion"):
        check_outputs([tmp_path / "a.glb"], robot=True, inputs=())
