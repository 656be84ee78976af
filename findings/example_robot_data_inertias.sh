#!/usr/bin/env bash
# Whether the links of example-robot-data 6.0.0 (PyPI) have inertias that a body can have.
#
# Guess before running: all of them; the descriptions are there for dynamics.
# Seen: in romeo_laas_small.urdf the link "body" (5 of 41 kg) has principal moments of -0.021, 0.052 and
# 0.099 kg m^2, and both thighs one of -0.003: no body's are negative. In five files (both Romeos, Alex with hands,
# ANYmal C, PR2) links have a largest moment above the sum of the two others, by up to five times, which no body has
# either. Pinocchio 4.1.0 reads that Romeo without a word; MuJoCo 4.0.0 refuses it, "inertia must have positive
# eigenvalues".
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/look.py" <<'PYTHON'
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import mujoco
import numpy as np
import pinocchio as pin

TOLERANCE = 1e-5  # kg m^2
robots = Path(sys.argv[1]) / "example-robot-data" / "robots"
negative, uneven = {}, set()
for path in sorted(robots.rglob("*.urdf")):
    for link in ElementTree.parse(path).getroot().findall("link"):
        stated = link.find("inertial/inertia")
        if stated is None:
            continue
        xx, xy, xz, yy, yz, zz = (float(stated.get(key, 0)) for key in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz"))
        moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        if moments[0] < -TOLERANCE:
            negative.setdefault(path.name, {})[link.get("name")] = moments.round(4).tolist()
        elif moments[2] > 1.05 * (moments[0] + moments[1]) + TOLERANCE:
            uneven.add(path.name)
for name, links in negative.items():
    print(name, "has negative moments:", links)
print("largest moment above the sum of the others:", sorted(uneven))
path = next(robots.rglob("romeo_laas_small.urdf"))
read = pin.buildModelFromUrdf(str(path)).njoints
root = ElementTree.parse(path).getroot()
for link in root.findall("link"):
    for shape in (*link.findall("visual"), *link.findall("collision")):
        link.remove(shape)
try:
    said = f"{mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding='unicode')).nbody} bodies"
except ValueError as error:
    said = " ".join(str(error).split())
print(f"pinocchio: {read} joints; MuJoCo: {said}")
right = list(negative) == ["romeo_laas_small.urdf"] and set(negative["romeo_laas_small.urdf"]) == {
    "body",
    "LHipPitch_link",
    "RHipPitch_link",
}
sys.exit(0 if right and "positive eigenvalues" in said and "romeo_small.urdf" in uneven else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet example-robot-data==6.0.0 pin==4.1.0 mujoco==4.0.0
"$folder/venv/bin/python" "$folder/look.py" "$(find "$folder/venv" -type d -path "*/cmeel.prefix/share")"
