"""Measure retargeting on recorded human motion: quality, time and what the gate says.

    python bench/retarget.py CMU_FOLDER [--robot g1] [--split val] [--clips 40]

Quality is measured on the solved frames (the trajectory shows the same frames, later). A foot
counts as standing in frames where the human's does: slower than 0.35 m/s and near the floor, in
this frame and the next. `CMU_FOLDER` is read by `nextscale_core.motion.cmu`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import NextscaleError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.cmu import read_cmu
from nextscale_core.retarget import Retargeter, RobotState, RobotTrajectory, SafetyGate, load_robot
from nextscale_core.retarget.kinematics import LEVER, Kinematics, Poses, kinematics_of
from nextscale_core.retarget.limits import limit_use, segment_extremes
from nextscale_core.retarget.rotations import unit
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.stopwatch import Stopwatch

SIDES = ("left", "right")
BONES = {
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}


def quality(targets: Targets, poses: Poses, kinematics: Kinematics) -> dict[str, float]:
    """Figures of one clip at the frames' own rate."""
    points = kinematics.points(poses)
    fps = targets.fps

    def at(name: str) -> np.ndarray:
        return points[:, kinematics.index[name]]

    bones, feet, stance, slides, toes = [], [], [], [], []
    for n, side in enumerate(SIDES):
        for bone, (start, end) in BONES.items():
            direction = unit(at(f"{side}_{end}") - at(f"{side}_{start}"))
            cosine = (direction * targets.body.bones[f"{side}_{bone}"]).sum(-1)
            bones.append(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
        frame = np.stack([at(f"{side}_foot_{a}") - at(f"{side}_ankle") for a in "xyz"], -1) / LEVER
        trace = np.einsum("tij,tij->t", frame, targets.feet.rotation[:, n])
        feet.append(np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1))))
        for part, standing in (
            ("ankle", targets.contacts.flat[:, n]),
            ("toe", targets.contacts.ball[:, n]),
        ):
            both = standing[1:] & standing[:-1]
            track = at(f"{side}_{part}")[:, :2]
            speed = np.linalg.norm(np.diff(track, axis=0), axis=-1)[both] * fps * 100
            if part == "ankle":
                stance += list(speed)
                slides += list(speed > 1.0)
            else:
                toes += list(speed)
    depth = -points[:, kinematics.soles, 2].min(1)
    parts = [f"{side}_{part}" for side in SIDES for part in ("knee", "ankle", "elbow", "wrist")]
    human = np.stack(
        [(targets.body.joint(p) - targets.body.joint("pelvis")) * targets.scale for p in parts], 1
    )
    robot = np.stack([at(p) - at("pelvis") for p in parts], 1)

    def jerk(track: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(track, 3, axis=0), axis=-1).mean())

    return {
        "bone direction [deg]": float(np.mean(bones)),
        "bone direction, 95 % [deg]": float(np.percentile(bones, 95)),
        "foot orientation [deg]": float(np.mean(feet)),
        "stance foot speed [cm/s]": float(np.mean(stance)) if stance else np.nan,
        "stance frames over 1 cm/s [%]": 100 * float(np.mean(slides)) if slides else np.nan,
        "stance toe speed, largest [cm/s]": float(np.max(toes)) if toes else np.nan,
        "penetration, mean [mm]": 1000 * float(np.maximum(depth, 0).mean()),
        "penetration, largest [mm]": 1000 * max(0.0, float(depth.max())),
        "frames with penetration over 1 cm [%]": 100 * float((depth > 0.01).mean()),
        "jerk over the human's": jerk(robot) / max(jerk(human), 1e-9),
        "joint jerk, mean [rad/s^3]": float(np.abs(np.diff(poses.joints, 3, axis=0)).mean())
        * fps**3,
    }


def published(
    kinematics: Kinematics, trajectory: RobotTrajectory, clip: MotionClip
) -> dict[str, float]:
    """Figures of what left the gate, at the controller's rate."""
    robot = kinematics.robot
    q, v, t = trajectory.positions, trajectory.velocities, trajectory.time_from_start
    velocity, acceleration = limit_use(robot, q, v, t)
    low, high, _ = segment_extremes(q, v, t)
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    lowest = kinematics.lowest_sole(Poses(trajectory.base_position, rotation, q))
    outside = (low < robot.position_lower - 1e-6) | (high > robot.position_upper + 1e-6)
    return {
        "published: limit violations [samples]": float(
            outside.any(1).sum() + (velocity > 1 + 1e-6).sum() + (acceleration > 1 + 1e-6).sum()
        ),
        "published: penetration, largest [mm]": 1000 * max(0.0, -float(lowest.min())),
        "published: length over the clip's": trajectory.seconds / clip.seconds,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cmu", type=Path, help="folder of CMU motion")
    parser.add_argument("--robot", default="g1")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="which clips")
    parser.add_argument("--from-nominal", action="store_true", help="begin in nominal posture")
    arguments = parser.parse_args()
    clips = list(read_cmu(arguments.cmu, arguments.split))
    order = np.random.default_rng(arguments.seed).permutation(len(clips))[: arguments.clips]
    robot = load_robot(arguments.robot)
    begin = time.perf_counter()
    retargeter, gate = Retargeter(robot), SafetyGate(robot)
    print(f"{robot.name}: set up in {time.perf_counter() - begin:.2f} s")
    kinematics = kinematics_of(robot)
    state = RobotState(robot.nominal) if arguments.from_nominal else None
    outcomes: Counter[str] = Counter()
    rows: list[dict[str, float]] = []
    times: list[dict[str, float]] = []
    for number in order:
        item = clips[number]
        stopwatch = Stopwatch()
        try:
            trajectory = retargeter.retarget(item.clip, start=state, stopwatch=stopwatch)
            with stopwatch.stage("gate"):
                result = gate.review(trajectory, start=state)
        except NextscaleError as error:
            outcomes[type(error).__name__] += 1
            print(f"  {item.id} {item.clip.text[:50]!r}: {error}")
            continue
        outcomes[result.report.outcome] += 1
        if result.report.outcome != "pass":
            print(f"  {item.id} {item.clip.text[:50]!r}: {result.report.line()[:160]}")
        targets = make_targets(item.clip, kinematics)
        row = quality(targets, retargeter.solve(targets), kinematics)
        if result.trajectory is not None:
            row |= published(kinematics, result.trajectory, item.clip)
        rows.append(row)
        per_frames = 196 / len(item.clip)
        times.append({k: 1000 * s * per_frames for k, s in stopwatch.seconds.items()})
    print(
        f"\n{len(order)} clips of {arguments.split}: "
        + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    )
    names = list(dict.fromkeys(name for row in rows for name in row))
    print(f"\n{'':40} {'mean':>9} {'median':>9} {'worst':>9}")
    for name in names:
        values = np.array([row[name] for row in rows if name in row])
        print(
            f"{name:40} {np.nanmean(values):9.2f} {np.nanmedian(values):9.2f} "
            f"{np.nanmax(values):9.2f}"
        )
    print("\nwall time for 196 frames [ms], one BLAS thread, median over clips")
    for stage in times[0]:
        print(f"{stage:40} {np.median([t[stage] for t in times]):9.1f}")
    print(f"{'total':40} {np.median([sum(t.values()) for t in times]):9.1f}")


if __name__ == "__main__":
    main()
