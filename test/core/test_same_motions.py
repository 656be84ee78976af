"""The same seeds give the same motions and trajectories as when `same_motions.npz` was written.

A change that is meant to alter them writes the file anew:

    python test/core/test_same_motions.py
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nextscale_core.pipeline import MotionPipeline
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import load_robot
from nextscale_core.safety import SafetyGate

STORED = Path(__file__).with_name("same_motions.npz")
SENTENCES = {
    "wave": ("a person waves with the right hand", 1),
    "walk": ("a person walks forward", 2),
    "squat": ("a person squats and stands up again", 3),
}
CLIP_TOLERANCE, JOINT_TOLERANCE = 2e-3, 2e-3
"""Differences between processors, which round differently [m], [rad]."""


@cache
def _parts() -> tuple[MotionPipeline, Retargeter, SafetyGate]:
    g1 = load_robot("g1")
    return MotionPipeline.from_pretrained("moscale-cmu"), Retargeter(g1), SafetyGate(g1)


def made(name: str) -> dict[str, np.ndarray]:
    """Joints of the clip (T, 22, 3) [m] and positions of the G1's trajectory (N, J) [rad]."""
    pipeline, retargeter, gate = _parts()
    text, seed = SENTENCES[name]
    clip = pipeline.generate(text, seed=seed, candidates=1)
    passed = gate.review(retargeter.retarget(clip)).trajectory
    assert passed is not None
    return {"clip": clip.joints, "times": passed.time_from_start, "g1": passed.positions}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_seed_gives_the_same_motion_and_trajectory_as_before(name: str) -> None:
    with np.load(STORED) as file:
        stored = {key: file[f"{name}/{key}"] for key in ("clip", "times", "g1")}
    now = made(name)
    for key, tolerance in (("clip", CLIP_TOLERANCE), ("times", 0.02), ("g1", JOINT_TOLERANCE)):
        assert now[key].shape == stored[key].shape
        assert np.abs(now[key] - stored[key]).max() < tolerance, key


if __name__ == "__main__":
    motions = {name: made(name) for name in SENTENCES}
    np.savez_compressed(
        STORED,
        **{
            f"{name}/{key}": v.astype(np.float32)
            for name, m in motions.items()
            for key, v in m.items()
        },
    )
    for name, motion in motions.items():
        print(name, *(hashlib.sha256(v.tobytes()).hexdigest()[:16] for v in motion.values()))
