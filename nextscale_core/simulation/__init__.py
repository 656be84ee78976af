"""Robots in physics: MuJoCo models, controllers that balance, and rollouts of trajectories."""
