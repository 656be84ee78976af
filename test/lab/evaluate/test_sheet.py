"""A contact sheet has a strip for every motion."""

import numpy as np
from PIL import Image

from nextscale_core.pipeline import MotionPipeline
from nextscale_lab.evaluate.sheet import WIDTH, save_sheet


def test_three_motions_fill_two_rows_of_two(tmp_path):
    pipeline = MotionPipeline.from_pretrained("moscale-cmu")
    clips = pipeline.generate_batch(
        ["a person walks", "a person turns", "a person waves"], seconds=1
    )
    save_sheet(clips, tmp_path / "sheet.png", columns=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    assert pixels.shape[1] == 2 * WIDTH
    corners = [
        pixels[:100, :WIDTH],
        pixels[:100, WIDTH:],
        pixels[-100:, :WIDTH],
        pixels[-100:, WIDTH:],
    ]
    assert [bool((corner < 200).any()) for corner in corners] == [True, True, True, False]
