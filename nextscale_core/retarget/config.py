"""Tuned numbers of the retargeter, one configuration for each stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from nextscale_core.trajectory.config import TimeParameterizationConfig


@dataclass(frozen=True)
class TargetsConfig:
    """Targets: weights of the residuals relative to the pelvis position, and accepted motions."""

    pelvis: Annotated[float, "Pelvis position [1/m^2]."] = 1.0
    pelvis_turn: Annotated[float, "Pelvis orientation [1/m^2]."] = 1.5
    torso_turn: Annotated[float, "Chest orientation [1/m^2]."] = 6.0
    foot: Annotated[float, "Ankle position of a swinging foot [1/m^2]."] = 3.0
    stance: Annotated[float, "Ankle position of a standing foot [1/m^2]."] = 400.0
    foot_turn: Annotated[float, "Orientation of a swinging sole [1/m^2]."] = 1.5
    stance_turn: Annotated[float, "Orientation of a standing sole [1/m^2]."] = 10.0
    thigh: Annotated[float, "Direction of the thigh [1/m^2]."] = 3.0
    shank: Annotated[float, "Direction of the shank [1/m^2]."] = 3.0
    arm: Annotated[float, "Directions of upper arm and forearm [1/m^2]."] = 4.0
    min_rate: Annotated[float, "Lowest frame rate that is solved as it is [Hz]."] = 15.0
    max_rate: Annotated[float, "Highest frame rate that is solved as it is [Hz]."] = 40.0
    solve_rate: Annotated[float, "Frame rate to which other clips are resampled [Hz]."] = 20.0
    min_leg: Annotated[float, "Shortest thigh and shank of a human [m]."] = 0.4
    max_leg: Annotated[float, "Longest thigh and shank of a human [m]."] = 1.4
    max_speed: Annotated[float, "Highest speed of hips and ankles [m/s]."] = 100.0
    max_distance: Annotated[float, "Furthest from the origin (single precision) [m]."] = 1e5


@dataclass(frozen=True)
class FootLockingConfig:
    """Foot locking: contact detection, and where a standing foot is kept."""

    # Steps that slide a little are stances, swings are not.
    speed: Annotated[float, "Speed below which a foot stands [m/s]."] = 0.35
    # The labels of HumanML3D alone admit 0.9 m/s.
    labelled_speed: Annotated[float, "The same where the clip labels a contact [m/s]."] = 0.6
    ankle_height: Annotated[float, "Standing ankle above its lowest place [m]."] = 0.07
    ball_height: Annotated[float, "Standing ball above its lowest place [m]."] = 0.05
    raised: Annotated[float, "Lowest ankle of a clip without floor contact at z = 0 [m]."] = 0.30
    ankle_rest: Annotated[float, "Height of a standing ankle in such a clip [m]."] = 0.08
    ball_rest: Annotated[float, "Height of a standing ball in such a clip [m]."] = 0.02
    close_gap: Annotated[float, "Longest gap in a contact that is closed [s]."] = 0.05
    drop_touch: Annotated[float, "Shortest contact that is kept [s]."] = 0.1
    slip: Annotated[float, "Radius of a place; a foot that leaves it gets a new one [m]."] = 0.10
    slip_turn: Annotated[float, "Heading error at which a standing foot turns [rad]."] = np.pi / 9
    relocate: Annotated[int, "Frames to reach a new place; half of those of a turn."] = 3
    min_stance: Annotated[int, "Shortest stance [frames]."] = 2
    parted: Annotated[float, "Share of the stance width that locked feet keep."] = 0.7
    parting_rounds: Annotated[int, "Times that places are parted."] = 3


@dataclass(frozen=True)
class TakeoverConfig:
    """Takeover: how a plan continues the motion of a robot under way."""

    fade: Annotated[float, "Duration in which the plan takes over [s]."] = 0.6
    stance: Annotated[float, "Stance weight above which a foot of the plan stands."] = 0.5
    on_floor: Annotated[float, "Highest standing sole above the lower sole [m]."] = 0.04
    landing: Annotated[float, "Shortest time in which a foot in the air lands [s]."] = 0.25
    pinned: Annotated[float, "Weight of the joints in the first frame [1/rad^2]."] = 1e5
    led_frames: Annotated[int, "Frames in which measured velocities lead the joints."] = 3
    led: Annotated[float, "Weight of that posture [1/rad^2]."] = 0.05
    look_ahead: Annotated[float, "Time in which a velocity counts as distance [s]."] = 0.1
    lands: Annotated[float, "Cost of a foot that stands in the plan only [m^2]."] = 0.05
    lifts: Annotated[float, "Cost of a foot that stands on the robot only [m^2]."] = 0.01
    away: Annotated[float, "Cost of the moment furthest from the expected one [m^2]."] = 0.01


@dataclass(frozen=True)
class Smoothness:
    """Weights of the second differences (per frame squared)."""

    base: Annotated[float, "Base position [1/m^2]."] = 0.05
    turn: Annotated[float, "Base orientation [1/rad^2]."] = 0.015
    joints: Annotated[np.ndarray | float, "Joints, one weight or (T - 2, J) [1/rad^2]."] = 0.012


@dataclass(frozen=True)
class Pass:
    """One pass of the improving loop: it solves frames in which bodies touch, and others."""

    settle: Annotated[bool, "Also frames that the last step moved beyond `settled`."] = False
    calm: Annotated[float, "Also frames over this multiple of `calm_share`; 0: none."] = 0.0
    contact_only: Annotated[bool, "Calm frames only once bodies have touched."] = True
    power: Annotated[int, "Solved frames are smoothed by this power of the multiple."] = 1
    max_multiple: Annotated[float | None, "Largest multiple that counts; None: any."] = 3.0


@dataclass(frozen=True)
class InverseKinematicsConfig:
    """Inverse kinematics: weights of the whole-clip solver, and its passes."""

    smoothness: Smoothness = field(default_factory=Smoothness)
    posture: Annotated[float, "Nominal posture where no target decides [1/rad^2]."] = 1e-3
    damping: Annotated[float, "Weight of a step [1/m^2, 1/rad^2]."] = 1e-4
    max_step: Annotated[float, "Largest change of an unknown in a step [m, rad]."] = 0.6
    ground: Annotated[float, "Sole corners below the floor [1/m^2]."] = 100.0
    separation: Annotated[float, "Distance of bodies that came too close [1/m^2]."] = 400.0
    overshoot: Annotated[float, "Step beyond a limit that is solved again [rad]."] = 1e-3
    fade: Annotated[int, "Frames beside such a step that are solved with it."] = 6
    start_stride: Annotated[int, "Frames from one of the first guess to the next."] = 4
    start_steps: Annotated[int, "Largest number of steps for the first guess."] = 16
    start_enough: Annotated[float, "Step that ends the first guess [rad]."] = 0.4
    start_smoothness: Annotated[float, "Share of `smoothness` for it."] = 0.3
    settled: Annotated[float, "Step up to which a frame counts as solved [rad]."] = 0.05
    calm_share: Annotated[float, "Share of acceleration limits of a calmed frame."] = 0.7
    reach: Annotated[int, "Frames solved beside those that touch or rush."] = 6
    # Where bodies touch changes with every step.
    parting_damping: Annotated[float, "Damping where bodies are parted."] = 0.4
    # For what happens between frames and in the transition from the measured state.
    parting_room: Annotated[float, "Wanted distance beyond the profile's [m]."] = 0.012
    parting_done: Annotated[float, "Distance of bodies that count as parted [m]."] = 0.005
    # Where other goals hold bodies at a distance, further passes would change nothing.
    parting_gain: Annotated[float, "Least gain of a pass that is worth another [m]."] = 2e-4
    parting_enough: Annotated[float, "Room beyond the profile's without such a gain [m]."] = 0.003
    # The loop ends early when no frame has to be solved again.
    passes: Annotated[tuple[Pass, ...], "The improving loop."] = (
        Pass(settle=True, calm=1.0, contact_only=False, power=2, max_multiple=None),
        Pass(settle=True, calm=2.0),
        Pass(calm=2.0),
        *(Pass(),) * 6,
    )


@dataclass(frozen=True)
class BalanceConfig:
    """Balance: how the centre of mass is brought over the feet."""

    weight: Annotated[float, "Place of the centre of mass [1/m^2]."] = 300.0
    margin: Annotated[float, "Wanted distance to the edge of the soles [m]."] = 0.06
    rounds: Annotated[int, "Steps of the solver."] = 2
    slow: Annotated[float, "Centre of mass that is balanced in full [m/s]."] = 0.3
    fast: Annotated[float, "Centre of mass that is left as it is [m/s]."] = 0.8
    smoothing: Annotated[float, "Smoothing of its accelerations [s]."] = 0.08
    rest: Annotated[float, "Standing before and after the motion [s]."] = 1.0
    min_height: Annotated[float, "Lowest centre of mass that sways [m]."] = 0.2
    max_change: Annotated[float, "Largest change of a zero-moment point [m]."] = 0.3
    contact_height: Annotated[float, "Highest sole corner that bears load [m]."] = 0.04
    contact_speed: Annotated[float, "Fastest sole corner that bears load [m/s]."] = 0.4


@dataclass(frozen=True)
class RetargetConfig:
    """All stages of the retargeter."""

    targets: TargetsConfig = field(default_factory=TargetsConfig)
    foot_locking: FootLockingConfig = field(default_factory=FootLockingConfig)
    takeover: TakeoverConfig = field(default_factory=TakeoverConfig)
    inverse_kinematics: InverseKinematicsConfig = field(default_factory=InverseKinematicsConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    time_parameterization: TimeParameterizationConfig = field(
        default_factory=TimeParameterizationConfig
    )


RETARGET = RetargetConfig()
"""The default configuration."""
