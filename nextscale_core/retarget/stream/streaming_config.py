"""Tuned numbers of the streaming retargeter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class StreamingConfig:
    """Streaming: delay, smoothing, locked feet, and what counts as a fault of the input."""

    rate: Annotated[float, "Expected frames per second [Hz]."] = 60.0
    # Frames after the one that is shown tell whether a foot is about to stand or to leave.
    delay: Annotated[int, "Frames that the output lags behind [frames]."] = 2
    steps: Annotated[int, "Gauss-Newton steps for a frame."] = 1
    # Beside the residuals of the targets, whose weights are about 3.
    base: Annotated[float, "Weight of a steady base [1/m^2]."] = 1.0
    turn: Annotated[float, "Weight of its steady orientation [1/rad^2]."] = 0.3
    joints: Annotated[float, "Weight of steady joints [1/rad^2]."] = 0.1
    base_speed: Annotated[float, "Highest speed of the base [m/s, rad/s]."] = 10.0
    base_acceleration: Annotated[float, "Highest of its accelerations [m/s^2, rad/s^2]."] = 100.0
    approach: Annotated[float, "Speed of joints towards a human who is elsewhere [rad/s]."] = 1.5
    approach_base: Annotated[float, "Speed of the base towards there [m/s, rad/s]."] = 0.5
    approach_time: Annotated[float, "Time until joints may be as fast as ever [s]."] = 1.5
    land: Annotated[float, "Time constant in which a foot settles on its place [s]."] = 0.04
    swing: Annotated[float, "Time constant in which its correction fades in the air [s]."] = 0.1
    turn_rate: Annotated[float, "Turn of a standing foot that follows the human's [rad/s]."] = 2.0
    hysteresis: Annotated[float, "Height that a standing foot may have in addition [m]."] = 0.02
    stand_shift: Annotated[float, "Largest correction of the base for a standing foot [m]."] = 0.02
    rise: Annotated[float, "Rise of the estimated floor under feet that stand higher [m/s]."] = 0.02
    sizing: Annotated[int, "Frames over which the human's leg length is averaged."] = 120
    longest_gap: Annotated[float, "Time without a frame after which the robot stops [s]."] = 0.2
    fastest_hips: Annotated[float, "Speed of the hips beyond which the human jumped [m/s]."] = 8.0
    fastest_foot: Annotated[float, "The same of an ankle [m/s]."] = 25.0
    apart: Annotated[float, "Wanted distance of bodies that would touch [m]."] = 0.012
    let_go: Annotated[float, "Further distance at which they are left alone [m]."] = 0.02


STREAMING = StreamingConfig()
"""The default configuration."""
