"""Reading config/parameters.yaml: rules that say what they allow, and errors that name the key."""

from __future__ import annotations

import importlib.util
import re
import shutil
from array import array
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nextscale_core.exceptions import ConfigError, NextscaleError
from nextscale_ros.parameters.schema import all_declarations, declarations, read_declarations
from nextscale_ros.parameters.validators import make_rule

ROOT = Path(__file__).resolve().parents[3]

GOOD = {
    "type": "double",
    "default_value": 1.0,
    "description": "How long [s].",
    "validation": {"bounds<>": [0.5, 2.0]},
}


def read(folder: Path, text: str) -> Any:
    path = folder / "parameters.yaml"
    path.write_text(text, encoding="utf-8")
    return read_declarations(path)


def one(folder: Path, **changes: object) -> Any:
    """The declaration of `n.p` with these fields; None takes one away."""
    fields = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    return read(folder, yaml.safe_dump({"n": {"p": fields}}))["n"]["p"]


# -- rules


@pytest.mark.parametrize(
    ("rule", "arguments", "kind", "array", "right", "wrong", "allowed"),
    [
        ("bounds<>", [1, 3], int, False, [1, 2, 3], [0, 4], "1 to 3"),
        ("bounds<>", [0.5, 2.0], float, False, [0.5, 2.0], [0.4, float("nan")], "0.5 to 2.0"),
        ("one_of<>", [[1, 4]], int, False, [1, 4], [2], "1 or 4"),
        ("one_of<>", [["on", "off"]], str, False, ["on", "off"], ["", "On"], "on or off"),
        ("not_empty<>", None, str, False, ["a"], [""], "not empty"),
        (
            "nextscale::zmq_endpoint_or_empty",
            None,
            str,
            False,
            ["", "tcp://*:1", "tcp://eth0:65535", "tcp://[::1]:5556", "ipc:///tmp/a", "ipc://@a"],
            [
                "tcp://*:0",
                "tcp://*:65536",
                "tcp://*:99999",
                "tcp://*",
                "tcp://*:*",
                "tcp://:5556",
                "tcp://*:!",
                "inproc://a",
                "udp://*:5556",
                "ipc://",
                "ipc://*",
                "tcp://a b:1",
                "5556",
            ],
            "empty, tcp://HOST:PORT with a port from 1 to 65535, such as tcp://*:5556, or "
            "ipc://PATH",
        ),
        ("not_empty<>", [], int, True, [[1]], [[]], "not empty"),
    ],
)
def test_a_rule_holds_for_what_it_says(
    rule: str,
    arguments: object,
    kind: type,
    array: bool,
    right: list[object],
    wrong: list[object],
    allowed: str,
) -> None:
    made = make_rule(rule, arguments, kind, array=array)
    assert made.allowed == allowed
    assert all(made.holds(value) for value in right)
    assert not any(made.holds(value) for value in wrong)


@pytest.mark.parametrize(
    ("rule", "arguments", "kind", "array", "told"),
    [
        ("bound<>", [1, 2], int, False, "no rule 'bound<>' for this type; did you mean 'bounds<>'"),
        ("element_bounds<>", [1, 2], int, False, "no rule 'element_bounds<>' for this type"),
        ("not_empty<>", None, bool, False, "no rule 'not_empty<>' for this type"),
        ("bounds<>", [1], int, False, "must be [lower, upper], got [1]"),
        ("bounds<>", [1, 2.5], int, False, "must be [lower, upper], got [1, 2.5]"),
        ("bounds<>", [2, 1], int, False, "must be [lower, upper], got [2, 1]"),
        ("bounds<>", [0, 1], float, False, "must be [lower, upper], got [0, 1]"),
        ("bounds<>", None, int, False, "must be [lower, upper], got []"),
        ("one_of<>", ["a", "b"], str, False, "must be [list], got ['a', 'b']"),
        ("one_of<>", [[]], str, False, "must be [list], got [[]]"),
        ("one_of<>", [["on", False]], str, False, "must be [list], got [['on', False]]"),
        ("not_empty<>", [1], str, False, "must be empty, got [1]"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    rule: str, arguments: object, kind: type, array: bool, told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        make_rule(rule, arguments, kind, array=array)


# -- the file


def test_a_declaration_says_what_it_allows(tmp_path: Path) -> None:
    declared = one(tmp_path)
    assert (declared.unit, declared.allowed, declared.bounds) == ("s", "0.5 to 2.0 [s]", (0.5, 2.0))
    assert not declared.read_only
    assert declared.problem(2.0) == ""
    assert declared.problem(2.1) == "p must be 0.5 to 2.0 [s], got 2.1"


def test_several_rules_are_all_said(tmp_path: Path) -> None:
    rules = {"bounds<>": [0.5, 2.0], "one_of<>": [[1.0, 1.5]]}
    declared = one(tmp_path, validation=rules, description="A share [-].")
    assert declared.problem(0.4) == "p must be 0.5 to 2.0, 1.0 or 1.5, got 0.4"
    assert declared.problem(1.2) == "p must be 0.5 to 2.0, 1.0 or 1.5, got 1.2"
    # As rclpy gives the value of an array.
    assert declarations("generate_node")["steps"].problem(array("q", [0, 60])).endswith("[0, 60]")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": None}, "parameters.yaml: n.p.type: Field required"),
        ({"default_value": None}, "parameters.yaml: n.p.default_value: Field required"),
        ({"description": None}, "parameters.yaml: n.p.description: Field required"),
        ({"type": "float"}, "n.p.type: Input should be 'bool', 'int', 'double'"),
        ({"type": ["int"]}, "'string_array', got ['int']"),
        ({"description": "  "}, "n.p.description: String should match pattern '\\S', got '  '"),
        ({"description": 3}, "n.p.description: Input should be a valid string, got 3"),
        ({"read_only": "yes"}, "n.p.read_only: Input should be a valid boolean, got 'yes'"),
        ({"readonly": True}, "n.p.readonly: unknown key; did you mean 'read_only'?"),
        ({"default_value": 1}, "n.p.default_value must be of type double, got 1"),
        ({"default_value": True}, "n.p.default_value must be of type double, got True"),
        ({"default_value": 3.0}, "n.p.default_value: p must be 0.5 to 2.0 [s], got 3.0"),
        ({"default_value": float("nan")}, "n.p.default_value: p must be 0.5 to 2.0 [s], got nan"),
        (
            {"validation": ["bounds<>"]},
            "n.p.validation: Input should be a valid dictionary, got [",
        ),
        ({"validation": {"bounds<>": [1.0]}}, "n.p.validation.bounds<>: must be [lower, upper]"),
        ({"validation": {"bouds<>": [1.0]}}, "n.p.validation.bouds<>: no rule 'bouds<>'"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_said_with_its_key(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        one(tmp_path, **changes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "parameters.yaml: file: Input should be a valid dictionary, got None"),
        ("[1]", "parameters.yaml: file: Input should be a valid dictionary, got [1]"),
        ("n: 3", "parameters.yaml: n: Input should be a valid dictionary, got 3"),
        ("n: {p: 3}", "parameters.yaml: n.p: Input should be a valid dictionary"),
        ("n: {'P x': {}}", "n.P x.[key]: String should match pattern '^[a-z][a-z0-9_]*$'"),
        ("n: {off: {}}", "[key]: Input should be a valid string, got False"),
        ("n: {p: 1, p: 2}", "key 'p' is given twice"),
        ("n: {p: [", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a: 2001-99-99", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_a_file_that_is_no_file_of_declarations_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        read(tmp_path, text)


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_declarations(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00n")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_declarations(tmp_path / "binary.yaml")


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "default_value", "description", "validation", "bounds<>", "p"])
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(tree=TREES)
@settings(max_examples=200, deadline=None)
def test_any_tree_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, tree: object
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for content in (tree, {"n": tree}, {"n": {"p": tree}}):
        try:
            read(folder, yaml.safe_dump(content))
        except NextscaleError as error:
            assert str(error)


def test_an_unknown_section_is_answered_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'generate_node'"):
        declarations("generat_node")
    assert list(all_declarations()) == [
        "generate_node",
        "mock_robot",
        "simulated_robot",
        "viewer_node",
    ]


# -- the files made from it


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "parameters.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_files_are_up_to_date(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0, "run python tools/parameters.py"


def test_the_check_finds_what_is_missing_or_changed(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "config" / "parameters.yaml"
    source.parent.mkdir()
    shutil.copy(ROOT / "config" / "parameters.yaml", source)
    root = ["--root", str(tmp_path)]
    assert tool.main([*root, "--check"]) == 1
    assert not (tmp_path / "docs").exists()
    assert tool.main(root) == 0
    assert tool.main([*root, "--check"]) == 0
    source.write_text(source.read_text().replace("default_value: 0.2", "default_value: 0.3"))
    capsys.readouterr()
    assert tool.main([*root, "--check"]) == 1
    said = capsys.readouterr().err
    assert "params.yaml is out of date" in said and "parameters.md is out of date" in said
    assert tool.main(root) == 0
    assert "    state_timeout: 0.3" in (tmp_path / "config" / "params.yaml").read_text()
    source.write_text(source.read_text().replace("bounds<>", "bonds<>", 1))
    assert tool.main([*root, "--check"]) == 1
    assert "did you mean 'bounds<>'" in capsys.readouterr().err


def test_the_parameter_file_documents_every_line(tool: ModuleType) -> None:
    text = (ROOT / "config" / "params.yaml").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100
    content = yaml.safe_load(text)
    for section, parameters in all_declarations().items():
        given = content[f"/**/{section}"]["ros__parameters"]
        assert given == {n: p.default for n, p in parameters.items() if n not in tool.BY_LAUNCH}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"    (# )?\w+: ", line):
            assert re.match(r"    # .*(live|read-only)$", lines[number - 1]), line


def test_the_page_has_a_row_for_every_parameter() -> None:
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    for section, parameters in all_declarations().items():
        table = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
        rows = [line for line in table.splitlines() if line.startswith("| `")]
        assert len(rows) == len(parameters)
        for row, one in zip(rows, parameters.values(), strict=True):
            assert row.count(" | ") == 5
            assert row.startswith(f"| `{one.name}` | ") and one.allowed in row
