"""`ProductionSpec`: what `nextscale produce` makes, read from one YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from nextscale_core.conversion import FORMATS, RATE
from nextscale_core.exceptions import ConfigError
from nextscale_core.model.options import GenerationOptions, checked_seed
from nextscale_core.motion.formats.registry import MotionFormat, find_format
from nextscale_core.motion.reading import ReadOptions
from nextscale_core.robots.profile import ALL_JOINTS, UPPER_BODY
from nextscale_core.simulation.config import SimulationConfig
from nextscale_core.text.validation import validate_sentence
from nextscale_core.yaml_files import config_errors, read_yaml

_FORBID_EXTRA = ConfigDict(extra="forbid")


def _alone(value: object) -> object:
    """A single text as a list of one."""
    return [value] if isinstance(value, str) else value


def _counted(value: object) -> object:
    """A number of seeds as the seeds from 0."""
    counts = isinstance(value, int) and not isinstance(value, bool)
    return list(range(value)) if counts else value  # type: ignore[call-overload]


def _named(value: object) -> object:
    """A robot's name as a mapping."""
    return {"name": value} if isinstance(value, str) else value


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    again = [value for index, value in enumerate(values) if value in values[:index]]
    if again:
        raise ValueError(f"has {again[0]!r} twice")
    return values


def _writable(name: str) -> str:
    if find_format(name, FORMATS).write is None:
        raise ValueError(f"{name} can be read, not written; see nextscale formats")
    return name


_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Rate = Annotated[_Number, Field(ge=1, le=1000)]
_Count = Annotated[int, Field(strict=True, ge=1)]
_Text = Annotated[str, Field(min_length=1)]
_Seed = Annotated[int, Field(strict=True), AfterValidator(checked_seed)]
_Format = Annotated[str, AfterValidator(_writable)]
_Sentence = Annotated[str, AfterValidator(validate_sentence)]
_Texts = Annotated[tuple[_Text, ...], BeforeValidator(_alone)]


@dataclass(frozen=True, config=_FORBID_EXTRA)
class RobotChoice:
    """A robot that motions are made for.

    Attributes:
        name: Name of a robot, or path of a URDF or profile.
        profile: Path of its profile; '' for that of the name.
        joints: Joints that move: 'all', 'upper_body' or patterns; empty for the profile's.
        balance: Whether the centre of mass of slow motions is brought over the feet.
    """

    name: _Text
    profile: str = ""
    joints: _Texts = ()
    balance: Annotated[bool, Field(strict=True)] = False

    @property
    def moving(self) -> str | Sequence[str] | None:
        """Joints as `load_robot` takes them."""
        if len(self.joints) == 1 and self.joints[0] in (ALL_JOINTS, UPPER_BODY):
            return self.joints[0]
        return self.joints or None


@dataclass(frozen=True, config=_FORBID_EXTRA)
class Generation:
    """The model and its options; see `GenerationOptions`.

    Attributes:
        model: Name or folder of the model.
        device: Torch device of the model.
        seconds: Length of every motion [s]; None lets the model choose.
        guidance: Strength of the text; None for the model's default.
        steps: Passes per scale; None for the model's default.
        candidates: Motions sampled at once, of which the best is taken.
    """

    model: _Text = "moscale-cmu"
    device: _Text = "cpu"
    seconds: _Number | None = None
    guidance: _Number | None = None
    steps: tuple[_Count, ...] | None = None
    candidates: _Count = 1

    def __post_init__(self) -> None:
        self.options(0)

    def options(self, seed: int) -> GenerationOptions:
        """Options of one motion."""
        return GenerationOptions(seed, self.seconds, self.guidance, self.steps, self.candidates)


@dataclass(frozen=True, config=_FORBID_EXTRA)
class Reading:
    """What is known of the captures; the options of `nextscale convert`.

    Attributes:
        format: Format of all files; '' to find it from each file.
        up: Axis that points up.
        unit: Unit of length, or its metres.
        fps: Frames per second of the files [Hz]; None for the rate that they state.
        map: YAML file with the names of joints.
        quaternion: Order of the root's quaternion in files of robot motion.
        robot: Robot of files of robot motion, where they do not name a known one; None for the G1.
    """

    format: str = ""
    up: str = "auto"
    unit: str = "auto"
    fps: _Number | None = None
    map: str = ""
    quaternion: Literal["xyzw", "wxyz"] | None = None
    robot: Annotated[RobotChoice | None, BeforeValidator(_named)] = None

    def __post_init__(self) -> None:
        ReadOptions(self.up, self.unit, self.fps)
        if self.format and find_format(self.format, FORMATS).read is None:
            raise ValueError(f"format {self.format} can be written, not read")


@dataclass(frozen=True, config=_FORBID_EXTRA)
class Simulation:
    """A rollout in physics; see `SimulationConfig`.

    Attributes:
        controller: 'walking', 'tracker' or 'pd'; 'pd' fixes the base in the world.
        policy: ONNX file; '' for the walking policy that is installed.
        robots: Robots that are simulated; empty for all.
        keep_fallen: Whether a motion is kept that the robot falls in.
        friction: Coefficient of friction.
        delay: Delay of the motors [s].
        noise: Factor on usual sensor noise.
        push: Change of the base's velocity at each push [m/s].
        push_interval: Time between pushes [s].
        seed: Seed of noise and pushes.
    """

    controller: Literal["walking", "tracker", "pd"]
    policy: str = ""
    robots: _Texts = ()
    keep_fallen: Annotated[bool, Field(strict=True)] = False
    friction: _Number = 1.0
    delay: _Number = 0.0
    noise: _Number = 0.0
    push: _Number = 0.0
    push_interval: _Number = 2.0
    seed: _Seed = 0

    def __post_init__(self) -> None:
        _ = self.config

    @property
    def config(self) -> SimulationConfig:
        """Floor, disturbances and seed."""
        return SimulationConfig(
            self.friction,
            self.delay,
            self.noise,
            self.push,
            self.push_interval,
            fixed_base=self.controller == "pd",
            seed=self.seed,
        )


@dataclass(frozen=True, config=_FORBID_EXTRA)
class Shards:
    """Files of many motions for training.

    Attributes:
        motions: Motions of a file.
        kinds: 'npz', 'parquet' or both.
    """

    motions: _Count = 256
    kinds: Annotated[
        tuple[Literal["npz", "parquet"], ...],
        BeforeValidator(_alone),
        Field(min_length=1),
        AfterValidator(_different),
    ] = ("npz",)


@dataclass(frozen=True, config=_FORBID_EXTRA)
class ProductionSpec:
    """What is made: from which sources, for which robots, in which formats.

    Attributes:
        sentences: English sentences.
        sentence_file: Text file with one sentence a line; # begins a comment line.
        seeds: Seeds of each sentence; a number N stands for 0 to N - 1.
        captures: Folder with motion files, searched with the folders below it.
        generation: Model and options of the sentences.
        reading: What is known of the captures.
        robots: Robots.
        rate: Samples per second of robot motion [Hz]; None for the rate of each format, and 50 Hz
            where it has none and in shards.
        simulation: A rollout in physics after the gate; None for none.
        formats: Names of formats, one file each per motion.
        shards: Files of many motions; None for none.

    Raises:
        ValueError: no source, no robot for a robot's format, or nothing to write.
    """

    sentences: Annotated[tuple[_Sentence, ...], AfterValidator(_different)] = ()
    sentence_file: str = ""
    seeds: Annotated[
        tuple[_Seed, ...],
        BeforeValidator(_counted),
        Field(min_length=1),
        AfterValidator(_different),
    ] = (0,)
    captures: str = ""
    generation: Generation = field(default_factory=Generation)
    reading: Reading = field(default_factory=Reading)
    robots: tuple[Annotated[RobotChoice, BeforeValidator(_named)], ...] = ()
    rate: _Rate | None = None
    simulation: Simulation | None = None
    formats: Annotated[tuple[_Format, ...], AfterValidator(_different)] = ()
    shards: Shards | None = None

    def __post_init__(self) -> None:
        if not (self.sentences or self.sentence_file or self.captures):
            raise ValueError("has no source: give sentences, sentence_file or captures")
        if self.sentences and self.sentence_file:
            raise ValueError("has sentences and sentence_file; give one of them")
        if not (self.formats or self.shards):
            raise ValueError("writes nothing: give formats, shards or both")
        for_robots = [one.name for one in self.robot_formats] + ["shards"] * bool(self.shards)
        if for_robots and not self.robots:
            raise ValueError(f"has no robots, and {for_robots[0]} holds robot motion")
        if self.robots and not for_robots:
            raise ValueError("has robots, but formats of human motion only, and no shards")
        if self.simulation and not self.robots:
            raise ValueError("has a simulation, but no robots")

    @property
    def robot_formats(self) -> list[MotionFormat]:
        """The formats of robot motion."""
        return [one for one in self._found if one.subject == "robot"]

    @property
    def human_formats(self) -> list[MotionFormat]:
        """The formats of human motion."""
        return [one for one in self._found if one.subject == "human"]

    @property
    def base_rate(self) -> float:
        """Samples per second where a format has no rate of its own [Hz]."""
        return self.rate or RATE

    @property
    def _found(self) -> list[MotionFormat]:
        return [find_format(name, FORMATS) for name in self.formats]


def read_spec(path: Path) -> ProductionSpec:
    """Read the YAML file of a production.

    Raises:
        ConfigError: the file cannot be read, or a key or value is not valid; the message names
            it, and for an unknown key the nearest one.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a mapping, such as 'sentences: [a person waves]'")
    with config_errors(path.name, ProductionSpec):
        return TypeAdapter(ProductionSpec).validate_python(content)
