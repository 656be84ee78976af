"""Captions by rule of the CMU recordings, without held-out frames."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_lab.auto_captions import CaptionedWindow, balanced, captioned_windows
from nextscale_lab.data.cmu import CmuFolder, overlaps

EIGHT, CIRCLES, JUMPS = "104_22", "86_07", "16_01"


@pytest.fixture(scope="module")
def folder(shared):
    return CmuFolder(shared / "data" / "cmu")


def test_no_window_touches_a_held_out_frame(folder):
    held_out = folder.held_out()
    chosen = list(held_out)[::12]
    found = captioned_windows(folder, trials=chosen)
    assert found
    for item in found:
        assert not overlaps(held_out[item.trial], item.start, item.end), item
        assert item.end <= folder.trials[item.trial].frames


def test_known_recordings_get_windows_of_their_kinds(folder):
    kinds = {
        name: {i.kind for i in captioned_windows(folder, trials=[name])}
        for name in (EIGHT, CIRCLES, JUMPS)
    }
    assert "figure_eight" in kinds[EIGHT]
    assert "circle_left" in kinds[CIRCLES]
    assert any(kind.startswith("jump") for kind in kinds[JUMPS])


def test_windows_of_one_recording_do_not_depend_on_the_others(folder):
    alone = captioned_windows(folder, seed=1, trials=[EIGHT])
    among = captioned_windows(folder, seed=1, trials=[CIRCLES, EIGHT])
    assert alone == [item for item in among if item.trial == EIGHT]


def test_a_long_loop_is_played_faster_and_stands_on_the_floor(folder):
    item = next(i for i in captioned_windows(folder, trials=[EIGHT]) if i.kind == "figure_eight")
    clip = item.clip(folder.trial_clip(folder.trials[EIGHT]))
    assert item.speedup > 1.0 and clip.seconds <= 9.8 + 0.051
    assert clip.seconds == pytest.approx((item.end - item.start) / 20 / item.speedup, abs=0.1)
    assert abs(float(np.percentile(clip.joints[:, [10, 11], 2].min(1), 3))) < 1e-4


def test_balance_caps_each_kind_and_spreads_over_recordings():
    items = [
        CaptionedWindow(f"1_{n // 20}", 50 * n, 50 * n + 40, ("a",), "walk") for n in range(100)
    ]
    items.append(CaptionedWindow("2_1", 0, 40, ("b",), "jump"))
    chosen = balanced(items, per_kind=10)
    assert sum(i.kind == "walk" for i in chosen) == 10
    assert sum(i.kind == "jump" for i in chosen) == 1
    assert {i.trial for i in chosen if i.kind == "walk"} == {f"1_{n}" for n in range(5)}
    assert chosen == balanced(items, per_kind=10)


def test_a_captioned_window_needs_frames_and_words():
    with pytest.raises(ConfigError, match="frames"):
        CaptionedWindow("1_1", 5, 5, ("a",), "walk")
    with pytest.raises(ConfigError, match="sentence"):
        CaptionedWindow("1_1", 5, 9, (), "walk")
