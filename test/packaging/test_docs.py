"""The documentation names files, interfaces and public names that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import nextscale_core

ROOT = Path(__file__).resolve().parents[2]
INTERFACES = (ROOT / "docs" / "interfaces.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
PAGES = (
    *(ROOT / "docs").glob("*.md"),
    *ROOT.glob("*.md"),
    *ROOT.glob("weights/*/README.md"),
    ROOT / "bench" / "README.md",
)
FILE = re.compile(
    r"(?<![\w./-])((?:nextscale_(?:core|lab|ros)|test|bench|config|docs|examples|launch|tools|weights)"
    r"/[\w/.-]*\w)"
)
"""Path of a file or folder of the repository."""
CONSTANT = re.compile(r"^uint16 ([A-Z_]+)=(\d+)", re.MULTILINE)


def test_every_error_code_is_explained_with_its_number() -> None:
    codes = CONSTANT.findall((ROOT / "msg" / "ErrorCode.msg").read_text())
    assert len(codes) > 30
    told = dict(re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", INTERFACES, re.MULTILINE))
    assert told == {number: name for name, number in codes}


@pytest.mark.parametrize("kind", ["msg", "srv", "action"])
def test_every_interface_is_named(kind: str) -> None:
    for file in sorted((ROOT / kind).iterdir()):
        assert f"nextscale_ros/{file.stem}" in INTERFACES, file.name
        assert f'--8<-- "{kind}/{file.name}"' in API, file.name


@pytest.mark.parametrize("name", nextscale_core.__all__)
def test_every_public_name_is_in_the_api_reference(name: str) -> None:
    assert f"::: nextscale_core.{name}\n" in API


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("names files of earlier versions")
    for path in FILE.findall(page.read_text()):
        # nextscale_ros/MotionReport and config/robots/NAME.yaml are no files.
        if path.rpartition("/")[2][:1].islower():
            assert (ROOT / path).exists() or (page.parent / path).exists(), path


def test_the_goal_stands_there_as_it_is() -> None:
    goal = (ROOT / "action" / "GenerateMotion.action").read_text().partition("---")[0]
    for line in goal.splitlines()[1:]:
        assert line in INTERFACES


def test_every_topic_of_the_node_is_named() -> None:
    declared = yaml.safe_load((ROOT / "config" / "parameters.yaml").read_text())["generate_node"]
    topics = {
        name: entry["default_value"] for name, entry in declared.items() if name.endswith("_topic")
    }
    assert len(topics) > 8
    for name, topic in topics.items():
        assert f"`{topic}`" in INTERFACES or f"`{name}`" in INTERFACES, name


def test_every_page_is_in_the_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    shown = {page for entry in site["nav"] for page in entry.values()}
    assert shown == {page.name for page in (ROOT / "docs").glob("*.md")}
