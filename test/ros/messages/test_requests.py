"""What is asked: every message is either a request that can be served, or refused with its code."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from nextscale_core.estimation.joint_states import RobotStateError, SenderConflictError
from nextscale_core.exceptions import (
    ConfigError,
    GenerationCancelled,
    InvalidTextError,
    ModelLoadError,
    RetargetError,
    UnsafeStartError,
    UnsafeTrajectoryError,
)
from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS
from nextscale_core.safety.report import Finding, SafetyReport
from nextscale_ros.action import GenerateMotion
from nextscale_ros.messages import requests
from nextscale_ros.messages.requests import Request, RequestError
from nextscale_ros.msg import Constraint, ErrorCode, MotionReport, TextCommand
from nextscale_ros.node.diagnostics import CODES
from nextscale_ros.node.error_codes import (
    RefusedByRulesError,
    TooLateError,
    failure_of,
)
from nextscale_ros.parameters.values import MAX_SEED, Settings
from nextscale_ros.srv import EditPlan

TEXT = "a person walks"
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
SEEDS = st.integers(-(2**63), 2**63 - 1)
STEPS = st.lists(st.integers(0, 65535), max_size=8)


def made(fields: requests.Fields) -> Request:
    return Request(1, Time(), **fields)


@given(text=st.text(max_size=400), seconds=NUMBERS, seed=SEEDS, guidance=NUMBERS, steps=STEPS)
def test_what_is_accepted_is_within_every_bound(
    text: str, seconds: float, seed: int, guidance: float, steps: list[int]
) -> None:
    message = TextCommand(text=text, seconds=seconds, seed=seed, guidance=guidance, steps=steps)
    try:
        request = made(requests.of_text_command(message))
    except RequestError as error:
        assert str(error) and 100 <= error.code < 200
        return
    ((said, length),) = request.script
    assert said.strip()
    assert length is None or MIN_SECONDS <= length <= MAX_SECONDS
    assert request.seed is None or 0 <= request.seed <= MAX_SEED
    assert request.guidance is None or 0.0 < request.guidance <= requests.MAX_GUIDANCE
    assert request.steps is None or all(1 <= step <= 50 for step in request.steps)


@given(
    texts=st.lists(st.sampled_from([TEXT, "", "\x00", "a" * 5000]), max_size=60),
    seconds=st.lists(NUMBERS, max_size=4),
    names=st.lists(st.text(max_size=5), max_size=4),
    positions=st.lists(NUMBERS, max_size=4),
)
def test_goals_too(
    texts: list[str], seconds: list[float], names: list[str], positions: list[float]
) -> None:
    goal = GenerateMotion.Goal(texts=texts, seconds=seconds)
    goal.start_state = JointState(name=names, position=positions)
    try:
        request = made(requests.of_goal(goal))
    except RequestError as error:
        assert error.code in (
            ErrorCode.INVALID_TEXT,
            ErrorCode.INVALID_SECONDS,
            ErrorCode.INVALID_START_STATE,
        )
        return
    assert len(request.script) == len(texts)
    assert request.start is None or all(map(np.isfinite, request.start.values()))


@given(
    kind=st.sampled_from(["keyframe", "waypoint", "target", "", "x"]),
    numbers=st.lists(NUMBERS, min_size=5, max_size=5),
    body=st.sampled_from(["left_hand", "right_foot", "tail"]),
    names=st.lists(st.text(max_size=5), max_size=3),
    positions=st.lists(NUMBERS, max_size=3),
)
def test_constraints_are_within_bounds_or_refused_by_their_number(
    kind: str, numbers: list[float], body: str, names: list[str], positions: list[float]
) -> None:
    time, x, y, z, heading = numbers
    message = Constraint(
        type=kind, time=time, x=x, y=y, z=z, heading=heading, has_heading=True, body=body
    )
    message.joints = JointState(name=names, position=positions)
    try:
        request = made(requests.of_goal(GenerateMotion.Goal(texts=[TEXT], constraints=[message])))
    except RequestError as error:
        assert error.code == ErrorCode.INVALID_CONSTRAINT and "constraints[0]" in str(error)
        return
    (framed,) = request.constraints
    assert 0.0 <= framed.constraint.time <= MAX_SECONDS


def test_constraints_belong_to_a_single_sentence() -> None:
    waypoint = Constraint(type=Constraint.WAYPOINT, time=1.0, x=0.5)
    with pytest.raises(RequestError, match="one text"):
        requests.of_goal(GenerateMotion.Goal(texts=[TEXT, TEXT], constraints=[waypoint]))


@given(begin=NUMBERS, end=NUMBERS)
def test_and_edits(begin: float, end: float) -> None:
    try:
        edit = made(requests.of_edit(EditPlan.Request(text=TEXT, begin=begin, end=end))).edit
    except RequestError as error:
        assert error.code == ErrorCode.INVALID_SPAN
        return
    assert edit is not None and np.isfinite(edit.begin) and edit.begin >= 0.0
    assert edit.end is None or edit.end > edit.begin


def test_what_a_request_leaves_open_the_parameters_say() -> None:
    settings = Settings(seed=3, guidance=2.0, steps=(1, 2))
    assert made(requests.of_text(TEXT)).applied(settings) == settings
    command = TextCommand(text=TEXT, seed=9, guidance=4.0, steps=[5])
    applied = made(requests.of_text_command(command)).applied(settings)
    assert (applied.seed, applied.guidance, applied.steps) == (9, 4.0, (5,))


def refused(check: str) -> UnsafeTrajectoryError:
    notes = Finding("floor", "a sole is low", 1.0, 0.0, "note")
    finding = Finding(check, "it does not hold", 1.0, 0.0, "rejected")
    return UnsafeTrajectoryError("x", SafetyReport("rejected", (notes, finding)))


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (RequestError(ErrorCode.INVALID_SPAN, "x"), "bad_input", ErrorCode.INVALID_SPAN),
        (RequestError(ErrorCode.NO_CONTROLLER, "x"), "failed", ErrorCode.NO_CONTROLLER),
        (InvalidTextError("x"), "bad_input", ErrorCode.INVALID_TEXT),
        (GenerationCancelled("x"), "superseded", ErrorCode.PREEMPTED),
        (RobotStateError("x"), "failed", ErrorCode.NO_ROBOT_STATE),
        (SenderConflictError("x"), "failed", ErrorCode.SENDER_CONFLICT),
        (RetargetError("x"), "failed", ErrorCode.RETARGETING_FAILED),
        (UnsafeStartError("x"), "rejected", ErrorCode.UNSAFE_START),
        (ConfigError("x"), "failed", ErrorCode.GENERATION_FAILED),
        (ModelLoadError("x"), "failed", ErrorCode.GENERATION_FAILED),
        (MemoryError(), "failed", ErrorCode.OUT_OF_MEMORY),
        (RuntimeError("CUDA out of memory"), "failed", ErrorCode.OUT_OF_MEMORY),
        (ZeroDivisionError("x"), "failed", ErrorCode.UNKNOWN),
        (TooLateError("x"), "rejected", ErrorCode.TOO_LATE),
        (RefusedByRulesError("x"), "rejected", ErrorCode.REFUSED_BY_RULES),
        (refused("finite"), "rejected", ErrorCode.UNSAFE_FORM),
        (refused("position"), "rejected", ErrorCode.UNSAFE_POSITION),
        (refused("velocity"), "rejected", ErrorCode.UNSAFE_VELOCITY),
        (refused("acceleration"), "rejected", ErrorCode.UNSAFE_ACCELERATION),
        (refused("self_collision"), "rejected", ErrorCode.UNSAFE_SELF_COLLISION),
        (refused("start"), "rejected", ErrorCode.UNSAFE_START),
        (refused("end"), "rejected", ErrorCode.UNSAFE_END),
    ],
)
def test_every_cause_has_its_code(error: Exception, outcome: str, code: int) -> None:
    failure = failure_of(error)
    assert (failure.outcome, failure.code) == (outcome, code)
    assert failure.message


def test_codes_are_unique_and_named() -> None:
    values = [getattr(ErrorCode, name) for name in dir(ErrorCode) if name.isupper()]
    values = [value for value in values if isinstance(value, int)]
    assert len(values) == len(set(values)) == len(CODES) >= 30
    assert CODES[MotionReport().error.code] == "NONE"
