"""Specifications of productions: what is wrong is named, with the nearest right key."""

from __future__ import annotations

from pathlib import Path

import pytest

from nextscale_core.exceptions import ConfigError, NextscaleError
from nextscale_core.production.plan import Plan, make_plan
from nextscale_core.production.spec import ProductionSpec, read_spec

WAVE = "sentences: [a person waves]\nrobots: [g1]\nformats: [robot-npz]\n"
TALOS = WAVE.replace("g1", "talos")


def read(folder: Path, text: str) -> ProductionSpec:
    path = folder / "spec.yaml"
    path.write_text(text)
    return read_spec(path)


def planned(folder: Path, text: str) -> Plan:
    return make_plan(read(folder, text), folder, folder / "out")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (WAVE + "sentense: []", "unknown key sentense; did you mean 'sentences'?"),
        (
            WAVE.replace("[g1]", "[g1, {name: talos, joint: all}]"),
            "unknown key robots.1.joint; did you mean 'joints'?",
        ),
        (
            WAVE + "simulation: {controller: pd, polcy: x}",
            "unknown key simulation.polcy; did you mean 'policy'?",
        ),
        (WAVE + "simulation: {}", "simulation.controller is missing"),
        (WAVE + "simulation: {controller: pd, friction: -1}", "friction must be within"),
        (WAVE + "seeds: [1, 1]", "seeds has 1 twice"),
        (WAVE + "seeds: [-1]", "seeds.0 seed must be a whole number"),
        (WAVE + "rate: 0", "rate must be greater than or equal to 1, got 0"),
        (WAVE + "generation: {seconds: 99}", "generation seconds must be from 1 to 9.8"),
        (WAVE + "reading: {unit: parsec}", "reading unit must be auto"),
        (WAVE + "shards: {kinds: zarr}", "shards.kinds.0 must be 'npz' or 'parquet'"),
        (WAVE.replace("robot-npz", "robot-npx"), "did you mean 'robot-npz'?"),
        (WAVE.replace("robot-npz", "vrma"), "vrma can be read, not written"),
        (WAVE.replace("a person waves", "''"), "sentences.0 "),
        ("robots: [g1]\nformats: [bvh]", "has no source"),
        ("sentences: [a person waves]\nrobots: [g1]", "writes nothing"),
        ("sentences: [a person waves]\nformats: [robot-npz]", "has no robots, and robot-npz"),
        ("sentences: [a person waves]\nrobots: [g1]\nformats: [bvh]", "has robots, but"),
        ("- a person waves", "must hold a mapping"),
    ],
)
def test_an_error_names_the_key_and_what_would_be_right(
    tmp_path: Path, text: str, part: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert part in str(caught.value)
    assert "spec.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (WAVE.replace("g1", "g2"), "unknown robot 'g2'"),
        (WAVE.replace("[g1]", "[g1, g1]"), "robots has 'g1' twice"),
        (TALOS.replace("robot-npz", "mjlab-npz, robot-npz"), "mjlab-npz holds a g1"),
        (
            WAVE.replace("[g1]", "[g1, talos]").replace("robot-npz", "mjlab-npz"),
            "no format of formats holds talos",
        ),
        (
            WAVE.replace("[g1]", "[{name: g1, joints: upper_body}]").replace("robot-", "mjlab-"),
            "mjlab-npz holds the 29 joints",
        ),
        (WAVE + "simulation: {controller: pd, robots: h1}", "simulation.robots: h1"),
    ],
)
def test_formats_and_robots_that_do_not_fit_are_refused_before_the_work(
    tmp_path: Path, text: str, part: str
) -> None:
    with pytest.raises(NextscaleError) as caught:
        planned(tmp_path, text).robots()
    assert part in str(caught.value)


def test_jobs_are_sentences_by_seed_and_then_captures_in_order(tmp_path: Path) -> None:
    for name in ("b.bvh", "a/x.npz", "a/notes.md", "s/joint_pos.csv", "s/joint_vel.csv"):
        (tmp_path / "takes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "takes" / name).touch()
    (tmp_path / "list.txt").write_text("# two\na person waves\n\na person jumps\n")
    plan = planned(
        tmp_path, "sentence_file: list.txt\nseeds: [3, 1]\ncaptures: takes\nformats: [bvh]"
    )
    jobs = [plan.job(number) for number in range(len(plan))]
    assert [(job.sentence, job.seed, job.capture) for job in jobs] == [
        ("a person waves", 3, None),
        ("a person waves", 1, None),
        ("a person jumps", 3, None),
        ("a person jumps", 1, None),
        (None, None, "a/x.npz"),
        (None, None, "b.bvh"),
        (None, None, "s"),
    ]
    assert len({job.name for job in jobs}) == len(jobs)
    assert jobs[3].name == "000003-a-person-jumps-seed1"


def test_the_example_is_a_valid_specification(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[3] / "examples" / "produce.yaml"
    plan = make_plan(read_spec(path), path.parent, tmp_path)
    assert len(plan) == 36 and [robot.name for robot in plan.robots()] == ["g1", "talos"]


def test_a_number_of_seeds_stands_for_the_seeds_from_zero(tmp_path: Path) -> None:
    assert read(tmp_path, WAVE + "seeds: 3").seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ("a person waves\n\n!!!\n", "list.txt line 3"),
        ("a person waves\na person waves\n", "line 2: the sentence of line 1 again"),
        ("# nothing\n", "holds no sentence"),
    ],
)
def test_a_sentence_that_cannot_be_used_is_named_by_its_line(
    tmp_path: Path, lines: str, part: str
) -> None:
    (tmp_path / "list.txt").write_text(lines)
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, "sentence_file: list.txt\nformats: [bvh]")
    assert part in str(caught.value)


def test_a_folder_is_not_written_into_its_own_captures(tmp_path: Path) -> None:
    spec = read(tmp_path, "captures: .\nformats: [bvh]")
    with pytest.raises(ConfigError, match="contains the folder to write"):
        make_plan(spec, tmp_path, tmp_path / "out")
