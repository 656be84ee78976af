#!/usr/bin/env bash
# What urdfdom 6.0.0 (as pinocchio 4.1.0 uses it, from the wheels of PyPI) makes of two elements of
# later URDF versions in a file that states no version, which means 1.0.
#
# Guess before running: both are errors that name the element and the version.
# Seen: the orientation `quat_xyzw` of a joint's origin (URDF 1.1 and later) is ignored without a
# message, and the joint stands at the identity. A link's only collision shape, a `<capsule>`, is
# dropped: a line on stderr names the link, neither the element nor the version, the model is loaded
# all the same, and its geometry is empty. With version="1.2" both are read.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pin==4.1.0 cmeel-urdfdom==6.0.0 coal==3.0.3
cat >"$folder/look.py" <<'PYTHON'
import sys
import tempfile
from pathlib import Path

import numpy as np
import pinocchio as pin

ROBOT = """<robot name="demo"{version}>
  <link name="base"/>
  <link name="arm">
    <inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><capsule radius="0.05" length="0.2"/></geometry></collision>
  </link>
  <joint name="turn" type="revolute">
    <parent link="base"/><child link="arm"/><axis xyz="0 0 1"/>
    <origin xyz="0 0 1" quat_xyzw="0 0 0.7071067811865476 0.7071067811865476"/>
    <limit lower="-1" upper="1" effort="1" velocity="1"/>
  </joint>
</robot>
"""

seen = {}
for version in ("", "1.2"):
    text = ROBOT.format(version=f' version="{version}"' if version else "")
    path = Path(tempfile.mkdtemp(), "demo.urdf")
    path.write_text(text)
    model = pin.buildModelFromUrdf(str(path))
    shapes = pin.buildGeomFromUrdf(model, str(path), pin.GeometryType.COLLISION).geometryObjects
    turn = pin.log3(model.jointPlacements[model.getJointId("turn")].rotation)
    seen[version] = (round(float(np.degrees(turn[2])), 3), len(shapes))
    print(f"version {version or '(none)'}: joint turned by {seen[version][0]:g} degrees, "
          f"{seen[version][1]} collision shapes")
print("pinocchio", pin.__version__)
sys.exit(seen != {"": (0.0, 0), "1.2": (90.0, 1)})
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
