"""Tuned numbers of the trajectory in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

MAX_OUTSIDE = 0.1
"""Furthest a joint may be measured outside its position limits [rad]."""


@dataclass(frozen=True)
class TimeParameterizationConfig:
    """Time parameterization: start, stop, retiming, transition from the measured state, cycles."""

    ramp: Annotated[float, "Duration of the smooth start, and of the stop [s]."] = 0.5
    max_ramp: Annotated[float, "Longest start or stop after lengthening [s]."] = 2.0
    # The rest covers rounding.
    limit_share: Annotated[float, "Share of velocity and acceleration limits in use."] = 0.98
    path_share: Annotated[float, "Share of the acceleration limits for the path alone."] = 0.85
    total_share: Annotated[float, "Share of them for path and change of pace."] = 0.9
    cells_per_frame: Annotated[int, "Places per frame at which the pace is chosen."] = 4
    smoothing: Annotated[int, "Half-width of the smoothing of the pace [cells]."] = 2
    rounds: Annotated[int, "Retiming rounds; those of the second half are uniform."] = 40
    # A motion near the limits takes about as many samples in each round.
    spare_samples: Annotated[int, "Samples to retime beyond those of all rounds."] = 50_000
    pickup: Annotated[float, "Measured to planned state, robot under way [s]."] = 0.3
    limit_gap: Annotated[float, "Room of a joint measured to move into a limit [rad]."] = 1e-3
    blend_min: Annotated[float, "Shortest transition from the measured state [s]."] = 0.4
    blend_share: Annotated[float, "Share of the limits for the transition alone."] = 0.5
    max_speed_share: Annotated[float, "Velocity limit share of a joint taken over."] = 0.97
    max_overrun: Annotated[float, "Furthest a joint may coast beyond a limit [rad]."] = 1e-3
    cycle_min: Annotated[float, "Shortest cycle of a motion that repeats [s]."] = 1.0
    cycle_blend: Annotated[float, "Duration in which a cycle closes [s]."] = 0.6
    cycle_look_ahead: Annotated[float, "Time in which a speed counts as distance [s]."] = 0.2
    cycle_alike: Annotated[float, "Distance of ends that count as alike [m]."] = 0.01
    cycle_max_mismatch: Annotated[float, "Largest distance of the ends of a cycle [m]."] = 0.15
    # The search compares all pairs of frames.
    cycle_max_frames: Annotated[int, "Frames among which a cycle is searched."] = 1000


TIMING = TimeParameterizationConfig()
"""The default configuration."""
