"""Benchmark of the delay of joint states during generation.

Starts the generate node and a process that publishes joint states of a standing robot at 500 Hz;
sends one sentence after the other and prints the delay that the node measures from a joint state's
stamp to its callback, idle and during continuous generation.

    python bench/responsiveness.py [--seconds 30] [--rate 500]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from nextscale_core.robots import load_robot
from nextscale_ros.bringup.processes import Child, private_graph
from nextscale_ros.msg import MotionReport

TEXTS = ("a person walks forward", "a person waves with the right hand", "a person squats")
WINDOW = 2000
"""Number of joint states in the node's statistics."""


def talk(rate: float) -> None:
    """Publish a standing robot until the process ends."""
    rclpy.init(args=sys.argv)
    node = Node("standing_robot", start_parameter_services=False)
    publisher = node.create_publisher(JointState, "joint_states", 10)
    robot = load_robot("g1")
    message = JointState(
        name=list(robot.joint_names),
        position=robot.nominal.tolist(),
        velocity=[0.0] * robot.num_joints,
    )
    due = time.monotonic()
    while True:
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        due = max(due + 1.0 / rate, time.monotonic() - 0.01)
        time.sleep(max(due - time.monotonic(), 0.0))


class Asker(Node):
    """Publishes sentences and subscribes to reports and diagnostics."""

    def __init__(self, context: Context) -> None:
        super().__init__("asker", context=context)
        self.reports: list[MotionReport] = []
        self.values: dict[str, str] = {}
        self._text = self.create_publisher(String, "text_command", 10)
        self.create_subscription(MotionReport, "motion_report", self.reports.append, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.values = {value.key: value.value for value in message.status[0].values}

    def say(self, text: str) -> None:
        """Send a sentence."""
        self._text.publish(String(data=text))

    def listen(self, seconds: float) -> None:
        """Process messages for a duration [s]."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)


def main() -> None:
    """Run the benchmark and print the delays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the two parts")
    parser.add_argument("--rate", type=float, default=500.0, help="joint states per second")
    parser.add_argument("--talk", action="store_true", help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()
    if options.talk:
        talk(options.rate)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = stack.enter_context(private_graph(folder))
        context = Context()
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        robot = [sys.executable, __file__, "--talk", "--rate", str(options.rate)]
        process = subprocess.Popen(robot, env=env)
        stack.callback(process.kill)
        node = Child("generate_node", env=env, log=folder / "node")
        stack.enter_context(node)
        asker = Asker(context)
        while asker.values.get("lifecycle state") != "active":
            node.check()
            asker.listen(0.5)
        asker.listen(WINDOW / options.rate)
        print(f"{os.cpu_count()} cores, joint states at {options.rate:g} Hz")
        for name, busy in (("idle", False), ("generating", True)):
            until = time.monotonic() + max(options.seconds, 1.5 * WINDOW / options.rate)
            before = int(asker.values["joint state messages"])
            begin = time.monotonic()
            sent = 0
            while time.monotonic() < until:
                if busy and len(asker.reports) >= sent:
                    asker.say(TEXTS[sent % len(TEXTS)])
                    sent += 1
                asker.listen(0.05)
            count = int(asker.values["joint state messages"]) - before
            p50, p99 = (asker.values[f"joint state delay p{p} [s]"] for p in (50, 99))
            print(
                f"{name}: joint states {1000 * float(p50):.1f} ms late in the median, "
                f"{1000 * float(p99):.1f} ms p99; "
                f"{count / (time.monotonic() - begin):.0f} received per second; "
                f"{sent} sentences, p50 {asker.values.get('total p50 [s]', '-')} s"
            )
        asker.destroy_node()


if __name__ == "__main__":
    main()
