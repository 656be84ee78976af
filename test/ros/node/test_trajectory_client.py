"""FollowJointTrajectory: our client against the mock robot's controller, a process of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.executor import ThreadedExecutor
from nextscale_ros.messages.conversions import duration
from nextscale_ros.messages.execution import (
    ExecutionResult,
    execution_result,
    follow_joint_trajectory,
)
from nextscale_ros.mock.mock_controller import Tolerances, braking_plan, grace
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node import trajectory_client
from nextscale_ros.node.trajectory_client import TrajectoryController
from nextscale_ros.qos import EVENTS, SENSORS
from nextscale_ros.robot_state.spline_interpolation import JointFollower
from ros.graph import REPLY, START, TRIES, Graph, until

ACTION = "joint_trajectory_controller/follow_joint_trajectory"

pytest.importorskip("control_msgs.action", reason="needs control_msgs or its substitute")


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


class Client:
    """A node with our controller client, served by threads as the generate node is."""

    def __init__(self, graph: Graph, robot: Robot, child: Child, namespace: str = "") -> None:
        self.robot, self.child, self.allowance = robot, child, REPLY
        self.node = Node("client", context=graph.context, namespace=namespace)
        self.states: list[JointState] = []
        self.node.create_subscription(JointState, "joint_states", self.states.append, SENSORS)
        self.sabotage = self.node.create_publisher(String, "sabotage", EVENTS)
        self.commands = self.node.create_publisher(JointTrajectory, "motion_command", 10)
        self.controller = TrajectoryController(self.node, ACTION, lambda: self.allowance)
        self._executor = ThreadedExecutor(num_threads=3, context=graph.context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.wait(
            lambda: (
                self.controller.ready
                and bool(self.states)
                and self.sabotage.get_subscription_count() > 0
                and self.commands.get_subscription_count() > 0
            ),
            "the mock robot",
            START,
        )

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10.0)
        self._executor.shutdown()
        self.controller.destroy()
        self.node.destroy_node()

    def wait(self, condition: Callable[[], object], what: str, timeout: float = REPLY) -> None:
        until(condition, what, patience=timeout, told=self.child.tail)

    def trajectory(self, *points: tuple[float, float]) -> JointTrajectory:
        """Times [s] and offsets of all joints from the nominal pose [rad]; at rest in each."""
        return JointTrajectory(
            joint_names=list(self.robot.joint_names),
            points=[
                JointTrajectoryPoint(
                    positions=(self.robot.nominal + offset).tolist(),
                    velocities=[0.0] * self.robot.num_joints,
                    time_from_start=duration(time),
                )
                for time, offset in points
            ],
        )

    def send(self, *points: tuple[float, float], feedback: Any = None) -> list[ExecutionResult]:
        """The list gets the result."""
        results: list[ExecutionResult] = []
        self.controller.send(self.trajectory(*points), results.append, feedback)
        return results

    def result(self, results: list[ExecutionResult]) -> ExecutionResult:
        self.wait(lambda: results, "the result")
        assert len(results) == 1
        return results[0]

    def home(self) -> None:
        """Send the robot to its nominal pose, and wait until its states have arrived there."""
        assert self.result(self.send((0.2, 0.0))).code == ErrorCode.NONE
        self.wait(lambda: abs(self.offset()) < 1e-6, "the nominal pose")

    def canceled_in_motion(self, seconds: float, goal: float) -> list[JointState]:
        """The states from a cancel on, a quarter of the way to a goal [rad], until rest; on a busy
        machine the cancel may come near the end."""
        for _ in range(TRIES):
            results = self.send((seconds, goal))
            self.wait(lambda: self.offset() > 0.25 * goal, "some way")
            begin = len(self.states)
            canceled = self.controller.cancel()
            code = self.result(results).code
            self.wait(lambda: not any(self.states[-1].velocity), "rest")
            assert code in (ErrorCode.CANCELED, ErrorCode.NONE)
            if code == ErrorCode.CANCELED and self.offset() < 0.9 * goal:
                assert canceled
                return self.states[begin:]
            self.home()
        pytest.fail(f"{TRIES} times near the goal before the cancel")

    def offset(self) -> float:
        """Of the second joint: the first may be stuck."""
        return self.states[-1].position[1] - self.robot.nominal[1]

    def log(self) -> str:
        assert self.child.log is not None
        return self.child.log.read_text()

    def do(self, sabotage: str) -> None:
        line = f"sabotage: {sabotage!r}"
        before = self.log().count(line)
        self.sabotage.publish(String(data=sabotage))
        self.wait(lambda: self.log().count(line) > before, line)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may let a controller answer late."""
    monkeypatch.setattr(trajectory_client, "ANSWER_PATIENCE", REPLY)


@pytest.fixture(scope="module")
def mock(graph: Graph) -> Child:
    return graph.start("ros.faulty_robot")


@pytest.fixture
def client(graph: Graph, mock: Child, robot: Robot) -> Iterator[Client]:
    client = Client(graph, robot, mock)
    yield client
    client.allowance = REPLY
    client.do("")
    client.home()
    client.close()


def test_it_executes_a_trajectory_and_tells_how_it_goes(client: Client) -> None:
    heard: list[Any] = []
    result = client.result(client.send((1.0, 0.1), (2.0, 0.2), feedback=heard.append))
    assert result == ExecutionResult(ErrorCode.NONE, "executed: Goal successfully reached!")
    assert not client.controller.busy
    client.wait(lambda: abs(client.offset() - 0.2) < 1e-6, "the robot's arrival")
    desired = np.array([message.desired.positions for message in heard])
    actual = np.array([message.actual.positions for message in heard])
    error = np.array([message.error.positions for message in heard])
    assert len(heard) >= 3
    assert list(heard[0].joint_names) == list(client.robot.joint_names)
    assert (np.diff(desired[:, 1]) >= 0).all(), "feedback comes in order"
    np.testing.assert_allclose(error, desired - actual)


def test_a_newer_trajectory_replaces_the_older_one(client: Client) -> None:
    older = client.send((20.0, 0.4))
    client.wait(lambda: client.offset() > 0.002, "some way")
    newer = client.send((0.3, 0.1))
    assert client.result(newer).code == ErrorCode.NONE
    assert client.result(older).code == ErrorCode.PREEMPTED
    client.wait(lambda: abs(client.offset() - 0.1) < 1e-6, "the end of the newer one")


def test_of_many_that_come_at_once_the_newest_is_executed_and_each_gets_one_result(
    client: Client,
) -> None:
    results: list[list[ExecutionResult]] = [[] for _ in range(60)]
    order: list[int] = []
    lock = threading.Lock()

    def send(numbers: range) -> None:
        for number in numbers:
            with lock:
                order.append(number)
                client.controller.send(client.trajectory((3.0, 0.1)), results[number].append)

    threads = [threading.Thread(target=send, args=(range(n, 60, 3),)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.wait(lambda: all(results), "60 results")
    client.wait(lambda: not client.controller.busy, "the end")
    assert client.result(results[order[-1]]).code == ErrorCode.NONE
    codes = [client.result(results[number]).code for number in order[:-1]]
    assert set(codes) == {ErrorCode.PREEMPTED}


def test_cancel_brakes_the_robot_within_its_limits(client: Client) -> None:
    states = client.canceled_in_motion(2.0, 0.4)
    assert 0.1 < client.offset() < 0.36
    stamps = np.array([s.header.stamp.sec + s.header.stamp.nanosec * 1e-9 for s in states])
    velocity = np.array([state.velocity for state in states])
    slowing = np.diff(velocity, axis=0) / np.diff(stamps)[:, None]
    assert (slowing > -1.01 * client.robot.acceleration_limit).all()
    assert not client.controller.cancel(), "nothing is left to cancel"


def test_settle_waits_until_the_controller_has_canceled(client: Client) -> None:
    results = client.send((20.0, 0.3))
    client.wait(lambda: client.offset() > 0.002, "some way")
    assert not client.controller.settle(0.01), "it is being executed"
    client.controller.cancel()
    assert client.controller.settle(REPLY)
    assert client.result(results).code == ErrorCode.CANCELED


def test_cancel_before_the_controller_has_answered_also_counts(client: Client) -> None:
    results = client.send((2.0, 0.4))
    client.controller.cancel()
    assert client.result(results).code == ErrorCode.CANCELED
    client.wait(lambda: not any(client.states[-1].velocity), "rest")
    assert client.offset() < 0.2


def test_one_that_is_refused_leaves_the_older_one_running(client: Client) -> None:
    older = client.send((1.0, 0.1))
    client.wait(lambda: client.offset() > 0.002, "some way")
    wrong = client.trajectory((0.5, 0.2))
    wrong.joint_names[0] = "tail"
    refused: list[ExecutionResult] = []
    client.controller.send(wrong, refused.append)
    result = client.result(refused)
    assert result.code == ErrorCode.CONTROLLER_REFUSED
    assert ACTION in result.message
    assert client.result(older).code == ErrorCode.NONE
    assert "goal rejected: unknown joints: tail" in client.log()


@pytest.mark.parametrize(
    ("sabotage", "code", "words"),
    [
        ("path", ErrorCode.PATH_TOLERANCE_VIOLATED, "Aborted due to path tolerance violation"),
        ("goal", ErrorCode.GOAL_TOLERANCE_VIOLATED, "Aborted due to goal_time_tolerance"),
    ],
)
def test_a_stuck_joint_aborts_the_goal_and_the_controller_says_why(
    client: Client, sabotage: str, code: int, words: str
) -> None:
    client.do(sabotage)
    result = client.result(client.send((0.5, 0.3)))
    assert result.code == code
    assert words in result.message
    assert client.robot.joint_names[0] in result.message
    client.wait(lambda: not any(client.states[-1].velocity), "rest")


def test_an_execution_that_does_not_end_is_given_up_and_canceled(client: Client) -> None:
    client.do("stuck")
    before = client.log().count("goal ended: canceled")
    client.allowance = 0.5
    result = client.result(client.send((0.3, 0.3)))
    assert result.code == ErrorCode.EXECUTION_TIMED_OUT
    assert "a trajectory of 0.3 s had not been executed 0.5 s after its end" in result.message
    client.wait(lambda: client.log().count("goal ended: canceled") > before, "the cancel")


def test_a_controller_that_does_not_answer_is_given_up_and_what_it_accepts_later_is_canceled(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = client.log().count("goal ended: canceled")
    client.do("deaf")
    with monkeypatch.context() as impatient:
        impatient.setattr(trajectory_client, "ANSWER_PATIENCE", 3.0)
        result = client.result(client.send((1.0, 0.3)))
    assert result.code == ErrorCode.NO_CONTROLLER
    assert "did not answer" in result.message
    client.wait(lambda: client.log().count("goal ended: canceled") > before, "the cancel")


def test_a_trajectory_that_waits_for_an_answer_is_not_sent_with_its_begin_in_the_past(
    client: Client,
) -> None:
    client.do("slow")
    first = client.send((0.5, 0.1))
    client.wait(lambda: "slow to answer" in client.log(), "the first goal to come")
    assert client.controller.answer_due
    results: list[ExecutionResult] = []
    begin = time.monotonic() + 0.2
    client.controller.send(client.trajectory((0.3, 0.3)), results.append, begin=begin)
    assert client.result(results).code == ErrorCode.TOO_LATE
    assert not client.controller.answer_due
    assert client.result(first).code == ErrorCode.CONTROLLER_REFUSED
    assert client.offset() == pytest.approx(0.0, abs=1e-6)


def test_a_command_on_the_topic_aborts_the_goal(client: Client) -> None:
    results = client.send((5.0, 0.3))
    client.wait(lambda: client.offset() > 0.002, "some way")
    client.commands.publish(client.trajectory((0.2, 0.1)))
    result = client.result(results)
    assert result.code == ErrorCode.EXECUTION_ABORTED
    assert "preempted by a command on the topic" in result.message
    client.wait(lambda: abs(client.offset() - 0.1) < 1e-6, "the end of the command")


def test_a_goal_of_somebody_else_aborts_ours(graph: Graph, client: Client, robot: Robot) -> None:
    other = Client(graph, robot, client.child)
    ours = client.send((5.0, 0.3))
    client.wait(lambda: client.offset() > 0.002, "some way")
    assert other.result(other.send((0.2, 0.1))).code == ErrorCode.NONE
    result = client.result(ours)
    assert result.code == ErrorCode.EXECUTION_ABORTED
    assert "preempted by new incoming action" in result.message
    other.close()


def test_a_callback_that_fails_is_logged_and_all_goes_on(client: Client) -> None:
    def fail(result: ExecutionResult) -> None:
        raise ZeroDivisionError

    client.controller.send(client.trajectory((0.1, 0.1)), fail)
    client.wait(lambda: not client.controller.busy, "the end")
    assert client.result(client.send((0.1, 0.0))).code == ErrorCode.NONE


def test_without_a_controller_it_says_so_at_once(graph: Graph, client: Client) -> None:
    controller = TrajectoryController(client.node, "nobody/follow_joint_trajectory", lambda: REPLY)
    results: list[ExecutionResult] = []
    controller.send(client.trajectory((0.2, 0.1)), results.append)
    result = client.result(results)
    assert result.code == ErrorCode.NO_CONTROLLER
    assert "no controller serves /nobody/follow_joint_trajectory" in result.message
    controller.destroy()


def test_a_controller_that_vanishes_is_noticed(graph: Graph, robot: Robot) -> None:
    remap = Child(
        "ros.faulty_robot",
        ros_arguments=["-r", "__ns:=/second"],
        env=graph.env,
        log=graph.folder / "second.log",
    )
    with remap as child:
        client = Client(graph, robot, child, namespace="/second")
        results = client.send((30.0, 0.3))
        client.wait(lambda: client.offset() > 0.001, "some way")
        child.stop()
        result = client.result(results)
        assert result.code == ErrorCode.NO_CONTROLLER
        assert "vanished during the execution" in result.message
        client.close()


@pytest.fixture(scope="module", params=["jazzy", "lyrical"])
def strict(request: pytest.FixtureRequest, graph: Graph, robot: Robot) -> Iterator[Client]:
    """A robot whose controller has a goal_time of 0 and takes goals for some of the joints."""
    name = str(request.param)
    child = Child(
        "ros.faulty_robot",
        parameters={
            "controller_generation": name,
            "goal_time": 0.0,
            "allow_partial_joints_goal": True,
            "decelerate_on_cancel": False,
        },
        ros_arguments=["-r", f"__ns:=/{name}"],
        env=graph.env,
        log=graph.folder / f"{name}.log",
    )
    with child:
        client = Client(graph, robot, child, namespace=f"/{name}")
        yield client
        client.close()


def is_lyrical(client: Client) -> bool:
    return client.node.get_namespace() == "/lyrical"


def test_goal_time_zero_is_for_ever_up_to_kilted_and_no_time_at_all_in_lyrical(
    strict: Client,
) -> None:
    strict.do("late")
    strict.allowance = REPLY if is_lyrical(strict) else 1.0
    result = strict.result(strict.send((0.3, 0.3)))
    if is_lyrical(strict):
        assert result.code == ErrorCode.GOAL_TOLERANCE_VIOLATED, result
    else:
        assert result.code == ErrorCode.EXECUTION_TIMED_OUT, result
    strict.do("")
    strict.allowance = REPLY
    strict.home()


def test_joints_left_out_stay_up_to_kilted_and_finish_their_motion_in_lyrical(
    strict: Client,
) -> None:
    strict.home()
    strict.send((5.0, 0.3))
    strict.wait(lambda: strict.offset() > 0.02, "some way")
    some = strict.trajectory((0.2, 0.0))
    some.joint_names = some.joint_names[2:]
    for point in some.points:
        point.positions, point.velocities = point.positions[2:], point.velocities[2:]
    results: list[ExecutionResult] = []
    strict.controller.send(some, results.append)
    assert strict.result(results).code == ErrorCode.NONE
    strict.wait(lambda: not any(strict.states[-1].velocity), "rest")
    if is_lyrical(strict):
        assert strict.offset() == pytest.approx(0.3, abs=1e-6)
    else:
        assert 0.02 < strict.offset() < 0.29
    third = strict.states[-1].position[2] - strict.robot.nominal[2]
    assert third == pytest.approx(0.0, abs=1e-6)


def test_without_decelerate_on_cancel_the_robot_stops_at_once(strict: Client) -> None:
    strict.home()
    speeds = [state.velocity[1] for state in strict.canceled_in_motion(2.0, 0.4)]
    # From full speed to nothing, and nothing in between.
    moving = [speed for speed in speeds if speed > 0]
    assert not moving or min(moving) > 0.1


@pytest.mark.parametrize(
    ("goal_time", "jazzy", "lyrical"),
    [(0.0, np.inf, 0.0), (10.0, 10.0, 10.0), (-1.0, None, np.inf), (0.5, 0.5, 0.5)],
)
def test_every_generation_reads_goal_time_its_own_way(
    goal_time: float, jazzy: float | None, lyrical: float
) -> None:
    assert grace(goal_time, "lyrical") == lyrical
    if jazzy is not None:
        assert grace(goal_time, "jazzy") == jazzy
    else:
        with pytest.raises(ConfigError, match="goal_time must be at least 0"):
            grace(goal_time, "jazzy")


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (GoalStatus.STATUS_SUCCEEDED, "SUCCESSFUL", ErrorCode.NONE),
        (GoalStatus.STATUS_CANCELED, "SUCCESSFUL", ErrorCode.CANCELED),
        (GoalStatus.STATUS_ABORTED, "SUCCESSFUL", ErrorCode.EXECUTION_ABORTED),
        (GoalStatus.STATUS_ABORTED, "INVALID_GOAL", ErrorCode.EXECUTION_ABORTED),
        (GoalStatus.STATUS_ABORTED, "INVALID_JOINTS", ErrorCode.CONTROLLER_REFUSED),
        (GoalStatus.STATUS_ABORTED, "OLD_HEADER_TIMESTAMP", ErrorCode.CONTROLLER_REFUSED),
        (GoalStatus.STATUS_ABORTED, "PATH_TOLERANCE_VIOLATED", ErrorCode.PATH_TOLERANCE_VIOLATED),
        (GoalStatus.STATUS_ABORTED, "GOAL_TOLERANCE_VIOLATED", ErrorCode.GOAL_TOLERANCE_VIOLATED),
        (GoalStatus.STATUS_UNKNOWN, "SUCCESSFUL", ErrorCode.EXECUTION_ABORTED),
    ],
)
def test_every_code_of_the_controller_has_one_of_ours_and_its_words_are_passed_on(
    status: int, error: str, code: int
) -> None:
    number = getattr(follow_joint_trajectory().Result, error)
    result = execution_result(status, number, "its own words")
    assert result.code == code
    assert result.message.endswith(": its own words")


def test_without_control_msgs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "control_msgs.action", None)
    with pytest.raises(ConfigError, match=r"ros-\$ROS_DISTRO-control-msgs"):
        follow_joint_trajectory()


def test_a_goal_says_which_tolerances_it_wants() -> None:
    from control_msgs.msg import JointTolerance

    default = Tolerances(*(np.full(2, value) for value in (0.1, 0.2, 0.3, 0.4)), goal_time=1.0)
    goal = follow_joint_trajectory().Goal()
    assert default.asked(goal, ["a", "b"]).goal_time == 1.0
    goal.path_tolerance = [JointTolerance(name="b", position=0.7, velocity=-1.0)]
    goal.goal_time_tolerance = duration(2.5)
    asked = default.asked(goal, ["a", "b"])
    np.testing.assert_array_equal(asked.path, [0.1, 0.7])
    np.testing.assert_array_equal(asked.path_velocity, [0.2, 0.0])
    np.testing.assert_array_equal(asked.goal, [0.3, 0.3])
    assert asked.goal_time == 2.5
    goal.goal_time_tolerance = duration(-1.0)
    assert default.asked(goal, ["a", "b"]).goal_time == np.inf
    assert Tolerances.none(2).goal_time == np.inf
    np.testing.assert_array_equal(default.path, [0.1, 0.1])
    goal.goal_tolerance = [JointTolerance(name="tail", position=0.7)]
    with pytest.raises(ValueError, match="tail"):
        default.asked(goal, ["a", "b"])
    goal.goal_tolerance = [JointTolerance(name="a", position=-0.5)]
    with pytest.raises(ValueError, match=r"-0\.5"):
        default.asked(goal, ["a", "b"])


def test_joints_that_stop_at_almost_the_same_time_brake_on_one_spline() -> None:
    """Their times differ by rounding only, and the sum with the time of the start by nothing."""
    velocity = np.linspace(0.1, 1.7, 29)
    limits = np.full(29, -9.0), np.full(29, 9.0)
    for begin in (0.0, 7.3, 1234.5, 1e7):
        follower = JointFollower(np.zeros(29))
        motion = np.zeros(29), velocity * (1.0 + 1e-15)
        follower.start(braking_plan(begin, motion, 3.7 * velocity, *limits), begin)
        positions, speeds = follower.sample(begin + 0.1)
        np.testing.assert_allclose(speeds, velocity * (1.0 - 0.37), atol=1e-5)
        assert (positions > 0.0).all()
        np.testing.assert_array_equal(follower.sample(begin + 0.28)[1], 0.0)


def test_braking_ends_at_rest_within_the_limits() -> None:
    position = np.array([0.0, 0.0, 0.99, -0.5])
    velocity = np.array([1.0, -2.0, 1.0, 0.0])
    limit = np.array([2.0, 4.0, 2.0, 3.0])
    plan = braking_plan(3.0, (position, velocity), limit, -np.ones(4), np.ones(4))
    assert plan.times[0] == 3.0
    np.testing.assert_array_equal(plan.velocities[0], velocity)
    np.testing.assert_array_equal(plan.velocities[-1], 0.0)
    # v^2 / 2a, and the third brakes harder because its limit is near.
    np.testing.assert_allclose(plan.positions[-1], [0.25, -0.5, 1.0, -0.5])
    slowing = np.abs(np.diff(plan.velocities, axis=0) / np.diff(plan.times)[:, None])
    assert (slowing[:, [0, 1]] <= [2.0 + 1e-9, 4.0 + 1e-9]).all()
    still = braking_plan(0.0, (position, np.zeros(4)), limit, -np.ones(4), np.ones(4))
    np.testing.assert_array_equal(still.positions, position[None])
