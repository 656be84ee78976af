from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from core.human_clips import leaning_clip
from nextscale_core.cli.app import app
from nextscale_core.motion import write_motion
from nextscale_core.robots.trajectory import read_trajectory


def test_the_option_balance_makes_a_leaning_motion_balanced(tmp_path: Path) -> None:
    write_motion(leaning_clip(), tmp_path / "lean.npz")
    positions = []
    for options, verdict in (([], "needs a tracker"), (["--balance"], "balanced")):
        out = tmp_path / f"{len(options)}.npz"
        arguments = ["retarget", str(tmp_path / "lean.npz"), "--out", str(out), *options]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert f"feasibility: {verdict}: the feet lack" in result.output
        positions.append(read_trajectory(out).positions[-1])
    assert np.abs(positions[0] - positions[1]).max() > 0.02
