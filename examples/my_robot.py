"""Load a robot of one's own from a URDF and a profile and draw a motion on it.

nextscale robots draft my_robot.urdf --out my_robot.yaml    # a first profile, to be reviewed
nextscale robots check my_robot.urdf my_robot.yaml
python examples/my_robot.py my_robot.urdf my_robot.yaml walk.bvh walk.png
"""

import sys
from pathlib import Path

from nextscale_core import Retargeter, load_robot
from nextscale_core.motion import read_motion
from nextscale_core.viz import draw_robot

urdf, profile, motion, picture = sys.argv[1:]
robot = load_robot(urdf, Path(profile))
print(f"{robot.name} moves {robot.num_joints} joints: {', '.join(robot.joint_names)}")
trajectory = Retargeter(robot).retarget(read_motion(motion))
draw_robot(robot, trajectory, picture)
