"""Malformed messages over DDS to a running node that must continue to serve."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fuzz_messages as made
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fuzz_files import altered
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import String

from nextscale_core.robots import load_robot
from nextscale_ros.action import GenerateMotion
from nextscale_ros.bringup.processes import Child, ChildError, private_graph
from nextscale_ros.demo.recorder import DemoTimeoutError, Recorder
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.parameters.schema import declarations
from nextscale_ros.qos import SERVICES
from nextscale_ros.srv import EditPlan

if TYPE_CHECKING:
    from fuzz import Tally

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120.0
TRIES = 15
"""Time until the history contains no false joint states any more [s]."""


class _Enemy:
    """Publishes random messages, calls and parameters.

    Args:
        recorder: Node to publish with.
        seed: Seed of the messages.
    """

    def __init__(self, recorder: Recorder, seed: int) -> None:
        self._recorder, self._draw = recorder, random.Random(seed)
        self._robot = load_robot("g1")
        self._names = (*self._robot.joint_names, *self._robot.held)
        topics = {
            "/text_command": String,
            "/text_command/detailed": TextCommand,
            "/joint_states": JointState,
            "/odom": Odometry,
            "/imu": Imu,
        }
        self.publishers = {
            name: recorder.create_publisher(kind, name, 10) for name, kind in topics.items()
        }
        self._goals = ActionClient(recorder, GenerateMotion, "/generate_motion")
        # A client drops its oldest request, too, where more wait than fit.
        deep = {"qos_profile": SERVICES}
        self._edits = recorder.create_client(EditPlan, "/generate_node/edit_plan", **deep)
        self.parameters = recorder.create_client(
            SetParameters, "/generate_node/set_parameters", **deep
        )
        self._declared = declarations("generate_node")
        self.waiting: list[Any] = []
        """Futures of the services' answers."""

    @property
    def matched(self) -> bool:
        """Whether the node is subscribed to everything."""
        return (
            all(publisher.get_subscription_count() for publisher in self.publishers.values())
            and self._goals.server_is_ready()
            and self._edits.service_is_ready()
            and self.parameters.service_is_ready()
        )

    def send(self) -> None:
        """Send one random message, call or parameter."""
        draw = self._draw
        actions: list[Callable[[], object]] = [
            lambda: self._publish("/text_command", String(data=made.sentence(draw, True))),
            lambda: self._publish("/text_command/detailed", made.command(draw, True)),
            lambda: self._publish("/joint_states", made.joint_state(draw, self._names, True)),
            lambda: self._publish("/odom", made.odometry(draw, True)),
            lambda: self._publish("/imu", made.imu(draw, True)),
            # rclpy's own client loses track of answers when other messages cannot be read.
            lambda: bool(self._goals.send_goal_async(made.goal(draw, True))),
            lambda: self.waiting.append(self._edits.call_async(made.edit(draw, True))),
            self._set,
        ]
        draw.choice(actions)()

    def _publish(self, topic: str, message: Any) -> None:
        data = serialize_message(message)
        # A third are random bytes.
        broken = self._draw.random() < 0.33
        self.publishers[topic].publish(altered(self._draw, data) if broken else data)

    def answered(self) -> bool:
        """Whether every call of a service has its answer."""
        return all(future.done() for future in self.waiting)

    def _set(self) -> None:
        one = made.any_parameter(self._draw, self._draw.choice(sorted(self._declared)))
        try:
            request = SetParameters.Request(parameters=[one.to_parameter_msg()])
        except (AssertionError, OverflowError):
            # Numbers that do not fit into the message cannot be sent.
            return
        self.waiting.append(self.parameters.call_async(request))

    def restore(self) -> Any:
        """Reset every live parameter to its default."""
        values = [
            Parameter(one.name, value=one.default).to_parameter_msg()
            for one in self._declared.values()
            if not one.read_only
        ]
        return self.parameters.call_async(SetParameters.Request(parameters=values))

    def destroy(self) -> None:
        """Destroy publishers and clients."""
        self._goals.destroy()


def over_dds(count: int, seed: int) -> Tally:
    """Send messages to a node with the tests' motion source, which must then serve a sentence.

    Args:
        count: Number of messages.
        seed: Seed of the messages.
    """
    from fuzz import Tally

    tally = Tally()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = stack.enter_context(private_graph(folder))
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "test"), env.get("PYTHONPATH", "")])
        context = Context()
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        stack.enter_context(Child("ros.patient_robot", env=env, log=folder / "robot"))
        node = stack.enter_context(
            Child(
                "ros.fake_pipeline", parameters={"imu_topic": "imu"}, env=env, log=folder / "node"
            )
        )
        recorder = Recorder(context)
        stack.callback(recorder.destroy_node)
        received: list[DiagnosticArray] = []
        recorder.create_subscription(DiagnosticArray, "/diagnostics", received.append, 10)
        enemy = _Enemy(recorder, seed)
        stack.callback(enemy.destroy)
        try:
            recorder.wait(lambda: recorder.connected() and enemy.matched, PATIENCE, "the node")
            for _ in range(count):
                enemy.send()
                tally.count += 1
                recorder.listen(0.01)
                node.check()
                recorder.states.clear()
            recorder.wait(enemy.answered, PATIENCE, "answers", node.check)
            _serves(recorder, enemy, node)
            received.clear()  # what the fuzz caused, such as contradicting joint states, may end
            recorder.wait(
                lambda: any(array.status[0].level != DiagnosticStatus.ERROR for array in received),
                PATIENCE,
                "diagnostics without an error",
                node.check,
            )
        except (ChildError, DemoTimeoutError) as error:
            tally.faults.append(f"{seed}: {error}\n{node.tail()}")
        for report in recorder.reports:
            if report.published or report.outcome == MotionReport.SUPERSEDED:
                tally.taken += 1
            else:
                tally.refused[report.outcome] += 1
            if report.outcome == MotionReport.FAILED and "Error: " in report.message:
                tally.faults.append(f"{seed}: request {report.request}: {report.message[:200]}")
        log = (folder / "node").read_text(errors="replace")
        tally.faults += [
            f"{seed}: in the log: {line[:300]}"
            for line in log.splitlines()
            if "Traceback" in line or "a callback failed" in line
        ][:5]
        # The log must not fill the disk.
        if len(log) > 2000 * (count + 100):
            tally.faults.append(f"{seed}: {len(log)} characters of log")
    return tally


def _serves(recorder: Recorder, enemy: _Enemy, node: Child) -> None:
    """Wait until a valid sentence becomes a trajectory again."""
    restored = enemy.restore()
    recorder.wait(restored.done, PATIENCE, "parameters", node.check)
    for result in restored.result().results:
        if not result.successful:
            raise DemoTimeoutError(f"a default was refused: {result.reason}")
    for _ in range(TRIES):
        count = len(recorder.reports)
        text = f"a person raises the right arm, part {count}"
        recorder.say(text)
        recorder.wait(
            lambda text=text: any(r.text == text for r in recorder.reports),  # type: ignore[misc]
            PATIENCE,
            "a report",
            node.check,
        )
        last = next(r for r in recorder.reports if r.text == text)
        if last.published:
            return
        recorder.listen(1.0)
    raise DemoTimeoutError(f"a good sentence is not served any more: {last.message}")
