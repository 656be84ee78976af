"""The parameters as a real node has them: described, checked, refused with what would be right."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.parameter import Parameter

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS
from nextscale_ros.parameters.values import MAX_SEED, Settings, declare_parameters, read_settings
from ros.declaring import (
    EVERY,
    RAW,
    SECTIONS,
    argument,
    context_with,
    having,
    just_outside,
    live,
    node_of,
    put,
    starts,
)
from ros.graph import Graph

FIXED = {"base_frame"}
"""Settings that stay as they are while the node runs."""


@pytest.fixture(scope="module")
def context(graph: Graph) -> Context:
    return graph.context


@pytest.fixture(scope="module")
def nodes(context: Context) -> Iterator[dict[str, Node]]:
    """One node for each section."""
    with ExitStack() as stack:
        yield {s: stack.enter_context(node_of(context, s)) for s in SECTIONS}


# -- what is declared


def test_every_node_has_a_section() -> None:
    assert tuple(RAW) == SECTIONS


@pytest.mark.parametrize("section", SECTIONS)
def test_every_parameter_is_described_to_ros(nodes: dict[str, Node], section: str) -> None:
    types = {kind: i + 1 for i, kind in enumerate(("bool", "int", "double", "string", "bytes"))} | {
        f"{kind}_array": i + 6 for i, kind in enumerate(("bool", "int", "double", "string"))
    }
    for name, fields in RAW[section].items():
        described = nodes[section].describe_parameter(name)
        assert described.name == name
        assert described.description == fields["description"]
        assert described.read_only == fields.get("read_only", False)
        assert described.type == types[fields["type"]]
        ranges = [*described.integer_range, *described.floating_point_range]
        rules = dict(fields.get("validation", {}))
        bounds = rules.pop("bounds<>", None)
        assert [[r.from_value, r.to_value] for r in ranges] == ([bounds] if bounds else [])
        assert bool(described.additional_constraints) == bool(rules)
        for word in rules.get("one_of<>", [[]])[0]:
            assert str(word) in described.additional_constraints


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_every_number_has_a_unit_and_a_range(section: str, name: str) -> None:
    fields = RAW[section][name]
    assert fields["description"].strip().endswith(".")
    if fields["type"].startswith(("int", "double")):
        assert "[" in fields["description"]
        assert any("bounds" in rule or rule == "one_of<>" for rule in fields["validation"])


def test_the_defaults_are_those_of_the_settings(nodes: dict[str, Node]) -> None:
    assert read_settings(nodes["generate_node"]) == Settings()


def test_every_setting_is_a_live_parameter() -> None:
    for name in Settings.__dataclass_fields__.keys() - FIXED:
        assert live("generate_node", name)


def test_ranges_are_those_of_the_core() -> None:
    assert argument("generate_node", "seed", "bounds<>") == [-1, MAX_SEED]
    seconds = argument("generate_node", "seconds", "nextscale::zero_or_bounds")
    assert seconds == [MIN_SECONDS, MAX_SECONDS]


def test_a_lifecycle_node_has_them_too(context: Context) -> None:
    node = LifecycleNode("generate_node", context=context, enable_communication_interface=False)
    try:
        declare_parameters(node)
        assert read_settings(node) == Settings()
        assert not put(node, "history", 99.0)[0]
    finally:
        node.destroy_node()


# -- what is allowed


@pytest.mark.parametrize(("section", "name"), having("bounds<>"))
def test_a_node_starts_at_each_bound_and_not_just_outside(
    context: Context, section: str, name: str
) -> None:
    lower, upper = argument(section, name, "bounds<>")
    assert [starts(context, section, name, value) for value in (lower, upper)] == ["", ""]
    for value in just_outside(lower, upper):
        told = starts(context, section, name, value)
        assert f"parameter {name} must be" in told
        assert f"{lower} to {upper}" in told and str(value) in told


@pytest.mark.parametrize(("section", "name"), [p for p in having("bounds<>") if live(*p)])
def test_a_live_bound_is_taken_and_what_is_just_outside_is_not(
    nodes: dict[str, Node], section: str, name: str
) -> None:
    node = nodes[section]
    lower, upper = argument(section, name, "bounds<>")
    for value in (lower, upper):
        assert put(node, name, value) == (True, "")
        assert node.get_parameter(name).value == value
    for value in just_outside(lower, upper):
        taken, reason = put(node, name, value)
        assert not taken and node.get_parameter(name).value == upper
        assert name in reason and str(lower) in reason and str(upper) in reason
    assert put(node, name, RAW[section][name]["default_value"]) == (True, "")


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_number_is_taken_exactly_where_it_is_within_the_bounds(
    nodes: dict[str, Node], data: st.DataObject
) -> None:
    section, name = data.draw(st.sampled_from([p for p in having("bounds<>") if live(*p)]))
    lower, upper = argument(section, name, "bounds<>")
    value = data.draw(
        st.integers(-(2**63), 2**63 - 1)
        if isinstance(lower, int)
        else st.one_of(st.floats(), st.floats(lower - 1, upper + 1))
    )
    before = nodes[section].get_parameter(name).value
    taken, reason = put(nodes[section], name, value)
    assert taken == (lower <= value <= upper)
    assert bool(reason) != taken
    assert nodes[section].get_parameter(name).value == (value if taken else before)
    assert put(nodes[section], name, RAW[section][name]["default_value"]) == (True, "")


@pytest.mark.parametrize(
    ("section", "name"), [p for p in EVERY if RAW[p[0]][p[1]]["type"] == "double"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_may_be_nan_or_infinite(
    context: Context, section: str, name: str, value: float
) -> None:
    assert f"parameter {name} must be a double" in starts(context, section, name, value)


@pytest.mark.parametrize(
    ("value", "taken"),
    [(0.0, True), (1.0, True), (9.8, True), (0.999, False), (9.81, False), (-1.0, False)],
)
def test_the_length_is_zero_or_one_that_the_model_can_make(
    nodes: dict[str, Node], value: float, taken: bool
) -> None:
    node = nodes["generate_node"]
    reason = "" if taken else f"seconds must be 0 or 1.0 to 9.8 [s], got {value}"
    assert put(node, "seconds", value) == (taken, reason)
    if taken:
        assert read_settings(node).seconds == (value or None)
    assert put(node, "seconds", 0.0) == (True, "")


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ([0], True),
        ([1, 50], True),
        ([6, 5, 4, 2, 1], True),
        ([51], False),
        ([1, 0], False),
        ([0, 0], False),
        ([-1], False),
    ],
)
def test_steps_are_zero_alone_or_one_number_for_each_scale(
    nodes: dict[str, Node], value: list[int], taken: bool
) -> None:
    node = nodes["generate_node"]
    result = put(node, "steps", value)
    assert result[0] == taken
    if taken:
        assert read_settings(node).steps == (tuple(value) if value != [0] else None)
    else:
        assert result[1].startswith(
            "steps must be 0 alone, or one number from 1 to 50 for each scale [passes], got ["
        )
    assert put(node, "steps", [0]) == (True, "")


@pytest.mark.parametrize(("section", "name"), having("one_of<>"))
def test_only_the_words_of_the_list_are_taken(context: Context, section: str, name: str) -> None:
    (words,) = argument(section, name, "one_of<>")
    assert [starts(context, section, name, word) for word in words] == [""] * len(words)
    wrongs: tuple[object, ...] = ("", "perhaps", str(words[0]).upper(), f"{words[0]} ")
    if isinstance(words[0], int):
        wrongs = (0, -words[0], words[-1] + 1)
    listed = " or ".join(str(word) for word in words)
    for wrong in wrongs:
        told = starts(context, section, name, wrong)
        assert f"parameter {name} must be " in told and f", {listed}" in told


@pytest.mark.parametrize(
    ("section", "name"), [p for p in EVERY if p[1].endswith("_topic") or p[1] == "controller"]
)
def test_a_topic_must_be_a_name_that_ros_takes(context: Context, section: str, name: str) -> None:
    for right in ("/arm/in", "in_2", "~/in"):
        assert starts(context, section, name, right) == ""
    for wrong in ("two words", "/2nd", "a//b", "a/", "h\N{LATIN SMALL LETTER A WITH DIAERESIS}"):
        assert "a ROS name (letters, digits, _ and /, no digit first)" in starts(
            context, section, name, wrong
        )
    assert (starts(context, section, name, "") == "") == (
        (section, name) == ("generate_node", "imu_topic")
    )


@pytest.mark.parametrize(("section", "name"), having("not_empty<>"))
def test_what_is_needed_may_not_be_empty(context: Context, section: str, name: str) -> None:
    assert f"parameter {name} must be a string, not empty" in starts(context, section, name, "")


def test_a_long_value_is_not_repeated_in_full(nodes: dict[str, Node]) -> None:
    taken, reason = put(nodes["generate_node"], "state_policy", "a" * 100_000)
    assert not taken and len(reason) < 200


def test_of_several_parameters_set_at_once_none_is_taken_if_one_is_wrong(
    nodes: dict[str, Node],
) -> None:
    node = nodes["generate_node"]
    result = node.set_parameters_atomically(
        [Parameter("seed", value=7), Parameter("preemption", value="never")]
    )
    assert not result.successful
    assert result.reason == "preemption must be newest_wins or refuse, got 'never'"
    assert read_settings(node) == Settings()


# -- types, read-only and live


@pytest.mark.parametrize(("section", "name"), [p for p in EVERY if not live(*p)])
def test_what_is_read_only_cannot_be_set(nodes: dict[str, Node], section: str, name: str) -> None:
    node = nodes[section]
    taken, reason = put(node, name, node.get_parameter(name).value)
    assert not taken
    assert "read-only" in reason and name in reason


@pytest.mark.parametrize(("section", "name"), [p for p in EVERY if live(*p)])
def test_what_is_live_can_be_set(nodes: dict[str, Node], section: str, name: str) -> None:
    assert put(nodes[section], name, RAW[section][name]["default_value"]) == (True, "")


def test_what_is_set_is_read_by_the_next_request(context: Context) -> None:
    wanted = Settings(
        seconds=3.5,
        seed=7,
        guidance=2.0,
        steps=(6, 5, 4),
        candidates=4,
        preemption="refuse",
        start_from_state=False,
        state_policy="assume_nominal",
        continuation="off",
        history=2.5,
        state_timeout=1.0,
        execution_timeout=20.0,
        publish_markers=False,
    )
    with node_of(context, "generate_node") as node:
        for name in vars(wanted).keys() - FIXED:
            value = getattr(wanted, name)
            assert put(node, name, list(value) if name == "steps" else value) == (True, "")
        assert read_settings(node) == wanted


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("rate", 50, "a double (1.0, not 1), 5.0 to 500.0 [Hz]"),
        ("seed", 7.0, "an int, -1 to 2147483647"),
        ("robot", 1, "a string, not empty"),
        ("continuation", False, "a string, from_state or from_plan or off"),
        ("joints", "all", "a string array"),
        ("steps", [1.0], "an int array, 0 alone, or one number from 1 to 50"),
        ("autostart", "yes", "a bool"),
    ],
)
def test_a_start_value_of_another_type_is_answered_with_the_right_one(
    context: Context, name: str, value: object, right: str
) -> None:
    told = starts(context, "generate_node", name, value)
    assert f"parameter {name} must be {right}" in told
    assert "type" in told and str(value) in told


def in_file(folder: Path, graph: Graph, lines: str) -> None:
    """Declare the parameters of a node that is started with such a file."""
    file = folder / "params.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    {lines}\n")
    arguments = ["--ros-args", "--params-file", str(file)]
    with context_with(graph, arguments) as context, node_of(context, "generate_node"):
        pass


def test_an_empty_list_in_a_file_is_answered_with_what_to_do(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"parameter joints must be .* leave the parameter out"):
        in_file(tmp_path, graph, "joints: []")


def test_an_unknown_name_in_a_file_is_warned_of(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(RcutilsLogger, "warning", lambda _, text: told.append(text))
    in_file(tmp_path, graph, "{sede: 5, seconds: 3.0, state_rate: 50.0, use_sim_time: true}")
    assert told == ["unknown parameter 'sede'; did you mean 'seed'?"]
