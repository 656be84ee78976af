"""Retarget a BVH file onto a robot of the package and save the trajectory.

python examples/retarget_my_bvh.py walk.bvh g1 walk_g1.npz
"""

import sys

from nextscale_core import Retargeter, SafetyGate, load_robot
from nextscale_core.motion import read_motion
from nextscale_core.robots import write_trajectory

bvh, robot_name, out = sys.argv[1:]
clip = read_motion(bvh)
for note in clip.notes:  # what was assumed about units, axes and joint names
    print(note)
robot = load_robot(robot_name)
trajectory = Retargeter(robot).retarget(clip, rate=50.0)
result = SafetyGate(robot).review(trajectory)
print(result.report.line())
if result.trajectory is None:
    sys.exit(1)
write_trajectory(result.trajectory, out)
