"""Tuned numbers of the safety gate and of its repairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

_STEPS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class RepairConfig:
    """Repair: what the gate may change, and how far."""

    max_excess: Annotated[float, "Excess over a position limit that is clipped [rad]."] = 1e-3
    max_end_speed: Annotated[float, "Last velocity that is set to zero [rad/s]."] = 1e-3
    max_slowdown: Annotated[float, "Largest slowdown of a trajectory."] = 4.0
    max_local_slowdown: Annotated[float, "Largest slowdown of a moment of it."] = 10.0
    retiming_rounds: Annotated[int, "Rounds of a local, then of a uniform slowdown."] = 16
    parting_rounds: Annotated[int, "Solver steps that move touching bodies apart."] = 8
    parting_damping: Annotated[float, "Weight of such a step [1/m^2, 1/rad^2]."] = 0.3
    parting_firm: Annotated[float, "Place of legs and trunk [1/m^2]."] = 50.0
    parting_soft: Annotated[float, "Place of the arms [1/m^2]."] = 1.0
    # Samples are dense, so second differences are small and their weight must be large.
    parting_smoothness: Annotated[float, "Second differences [1/m^2, 1/rad^2]."] = 5.0
    parting_reach: Annotated[int, "Samples solved beside a touching one."] = 20
    parting_room: Annotated[float, "Wanted distance of bodies that touched [m]."] = 0.01
    # The hulls are a little smaller than the bodies.
    parting_done: Annotated[float, "Distance of bodies that count as parted [m]."] = 0.002
    # Beyond these, no small change parts the bodies, and the search would take long.
    parting_max_touches: Annotated[int, "Contacts that parting is tried for."] = 800
    easing_max_touches: Annotated[int, "Contacts that easing is tried for."] = 3000
    limit_room: Annotated[float, "Room to position limits while parting [rad]."] = 0.004
    easing_steps: Annotated[tuple[float, ...], "Shares of the way to nominal."] = _STEPS
    easing_hold: Annotated[float, "Full share before and after a contact [s]."] = 0.2
    easing_fade: Annotated[float, "Rise and fall of the share [s]."] = 0.6
    easing_rounds: Annotated[int, "Rounds in which shares are raised."] = 12


@dataclass(frozen=True)
class DynamicsConfig:
    """Dynamics: sampling of a trajectory, and what counts as contact and as slow."""

    period: Annotated[float, "Time between the moments [s]."] = 0.04
    stride: Annotated[int, "Steps of smoothing in such a period."] = 2
    smoothing: Annotated[float, "Standard deviation of the smoothing [s]."] = 0.05
    contact_height: Annotated[float, "Highest sole corner that bears load [m]."] = 0.04
    contact_speed: Annotated[float, "Fastest sole corner that bears load [m/s]."] = 0.8
    spread: Annotated[float, "Weight that spreads forces over the corners."] = 1e-3
    steps: Annotated[int, "Largest number of steps for the contact forces."] = 30
    halvings: Annotated[int, "Largest number of times that such a step is halved."] = 12
    enough: Annotated[float, "Step that ends them [body weights]."] = 1e-5
    free_fall: Annotated[float, "Vertical force without support [body weights]."] = 0.1
    near_floor: Annotated[float, "Highest sole that may still bear load soon [m]."] = 0.06
    slow_window: Annotated[float, "Time before and after in which it is slow too [s]."] = 0.2
    min_height: Annotated[float, "Lowest standing pelvis [standing heights]."] = 0.8


DYNAMICS = DynamicsConfig()
"""The default configuration of the dynamics."""


@dataclass(frozen=True)
class GateConfig:
    """Gate: tolerances of the checks."""

    rounding: Annotated[float, "Excess that is rounding [rad, rad/s, share]."] = 1e-6
    start_tolerance: Annotated[float, "First sample to measured state [rad]."] = 1e-3
    rest_tolerance: Annotated[float, "Last velocity that counts as zero [rad/s]."] = 1e-9
    leaving_depth: Annotated[float, "Deepest measured contact that may part [m]."] = 0.01
    leaving_time: Annotated[float, "Time in which it has to part [s]."] = 0.5
    leaving_rounding: Annotated[float, "Increase of its depth that is rounding [m]."] = 1e-5
    sole_depth: Annotated[float, "Depth below the floor that is reported [m]."] = 0.03
    min_pelvis_height: Annotated[float, "Lowest usual pelvis [leg lengths]."] = 0.05
    max_pelvis_height: Annotated[float, "Highest usual pelvis [leg lengths]."] = 2.5
    repair_rounds: Annotated[int, "Rounds of repair; one may ask for another."] = 3
    repair: RepairConfig = field(default_factory=RepairConfig)
    dynamics: DynamicsConfig = DYNAMICS


GATE = GateConfig()
"""The default configuration."""
