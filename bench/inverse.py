"""Benchmark of robot_to_human: from a robot's joint states back to the human motion.

    python bench/inverse.py CMU_FOLDER [--robots g1 talos] [--split val] [--clips 30]

Each clip is solved for the robot. The solved frames are played at `--rate` with jittery stamps
and encoder noise, and mapped back three times: base measured, orientation of the root link
measured (with noise), and nothing measured but the joints. Compared are

- joints relative to the pelvis with those of the clip, all frames, all 22 joints; where the
  heading is unknown it is made equal in the first frame ("heading kept" makes it equal in each);
- HumanML3D's features of both: positions of joints, and foot contacts that agree;
- the base with the solved one: height, place at the end in % of the path (clips that go further
  than half a metre), heading and tilt.

The clip's joints and the way there and back differ by what the robot cannot do: "there and back
again" maps the human that came back once more, and compares the two.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp
from tqdm import tqdm

from nextscale_core.estimation.robot_to_human import HumanHistory, robot_to_human
from nextscale_core.estimation.samples import BaseTrack, OrientationTrack
from nextscale_core.exceptions import NextscaleError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import CONTACTS, POSITIONS, clip_to_features, heading_yaw
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.targets import make_targets
from nextscale_core.robots import Robot, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_lab.data.cmu import read_cmu

CASES = ("measured", "imu", "joints only")
_ENCODER = 0.001
_IMU = np.deg2rad(0.3)


@dataclass(frozen=True)
class Played:
    """Simulated sensor data of a solved clip."""

    times: np.ndarray
    joints: np.ndarray
    base: BaseTrack
    imu: OrientationTrack


def play(poses: Poses, fps: float, rate: float, generator: np.random.Generator) -> Played:
    """Simulated sensors: jittery stamps and noise."""
    knots = np.arange(len(poses)) / fps
    times = np.arange(0.0, knots[-1], 1 / rate)
    times[1:] += generator.uniform(-0.3, 0.3, len(times) - 1) / rate
    times = np.append(times[times < knots[-1] - 1e-4], knots[-1])
    rotations = Slerp(knots, Rotation.from_matrix(poses.rotation))(times)
    joints = CubicSpline(knots, poses.joints)(times)
    noisy = Rotation.from_rotvec(generator.normal(size=(len(times), 3)) * _IMU) * rotations
    return Played(
        times,
        joints + generator.normal(size=joints.shape) * _ENCODER,
        BaseTrack(times, CubicSpline(knots, poses.base)(times), rotations.as_quat()),
        OrientationTrack(times, noisy.as_quat()),
    )


def turned(joints: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Joints (T, 22, 3) turned about the vertical by angles (T,) or one angle."""
    c, s = np.cos(angle)[..., None], np.sin(angle)[..., None]
    x, y = joints[..., 0], joints[..., 1]
    return np.stack([c * x - s * y, s * x + c * y, joints[..., 2]], axis=-1)


def relative_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T, 22) distances of joints relative to the pelvis [cm]."""
    return 100 * np.linalg.norm((a - a[:, :1]) - (b - b[:, :1]), axis=-1)


def yaw(rotation: np.ndarray) -> np.ndarray:
    """(T,) heading of orientations [rad], unwrapped."""
    return np.unwrap(np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]))


def compare(
    case: str, clip: MotionClip, poses: Poses, history: HumanHistory
) -> Iterator[tuple[str, np.ndarray | float]]:
    """Names and figures of one clip and case."""
    human, base, rotation = history.clip.joints, history.poses.base, history.poses.rotation
    offset = yaw(poses.rotation)[0] - yaw(rotation)[0] if case == "joints only" else 0.0
    aligned = turned(human, np.full(1, offset))
    yield "relative [cm]", relative_error(aligned, clip.joints).ravel()
    kept = turned(human, heading_yaw(clip.joints) - heading_yaw(human))
    yield "relative, heading kept [cm]", relative_error(kept, clip.joints).ravel()
    ours, theirs = clip_to_features(history.clip), clip_to_features(clip)
    places = (ours - theirs)[:, POSITIONS].reshape(len(ours), -1, 3)
    yield "feature positions [cm]", 100 * np.linalg.norm(places, axis=-1).ravel()
    same = (ours[:, CONTACTS] > 0.5) == (theirs[:, CONTACTS] > 0.5)
    yield "feature contacts that agree [%]", 100 * same.mean()
    yield "height [cm]", 100 * np.abs(base[:, 2] - poses.base[:, 2])
    moved = turned((base[-1:] - base[:1])[:, None], np.full(1, offset))[0, 0]
    path = np.linalg.norm(np.diff(poses.base[:, :2], axis=0), axis=1).sum()
    missed = np.linalg.norm((moved - poses.base[-1] + poses.base[0])[:2])
    if path > 0.5:
        yield "drift [% of path]", 100 * missed / path
    turn = yaw(rotation) + offset - yaw(poses.rotation)
    yield "heading, at the end [deg]", float(np.rad2deg(abs(turn[-1])))
    cosine = np.clip((rotation[:, 2] * poses.rotation[:, 2]).sum(-1), -1, 1)
    yield "tilt [deg]", np.rad2deg(np.arccos(cosine))


def measure(robot: Robot, clips: list[MotionClip], rate: float, seed: int) -> None:
    """Print the table of one robot."""
    retargeter, kinematics = Retargeter(robot), kinematics_of(robot)
    generator = np.random.default_rng(seed)
    figures: dict[tuple[str, str], list[np.ndarray | float]] = defaultdict(list)
    sources: dict[str, list[str]] = defaultdict(list)
    seconds: list[float] = []
    for clip in tqdm(clips, desc=robot.name):
        try:
            targets = make_targets(clip, kinematics)
            poses = retargeter.solve(targets)
        except NextscaleError as error:
            tqdm.write(f"  {clip.text[:50]!r}: {error}")
            continue
        poses = Poses(
            poses.base[: len(clip)], poses.rotation[: len(clip)], poses.joints[: len(clip)]
        )
        played = play(poses, targets.fps, rate, generator)
        for case in CASES:
            begin = time.perf_counter()
            history = robot_to_human(
                robot,
                played.times,
                played.joints,
                base=played.base if case == "measured" else None,
                imu=played.imu if case == "imu" else None,
            )
            if case == "imu":
                seconds.append((time.perf_counter() - begin) * 196 / len(history))
            sources[case] += [source.value for source in history.sources]
            for name, value in compare(case, clip, poses, history):
                figures[name, case].append(value)
            if case == "measured":
                once = history.clip
        again = retargeter.solve(make_targets(once, kinematics))
        track = BaseTrack(
            np.arange(len(again)) / 20.0, again.base, Rotation.from_matrix(again.rotation).as_quat()
        )
        twice = robot_to_human(robot, track.times, again.joints, base=track).clip
        back = relative_error(twice.joints[: len(once)], once.joints)
        figures["there and back again, relative [cm]", "measured"].append(back.ravel())
    print(f"\n{robot.name}: {len(seconds)} clips, {rate:g} Hz")
    print(f"{'':36} {'case':12} {'mean':>8} {'median':>8} {'95 %':>8} {'max':>8} {'clip':>8}")
    for (name, case), values in sorted(figures.items(), key=lambda item: item[0][0]):
        every = np.concatenate([np.atleast_1d(value) for value in values])
        of_clips = np.median([np.mean(value) for value in values])
        print(
            f"{name:36} {case:12} {every.mean():8.2f} {np.median(every):8.2f} "
            f"{np.percentile(every, 95):8.2f} {every.max():8.2f} {of_clips:8.2f}"
        )
    for case, used in sources.items():
        shares = {name: used.count(name) / len(used) for name in dict.fromkeys(used)}
        print(
            f"source of the base, {case}: "
            + ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
        )
    print(f"time for 196 frames, imu [ms], median: {1000 * np.median(seconds):.1f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cmu", type=Path, help="folder of CMU motion")
    parser.add_argument("--robots", nargs="+", default=["g1", "talos"])
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--rate", type=float, default=200.0, help="of the joint states [Hz]")
    parser.add_argument("--seed", type=int, default=0, help="which clips, and the noise")
    arguments = parser.parse_args()
    items = list(read_cmu(arguments.cmu, arguments.split))
    order = np.random.default_rng(arguments.seed).permutation(len(items))[: arguments.clips]
    for name in arguments.robots:
        clips = [items[number].clip for number in order]
        measure(load_robot(name), clips, arguments.rate, arguments.seed)


if __name__ == "__main__":
    main()
