"""`nextscale produce` as its user sees it: from captures to files, shards and a manifest."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from core.conftest import waving_clip
from core.production.conftest import BAD, GOOD, files_of
from nextscale_core.cli import app as cli
from nextscale_core.motion import read_motion, write_motion
from nextscale_core.production import Production, produce
from nextscale_core.production.columns import COLUMNS
from nextscale_core.production.plan import Plan
from nextscale_core.production.recipe import Job
from nextscale_core.robots import load_robot, read_trajectory
from nextscale_core.safety import SafetyGate

ROOT = Path(__file__).resolve().parents[3]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").open()]


@pytest.fixture(scope="module")
def made(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A production without interruption, by one worker."""
    out = tmp_path_factory.mktemp("made") / "out"
    result = CliRunner().invoke(
        cli.app, ["produce", str(spec), "--out", str(out), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    assert f"sources: {GOOD + BAD} of {GOOD + BAD}" in result.output
    # The human motion is kept where only the robot's is refused.
    assert f"kept: {2 * GOOD + 1}" in result.output
    assert "refused: 1 at gate, 4 at read" in result.output
    return out


def test_the_manifest_holds_a_row_for_each_capture_and_subject_with_reasons(made: Path) -> None:
    rows = rows_of(made)
    assert [row["item"] for row in rows] == list(range(2 * (GOOD + BAD)))
    assert [row["robot"] for row in rows] == [None, "doll"] * (GOOD + BAD)
    by_capture = {row["capture"]: row for row in rows if row["robot"]}
    knot = by_capture["monday/2 knot.npz"]
    assert not knot["kept"] and knot["stage"] == "gate" and "inside each other" in knot["reason"]
    assert knot["gate"]["outcome"] == "rejected" and knot["gate"]["findings"]
    torn = by_capture["monday/3 torn.bvh"]
    assert torn["stage"] == "read" and "torn.bvh" in torn["reason"]
    assert "bones" in by_capture["monday/1 giant.npz"]["reason"]
    wave = by_capture["monday/3 wave.npz"]
    assert wave["kept"] and wave["gate"]["outcome"] in ("pass", "repaired")
    assert 0 < wave["gate"]["velocity_use"] <= 1 and wave["seconds"] > 0.5
    assert wave["text"] == "waves"


def test_every_file_of_the_manifest_is_there_and_no_other(made: Path) -> None:
    named = {file["path"]: file for row in rows_of(made) for file in row["files"]}
    found = {name: data for name, data in files_of(made).items() if name.startswith("motions/")}
    assert set(named) == set(found)
    for name, data in found.items():
        assert len(data) == named[name]["bytes"]
        assert hashlib.sha256(data).hexdigest() == named[name]["sha256"]
    assert len(read_motion(made / next(one for one in named if one.endswith(".bvh")))) >= 10


def test_what_is_kept_passes_the_gate(made: Path, spec: Path) -> None:
    gate = SafetyGate(load_robot(str(spec.with_name("doll.urdf")), spec.with_name("doll.yaml")))
    files = sorted((made / "motions" / "robot-npz" / "doll").iterdir())
    assert len(files) == GOOD
    assert all(gate.review(read_trajectory(file)).report.outcome == "pass" for file in files)


def test_shards_hold_the_kept_motions_in_order_with_their_rows(made: Path) -> None:
    folder = made / "shards" / "doll"
    index = json.loads((folder / "index.json").read_text())
    assert [one["motions"] for one in index["shards"]] == [4, 2]
    assert set(index["columns"]) == set(COLUMNS)
    kept = [row for row in rows_of(made) if row["robot"] and row["kept"]]
    for row in kept:
        entry = index["shards"][row["shard"]]
        data = (folder / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        shard = np.load(folder / entry["file"], allow_pickle=False)
        begin, end = shard["starts"][row["place"] : row["place"] + 2]
        trajectory = read_trajectory(made / row["files"][0]["path"])
        assert tuple(shard["joint_names"]) == trajectory.joint_names
        assert shard["item"][row["place"]] == row["item"] and end - begin == row["frames"]
        assert np.allclose(shard["joint_positions"][begin], trajectory.positions[0], atol=1e-6)
        assert np.allclose(shard["root_position"][end - 1], trajectory.base_position[-1], atol=1e-6)


def test_the_parquet_folder_is_a_data_set_with_one_row_per_frame(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs the package datasets")
    loaded = datasets.load_dataset(
        str(made / "dataset"), "doll", split="train", cache_dir=str(tmp_path)
    ).with_format("numpy")
    kept = [row for row in rows_of(made) if row["robot"] and row["kept"]]
    assert len(loaded) == sum(row["frames"] for row in kept)
    assert (loaded["index"][:] == np.arange(len(loaded))).all()
    assert set(COLUMNS) < set(loaded.column_names)
    last = loaded.filter(lambda row: row["episode_index"] == GOOD - 1)
    assert set(last["item"][:]) == {kept[-1]["item"]}
    shard = np.load(made / "shards" / "doll" / "00001.npz")
    begin, end = shard["starts"][-2:]
    for name in COLUMNS:
        assert (np.stack(last[name][:]) == shard[name][begin:end]).all(), name
    assert np.allclose(last["timestamp"][:], np.arange(end - begin) / 50, atol=1e-6)
    assert last["text"][0] == "waves"


def command(spec: Path, out: Path) -> subprocess.Popen[str]:
    words = ["produce", str(spec), "--out", str(out), "--workers", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "nextscale_core.cli", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_killed_interrupted_and_resumed_with_more_workers_the_result_is_the_same(
    spec: Path, made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def rows() -> int:
        file = out / "manifest.jsonl"
        return file.read_bytes().count(b"\n") if file.is_file() else 0

    killed = command(spec, out)
    wait_for(lambda: rows() >= 4)
    killed.kill()
    killed.communicate()
    after_kill = rows()
    assert after_kill < 2 * (GOOD + BAD)

    stopped = command(spec, out)
    wait_for(lambda: rows() > after_kill)
    stopped.send_signal(signal.SIGTERM)
    _, errors = stopped.communicate()
    if stopped.returncode:  # it may have finished before the signal
        assert stopped.returncode == 128 + signal.SIGTERM, errors
        assert "the same command goes on: nextscale produce" in errors
        assert "Traceback" not in errors

    result = produce(spec, out, workers=2)
    assert result.done == result.total and result.stopped is None
    assert files_of(out) == files_of(made)
    assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    spec: Path, made: Path, tmp_path: Path
) -> None:
    killed: list[int | None] = []

    def kill_one(state: Production) -> None:
        if state.done == 2 and not killed:
            (child,) = multiprocessing.active_children()
            killed.append(child.pid)
            child.kill()

    produce(spec, tmp_path / "out", workers=1, progress=kill_one)
    assert killed
    assert files_of(tmp_path / "out") == files_of(made)


class Deadly(Job):
    """A job that ends the process that receives it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (7,)


def test_a_source_that_ends_every_worker_is_refused_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "takes").mkdir()
    for name in ("a", "b"):
        write_motion(waving_clip(10), tmp_path / "takes" / f"{name}.npz")
    spec = tmp_path / "spec.yaml"
    spec.write_text("captures: takes\nformats: [human-npz]\n")
    real = Plan.job

    def job(plan: Plan, number: int) -> Job:
        return Deadly(**vars(real(plan, number))) if number == 0 else real(plan, number)

    monkeypatch.setattr(Plan, "job", job)
    result = produce(spec, tmp_path / "out", workers=1)
    assert result.kept == 1 and result.refused == {"worker": 1}
    first, second = rows_of(tmp_path / "out")
    assert first["capture"] == "a.npz" and "exit code 7, 2 times" in first["reason"]
    assert second["kept"]


def test_a_complete_production_is_not_made_again(spec: Path, made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.npz")}
    result = produce(spec, made)
    assert result.done == result.total
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.npz")} == before


def test_a_model_that_cannot_be_loaded_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "sentences: [a person waves]\nformats: [bvh]\ngeneration: {model: no-such-model}\n"
    )
    result = CliRunner().invoke(cli.app, ["produce", str(spec), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "error: " in result.output and "no-such-model" in result.output
