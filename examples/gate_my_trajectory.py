"""Review a trajectory from another planner with the safety gate: here a swinging elbow of the G1.

python examples/gate_my_trajectory.py 0.4    # amplitude [rad]; try 0.4, then 3
"""

import sys

import numpy as np

from nextscale_core import RobotTrajectory, SafetyGate, load_robot

amplitude = float(sys.argv[1]) if len(sys.argv) > 1 else 0.4
robot = load_robot("g1")
elbow = robot.joint_names.index("right_elbow_joint")
times = np.linspace(0.0, 2.0, 101)
positions = np.tile(robot.nominal, (len(times), 1))
positions[:, elbow] += amplitude * (1 - np.cos(np.pi * times)) / 2
velocities = np.zeros_like(positions)
velocities[:, elbow] = amplitude * np.pi * np.sin(np.pi * times) / 2
base = np.tile([0.0, 0.0, 0.78], (len(times), 1))
upright = np.tile([0.0, 0.0, 0.0, 1.0], (len(times), 1))  # x y z w
trajectory = RobotTrajectory(
    robot.name, robot.joint_names, positions, velocities, times, base, upright, fps=50.0
)
result = SafetyGate(robot).review(trajectory)
print(result.report.line())
sys.exit(result.trajectory is None)
