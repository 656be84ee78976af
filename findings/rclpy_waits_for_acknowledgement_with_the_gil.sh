#!/usr/bin/env bash
# Whether the other threads of a node run while one waits in rclpy for its messages to be acknowledged.
#
# Guess before running: they do. Publisher.wait_for_all_acked blocks in C, and rclpy lets go of Python's
# lock wherever it waits, as in spin.
# Seen (rclpy 7.1.6 of Jazzy and 9.1.2 of Kilted, Fast DDS): no other thread runs for the whole wait. With a reliable listener
# that is paused and a wait of 1 s, a thread that ticks every 5 ms stands still for 1 s. A node that
# waits for its last message before it ends stops its control loops meanwhile; looks of no duration in a loop
# with a sleep do not.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/talk.py" <<'PYTHON'
import os
import signal
import subprocess
import sys
import threading
import time

import rclpy
from rclpy.duration import Duration
from std_msgs.msg import String

WAIT = 1.0
rclpy.init()
if sys.argv[1:] == ["listen"]:
    listener = rclpy.create_node("listener")
    listener.create_subscription(String, "words", lambda _: print("heard", flush=True), 10)
    rclpy.spin(listener)
talker = rclpy.create_node("talker")
words = talker.create_publisher(String, "words", 10)
child = subprocess.Popen([sys.executable, __file__, "listen"], stdout=subprocess.PIPE)
while words.get_subscription_count() < 1:
    time.sleep(0.05)
words.publish(String(data="first"))
child.stdout.readline()
os.kill(child.pid, signal.SIGSTOP)
words.publish(String(data="second"))
ticks, ended = [], threading.Event()


def tick():
    while not ended.wait(0.005):
        ticks.append(time.monotonic())


def longest_gap(wait):
    ticks.clear()
    ended.clear()
    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.2)
    assert not wait()
    time.sleep(0.2)
    ended.set()
    thread.join()
    return max(after - before for before, after in zip(ticks, ticks[1:]))


def look():
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if words.wait_for_all_acked(Duration()):
            return True
        time.sleep(0.005)
    return False


whole = longest_gap(lambda: words.wait_for_all_acked(Duration(seconds=WAIT)))
looks = longest_gap(look)
print(f"longest pause of another thread: {whole:.2f} s in one wait of {WAIT:g} s, {looks:.2f} s beside short looks")
child.kill()
rclpy.shutdown()
sys.exit(0 if whole > 0.9 * WAIT and looks < 0.5 * WAIT else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "ros-rclpy[fastrtps]==7.1.6" ros-std-msgs==5.3.6
export AMENT_PREFIX_PATH="$folder/venv" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=79 ROS_HOME="$folder"
"$folder/venv/bin/python" "$folder/talk.py"
