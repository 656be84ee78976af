"""Robots in physics: MuJoCo models, controllers that balance, and rollouts of trajectories."""

from nextscale_core.simulation.balancer import Balancer
from nextscale_core.simulation.config import DISTURBED, SimulationConfig
from nextscale_core.simulation.policies import make_balancer
from nextscale_core.simulation.rollout import Rollout, simulate
from nextscale_core.simulation.simulator import Gains, SimulatedState, Simulator

__all__ = [
    "DISTURBED",
    "Balancer",
    "Gains",
    "Rollout",
    "SimulatedState",
    "SimulationConfig",
    "Simulator",
    "make_balancer",
    "simulate",
]
