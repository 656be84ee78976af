#!/usr/bin/env bash
# Whether a namespace that rclpy takes for valid can also be given on the command line.
#
# Guess before running: yes. `validate_namespace` is what a launcher asks before it writes `-r __ns:=...`.
# Seen (rclpy 7.1.6 of Jazzy): "/a__b" passes `validate_namespace`, and a node whose namespace is given in code
# lives in it. The same namespace as a remap rule ends `rclpy.init` with an RCLError ("Couldn't parse remap rule:
# '-r __ns:=/a__b'. Error: Expected lexeme type 1, got 18"), so a launcher that asks `validate_namespace` still
# cannot start the node. "/a_b" passes all three.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PYTHON'
import sys

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.validate_namespace import validate_namespace

found = {}
for namespace in ("/a_b", "/a__b"):
    assert validate_namespace(namespace)
    context = Context()
    rclpy.init(context=context)
    node = Node("inside", namespace=namespace, context=context)
    in_code = node.get_namespace()
    node.destroy_node()
    context.shutdown()
    other = Context()
    try:
        rclpy.init(args=["--ros-args", "-r", f"__ns:={namespace}"], context=other)
        node = Node("outside", context=other)
        remapped = node.get_namespace()
        node.destroy_node()
        other.shutdown()
    except Exception as error:
        remapped = f"{type(error).__name__}: {str(error).splitlines()[0][:90]}"
    found[namespace] = (in_code, remapped)
    print(f"{namespace}: in code {in_code}, by a remap rule {remapped}")
right = found["/a_b"] == ("/a_b", "/a_b") and found["/a__b"][0] == "/a__b"
right = right and "parse" in found["/a__b"][1]
sys.exit(0 if right else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "ros-rclpy[fastrtps]==7.1.6"
export AMENT_PREFIX_PATH="$folder/venv" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=78 ROS_HOME="$folder"
"$folder/venv/bin/python" "$folder/ask.py"
