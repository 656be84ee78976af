"""The generate node with outputs for balancing robots, and a robot that follows them inexactly."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from scipy.spatial.transform import Rotation

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.action import GenerateMotion
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import ErrorCode, MotionReference
from nextscale_ros.node.stream_output import STEP
from ros.balancing_robot import BalancingRobot
from ros.goals import ABORTED, CANCELED, SUCCEEDED, Goals, Sent
from ros.graph import BUSY, REPLY, START, TRIES, Graph, TooBusyError, in_one_session

TEXT = "a person raises the right arm"
GLIDE = "a person glides ahead"
WALK = "/walk"


@pytest.fixture(scope="module")
def g1() -> Robot:
    return load_robot("g1")


def balancing(
    graph: Graph, g1: Robot, namespace: str, parameters: dict[str, object]
) -> Iterator[tuple[Child, BalancingRobot]]:
    robot = BalancingRobot(graph.context, g1, namespace)
    parameters = {"state_timeout": 3.0, "publish_markers": False, **parameters}
    arguments = ["-r", f"__ns:={namespace}"] if namespace else []
    child = graph.start("ros.fake_pipeline", parameters, arguments)
    try:
        robot.wait(lambda: max(len(robot.references), len(robot.velocities)) > 20, START, "output")
        yield child, robot
    finally:
        robot.close()


@pytest.fixture(scope="module")
def tracker(graph: Graph, g1: Robot) -> Iterator[tuple[Child, BalancingRobot]]:
    yield from balancing(graph, g1, "", {"output": "reference", "reference_bound": 1.5})


@pytest.fixture(scope="module")
def walker(graph: Graph, g1: Robot) -> Iterator[tuple[Child, BalancingRobot]]:
    limits = {"max_linear": 0.3, "max_linear_acceleration": 1.5, "odometry_timeout": 2.0}
    yield from balancing(graph, g1, WALK, {"output": "walking", **limits})


@pytest.fixture
def goals_in(graph: Graph) -> Iterator[Callable[[str], Goals]]:
    recorder, made = Recorder(graph.context), []

    def make(namespace: str = "") -> Goals:
        made.append(Goals(recorder, f"{namespace}/generate_motion"))
        return made[-1]

    yield make
    for goals in made:
        goals.destroy()
    recorder.destroy_node()


def table(references: list[MotionReference]) -> tuple[np.ndarray, ...]:
    """Times (N,), positions and velocities (N, J), places (N, 3), orientations and `moving`."""
    stamps = np.array([nanoseconds(one.header.stamp) for one in references]) / NANOSECONDS
    pose = [one.base_pose for one in references]
    place = np.array([[p.position.x, p.position.y, p.position.z] for p in pose])
    turn = np.array(
        [[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in pose]
    )
    return (
        stamps - stamps[0],
        np.array([one.positions for one in references]),
        np.array([one.velocities for one in references]),
        place,
        turn,
        np.array([one.moving for one in references]),
    )


def check_smooth(robot: Robot, references: list[MotionReference]) -> None:
    """No step is longer than the velocities say, and none jumps."""
    times, positions, velocities, place, turn, _ = table(references)
    step = np.diff(times)[:, None]
    speeds = np.maximum(np.abs(velocities[1:]), np.abs(velocities[:-1]))
    assert (np.abs(velocities) <= robot.velocity_limit + 1e-6).all()
    # A busy machine loses references: over a gap, the limit of the velocity holds.
    near = step[:, 0] < 0.1
    speeds[~near] = robot.velocity_limit
    assert (np.abs(np.diff(positions, axis=0)) <= 1.3 * step * speeds + 0.02).all()
    assert np.abs(np.diff(place, axis=0))[near].max() < 0.05
    rotation = Rotation.from_quat(turn)
    assert (rotation[:-1].inv() * rotation[1:]).magnitude()[near].max() < 0.1


def walks(robot: BalancingRobot) -> bool:
    """Whether its feet are commanded to move."""
    return bool(abs(speeds(robot.velocities[-1:])[0][0]) > 0.1)


def stands(robot: Robot, reference: MotionReference) -> bool:
    return (
        not reference.moving
        and not any(reference.velocities)
        and bool(np.allclose(reference.positions, robot.nominal, atol=1e-3))
    )


def under_way(goals: Goals, moves: Callable[[], bool], text: str, **fields: Any) -> Sent:
    """A goal whose motion the robot executes by now; a busy machine may refuse some."""
    for _ in range(TRIES):
        sent = goals.send(text, **fields)
        goals.wait(lambda sent=sent: sent.future.done() or moves(), "a movement or a refusal")
        if not sent.future.done():
            return sent
    pytest.fail(f"refused {TRIES} times: {goals.result(sent)[1].error}")


def done(answer: tuple[int, GenerateMotion.Result], status: int, code: int | None = None) -> None:
    """Check how a goal ended.

    Raises:
        TooBusyError: states came too late, and the robot has come to stand.
    """
    if answer[1].error.code in BUSY:
        raise TooBusyError(answer[1].error.message)
    assert answer[0] == status, answer[1].error
    assert code in (None, answer[1].error.code), answer[1].error


# -- output: reference


def test_two_sentences_in_motion_are_one_smooth_reference_from_standing_to_standing(
    g1: Robot, tracker, goals_in
) -> None:
    _, robot = tracker
    goals = goals_in()
    assert stands(g1, robot.references[-1])
    place = robot.references[-1].base_pose.position
    assert abs(complex(place.x - 1.0, place.y - 2.0)) < 0.1  # where the robot is

    def rest() -> None:
        # The result may be here before the last references.
        robot.wait(lambda: stands(g1, robot.references[-1]), REPLY, "a robot that stands")

    def session() -> None:
        place, begin = robot.references[-1].base_pose.position, len(robot.references)
        first = under_way(goals, lambda: robot.references[-1].moving, TEXT, seconds=[5.0])
        seen = len(robot.references)
        robot.wait(lambda: len(robot.references) > seen + 60, REPLY, "the middle of it")
        done(goals.ask(GLIDE, seconds=[3.0]), SUCCEEDED)
        done(goals.result(first), ABORTED, ErrorCode.PREEMPTED)
        rest()
        references = robot.references[begin:]
        check_smooth(g1, references)
        moving = table(references)[5]
        # Between the two, the robot did not stand.
        assert np.count_nonzero(np.diff(moving.astype(int))) == 2
        ahead = references[-1].base_pose.position
        assert abs(complex(ahead.x - place.x, ahead.y - place.y)) > 0.6

    in_one_session(session, rest)


def test_while_it_stands_the_reference_comes_to_the_robot(tracker) -> None:
    _, robot = tracker

    def gap() -> float:
        place = robot.references[-1].base_pose.position
        return float(np.hypot(place.x - robot.place[0], place.y - robot.place[1]))

    robot.wait(lambda: gap() < 0.03, REPLY, "the reference to come")
    check_smooth(robot.robot, robot.references[-100:])


def test_on_cancel_the_reference_comes_to_stand(g1: Robot, tracker, goals_in) -> None:
    _, robot = tracker
    goals = goals_in()

    def rest() -> None:
        robot.wait(lambda: stands(g1, robot.references[-1]), 10.0, "standing")

    def session() -> None:
        sent = under_way(goals, lambda: robot.references[-1].moving, TEXT, seconds=[6.0])
        begin = len(robot.references)
        robot.wait(lambda: len(robot.references) > begin + 50, REPLY, "the middle of it")
        cancelled = goals.cancel(sent)
        done(goals.result(sent), CANCELED)
        assert cancelled == 1
        rest()
        assert len(robot.references) - begin < 50 * 5.0
        check_smooth(g1, robot.references[begin:])

    in_one_session(session, rest)


def test_a_robot_far_from_its_reference_is_not_moved(g1: Robot, tracker, goals_in) -> None:
    _, robot = tracker
    robot.off = 1.6
    goals = goals_in()
    status, result = goals.ask(TEXT)
    robot.off = 0.05
    assert status == ABORTED and result.error.code == ErrorCode.UNSAFE_START
    assert "rad from its reference, the limit is 1.5" in result.error.message
    assert stands(g1, robot.references[-1])


def test_stale_joint_states_end_the_motion_standing(g1: Robot, tracker, goals_in) -> None:
    _, robot = tracker
    goals = goals_in()
    sent = under_way(goals, lambda: robot.references[-1].moving, TEXT, seconds=[8.0])
    begin = len(robot.references)
    robot.quiet_joints = True
    status, result = goals.result(sent)
    assert status == ABORTED and result.error.code == ErrorCode.NO_ROBOT_STATE
    assert "the robot comes to stand" in result.error.message
    robot.wait(lambda: stands(g1, robot.references[-1]), 10.0, "standing")
    robot.quiet_joints = False
    check_smooth(g1, robot.references[begin:])


def test_a_robot_that_falls_ends_its_motion_and_gets_no_other(tracker, goals_in) -> None:
    _, robot = tracker
    goals = goals_in()
    sent = under_way(goals, lambda: robot.references[-1].moving, TEXT, seconds=[8.0])
    robot.pitch = 1.4
    try:
        status, result = goals.result(sent)
        assert status == ABORTED and result.error.code == ErrorCode.EXECUTION_ABORTED
        assert "the robot has fallen" in result.error.message
        status, result = goals.ask(TEXT)
        assert status == ABORTED and result.error.code == ErrorCode.UNSAFE_START, result.error
        assert "the robot has fallen" in result.error.message
    finally:
        robot.pitch = 0.0
    robot.wait(lambda: not robot.references[-1].moving, REPLY, "standing")


def test_a_node_that_is_stopped_leaves_the_robot_standing(
    g1: Robot, graph: Graph, tracker, goals_in
) -> None:
    child, robot = tracker
    robot.wait(lambda: goals_in().ask(TEXT)[0] == SUCCEEDED, REPLY, "the joint states again")
    under_way(goals_in(), lambda: robot.references[-1].moving, TEXT, seconds=[8.0])
    begin = len(robot.references)
    graph.children.remove(child)
    assert child.stop(10.0) == 0
    robot.wait(lambda: stands(g1, robot.references[-1]), REPLY, "the last reference, standing")
    check_smooth(g1, robot.references[begin:])


# -- output: walking


def periods(velocities: list[TwistStamped]) -> np.ndarray:
    """(N - 1,) times between them [s]: a busy machine is late for some, or loses them."""
    return np.diff([nanoseconds(one.header.stamp) for one in velocities]) / NANOSECONDS


def speeds(velocities: list[TwistStamped]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) x + i y [m/s] and rates [rad/s]."""
    twists = [one.twist for one in velocities]
    linear = np.array([complex(twist.linear.x, twist.linear.y) for twist in twists])
    return linear, np.array([twist.angular.z for twist in twists])


def test_a_path_is_walked_within_the_limits_while_the_arms_move(walker, goals_in) -> None:
    _, robot = walker
    goals = goals_in(WALK)
    assert not speeds(robot.velocities)[0].any()
    for _ in range(TRIES):
        place, begin = robot.place.copy(), len(robot.velocities)
        status, result = goals.ask(GLIDE, seconds=[4.0])
        # A machine so busy that states come too late: the robot has come to stand.
        if result.error.code != ErrorCode.NO_ROBOT_STATE:
            break
    assert status == SUCCEEDED, result.error
    # 0.4 m/s is too fast for these feet: the plan is slower, and says so.
    assert any("slower, for a walking controller" in one for one in result.report.findings)
    heard = robot.velocities[begin:]
    linear, angular = speeds(heard)
    assert 0.2 < np.abs(linear).max() <= 0.3 + 1e-6
    between = np.maximum(periods(heard), 0.02)
    assert (np.abs(np.diff(linear)) <= 1.5 * between + 1e-3).all()
    assert np.abs(angular).max() <= 1.0
    assert np.linalg.norm(robot.place - place) > 0.9
    goal = robot.bases[-1].points[-1].transforms[0].translation
    robot.wait(lambda: speeds(robot.velocities[-1:])[0][0] == 0, 10.0, "rest")
    assert np.hypot(goal.x - robot.place[0], goal.y - robot.place[1]) < 0.15
    command = robot.commands[-1]
    assert len(command.joint_names) == 14
    assert all(word not in name for name in command.joint_names for word in ("leg", "hip", "waist"))


def test_a_new_world_of_the_odometry_is_not_walked_back_from(walker, goals_in) -> None:
    node, robot = walker
    goals = goals_in(WALK)

    def told() -> int:
        return int(node.log.read_text().count("jumped by"))

    try:
        for number in range(TRIES):
            under_way(goals, partial(walks, robot), GLIDE, seconds=[8.0])
            begin, before = len(robot.velocities), told()
            robot.world = (1.5 * (number + 1), np.full(2, 20.0 * (number + 1)))
            # A sentence is not to be planned before the odometry of the new world has come.
            robot.wait(lambda before=before: told() > before, 10.0, "the new world")
            status, result = goals.ask(TEXT)
            if result.error.code not in BUSY:
                break
        assert status == SUCCEEDED, result.error
        remarks = [one for one in result.report.findings if "the measured base" in one]
        assert len(remarks) == 1 and "jumped" in remarks[0] and "and 86 degrees" in remarks[0]
        robot.wait(lambda: speeds(robot.velocities[-1:])[0][0] == 0, 10.0, "rest")
    finally:
        robot.world = (0.0, np.zeros(2))
    # Who walks back turns around, and takes all the time there is.
    linear, angular = speeds(robot.velocities[begin:])
    assert np.abs(angular).max() < 0.3 and abs(linear.sum()) * STEP < 1.2


def test_a_robot_that_falls_stops_its_feet_at_once(walker, goals_in) -> None:
    _, robot = walker
    goals = goals_in(WALK)

    sent = under_way(goals, partial(walks, robot), GLIDE, seconds=[8.0])
    begin = len(robot.velocities)
    robot.pitch = -1.4
    try:
        status, result = goals.result(sent)
        assert status == ABORTED and "the robot has fallen" in result.error.message
        robot.wait(lambda: speeds(robot.velocities[-1:])[0][0] == 0, 5.0, "a stop")
    finally:
        robot.pitch = 0.0
    stop = len(robot.velocities) - begin
    robot.wait(lambda: len(robot.velocities) > begin + stop + 20, 5.0, "some more")
    assert not speeds(robot.velocities[begin + stop :])[0].any()


def test_stale_odometry_stops_the_feet_at_once_and_ends_the_motion(
    g1: Robot, walker, goals_in
) -> None:
    _, robot = walker
    goals = goals_in(WALK)

    for _ in range(TRIES):
        robot.quiet_odometry = False
        sent = under_way(goals, partial(walks, robot), GLIDE, seconds=[8.0])
        begin, commands = len(robot.velocities), len(robot.commands)
        robot.quiet_odometry = True
        status, result = goals.result(sent)
        assert status == ABORTED and result.error.code == ErrorCode.NO_ROBOT_STATE
        # On a busy machine joint states may be stale before.
        if "odometry" in result.error.message:
            break
    assert "no odometry of the last 2 s " in result.error.message
    robot.wait(lambda: speeds(robot.velocities[-1:])[0][0] == 0, 5.0, "a stop")
    first = int(np.flatnonzero(speeds(robot.velocities[begin:])[0] == 0)[0])
    robot.wait(lambda: len(robot.velocities) > begin + first + 20, 5.0, "some more")
    assert not speeds(robot.velocities[begin + first :])[0].any()
    # The arms are led to standing.
    robot.wait(lambda: len(robot.commands) >= commands + 2, 5.0, "the arms' way")
    arms = robot.commands[-1]
    nominal = dict(zip(g1.joint_names, g1.nominal, strict=True))
    goal = [nominal[name] for name in arms.joint_names]
    assert np.allclose(arms.points[-1].positions, goal, atol=1e-3)
    for _ in range(TRIES):
        status, result = goals.ask(TEXT)
        # On a busy machine the arms may still be on their way.
        if result.error.code != ErrorCode.UNSAFE_START:
            break
    assert status == ABORTED and result.error.code == ErrorCode.NO_ROBOT_STATE
    robot.quiet_odometry = False


def test_a_walking_robot_stands_when_the_terminal_of_the_node_closes(
    graph: Graph, walker, goals_in
) -> None:
    child, robot = walker
    goals = goals_in(WALK)

    robot.wait(lambda: goals_in(WALK).ask(TEXT)[0] == SUCCEEDED, REPLY, "the states again")
    under_way(goals, partial(walks, robot), GLIDE, seconds=[8.0])
    graph.children.remove(child)
    child.process.send_signal(signal.SIGHUP)
    assert child.process.wait(10.0) == 0
    robot.wait(lambda: speeds(robot.velocities[-1:])[0][0] == 0, REPLY, "the velocity zero")
