"""What the robot does: measured joint states and base poses, and the active trajectory."""
