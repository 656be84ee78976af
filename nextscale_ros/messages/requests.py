"""Requests to the node, from messages of its topics, action and services."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.exceptions import ConfigError, InvalidTextError, NextscaleError
from nextscale_core.model.options import MAX_GUIDANCE, MAX_STEPS
from nextscale_core.motion.constraints import Target, Waypoint
from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS
from nextscale_core.text import validate_sentence
from nextscale_ros.action import GenerateMotion
from nextscale_ros.msg import Constraint, ErrorCode, MotionReport, TextCommand
from nextscale_ros.parameters.values import MAX_SEED, Settings
from nextscale_ros.srv import EditPlan

MAX_TEXTS = 50
"""Maximum number of sentences of one request."""

MAX_CONSTRAINTS = 100
"""Maximum number of constraints of one request."""


class RequestError(NextscaleError, ValueError):
    """A request that cannot be served.

    Args:
        code: A constant of `nextscale_ros/ErrorCode`.
        message: What was wrong, with which value, and what would be right.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Response:
    """Response to a request.

    Attributes:
        report: Outcome of the request.
        trajectory: The joint trajectory, or None.
        base: The base trajectory, or None.
        residuals: Distance from each constraint, in order of time [m].
    """

    report: MotionReport
    trajectory: JointTrajectory | None = None
    base: MultiDOFJointTrajectory | None = None
    residuals: tuple[float, ...] = ()


class Client(Protocol):
    """Sender of a request who waits for the response."""

    @property
    def canceled(self) -> bool:
        """Whether the request was canceled."""
        ...

    def feedback(self, message: GenerateMotion.Feedback) -> None:
        """Receive feedback."""
        ...

    def respond(self, response: Response) -> None:
        """Receive the response; called once."""
        ...


@dataclass(frozen=True)
class Edit:
    """Part of the last motion to change.

    Attributes:
        begin: Begin of the part [s].
        end: End of the part [s]; None for the end of the motion.
        parts: Body parts to change; empty for all.
    """

    begin: float
    end: float | None
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Posture:
    """A posture of the robot at a time.

    Attributes:
        time: From the start of the new motion [s].
        joints: Joint positions by name [rad].
    """

    time: float
    joints: Mapping[str, float]


@dataclass(frozen=True)
class Framed:
    """A constraint as it was requested, at the robot's size.

    Attributes:
        frame: Frame of its places; empty for the start of the motion.
        constraint: The constraint.
        name: Its place in the request, for error messages.
    """

    frame: str
    constraint: Waypoint | Target | Posture
    name: str


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        number: Number of the request, from 1.
        stamp: Time of its receipt.
        script: Sentences and their durations [s]; None leaves a duration to parameter or model.
        seed: Seed; None for the parameter.
        guidance: Guidance; None for the parameter.
        steps: Passes for each scale; None for the parameter.
        start: Joint positions to begin in, by name [rad]; None for where the robot is.
        constraints: What the motion has to pass through; only with one sentence.
        edit: The part to change, for an edit of the last motion.
        plan_only: Whether the trajectory is planned but not sent.
        client: Waits for the response.
    """

    number: int
    stamp: Time
    script: tuple[tuple[str, float | None], ...]
    seed: int | None = None
    guidance: float | None = None
    steps: tuple[int, ...] | None = None
    start: Mapping[str, float] | None = None
    constraints: tuple[Framed, ...] = ()
    edit: Edit | None = None
    plan_only: bool = False
    client: Client | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """All sentences, separated by semicolons."""
        return "; ".join(text for text, _ in self.script)

    @property
    def canceled(self) -> bool:
        """Whether the client canceled the request."""
        return self.client is not None and self.client.canceled

    def applied(self, settings: Settings) -> Settings:
        """The parameters, replaced by the options of this request where it has any."""
        options = {name: getattr(self, name) for name in ("seed", "guidance", "steps")}
        return replace(settings, **{k: v for k, v in options.items() if v is not None})


Fields = dict[str, Any]
"""Arguments of `Request` that are read from a message."""


def of_text(text: str) -> Fields:
    """Read a plain sentence; raises RequestError for an invalid field."""
    return {"script": ((_sentence(text), None),)}


def of_text_command(message: TextCommand) -> Fields:
    """Read a sentence with options; raises RequestError for an invalid field."""
    return {
        "script": ((_sentence(message.text), _seconds(message.seconds, "seconds")),),
        **_options(message.seed, message.guidance, message.steps),
    }


def of_goal(goal: GenerateMotion.Goal) -> Fields:
    """Read a goal of the action; raises RequestError for an invalid field."""
    texts = list(goal.texts)
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise RequestError(
            ErrorCode.INVALID_TEXT, f"texts must hold 1 to {MAX_TEXTS} sentences, got {len(texts)}"
        )
    lengths = list(goal.seconds) or [0.0] * len(texts)
    if len(lengths) != len(texts):
        raise RequestError(
            ErrorCode.INVALID_SECONDS,
            f"seconds must be empty or one for each of the {len(texts)} texts, got {len(lengths)}",
        )
    script = tuple(
        (_sentence(text), _seconds(length, f"seconds[{index}]"))
        for index, (text, length) in enumerate(zip(texts, lengths, strict=True))
    )
    return {
        "script": script,
        "start": _start(goal.start_state),
        "constraints": _constraints(goal.constraints, len(texts)),
        "plan_only": bool(goal.plan_only),
        **_options(goal.seed, goal.guidance, goal.steps),
    }


def of_edit(request: EditPlan.Request) -> Fields:
    """Read a call of `edit_plan`; raises RequestError for an invalid field."""
    begin, end = float(request.begin), float(request.end)
    if not (math.isfinite(begin) and math.isfinite(end) and begin >= 0.0):
        raise RequestError(
            ErrorCode.INVALID_SPAN, f"begin and end must be finite and not negative: {begin}, {end}"
        )
    if (begin or end) and end <= begin:
        raise RequestError(
            ErrorCode.INVALID_SPAN, f"end must come after begin, got {begin:g} to {end:g} s"
        )
    return {
        "script": ((_sentence(request.text), None),),
        "edit": Edit(begin, end or None, tuple(request.body_parts)),
        "plan_only": bool(request.plan_only),
        **_options(request.seed, 0.0, ()),
    }


def raw_text(of: Callable[..., Fields], message: Any) -> str:
    """The texts of a message that could not be read, for the report."""
    if of is of_text:
        return str(message)
    return "; ".join(message.texts) if of is of_goal else str(message.text)


def _sentence(text: str) -> str:
    try:
        return validate_sentence(text)
    except InvalidTextError as error:
        raise RequestError(ErrorCode.INVALID_TEXT, str(error)) from error


def _seconds(value: float, name: str) -> float | None:
    if value == 0.0:
        return None
    if not MIN_SECONDS <= value <= MAX_SECONDS:
        raise RequestError(
            ErrorCode.INVALID_SECONDS,
            f"{name} must be 0 or {MIN_SECONDS:g} to {MAX_SECONDS:g} s, got {value:g}",
        )
    return float(value)


def _options(seed: int, guidance: float, steps: Sequence[int]) -> Fields:
    if not -1 <= seed <= MAX_SEED:
        raise RequestError(
            ErrorCode.INVALID_SEED, f"seed must be -1 (a new one) or 0 to {MAX_SEED}, got {seed}"
        )
    if not 0.0 <= guidance <= MAX_GUIDANCE:
        raise RequestError(
            ErrorCode.INVALID_GUIDANCE, f"guidance must be 0 to {MAX_GUIDANCE:g}, got {guidance:g}"
        )
    passes = tuple(int(step) for step in steps)
    if passes == (0,):
        passes = ()
    if any(not 1 <= step <= MAX_STEPS for step in passes):
        raise RequestError(
            ErrorCode.INVALID_STEPS,
            f"steps must be empty or 1 to {MAX_STEPS} for each scale, got {list(passes[:20])}",
        )
    return {
        "seed": None if seed < 0 else int(seed),
        "guidance": float(guidance) or None,
        "steps": passes or None,
    }


def _constraints(messages: Sequence[Constraint], texts: int) -> tuple[Framed, ...]:
    if len(messages) and texts > 1:
        raise RequestError(
            ErrorCode.INVALID_CONSTRAINT, f"constraints need a goal with one text, got {texts}"
        )
    if len(messages) > MAX_CONSTRAINTS:
        raise RequestError(
            ErrorCode.INVALID_CONSTRAINT,
            f"constraints must be at most {MAX_CONSTRAINTS}, got {len(messages)}",
        )
    return tuple(_constraint(one, f"constraints[{n}]") for n, one in enumerate(messages))


def _constraint(message: Constraint, name: str) -> Framed:
    """Read one constraint; its values are checked as those of the core's."""
    place = (float(message.x), float(message.y), float(message.z))
    found: Waypoint | Target | Posture
    try:
        if message.type == Constraint.WAYPOINT:
            heading = float(message.heading) if message.has_heading else None
            found = Waypoint(float(message.time), place[0], place[1], heading)
        elif message.type == Constraint.TARGET:
            found = Target(float(message.time), str(message.body), place)
        elif message.type == Constraint.KEYFRAME:
            joints = _start(message.joints, "joints")
            if joints is None:
                raise ConfigError("a keyframe needs joints with names and positions")
            found = Posture(Waypoint(float(message.time), 0.0, 0.0).time, joints)
        else:
            raise ConfigError(
                f"type must be {Constraint.KEYFRAME}, {Constraint.WAYPOINT} or "
                f"{Constraint.TARGET}, got {str(message.type)[:50]!r}"
            )
    except (ConfigError, RequestError) as error:
        raise RequestError(ErrorCode.INVALID_CONSTRAINT, f"{name}: {error}") from error
    return Framed(str(message.frame_id), found, name)


def _start(state: JointState, field_name: str = "start_state") -> Mapping[str, float] | None:
    if not state.name and not len(state.position):
        return None
    if len(state.position) != len(state.name):
        raise RequestError(
            ErrorCode.INVALID_START_STATE,
            f"{field_name} has {len(state.position)} positions for {len(state.name)} names",
        )
    if len(set(state.name)) != len(state.name):
        raise RequestError(ErrorCode.INVALID_START_STATE, f"{field_name} names a joint twice")
    start = dict(zip(state.name, (float(value) for value in state.position), strict=True))
    wrong = [f"{name} is {value}" for name, value in start.items() if not math.isfinite(value)]
    if wrong:
        raise RequestError(ErrorCode.INVALID_START_STATE, f"{field_name}: {', '.join(wrong[:5])}")
    return start
