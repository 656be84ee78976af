"""`Plan`: the jobs of a production, in order, and what they depend on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nextscale_core.conversion import FORMATS
from nextscale_core.exceptions import ConfigError, InvalidTextError, RobotError
from nextscale_core.production.recipe import Job, Recipe
from nextscale_core.production.spec import ProductionSpec
from nextscale_core.resources import packaged_model, resource
from nextscale_core.robots.robot import Robot, is_file, list_robots
from nextscale_core.text.validation import validate_sentence
from nextscale_core.trajectory.formats.sonic import is_sonic


@dataclass(frozen=True)
class Plan:
    """A production: its jobs are numbered, and every process derives the same ones.

    Attributes:
        recipe: What is made of a source.
        sentences: All sentences.
        captures: Files or folders of motion below the folder of captures, in order.
    """

    recipe: Recipe
    sentences: tuple[str, ...]
    captures: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sentences) * len(self.spec.seeds) + len(self.captures)

    @property
    def spec(self) -> ProductionSpec:
        """The specification."""
        return self.recipe.spec

    def job(self, number: int) -> Job:
        """The job with a number: sentences by sentence and seed, then captures."""
        sentence, seed = divmod(number, len(self.spec.seeds))
        if sentence < len(self.sentences):
            text, chosen = self.sentences[sentence], self.spec.seeds[seed]
            return Job(f"{number:06d}-{_slug(text)}-seed{chosen}", text, chosen)
        capture = self.captures[number - len(self.sentences) * len(self.spec.seeds)]
        return Job(f"{number:06d}-{_slug(Path(capture).stem)}", capture=capture)

    def robots(self) -> list[Robot]:
        """Load all robots and check that the specification suits them.

        Raises:
            RobotError: unknown robot, one that is chosen twice, or one that no format holds.
            ConfigError: a profile is not valid, or a format holds none of the robots.
        """
        robots = [self.recipe.robot(choice) for choice in self.spec.robots]
        names = [robot.name for robot in robots]
        for robot in robots:
            if names.count(robot.name) > 1:
                raise RobotError(f"robots has {robot.name!r} twice; give profiles other names")
            if not (self.recipe.formats(robot) or self.spec.shards):
                raise RobotError(
                    f"no format of formats holds {robot.name}; robot-npz, mujoco-npz, "
                    "holosoma-npz and gmr-pkl hold any robot"
                )
        for one in self.spec.robot_formats:
            if one.robot and one.robot not in names:
                raise ConfigError(f"formats: {one.name} holds a {one.robot}, robots has none")
        unknown = set(self.spec.simulation.robots if self.spec.simulation else ()) - set(names)
        if unknown:
            raise ConfigError(
                f"simulation.robots: {', '.join(sorted(unknown))}: robots has {', '.join(names)}"
            )
        return robots

    def record(self) -> dict[str, Any]:
        """What the files of the production depend on, as plain values.

        Raises:
            ConfigError: a file of the specification cannot be read, or the model is unknown.
        """
        spec = TypeAdapter(ProductionSpec).dump_python(self.spec, mode="json")
        captures = self.recipe.path(self.spec.captures)
        return {
            "nextscale": importlib.metadata.version("nextscale"),
            **spec,
            "sentences": list(self.sentences),
            "captured": [[name, _size(captures / name)] for name in self.captures],
            "sha256": {str(name): _digest(path) for name, path in self._inputs()},
        }

    def _inputs(self) -> Iterator[tuple[str, Path]]:
        """Names and paths of the files, beside captures, that motions depend on."""
        spec, recipe = self.spec, self.recipe
        if self.sentences:
            model = Path(recipe.model())
            folder = model if model.is_dir() else packaged_model(spec.generation.model)
            if (folder / "checksums.json").is_file():
                yield f"{spec.generation.model}/checksums.json", folder / "checksums.json"
        for choice in (*spec.robots, *([spec.reading.robot] if spec.reading.robot else [])):
            if choice.profile:
                yield choice.profile, recipe.path(choice.profile)
            elif choice.name in list_robots():
                yield choice.name, resource(f"config/robots/{choice.name}.yaml")
            if is_file(recipe.path(choice.name)):
                yield choice.name, recipe.path(choice.name)
        for name in (spec.reading.map, spec.simulation.policy if spec.simulation else ""):
            if name:
                yield name, recipe.path(name)


def make_plan(spec: ProductionSpec, root: Path, out: Path) -> Plan:
    """Find all sentences and captures of a specification.

    Args:
        spec: The specification.
        root: Folder that its paths are relative to.
        out: Folder that is written, which must not be among the captures.

    Raises:
        ConfigError: a file or folder of it is missing or empty, or a sentence cannot be used; the
            message has the line.
    """
    recipe = Recipe(spec, root.resolve())
    sentences: tuple[str, ...] = spec.sentences
    captures: tuple[str, ...] = ()
    if spec.sentence_file:
        sentences = tuple(_read_sentences(recipe.path(spec.sentence_file)))
    if spec.captures:
        folder = recipe.path(spec.captures)
        if not folder.is_dir():
            raise ConfigError(f"captures: {folder} is not a folder")
        if out.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"captures: {folder} contains the folder to write, {out}")
        captures = tuple(_find_captures(folder))
        if not captures:
            suffixes = ", ".join(sorted(_SUFFIXES))
            raise ConfigError(f"captures: {folder} holds no file that ends in {suffixes}")
    return Plan(recipe, sentences, captures)


_SUFFIXES = {one.suffix for one in FORMATS if one.read is not None and one.suffix}


def _find_captures(folder: Path) -> list[str]:
    found: list[Path] = []
    for name, folders, files in os.walk(folder):
        inside = Path(name)
        if inside != folder and is_sonic(inside):
            found.append(inside)
            folders.clear()
        else:
            found += [inside / one for one in files if Path(one).suffix.lower() in _SUFFIXES]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _read_sentences(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"sentence_file: cannot read {path}: {error}") from error
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            sentence = validate_sentence(line)
        except InvalidTextError as error:
            raise ConfigError(f"{path} line {number}: {error}") from error
        if sentence in lines:
            raise ConfigError(f"{path} line {number}: the sentence of line {lines[sentence]} again")
        lines[sentence] = number
    if not lines:
        raise ConfigError(f"sentence_file: {path} holds no sentence; write one a line")
    return iter(lines)


def _slug(text: str) -> str:
    """A text as part of a file's name."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:48].rstrip("-") or "motion"


def _size(path: Path) -> int:
    files = [path] if path.is_file() else sorted(path.glob("*"))
    return sum(file.stat().st_size for file in files)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
