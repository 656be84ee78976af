#!/usr/bin/env bash
# How much of an action's feedback, all published before the result, reaches a client of rclpy.
#
# Guess before running: all ten. The feedback is published first, its topic is reliable with a queue of ten, and
# the client only reads late: it gets the ten, then the result.
# Seen (rclpy 7.1.6 of Jazzy and 9.1.2 of Kilted, Fast DDS): with a client that is busy for half a second after its goal was
# accepted, one or two of ten arrive. The client's executor takes one message of feedback and the result in the same
# round; with the result the goal's callback for feedback is removed, and the other messages, already
# there, are dropped without a word. A client that spins all the time loses some as well, now and then. What a user
# must know at the end of an action belongs in its result.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PYTHON'
import sys
import threading
import time

import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import SingleThreadedExecutor
from test_msgs.action import Fibonacci

COUNT = 10


def serve(goal):
    for number in range(COUNT):
        goal.publish_feedback(Fibonacci.Feedback(sequence=[number]))
    goal.succeed()
    return Fibonacci.Result()


rclpy.init()
serving, asking = SingleThreadedExecutor(), SingleThreadedExecutor()
server, client = rclpy.create_node("server"), rclpy.create_node("client")
serving.add_node(server)
asking.add_node(client)
ActionServer(server, Fibonacci, "count", serve)
counts = ActionClient(client, Fibonacci, "count")
thread = threading.Thread(target=serving.spin)
thread.start()
assert counts.wait_for_server(20.0)
found = []
for _ in range(5):
    seen = []
    accepted = counts.send_goal_async(Fibonacci.Goal(), lambda message: seen.append(message))
    asking.spin_until_future_complete(accepted)
    result = accepted.result().get_result_async()
    time.sleep(0.5)
    asking.spin_until_future_complete(result)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        asking.spin_once(timeout_sec=0.01)
    found.append(len(seen))
print(f"of {COUNT} messages of feedback a busy client got, in five tries: {found}")
serving.shutdown()
thread.join()
rclpy.shutdown()
sys.exit(0 if max(found) < COUNT // 2 else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "ros-rclpy[fastrtps]==7.1.6" ros-test-msgs==2.0.3
export AMENT_PREFIX_PATH="$folder/venv" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=78 ROS_HOME="$folder"
"$folder/venv/bin/python" "$folder/ask.py"
