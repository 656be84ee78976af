#!/usr/bin/env bash
# Whether pinocchio 4.1.0 (wheels of PyPI) reads valid URDFs whatever their joints and links are called.
#
# Guess before running: yes. Names identify; the file with `<mimic>` below gives one model, however its two joints
# are called, and a fixed joint may have the name of its link, since URDF names links and joints apart.
# Seen: with mimic=True a follower is read only if its leader is met before it, and siblings are
# met in the order of their names. Two fingers of one palm, "left" which leads and "right" which follows, are a
# model; called "thumb" and "index", with the same axes and the same file otherwise, they are a ValueError, "The
# parent joint of the mimic joint is not in the kinematic tree". So are jvrc-description 1.1.1 and, of
# example-robot-data 6.0.0, Romeo and Talos with its grippers. And where a link
# "camera" on a fixed joint "camera" carries another fixed link, the model is read, but buildReducedModel of any joint
# is a ValueError, "Several frames match the filter".
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/read.py" <<'PYTHON'
import sys

import pinocchio as pin

FINGER = """<link name="{name}"/><joint name="{name}_joint" type="revolute"><parent link="palm"/><child link="{name}"/>
<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/>{mimic}</joint>"""
MOUNT = """<link name="{link}"/><joint name="camera" type="fixed"><parent link="finger"/><child link="{link}"/></joint>
<link name="lens"/><joint name="lens_joint" type="fixed"><parent link="{link}"/><child link="lens"/></joint>"""


def outcome(build):
    try:
        return f"{build().nq} numbers"
    except ValueError as error:
        return f"ValueError: {error}"


found = []
for leader, follower in (("left", "right"), ("thumb", "index")):
    fingers = FINGER.format(name=leader, mimic="") + FINGER.format(
        name=follower, mimic=f'<mimic joint="{leader}_joint" multiplier="-1"/>'
    )
    text = f'<robot name="hand"><link name="palm"/>{fingers}</robot>'
    found.append(outcome(lambda: pin.buildModelFromXML(text, mimic=True)))
    print(f"{follower} mimics {leader}: {found[-1]}")
for link in ("camera_link", "camera"):
    mount = "".join(FINGER.format(name=name, mimic="") for name in ("finger", "thumb"))
    mount += MOUNT.format(link=link)
    text = f'<robot name="hand"><link name="palm"/>{mount}</robot>'
    model = pin.buildModelFromXML(text)
    thumb = [model.getJointId("thumb_joint")]
    found.append(outcome(lambda: pin.buildReducedModel(model, thumb, pin.neutral(model))))
    print(f"link {link} on joint camera, reduced: {found[-1]}")
right = [text.startswith("ValueError") for text in found] == [False, True, False, True]
sys.exit(0 if right else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pin==4.1.0
"$folder/venv/bin/python" "$folder/read.py"
