"""Reports and pictures of the laboratory are replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.full_disk import disk_full_after
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip
from nextscale_lab.evaluate import sheet
from nextscale_lab.files import write_json

CLIP = MotionClip(np.random.default_rng(0).normal(size=(2, 22, 3)))


def test_a_full_disk_leaves_the_old_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with disk_full_after(1), pytest.raises(MotionFileError, match="cannot write"):
        write_json(path, {"rate": 0.9})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_contact_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sheet.png"
    path.write_text("old")
    monkeypatch.setattr(
        sheet, "draw_human", lambda clip, own: Image.new("L", (1, 1)).save(own, "PNG")
    )
    with disk_full_after(200), pytest.raises(MotionFileError, match="cannot write"):
        sheet.save_sheet([CLIP], path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
