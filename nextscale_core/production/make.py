"""`Maker`: one job after the other, from its source to the bytes of its files."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nextscale_core.conversion import FORMATS, read_any, to_human, to_robot
from nextscale_core.exceptions import NextscaleError, UnsafeTrajectoryError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.registry import MotionFormat, find_format
from nextscale_core.motion.formats.rigs import read_joint_map
from nextscale_core.motion.reading import ReadOptions
from nextscale_core.planning import MotionPlanner
from nextscale_core.production.columns import columns_of
from nextscale_core.production.recipe import HUMAN, Job, Recipe
from nextscale_core.safety.gate import SafetyGate
from nextscale_core.safety.report import SafetyReport
from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.simulation import Balancer

_DIGITS = 6
"""Decimals of the figures in a manifest."""

_CONSTANT = ("outcome", "joints", "watched_pairs", "unwatched_pairs", "unwatched_links")
"""Parts of a report that are the same for all motions of a robot, or stand elsewhere in a row."""


@dataclass(frozen=True)
class Item:
    """A motion of one subject, or the reason why there is none.

    Attributes:
        row: Its row of the manifest, without files and places in shards.
        files: Path below the folder of motions -> content.
        columns: Columns for shards; empty without shards.
    """

    row: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    columns: dict[str, np.ndarray] = field(default_factory=dict)


class _Refusal(Exception):  # noqa: N818 (it is the result of an item, not an error)
    """A motion ends at a stage; what is known of it goes into the row."""

    def __init__(self, stage: str, reason: str, report: SafetyReport | None = None) -> None:
        super().__init__(reason)
        self.stage, self.report = stage, report


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """Turn any error into a refusal at a stage: no item may end the production."""
    try:
        yield
    except _Refusal:
        raise
    except UnsafeTrajectoryError as error:
        raise _Refusal("gate", str(error), error.report) from error
    except NextscaleError as error:
        raise _Refusal(name, str(error)) from error
    # Damaged captures reach code of other packages, which raises anything.
    except Exception as error:
        raise _Refusal(name, f"{type(error).__name__}: {error}") from error


class Maker:
    """A model and robots, loaded once, that make items.

    Args:
        recipe: What is made.

    Raises:
        NextscaleError: model, robot or policy cannot be loaded.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe, spec = recipe, recipe.spec
        self._pipeline: MotionPipeline | None = None
        if recipe.generates:
            import torch

            from nextscale_core.pipeline import MotionPipeline

            torch.set_num_threads(1)
            self._pipeline = MotionPipeline.from_pretrained(recipe.model(), spec.generation.device)
        self._reading = _reading_options(recipe)
        self._robots = [
            _RobotMaker(
                recipe, MotionPlanner(recipe.robot(choice), spec.base_rate, balance=choice.balance)
            )
            for choice in spec.robots
        ]

    def make(self, job: Job) -> list[Item]:
        """The items of a job: the human motion if a format holds it, then each robot."""
        facts: dict[str, Any] = {"source": job.name, "sentence": job.sentence, "seed": job.seed}
        facts |= {"capture": job.capture}
        human = self._recipe.spec.human_formats
        subjects = [HUMAN] if human else []
        subjects += [maker.robot.name for maker in self._robots]
        try:
            with _stage("read" if job.sentence is None else "generate"):
                motion = self._source(job)
        except _Refusal as refusal:
            return [_refused({**facts, "robot": subject or None}, refusal) for subject in subjects]
        of_motion = motion.trajectory if isinstance(motion, RobotMotion) else motion
        facts["text"] = of_motion.text
        facts["notes"] = [str(note) for note in motion.notes]
        items = []
        if human:
            items.append(self._human({**facts, "robot": None}, motion, human, job.name))
        for maker in self._robots:
            items.append(maker.make({**facts, "robot": maker.robot.name}, motion, job.name))
        return items

    def _source(self, job: Job) -> MotionClip | RobotMotion:
        if job.sentence is not None:
            assert self._pipeline is not None and job.seed is not None
            options = self._recipe.spec.generation.options(job.seed)
            return self._pipeline.generate(job.sentence, options)
        assert job.capture is not None
        spec, path = self._recipe.spec, self._recipe.path(self._recipe.spec.captures) / job.capture
        known = find_format(spec.reading.format, FORMATS) if spec.reading.format else None
        return read_any(path, known, *self._reading).motion

    def _human(
        self,
        facts: dict[str, Any],
        motion: MotionClip | RobotMotion,
        formats: Sequence[MotionFormat],
        name: str,
    ) -> Item:
        try:
            with _stage("retarget"):
                clip = to_human(motion) if isinstance(motion, RobotMotion) else motion
            with _stage("write"):
                files = _written([(one, clip) for one in formats], name, "")
        except _Refusal as refusal:
            return _refused(facts, refusal)
        size = {"seconds": _plain(clip.seconds), "frames": len(clip), "fps": clip.fps}
        return Item({**facts, "kept": True, **size}, files)


class _RobotMaker:
    """The part of a job that is for one robot."""

    def __init__(self, recipe: Recipe, planner: MotionPlanner) -> None:
        self.robot, self._planner, self._spec = planner.robot, planner, recipe.spec
        self._formats = recipe.formats(self.robot)
        self._gate = SafetyGate(self.robot)
        self._balancer: Balancer | None = None
        if recipe.simulates(self.robot):
            assert self._spec.simulation is not None
            from nextscale_core.simulation import make_balancer
            from nextscale_core.simulation.model import require_mujoco

            require_mujoco()
            policy = self._spec.simulation.policy
            self._balancer = make_balancer(
                self.robot,
                self._spec.simulation.controller,
                recipe.path(policy) if policy else None,
            )

    def make(self, facts: dict[str, Any], motion: MotionClip | RobotMotion, name: str) -> Item:
        """Retarget, review, simulate and write a motion."""
        row = dict(facts)
        # Which motions a worker made before is not the same in every run.
        self._planner.forget()
        try:
            with _stage("retarget"):
                moved, report = self._on_robot(motion)
            row["gate"] = _figures(report)
            row["notes"] = [*facts["notes"], *moved.notes[len(motion.notes) :]]
            with _stage("gate"):
                outputs = [(one, self._at_rate(moved, one)) for one in self._formats]
            if self._balancer is not None:
                with _stage("simulate"):
                    self._simulate(moved, self._balancer, row)
            with _stage("write"):
                files = _written(outputs, name, self.robot.name)
                columns = columns_of(moved) if self._spec.shards else {}
        except _Refusal as refusal:
            return _refused(row, refusal)
        frames = len(next(iter(columns.values()))) if columns else len(moved.trajectory)
        size = {"frames": frames, "fps": moved.trajectory.fps}
        return Item(
            {**row, "kept": True, "seconds": _plain(moved.trajectory.seconds), **size},
            files,
            columns,
        )

    def _on_robot(self, motion: MotionClip | RobotMotion) -> tuple[RobotMotion, SafetyReport]:
        if isinstance(motion, RobotMotion):
            if motion.robot.name == self.robot.name:
                return to_robot(motion, self.robot, self._spec.base_rate)
            motion = to_human(motion)
        trajectory, report = self._planner.plan(motion)
        return RobotMotion(self.robot, trajectory), report

    def _at_rate(self, motion: RobotMotion, one: MotionFormat) -> RobotMotion:
        """The motion at the rate of a format; the gate reviews what is sampled anew."""
        wanted = motion.at_rate(self._spec.rate or one.fps or self._spec.base_rate)
        if wanted is motion:
            return motion
        checked = self._gate.review(wanted.trajectory)
        if checked.trajectory is None:
            raise _Refusal(
                "gate", f"for {one.name}: {checked.report.line()}", report=checked.report
            )
        return RobotMotion(self.robot, checked.trajectory, motion.notes)

    def _simulate(self, motion: RobotMotion, balancer: Balancer, row: dict[str, Any]) -> None:
        from nextscale_core.simulation import simulate

        chosen = self._spec.simulation
        assert chosen is not None
        rollout = simulate(self.robot, motion.trajectory, balancer, chosen.config)
        row["simulation"] = _plain(rollout.to_dict())
        if not (rollout.up or chosen.keep_fallen):
            raise _Refusal("simulate", f"{self.robot.name} falls after {rollout.fall_time:.2f} s")


def _reading_options(recipe: Recipe) -> tuple[ReadOptions, RobotReadOptions]:
    """What is known of files of human and of robot motion."""
    known = recipe.spec.reading
    names = read_joint_map(recipe.path(known.map)) if known.map else None
    # Robots are moved at the 20 frames per second of the models.
    keep_rate = not recipe.spec.robots
    human = ReadOptions(known.up, known.unit, known.fps, names, keep_rate=keep_rate)
    origin = recipe.robot(known.robot) if known.robot else None
    return human, RobotReadOptions(origin, known.fps, known.quaternion)


def _written(
    outputs: Sequence[tuple[MotionFormat, MotionClip | RobotMotion]], name: str, subject: str
) -> dict[str, bytes]:
    """Content of the files of a motion, by path below the folder of motions."""
    files = {}
    for one, motion in outputs:
        with tempfile.TemporaryDirectory(prefix="nextscale-") as temporary:
            path = Path(temporary, name + one.suffix)
            assert one.write is not None
            one.write(motion, path)
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.is_file():
                    inside = Path(one.name, subject, file.relative_to(temporary))
                    files[inside.as_posix()] = file.read_bytes()
    return files


def _refused(row: dict[str, Any], refusal: _Refusal) -> Item:
    known = {} if refusal.report is None else {"gate": _figures(refusal.report)}
    return Item({**row, **known, "kept": False, "stage": refusal.stage, "reason": str(refusal)})


def _figures(report: SafetyReport) -> dict[str, Any]:
    """Outcome, figures and findings of a review, without what is the same for all motions."""
    figures = report.to_dict()
    for name in _CONSTANT:
        del figures[name]
    return {"outcome": report.outcome, **_plain(figures)}


def _plain(value: Any) -> Any:
    """A value for JSON: rounded, and None for what is not finite."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value
