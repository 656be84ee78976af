"""Several processes: the same run as one process makes, and one set of files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from lab.train.conftest import write_humanml3d
from lab.train.one_of_two import commands, train_codebook
from nextscale_core.cli.app import app
from nextscale_core.exceptions import ConfigError
from nextscale_lab.train.distributed import Shard, StopSignals

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("total", [2, 15, 64])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_shards_of_a_batch_are_the_batch(total, processes):
    batch = torch.randn(total)
    shards = [Shard(rank, processes) for rank in range(processes)]
    torch.testing.assert_close(torch.cat([batch[s.rows(total)] for s in shards]), batch)
    # Losses and figures are averaged over processes, and that is the mean over the batch.
    means = [batch[s.rows(total)].mean() for s in shards]
    parts = [s.whole(total, m, {"a": float(m)}) for s, m in zip(shards, means, strict=True)]
    torch.testing.assert_close(sum(loss for loss, _ in parts) / processes, batch.mean())
    figure = sum(figures["a"] for _, figures in parts) / processes
    assert figure == pytest.approx(float(batch.mean()), abs=1e-6)


def test_a_batch_smaller_than_the_processes_is_refused():
    with pytest.raises(ConfigError, match="3 rows cannot be shared by 4"):
        Shard(0, 4).rows(3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_handlers_come_back(number):
    own = signal.signal(number, signal.SIG_DFL)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), number)
            time.sleep(0)  # lets the handler run
            assert signals.received == number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, own)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), number)
            assert signals.received == 0
    finally:
        signal.signal(number, before)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """The same two runs with one process (here) and with two (under torchrun).

    The two are stopped once, by a signal that reaches only one of them, and go on.
    """
    folder = tmp_path_factory.mktemp("processes")
    data = write_humanml3d(folder / "waving")
    (folder / "results").mkdir()
    for words in commands(data, folder / "one"):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
         str(Path(__file__).parent / "one_of_two.py"), str(data), str(folder / "two"),
         str(folder / "results")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
             "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-4000:]
    return folder


def files(folder: Path) -> list[str]:
    names = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    # A run that was stopped has a second event file and the checkpoint before the last.
    names = (p.parent if p.parent.name == "tensorboard" else p for p in names)
    return sorted({str(p) for p in names if "previous" not in p.name})


@pytest.mark.parametrize("command", ["tokenizer", "decoder"])
def test_two_processes_give_the_curve_of_one(both, command):
    one, two = (
        [json.loads(line) for line in (both / n / command / "metrics.jsonl").read_text().split("\n")
         if line]
        for n in ("one", "two")
    )  # fmt: skip
    assert [row["step"] for row in two] == [4, 8, 12]
    assert one[0]["train_loss"] != one[2]["train_loss"]
    for ours, theirs in zip(one, two, strict=True):
        ours.pop("minutes"), theirs.pop("minutes")
        assert set(ours) == set(theirs)
        for name, value in ours.items():
            # The processes see the batches of one and differ by the order of sums, 1e-6 a step.
            # Shares of codes and contacts count whole things, of which one may flip.
            whole = name in ("val_codebook_use", "val_contact")
            assert theirs[name] == pytest.approx(value, rel=1e-3, abs=0.07 if whole else 1e-4), name


@pytest.mark.parametrize("command", ["tokenizer", "decoder"])
def test_both_processes_end_with_the_same_weights_and_codebook(both, command):
    ours, theirs = (
        load_file(str(both / "results" / f"{command}{rank}.safetensors")) for rank in range(2)
    )
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def test_one_set_of_files_is_written(both):
    for command, starts in (("tokenizer", 2), ("decoder", 1)):
        assert files(both / "two" / command) == files(both / "one" / command)
        assert len(list((both / "two" / command / "tensorboard").iterdir())) == starts
    kept = json.loads((both / "two" / "tokenizer" / "best" / "run.json").read_text())
    assert kept["processes"] == 2


def test_a_codebook_fed_by_two_processes_is_that_of_one(both):
    one = train_codebook(Shard())
    for rank in range(2):
        other = load_file(str(both / "results" / f"codebook{rank}.safetensors"))
        for name, value in one.items():
            torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-5)
