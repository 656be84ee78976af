"""Pictures of human motions and robot trajectories, drawn without a screen."""

from nextscale_core.viz.pictures import draw_human, draw_robot

__all__ = ["draw_human", "draw_robot"]
