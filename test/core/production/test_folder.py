"""The folder of a production: nothing is lost or doubled, wherever it is interrupted."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.production.conftest import files_of
from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.production.columns import COLUMNS
from nextscale_core.production.folder import ProductionFolder
from nextscale_core.production.make import Item
from nextscale_core.production.plan import Plan, make_plan
from nextscale_core.production.spec import read_spec
from nextscale_core.robots import Robot

SENTENCES = "[a person waves, a person walks, a person jumps, a person sits, a person runs]"
SPEC = f"""\
sentences: {SENTENCES}
robots: [{{name: doll.urdf, profile: doll.yaml}}]
formats: [robot-npz, bvh]
shards: {{motions: 2}}
"""


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs the disk: what is asked of it, and in which order, counts."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def plan(spec: Path) -> Plan:
    path = spec.with_name("sentences.yaml")
    path.write_text(SPEC)
    return make_plan(read_spec(path), path.parent, path.parent / "out")


@pytest.fixture(scope="module")
def robots(plan: Plan) -> list[Robot]:
    return plan.robots()


def items(plan: Plan, number: int) -> list[Item]:
    """Made-up items of a job; the robot's motion of the second is refused."""
    job = plan.job(number)
    row = {"source": job.name, "sentence": job.sentence, "seed": job.seed, "text": job.sentence}
    human = Item({**row, "robot": None, "kept": True}, {f"bvh/{job.name}.bvh": b"human"})
    if number == 1:
        return [human, Item({**row, "robot": "doll", "kept": False, "stage": "gate"})]
    columns = {name: np.full((number + 1, 3), number, np.float32) for name in COLUMNS}
    files = {f"robot-npz/doll/{job.name}.npz": bytes([number] * 10)}
    return [human, Item({**row, "robot": "doll", "kept": True}, files, columns)]


def run(path: Path, plan: Plan, robots: list[Robot]) -> None:
    folder = ProductionFolder(path, plan, robots)
    try:
        while folder.jobs < len(plan):
            folder.commit(items(plan, folder.jobs))
        folder.finish()
    finally:
        folder.close()


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "fsync"), (Path, "replace"), (Path, "unlink")], ids=str
)
def test_after_a_crash_at_any_operation_of_the_disk_the_result_is_the_same(
    plan: Plan,
    robots: list[Robot],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
) -> None:
    run(tmp_path / "whole", plan, robots)
    wanted = files_of(tmp_path / "whole")
    assert len(wanted["manifest.jsonl"].splitlines()) == 10
    real = getattr(owner, name)
    for last in itertools.count():
        count = itertools.count()

        def crash(*arguments, _last=last, _count=count, **options):
            if next(_count) == _last:
                raise Crash
            return real(*arguments, **options)

        path = tmp_path / str(last)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, crash)
            try:
                run(path, plan, robots)
                break
            except Crash:
                pass
        run(path, plan, robots)
        assert files_of(path) == wanted, last
    assert last > 5


def test_rows_that_were_written_in_part_are_written_again(
    plan: Plan, robots: list[Robot], tmp_path: Path
) -> None:
    run(tmp_path / "whole", plan, robots)
    folder = ProductionFolder(tmp_path / "torn", plan, robots)
    folder.commit(items(plan, 0))
    before = (tmp_path / "torn" / "manifest.jsonl").stat().st_size
    folder.commit(items(plan, 1))
    folder.close()
    data = (tmp_path / "torn" / "manifest.jsonl").read_bytes()
    middle = data.index(b"\n", before) + 1
    for cut in (before, before + 1, middle - 1, middle, middle + 1, len(data) - 1):
        path = tmp_path / str(cut)
        shutil.copytree(tmp_path / "torn", path)
        os.truncate(path / "manifest.jsonl", cut)
        run(path, plan, robots)
        assert files_of(path) == files_of(tmp_path / "whole"), cut


def test_each_row_has_its_files_and_each_kept_motion_is_in_one_shard(
    plan: Plan, robots: list[Robot], tmp_path: Path
) -> None:
    run(tmp_path, plan, robots)
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").open()]
    assert [row["item"] for row in rows] == list(range(10))
    for row in rows:
        for file in row.get("files", ()):
            assert (tmp_path / file["path"]).stat().st_size == file["bytes"]
    index = json.loads((tmp_path / "shards" / "doll" / "index.json").read_text())
    assert [one["motions"] for one in index["shards"]] == [2, 2]
    for row in rows:
        if "shard" in row:
            shard = np.load(tmp_path / "shards" / "doll" / index["shards"][row["shard"]]["file"])
            assert shard["item"][row["place"]] == row["item"]
            begin, end = shard["starts"][row["place"] : row["place"] + 2]
            assert (shard["root_position"][begin:end] == row["item"] // 2).all()


def test_a_folder_goes_on_only_with_its_own_specification(
    plan: Plan, robots: list[Robot], spec: Path, tmp_path: Path
) -> None:
    ProductionFolder(tmp_path, plan, robots).close()
    path = spec.with_name("changed.yaml")
    path.write_text(SPEC + "seeds: 2\n")
    other = make_plan(read_spec(path), path.parent, tmp_path)
    with pytest.raises(ConfigError, match=r"seeds changed \(seeds was \[0\], is \[0, 1\]\)"):
        ProductionFolder(tmp_path, other, robots)


def test_two_processes_do_not_write_one_folder(
    plan: Plan, robots: list[Robot], tmp_path: Path
) -> None:
    first = ProductionFolder(tmp_path, plan, robots)
    with pytest.raises(MotionFileError, match="another nextscale produce"):
        ProductionFolder(tmp_path, plan, robots)
    first.close()
    ProductionFolder(tmp_path, plan, robots).close()


def test_a_folder_with_other_files_is_left_alone(
    plan: Plan, robots: list[Robot], tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(MotionFileError, match="give a new folder"):
        ProductionFolder(tmp_path, plan, robots)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_manifest_is_named_by_its_line(
    plan: Plan, robots: list[Robot], tmp_path: Path
) -> None:
    run(tmp_path, plan, robots)
    manifest = tmp_path / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    for wrong in (b"{}\n", b"[1, \n", lines[3]):
        manifest.write_bytes(b"".join([*lines[:2], wrong, *lines[3:]]))
        with pytest.raises(MotionFileError, match="line 3 is"):
            ProductionFolder(tmp_path, plan, robots)


def test_a_place_that_cannot_be_written_is_an_error_with_its_reason(
    plan: Plan, robots: list[Robot], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MotionFileError, match=r"cannot write .*Not a directory"):
        ProductionFolder(tmp_path / "file" / "out", plan, robots)


def test_a_full_disk_stops_the_production_and_loses_nothing(
    plan: Plan, robots: list[Robot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", plan, robots)
    folder = ProductionFolder(tmp_path / "full", plan, robots)
    folder.commit(items(plan, 0))
    with monkeypatch.context() as patch:

        def fsync(handle: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", fsync)
        with pytest.raises(MotionFileError, match=r"cannot write .*No space left"):
            folder.commit(items(plan, 1))
    folder.close()
    run(tmp_path / "full", plan, robots)
    assert files_of(tmp_path / "full") == files_of(tmp_path / "whole")
