#!/usr/bin/env bash
# What the URDFs of fourier-robot-descriptions 0.2.7 (PyPI) say about the limits of two robots.
#
# Guess before running: where the axis of a left joint is the opposite of the right one's, its limits
# are the opposite too, so that both knees bend backwards; and every joint may move.
# Seen: in qinglong.urdf the axes of the knees are opposite and the limits are the same, -2.36 to 0.09
# rad: the right knee flexes by 2.36 rad and the left one by 0.09 rad, and the left one may go 2.36 rad
# the wrong way. The left hip turns 1.83 rad forwards, the right one 0.79. In
# gr3_fourier_hand_6dof.urdf the 22 joints of the fingers have a velocity limit of 0: a controller or
# a planner that keeps the limits cannot close the hand.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-deps fourier-robot-descriptions==0.2.7
cat >"$folder/look.py" <<'PYTHON'
import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

package = Path(importlib.util.find_spec("fourier_robot_descriptions").submodule_search_locations[0])


def joints(name):
    root = ElementTree.parse(package / "assets" / "urdf" / name).getroot()
    return {joint.get("name"): joint for joint in root.iter("joint") if joint.get("type") == "revolute"}


def forwards(joint):
    """Limits about +y, which turns a hanging leg backwards."""
    limit = joint.find("limit")
    sign = float(joint.find("axis").get("xyz").split()[1])
    return tuple(sorted(round(sign * float(limit.get(end)), 2) for end in ("lower", "upper")))


legs = joints("qinglong.urdf")
seen = {}
for part in ("knee", "hip"):
    for side in "lr":
        seen[part, side] = forwards(legs[f"J_{part}_{side}_pitch"])
        print(f"qinglong, {part} pitch, {side}: {seen[part, side]} rad about +y")
still = [
    name
    for name, joint in joints("gr3_fourier_hand_6dof.urdf").items()
    if float(joint.find("limit").get("velocity")) == 0.0
]
print(f"gr3_fourier_hand_6dof: {len(still)} joints with a velocity limit of 0, such as {still[0]}")
expected = {
    ("knee", "l"): (-2.36, 0.09), ("knee", "r"): (-0.09, 2.36),
    ("hip", "l"): (-1.83, 0.79), ("hip", "r"): (-0.79, 1.83),
}
sys.exit(seen != expected or len(still) != 22)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
