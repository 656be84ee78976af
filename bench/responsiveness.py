"""How late joint states are heard while motions are generated.

Starts the generate node and a robot that tells its joints at 500 Hz, sends one sentence after the
other, and prints what the node itself measured: the time from a joint state's stamp to its
callback, idle and while it generates without a pause.

    python bench/responsiveness.py [--seconds 30] [--rate 500]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

from nextscale_ros.isolation import private_graph
from nextscale_ros.processes import Child
from nextscale_ros.recorder import Recorder

TEXTS = ("a person walks forward", "a person waves with the right hand", "a person squats")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the two parts")
    parser.add_argument("--rate", type=float, default=500.0, help="joint states per second")
    options = parser.parse_args()
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
        robot = {"state_rate": options.rate}
        stack.enter_context(
            Child("nextscale_ros.mock_robot", parameters=robot, env=env, log=folder / "robot")
        )
        node = stack.enter_context(
            Child("nextscale_ros.generate_node", env=env, log=folder / "node")
        )
        recorder = Recorder(context)
        heard: list[DiagnosticArray] = []
        recorder.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
        recorder.wait(recorder.connected, 120.0, "the node", node.check)
        print(f"{os.cpu_count()} cores, joint states at {options.rate:g} Hz")
        for name, busy in (("idle", False), ("generating", True)):
            until = time.monotonic() + options.seconds
            sent = 0
            while time.monotonic() < until:
                if busy and len(recorder.reports) >= sent:
                    recorder.say(TEXTS[sent % len(TEXTS)])
                    sent += 1
                recorder.listen(0.02)
                recorder.states.clear()
            count = len(heard)
            recorder.wait(lambda count=count: len(heard) > count, 10.0, "diagnostics")
            values = {v.key: v.value for v in heard[-1].status[0].values}
            delays = {k: v for k, v in values.items() if "delay" in k}
            print(name, delays, f"{sent} sentences, messages {values['joint state messages']}")
            outcomes = {k: v for k, v in values.items() if k.startswith("requests")}
            print("   ", outcomes, values.get("total p50 [s]"), values.get("total p95 [s]"))
        recorder.destroy_node()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
