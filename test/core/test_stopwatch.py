from __future__ import annotations

import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_core.stopwatch import Stopwatch


def test_stages_add_up_in_the_order_they_ran():
    watch = Stopwatch()
    for name in ("text", "generate", "text"):
        with watch.stage(name):
            pass
    assert list(watch.seconds) == ["text", "generate"]
    assert watch.total == pytest.approx(sum(watch.seconds.values()))
    assert watch.line().startswith("text 0.000 s, generate 0.000 s, total")


def test_a_stage_that_fails_is_timed_too():
    watch = Stopwatch()
    with pytest.raises(ValueError, match="oops"), watch.stage("gate"):
        raise ValueError("oops")
    assert "gate" in watch.seconds


def test_resources_are_found_and_what_is_missing_is_named():
    assert resource("config/robots/g1.yaml").is_file()
    with pytest.raises(ConfigError, match=r"g1\.yaml"):
        resource("config/robots/no-robot.yaml")
