"""A robot that executes trajectories exactly, without physics."""
