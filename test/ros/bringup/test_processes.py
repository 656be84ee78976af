"""Private ROS graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nextscale_ros.bringup.processes import private_graph


@pytest.mark.parametrize("kind", [OSError, TimeoutError, ValueError, KeyboardInterrupt])
def test_what_goes_wrong_in_it_comes_out_as_it_is(
    kind: type[BaseException], tmp_path: Path
) -> None:
    with pytest.raises(kind, match="what happened"), private_graph(tmp_path):
        raise kind("what happened")


def test_two_at_a_time_have_domains_of_their_own(tmp_path: Path) -> None:
    with private_graph(tmp_path) as one, private_graph(tmp_path) as other:
        assert one["ROS_DOMAIN_ID"] != other["ROS_DOMAIN_ID"]
