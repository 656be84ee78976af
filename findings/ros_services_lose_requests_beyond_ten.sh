#!/usr/bin/env bash
# How many requests a ROS 2 service answers that was busy when they came.
#
# Guess before running: all. Services are reliable; a busy server answers late, and a client waits.
# Seen (rclpy 7.1.6 of Jazzy, Fast DDS): of 30 requests sent while the server did not spin, the last 10 are
# answered. The others are gone without an error on either side: their futures never end, and
# `ros2 service call` would wait for ever. The queue is that of DDS: the default profile of services keeps
# the last 10, and on a full queue of `keep last` a new request takes the place of the oldest although
# both sides are reliable. With a depth of 100 on both sides all 30 are answered; on the server alone 25 were,
# since answers wait in a queue of the client that is as short.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PYTHON'
import sys
import time

import rclpy
from rclpy.qos import QoSProfile
from rclpy.qos import qos_profile_services_default as default
from std_srvs.srv import Trigger

rclpy.init()
server, client = rclpy.create_node("server"), rclpy.create_node("client")
found = {}
for name, profile in {"default": default, "depth_100": QoSProfile(depth=100)}.items():

    def answer(request, response):
        response.success = True
        return response

    server.create_service(Trigger, name, answer, qos_profile=profile)
    asks = client.create_client(Trigger, name, qos_profile=profile)
    assert asks.wait_for_service(20.0)
    calls = [asks.call_async(Trigger.Request()) for _ in range(30)]
    time.sleep(2.0)
    end = time.monotonic() + 5.0
    while time.monotonic() < end:
        rclpy.spin_once(server, timeout_sec=0.01)
        rclpy.spin_once(client, timeout_sec=0.01)
    found[name] = [number for number, call in enumerate(calls) if call.done()]
    print(f"{name}: {len(found[name])} of {len(calls)} answered: {found[name]}")
rclpy.shutdown()
right = found["default"] == list(range(20, 30)) and found["depth_100"] == list(range(30))
sys.exit(0 if right else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "ros-rclpy[fastrtps]==7.1.6" ros-std-srvs==5.3.6
export AMENT_PREFIX_PATH="$folder/venv" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=77 ROS_HOME="$folder"
"$folder/venv/bin/python" "$folder/ask.py"
