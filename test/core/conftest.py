from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.safety import SafetyGate

STANDING = {
    "pelvis": (0.0, 0.0, 0.98),
    "hip": (-0.02, 0.07, 0.90),
    "knee": (-0.01, 0.08, 0.50),
    "ankle": (-0.03, 0.09, 0.08),
    "foot": (0.10, 0.11, 0.025),
    "spine1": (-0.03, 0.0, 1.10),
    "spine2": (-0.01, 0.0, 1.24),
    "spine3": (0.0, 0.0, 1.30),
    "neck": (-0.03, 0.0, 1.52),
    "head": (0.02, 0.0, 1.61),
    "collar": (-0.02, 0.08, 1.42),
    "shoulder": (-0.03, 0.19, 1.45),
    "elbow": (-0.04, 0.25, 1.20),
    "wrist": (0.02, 0.27, 0.95),
}


def standing_pose() -> np.ndarray:
    """(22, 3) a human standing upright at the origin, arms hanging, facing +x."""
    pose = np.zeros((NUM_JOINTS, 3))
    for name, row in JOINT_INDEX.items():
        part = name.removeprefix("left_").removeprefix("right_")
        mirror = (1.0, -1.0 if name.startswith("right_") else 1.0, 1.0)
        pose[row] = np.multiply(STANDING[part], mirror)
    return pose


def standing_clip(frames: int = 40) -> MotionClip:
    return MotionClip(np.repeat(standing_pose()[None], frames, axis=0), text="stands still")


def waving_clip(frames: int = 60, speed: float = 1.5) -> MotionClip:
    """Stands and swings the right forearm beside the raised upper arm."""
    joints = np.repeat(standing_pose()[None], frames, axis=0)
    time = np.arange(frames) / 20.0
    angle = 0.6 * np.sin(2 * np.pi * speed * time)
    shoulder = joints[:, JOINT_INDEX["right_shoulder"]]
    elbow = shoulder + np.array([0.05, -0.25, 0.0])
    fore = np.stack([0.05 + 0 * angle, np.sin(angle), np.cos(angle)], -1)
    joints[:, JOINT_INDEX["right_elbow"]] = elbow
    joints[:, JOINT_INDEX["right_wrist"]] = elbow + 0.26 * fore
    return MotionClip(joints, text="waves")


def random_clip(seed: int, frames: int = 40, size: float = 0.25) -> MotionClip:
    """A standing human whose joints wander about: no human moves like this."""
    generator = np.random.default_rng(seed)
    wander = generator.normal(size=(frames, NUM_JOINTS, 3)).cumsum(axis=0)
    return MotionClip(standing_pose() + size * wander / np.sqrt(frames))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("NEXTSCALE_CACHE")
    os.environ["NEXTSCALE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["NEXTSCALE_CACHE"]
    else:
        os.environ["NEXTSCALE_CACHE"] = before


@pytest.fixture(scope="session")
def g1() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="session")
def retargeter(g1: Robot) -> Retargeter:
    return Retargeter(g1)


@pytest.fixture(scope="session")
def gate(g1: Robot) -> SafetyGate:
    return SafetyGate(g1)


@pytest.fixture
def wave(retargeter: Retargeter) -> RobotTrajectory:
    """A trajectory that the gate has nothing against; whose it was once is not known."""
    trajectory = retargeter.retarget(waving_clip())
    return replace(
        trajectory,
        positions=trajectory.positions.copy(),
        velocities=trajectory.velocities.copy(),
        source_time=None,
    )
