"""Follow a human frame by frame, as in teleoperation: here a motion file is the source.

python examples/stream_my_poses.py walk.npz g1
"""

import sys

from nextscale_core.motion import read_motion
from nextscale_core.retarget import StreamingRetargeter
from nextscale_core.robots import load_robot

file, robot_name = sys.argv[1:]
clip = read_motion(file)
stream = StreamingRetargeter(load_robot(robot_name))
for number, joints in enumerate(clip.joints):  # (22, 3) [m], z up; at 60 Hz from a live source
    pose = stream.push(number / clip.fps, joints)
    robot = pose.reference  # joints [rad], their velocities [rad/s], and the root, for a tracker
    print(f"{pose.time:6.3f} s", robot.positions.round(3), robot.base_position.round(3), pose.held)
time = len(clip) / clip.fps
while robot.velocities.any():  # the source ends: brake, then stand
    robot = stream.hold(time).reference
    time += 1 / clip.fps
