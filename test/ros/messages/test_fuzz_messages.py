"""Messages meant to harm: typed errors only, and a node that goes on serving."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nextscale_core.estimation.base_pose import BasePoseBuffer, BasePoseError
from nextscale_core.estimation.joint_states import JointStateBuffer
from nextscale_core.exceptions import NextscaleError
from nextscale_ros.messages import requests

BENCH = Path(__file__).resolve().parents[3] / "bench"

many = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Path]:
    """The benchmark's folder on the path, as when a script of it runs."""
    sys.path.insert(0, str(BENCH))
    yield BENCH
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def made(bench: Path) -> ModuleType:
    import fuzz_messages

    return fuzz_messages


@pytest.fixture(scope="module")
def messages(made: ModuleType) -> Any:
    return made.Messages()


@pytest.mark.parametrize("kind", ["requests", "joint_states", "base_and_imu", "parameters"])
@many
@given(seed=st.integers(0, 2**32 - 1))
def test_messages_of_any_kind_raise_typed_errors_only(
    messages: Any, tmp_path: Path, kind: str, seed: int
) -> None:
    try:
        getattr(messages, kind)(random.Random(seed), tmp_path)
    except NextscaleError as error:
        assert 0 < len(str(error)) < 20_000


@many
@given(
    texts=st.lists(st.text(max_size=30), max_size=60),
    numbers=st.lists(st.floats(), max_size=60),
    seed=st.integers(-(2**63), 2**63 - 1),
    guidance=st.floats(),
    steps=st.lists(st.integers(0, 2**16 - 1), max_size=60),
)
def test_a_goal_of_any_fields_is_a_request_or_a_typed_error(
    texts: list[str], numbers: list[float], seed: int, guidance: float, steps: list[int]
) -> None:
    from nextscale_ros.action import GenerateMotion

    goal = GenerateMotion.Goal(
        texts=texts, seconds=numbers, seed=seed, guidance=guidance, steps=steps
    )
    try:
        fields = requests.of_goal(goal)
    except requests.RequestError as error:
        assert str(error)
        return
    assert len(fields["script"]) == len(texts)


def test_a_sender_of_a_hundred_thousand_names_fills_neither_log_nor_memory() -> None:
    memory = JointStateBuffer(("a", "b"))
    told = []
    for turn in range(40):
        names = [f"joint_{turn}_{n}" for n in range(100_000 if turn < 3 else 10)]
        told += memory.update(names, [0.0] * len(names), [], float(turn))
    assert told and max(map(len, told)) < 2500
    assert memory.refused == 40


def test_a_link_with_half_a_character_or_a_novel_for_a_name_is_refused(messages: Any) -> None:
    import numpy as np

    base = BasePoseBuffer(messages.robot)
    turn = np.array([0.0, 0.0, 0.0, 1.0])
    for link in ("\ud800", "x" * 10**6, "a\nb"):
        with pytest.raises(BasePoseError, match="do not determine the base") as caught:
            base.update(np.zeros(3), turn, link, 1.0, 0.0)
        assert len(str(caught.value)) < 1000


@pytest.mark.timeout(600)
def test_a_node_survives_what_is_sent_to_it_and_serves_a_good_sentence(bench: Path) -> None:
    from fuzz_dds import over_dds

    tally = over_dds(150, 5)
    assert tally.count == 150 and not tally.faults, tally.faults
    assert tally.refused["bad_input"] > 10
