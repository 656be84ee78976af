"""How far a chosen duration is from the recorded one."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_lab.evaluate.benchmark import ChoosesSeconds, constant_error, duration_errors


class ByWords:
    """Takes a second for every word."""

    def choose_seconds(self, text: str) -> float:
        return float(len(text.split()))


def test_every_caption_counts_against_its_recording():
    recordings = [(("he walks", "he walks on and on"), 4.0), (("he jumps",), 2.0)]
    errors = duration_errors(ByWords(), recordings)
    assert errors.tolist() == [2.0, 1.0, 0.0]


def test_the_median_is_the_best_constant():
    seconds = [1.0, 2.0, 9.0, 9.5, 3.0]
    best = constant_error(seconds)
    for constant in np.linspace(0, 10, 101):
        assert best <= np.abs(np.array(seconds) - constant).mean() + 1e-9
    assert constant_error([4.0, 4.0]) == 0.0


def test_only_models_that_choose_are_asked():
    assert isinstance(ByWords(), ChoosesSeconds)
    assert not isinstance(object(), ChoosesSeconds)
    with pytest.raises(AttributeError):
        duration_errors(object(), [(("he walks",), 1.0)])
