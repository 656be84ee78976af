"""A motion source without a model: a standing person raises the right arm.

Run as a module it is the generate node with this source. In 'glides' the person moves 0.4 m/s
ahead with it. Some sentences make it misbehave:
'wait' takes many slow passes, 'fail' raises, 'memory' has not enough of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nextscale_core.editing.constraints.meet import meet
from nextscale_core.editing.constraints.plan import Plan
from nextscale_core.model.options import GenerationOptions, merge_options
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.stopwatch import Run

STANDING = np.array(
    [
        [0.00, 0.00, 0.93],  # pelvis
        [0.00, 0.08, 0.86],
        [0.00, -0.08, 0.86],
        [0.00, 0.00, 1.05],
        [0.01, 0.09, 0.48],
        [0.01, -0.09, 0.48],
        [0.00, 0.00, 1.18],
        [-0.02, 0.09, 0.08],
        [-0.02, -0.09, 0.08],
        [0.00, 0.00, 1.24],
        [0.11, 0.10, 0.02],
        [0.11, -0.10, 0.02],
        [0.00, 0.00, 1.45],
        [0.00, 0.07, 1.36],
        [0.00, -0.07, 1.36],
        [0.02, 0.00, 1.55],
        [0.00, 0.18, 1.38],
        [0.00, -0.18, 1.38],
        [0.00, 0.28, 1.14],
        [0.00, -0.28, 1.14],
        [0.02, 0.37, 0.90],
        [0.02, -0.37, 0.90],
    ],
    dtype=np.float32,
)
"""(22, 3) a person standing with arms hanging off the body [m], facing +x."""

FPS = 20.0


def raise_arm(seconds: float) -> np.ndarray:
    """(T, 22, 3) [m]: the right arm goes from hanging to forward and back."""
    times = np.arange(round(seconds * FPS)) / FPS
    joints = np.repeat(STANDING[None], len(times), axis=0)
    angle = 0.5 * np.pi * np.sin(np.pi * times / seconds) ** 2
    # A little out to the side all the way, clear of the hip.
    down = np.stack([np.sin(angle), -0.4 + 0 * angle, -np.cos(angle)], axis=1) / np.hypot(1, 0.4)
    shoulder = STANDING[JOINT_INDEX["right_shoulder"]]
    joints[:, JOINT_INDEX["right_elbow"]] = shoulder + 0.26 * down
    joints[:, JOINT_INDEX["right_wrist"]] = shoulder + 0.51 * down
    return joints


class FakePipeline:
    """Stands in for MotionPipeline."""

    name = "handmade"
    steps = (1, 1, 2)
    """Passes for each of three made-up scales."""

    def domain_remark(self, text: str) -> str | None:
        """Sentences with 'swims' are out of reach."""
        return f"{text!r} resembles no sentence" if "swims" in text else None

    def generate(
        self,
        text: str,
        options: GenerationOptions | None = None,
        *,
        constraints: Sequence[object] = (),
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """The same gesture for every sentence."""
        options, run = merge_options(options, changes), run or Run()
        if "fail" in text:
            raise ZeroDivisionError("made to fail")
        if "memory" in text:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        total = 400 if "wait" in text else 4
        with run.stopwatch.stage("generate"):
            for done in range(1, total + 1):
                time.sleep(0.05 if "wait" in text else 0.0)
                run.progress(done, total)
        joints = raise_arm(options.seconds or 1.5)
        if "glides" in text:
            joints[:, :, 0] += 0.4 * np.arange(len(joints))[:, None] / FPS
        clip = MotionClip(joints, FPS, text, seed=options.seed)
        if constraints:
            clip = meet(clip, Plan.build(constraints, len(clip), np.zeros(3))).clip
        return clip

    def complete(
        self,
        known: MotionClip,
        known_frames: np.ndarray | None,
        text: str,
        *,
        seconds: float | None = None,
        **options: Any,
    ) -> MotionClip:
        """The same gesture, made where the known motion ends, facing the way it does."""
        assert known_frames is None
        length = 1.5 if seconds is None else seconds - known.seconds
        gesture = self.generate(text, seconds=max(length, 1.0), **options)
        turned = np.exp(1j * heading_yaw(known.joints[-1:])) * (
            gesture.joints[..., 0] + 1j * gesture.joints[..., 1]
        )
        gesture.joints[..., 0], gesture.joints[..., 1] = turned.real, turned.imag
        gesture.joints[:, :, :2] += known.joints[-1, 0, :2] - gesture.joints[0, 0, :2]
        step = known.joints[-1] - gesture.joints[0]
        # The gap closes within half a second.
        share = np.clip(1 - np.arange(len(gesture)) / 10, 0, 1)[:, None, None]
        joints = np.concatenate([known.joints, gesture.joints[1:] + (share * step)[1:]])
        return MotionClip(joints, FPS, text, seed=gesture.seed)

    def sequence(
        self, script: Sequence[tuple[str, float | None]], *, start: MotionClip, **options: Any
    ) -> MotionClip:
        """The gesture again for every sentence; the person stays where `start` ends."""
        step = start.joints[-1] - STANDING
        pieces = [self.generate(text, seconds=seconds, **options) for text, seconds in script]
        joints = np.concatenate([piece.joints + step for piece in pieces])
        return MotionClip(joints, FPS, "; ".join(text for text, _ in script))

    def come_to_rest(self, clip: MotionClip, **options: Any) -> MotionClip:
        """Stands for another second where the hands are still up."""
        if clip.joints[-1, JOINT_INDEX["right_wrist"], 2] < 1.2:
            return clip
        joints = np.concatenate([clip.joints, np.repeat(clip.joints[-1:], 20, axis=0)])
        return MotionClip(joints, FPS, clip.text, seed=clip.seed)

    def edit(
        self,
        clip: MotionClip,
        text: str,
        *,
        span: tuple[float, float] | None = None,
        parts: Sequence[str] | None = None,
        **options: Any,
    ) -> MotionClip:
        """Stands still in the part that changes."""
        self.generate(text, **options)
        first, last = (0, len(clip)) if span is None else (round(s * FPS) for s in span)
        joints = clip.joints.copy()
        share = np.minimum(np.arange(last - first), np.arange(last - first)[::-1])
        share = np.clip(share / 5, 0, 1)[:, None, None]
        joints[first:last] += share * (STANDING - joints[first:last])
        return MotionClip(joints, FPS, text, seed=clip.seed)


if __name__ == "__main__":
    from nextscale_ros.node.generate_node import THREADS, GenerateNode
    from nextscale_ros.spin import serve

    serve({"generate_node": lambda: GenerateNode(pipeline=FakePipeline())}, THREADS)
