"""Descriptions of robots in installed Python distributions."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.toy_humanoid import PROFILE, toy_humanoid
from nextscale_core.exceptions import RobotError
from nextscale_core.resources import resource
from nextscale_core.robots import list_robots, load_robot
from nextscale_core.robots.find_urdf import find_urdf, is_installed
from nextscale_core.robots.profile import UrdfSource, read_profile

SOURCE = UrdfSource("doll/urdf/doll.urdf", "doll-description", "pip install doll-description==1.0")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with the distribution `doll-description`."""
    folder = tmp_path / "site"
    toy_humanoid(folder / "doll/urdf")
    info = folder / "doll_description-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: doll-description\nVersion: 1.0\n")
    files = ("doll/urdf/doll.urdf", "doll/meshes/a.stl", "doll_description-1.0.dist-info/METADATA")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_urdf_is_found_in_any_place_of_its_distribution(site: Path) -> None:
    urdf, folders = find_urdf(SOURCE, site)
    assert urdf == (site / "doll/urdf/doll.urdf").resolve()
    # package://doll/meshes/a.stl
    assert site.resolve() in folders
    assert is_installed(SOURCE)


def test_a_profile_that_names_a_distribution_loads_its_robot(site: Path, tmp_path: Path) -> None:
    source = f"urdf:\n  distribution: {SOURCE.distribution}\n  path: {SOURCE.path}\n"
    (tmp_path / "doll.yaml").write_text(PROFILE + source)
    assert load_robot(str(tmp_path / "doll.yaml")).num_joints == 23


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (UrdfSource("a.urdf", "no-such-description", "pip install it==1"), "pip install it==1"),
        (UrdfSource("doll/urdf/other.urdf", "doll-description", "pip install it==2"), "it==2"),
    ],
)
def test_the_command_that_installs_a_missing_description_is_named(
    site: Path, source: UrdfSource, said: str
) -> None:
    with pytest.raises(RobotError, match=said):
        find_urdf(source, site)
    assert is_installed(source) == (source.distribution == SOURCE.distribution)


@pytest.mark.parametrize("name", list_robots())
def test_every_packaged_profile_pins_the_version_that_it_was_made_for(name: str) -> None:
    source = read_profile(resource(f"config/robots/{name}.yaml")).urdf
    assert source.distribution
    assert source.install.startswith("pip install ")
    assert f"{source.distribution}==" in source.install
