"""State of the robot: subscriptions to joint states and base poses, and the active trajectory."""
