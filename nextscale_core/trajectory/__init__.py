"""Trajectories in time: parameterization, limits between samples, blends and cycles."""

from nextscale_core.trajectory.blend_in import approach_seconds, with_approach
from nextscale_core.trajectory.gait_cycle import Cycle, close_cycle, sample_cycle

__all__ = ["Cycle", "approach_seconds", "close_cycle", "sample_cycle", "with_approach"]
