#!/usr/bin/env bash
# Whether an enum of MuJoCo's Python package equals the NumPy integer that a model has for it.
#
# Guess before running (of OmniRetarget, holosoma-retargeting 0.1.0, whose wheel asks for `mujoco` of any
# version): it makes the same joint angles of a raised arm with MuJoCo 3.3.4 and with 4.0.0, or ends with
# an error that names what has changed.
# Seen: with 3.3.4 the shoulder turns to -1.24 rad, with 4.0.0 all joints stay at zero, and nothing is said.
# Its loop over the joints asks `model.jnt_type[j] in (mjtJoint.mjJNT_HINGE, mjtJoint.mjJNT_SLIDE)`. Up to
# 3.11.0 an enum equals a NumPy integer; since 3.12.0 it does so only on the right of ==: the enum's own
# comparison says False. `in` asks the enum, so no joint is found to be a hinge, and the Jacobians of all joints
# are zero. A Python integer, int(model.jnt_type[j]), equals the enum in every version and order.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/look.py" <<'PYTHON'
import sys

import mujoco

model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><body><freejoint/><geom size='.1'/>"
    "<body><joint type='hinge'/><geom size='.1'/></body></body></worldbody></mujoco>"
)
kind, hinge = model.jnt_type[1], mujoco.mjtJoint.mjJNT_HINGE
found = {
    "NumPy integer == enum": bool(kind == hinge),
    "enum == NumPy integer": bool(hinge == kind),
    "NumPy integer in (enum,)": kind in (hinge,),
    "int(NumPy integer) in (enum,)": int(kind) in (hinge,),
}
print(f"mujoco {mujoco.__version__}, {type(kind).__name__}:", found)
own = sys.argv[1] == "equal"
sys.exit(0 if list(found.values()) == [True, own, own, True] else 1)
PYTHON
for pair in 3.11.0=equal 4.0.0=different; do
  python3 -m venv "$folder/${pair%=*}"
  "$folder/${pair%=*}/bin/python" -m pip install --quiet "mujoco==${pair%=*}" numpy==2.3.5
  "$folder/${pair%=*}/bin/python" "$folder/look.py" "${pair#*=}"
done
