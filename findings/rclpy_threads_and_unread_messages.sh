#!/usr/bin/env bash
# How often rclpy's executor of several threads waits for each message of a subscription.
#
# Guess before running: two or three times, as the executor of one thread does. A message wakes the wait, a thread
# takes it, and the next wait blocks until the next message, 10 ms later.
# Seen (rclpy 7.1.6, rmw_fastrtps 8.4.3): 13 to 150 times, differently from node to node and for as long as it lives,
# with 0.1 to 0.8 s of CPU time a second (more in larger nodes) and, in the worst of them, 58 of 100 messages
# a second. Until a thread takes a message, its subscription is left out of the wait, but not the handlers of its
# QoS events, which every subscription has by default. Their condition is that of the reader, where the message
# lies unread: the wait ends at once, with nothing ready, and the loop keeps Python's lock from the thread that is
# to take the message. Without these handlers (use_default_callbacks=False), or with one thread, it waits twice.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/hear.py" <<'PYTHON'
import subprocess
import sys
import threading
import time

import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from std_msgs.msg import String

NODES = 10
rclpy.init()
if sys.argv[1:] == ["talk"]:
    talker = rclpy.create_node("talker")
    words = talker.create_publisher(String, "words", 10)
    talker.create_timer(0.01, lambda: words.publish(String(data="word")))
    rclpy.spin(talker)


def counting(kind):
    class Counting(kind):
        waits = 0

        def get_nodes(self):
            # Called before each wait.
            self.waits += 1
            return super().get_nodes()

    return Counting()


def listen(number, kind, events):
    node = rclpy.create_node(f"listener{number}")
    heard = []
    callbacks = SubscriptionEventCallbacks(use_default_callbacks=events)
    node.create_subscription(String, "words", heard.append, 10, event_callbacks=callbacks)
    executor = counting(kind)
    executor.add_node(node)
    ended = threading.Event()

    def serve():
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=serve)
    thread.start()
    while not heard:
        time.sleep(0.01)
    heard.clear()
    waits, cpu = executor.waits, time.process_time()
    time.sleep(1.0)
    waits, cpu, count = executor.waits - waits, time.process_time() - cpu, len(heard)
    ended.set()
    thread.join()
    executor.shutdown()
    node.destroy_node()
    return waits / max(count, 1), cpu, count


child = subprocess.Popen([sys.executable, __file__, "talk"])
most = []
for name, kind, events in (
    ("several threads", MultiThreadedExecutor, True),
    ("several threads, no events", MultiThreadedExecutor, False),
    ("one thread", SingleThreadedExecutor, True),
):
    found = [listen(number, kind, events) for number in range(NODES)]
    waits, cpu, counts = zip(*found)
    most.append(max(waits))
    print(f"{name}: waits for a message {min(waits):.0f} to {max(waits):.0f}, CPU time in 1 s {min(cpu):.2f} to "
          f"{max(cpu):.2f} s, messages in 1 s {min(counts)} to {max(counts)}", flush=True)
child.kill()
rclpy.shutdown()
sys.exit(0 if most[0] > 4 * max(most[1:]) else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "ros-rclpy[fastrtps]==7.1.6" ros-std-msgs==5.3.6
export AMENT_PREFIX_PATH="$folder/venv" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=77 ROS_HOME="$folder"
"$folder/venv/bin/python" "$folder/hear.py"
