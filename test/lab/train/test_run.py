from __future__ import annotations

import json
import sys

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.temporal_tokenizer import TokenizerConfig
from nextscale_lab.train import run as run_module
from nextscale_lab.train.run import (
    RunConfig,
    describe_run,
    first_difference,
    resolve_precision,
    weights_digest,
)


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return lambda flags: monkeypatch.setattr(run_module, "_cpu_flags", lambda: set(flags))


def test_a_cpu_computes_in_bf16_only_where_it_has_instructions_for_it(on_cpu):
    on_cpu(["avx2", "avx512f", "avx512_vnni"])
    assert resolve_precision("auto") == "no"
    for flag in ("amx_bf16", "avx512_bf16"):
        on_cpu(["avx2", flag])
        assert resolve_precision("auto") == "bf16"
    assert resolve_precision("no") == "no"
    assert resolve_precision("bf16") == "bf16"


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "no")])
def test_a_gpu_computes_in_bf16_where_it_can(monkeypatch, has, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert resolve_precision("auto") == expected


def test_fp16_on_a_cpu_is_refused(on_cpu):
    with pytest.raises(ConfigError, match="fp16"):
        resolve_precision("fp16")


def test_the_flags_of_this_cpu_can_be_read():
    text = run_module.Path("/proc/cpuinfo").read_text()
    assert run_module._cpu_flags() or "flags" not in text


def test_a_run_is_described_without_paths_of_this_machine(tmp_path, monkeypatch):
    words = ["/usr/bin/nextscale", "train", "--data", str(tmp_path / "cmu"), f"--out={tmp_path}/r"]
    monkeypatch.setattr(sys, "argv", words)
    values = describe_run(
        RunConfig(tmp_path / "r", seed=7), {"model": TokenizerConfig(width=16)}, "no", 2
    )
    assert values["command"] == "nextscale train --data cmu --out=r"
    assert str(tmp_path) not in json.dumps(values)
    assert values["seed"] == 7 and values["precision"] == "no" and values["processes"] == 2
    assert values["model"]["width"] == 16 and values["versions"]["torch"] == torch.__version__
    assert json.loads(json.dumps(values)) == values


def test_the_first_difference_is_named_with_both_values(tmp_path):
    about = {"model": TokenizerConfig(width=16)}
    before = describe_run(RunConfig(tmp_path), about, "no", 1)
    same = describe_run(RunConfig(tmp_path / "x", steps=9, max_minutes=3.0), about, "no", 4)
    assert first_difference(before, same) == ""
    wider = describe_run(RunConfig(tmp_path), {"model": TokenizerConfig(width=32)}, "no", 1)
    assert first_difference(before, wider) == "model.width: 16 -> 32"
    other = describe_run(RunConfig(tmp_path), {**about, "data": "b"}, "no", 1)
    assert first_difference(before, other) == 'data: null -> "b"'
    assert first_difference(other, before) == 'data: "b" -> null'


def test_a_digest_tells_weights_apart():
    torch.manual_seed(0)
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    assert weights_digest(one) != weights_digest(other)
    other.load_state_dict(one.state_dict())
    assert weights_digest(one) == weights_digest(other)
