"""Retargeting beside its peers: GMR itself and OmniRetarget itself, on the same clips in one run.

    python bench/peers.py --gmr CHECKOUT [--data DATA] [--clips 40] [--json OUT]

All retarget ten generated motions to a G1; GMR and ours also recorded clips of `DATA`, a folder
that `nextscale_lab.data.cmu` reads. Our time includes targets, solving, timing and gate; theirs
the retargeting alone. Each runs in one thread, warm, and CPU time is measured. `CHECKOUT` is a
clone of https://github.com/YanjieZe/GMR; holosoma-retargeting comes from PyPI. Both run in
environments of their own with pinned packages, which are installed into a temporary folder, or
into `--environments` for the next run. The GMR-style baseline of `retarget.py` runs in this
process, if its packages are there. One evaluator measures the results of all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from retarget import baseline_missing, draw
from retarget_metrics import MeshCollisions, as_published, published, quality
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from nextscale_core.motion.bone_rotations import fit_bone_rotations
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_NAMES, STANDARD_LEG
from nextscale_core.npz import write_text
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.retarget import Retargeter, StreamingRetargeter
from nextscale_core.retarget.human_frames import Body, body_of
from nextscale_core.retarget.stream.clip_stream import LEAD, frames_of
from nextscale_core.retarget.stream.streaming_config import STREAMING
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.robots import load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety import SafetyGate

SENTENCES = (
    "a person walks forward",
    "a person runs",
    "a person jumps",
    "a person waves the right hand",
    "a person raises both arms",
    "a person squats",
    "a person kicks with the right leg",
    "a person turns around",
    "a person walks in a circle",
    "a person picks something up from the floor",
)

STREAM_RATE = 60.0
"""Frames per second of the streams [Hz], and how long the human stands before each [s]."""

PACKAGES = {
    "gmr": "mujoco==4.0.0 mink==1.3.0 daqp==0.11.0 scipy==1.17.1 numpy==2.4.6 rich",
    # Its own dependencies include torch with CUDA, which these motions do not need.
    "holosoma": "mujoco==3.3.4 numpy==2.3.5 cvxpy==1.9.3 scipy trimesh viser yourdfpy tqdm tyro "
    "jinja2",
}
"""Packages of each peer's environment. Since mujoco 3.12, OmniRetarget's joints stay at zero
(findings/mujoco_enums_and_numpy_integers.sh)."""

HOLOSOMA = "holosoma-retargeting==0.1.0"

RUNNERS = Path(__file__).resolve().parent / "peer_runners"

SMPL_HEIGHT = 1.66
"""Height of SMPL's mean body, as GMR computes it [m]; the clips' standard skeleton has its legs."""

# SMPL's axes at rest, x left, y up and z forward, in ours.
_SMPL_AXES = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

_ROWS = (
    "bone direction [deg]",
    "foot orientation [deg]",
    "stance foot speed [cm/s]",
    "stance sole above the floor, mean [mm]",
    "penetration, mean [mm]",
    "penetration, largest [mm]",
    "joint jerk, mean [rad/s^3]",
    "published: position violations [samples]",
    "published: velocity violations [samples]",
    "published: acceleration violations [samples]",
    "published: self-collisions [samples]",
)


class Results:
    """Figures of every retargeter on every clip: quality by name, and CPU time [ms a frame]."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, dict[str, float]]] = {}
        self.cpu: dict[str, dict[int, float]] = {}
        self.frames: dict[int, int] = {}
        self.gmr_stream = 0.0

    def add(self, who: str, clip: int, row: dict[str, float], cpu: float) -> None:
        """One clip's figures."""
        self.rows.setdefault(who, {})[clip] = row
        self.cpu.setdefault(who, {})[clip] = cpu

    def table(self, clips: Sequence[int], title: str) -> str:
        """Means over clips, and times beside ours."""
        names = [who for who in self.rows if len(set(clips) & set(self.rows[who])) * 2 > len(clips)]
        done = [clip for clip in clips if all(clip in self.rows[who] for who in names)]
        lines = [f"| {title}, {len(done)} clips | " + " | ".join(names) + " |"]
        lines.append("| --- " * (1 + len(names)) + "|")

        def line(name: str, value: Callable[[str], float]) -> None:
            lines.append(f"| {name} | " + " | ".join(f"{value(who):.3g}" for who in names) + " |")

        weight = np.array([self.frames[clip] for clip in done])
        cpu = {who: np.array([self.cpu[who][clip] for clip in done]) for who in names}
        line("CPU time [ms a frame]", lambda who: float(cpu[who] @ weight / weight.sum()))
        line("the same, median clip", lambda who: float(np.median(cpu[who])))
        line("the same, worst clip", lambda who: float(cpu[who].max()))
        ours = names[0]
        line(
            f"times the time of {ours}, by sums",
            lambda who: float(cpu[who] @ weight / (cpu[ours] @ weight)),
        )
        line("the same, median clip", lambda who: float(np.median(cpu[who] / cpu[ours])))
        line("the same, least clip", lambda who: float((cpu[who] / cpu[ours]).min()))
        for row in _ROWS:
            values = {
                who: [self.rows[who][c][row] for c in done if row in self.rows[who][c]]
                for who in names
            }
            spread = np.nanmax if "largest" in row else np.nanmean
            line(row, lambda who, v=values, s=spread: float(s(v[who])) if v[who] else np.nan)
        return "\n".join(lines)


class Evaluator:
    """The same figures for the result of every retargeter."""

    def __init__(self, robot: Robot):
        self.robot, self.kinematics = robot, kinematics_of(robot)
        self._bodies = MeshCollisions(robot)

    def __call__(
        self,
        clip: MotionClip,
        targets: Targets,
        poses: Poses,
        trajectory: RobotTrajectory | None = None,
    ) -> dict[str, float]:
        """Figures of poses at the frames of `targets`, and of the samples that are sent.

        Without a trajectory, the samples are those of a spline through the poses.
        """
        if trajectory is None:
            trajectory = as_published(self.robot, poses, targets.fps)
        row = quality(targets, poses, self.kinematics)
        return row | published(self.kinematics, trajectory, clip, self._bodies)

    def of_mujoco(self, q: np.ndarray, joints: Sequence[str]) -> Poses:
        """Our poses of MuJoCo's coordinates (T, 7 + J): place, w x y z, joints by name."""
        columns = [7 + list(joints).index(name) for name in self.robot.joint_names]
        rotation = Rotation.from_quat(q[:, [4, 5, 6, 3]]).as_matrix()
        return Poses(q[:, :3], rotation @ self.robot.profile.axes.rotation().T, q[:, columns])


def environment(folder: Path, name: str) -> Path:
    """The Python of a peer's environment, installed where it is not there yet."""
    python = folder / name / "bin" / "python"
    done = folder / name / "installed"
    if not done.exists():
        print(f"installing {name} into {folder / name}", flush=True)
        venv.create(folder / name, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        if name == "holosoma":
            subprocess.run([*install, "--no-deps", HOLOSOMA], check=True)
        subprocess.run([*install, *PACKAGES[name].split()], check=True)
        done.touch()
    return python


def run_peer(python: Path, arguments: Sequence[Path], clips: Path) -> dict[str, np.ndarray]:
    """Arrays that a runner wrote; it has one thread."""
    result = clips.with_suffix(".result.npz")
    one = {f"{kind}_NUM_THREADS": "1" for kind in ("OMP", "OPENBLAS", "MKL", "RAYON")}
    command = [str(python), *map(str, arguments), str(clips), str(result)]
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | one
    done = subprocess.run(command, env=variables, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[1]} failed:\n{done.stderr[-2000:]}")
    with np.load(result, allow_pickle=False) as found:
        return dict(found)


def height_of(body: Body) -> float:
    """Height of a human by the length of its legs [m]."""
    joints = [body.joint(f"left_{part}") for part in ("hip", "knee", "ankle")]
    leg = np.linalg.norm(np.diff(joints, axis=0), axis=-1).sum(0)
    return SMPL_HEIGHT * float(np.median(leg)) / STANDARD_LEG


def smpl_turns(body: Body) -> np.ndarray:
    """(T, 22, 4) orientations of all SMPL bodies in a world with z up, w x y z.

    Trunk and feet as our own retargeting sees them, limbs with the twist that hinges show.
    """
    turns = fit_bone_rotations(body.joints).rotations.copy()
    turns[:, JOINT_NAMES.index("pelvis")] = body.pelvis
    turns[:, JOINT_NAMES.index("spine3")] = body.torso
    for n, side in enumerate(("left", "right")):
        turns[:, JOINT_NAMES.index(f"{side}_foot")] = body.feet[:, n]
    turned = Rotation.from_matrix((turns @ _SMPL_AXES).reshape(-1, 3, 3)).as_quat()
    return turned[:, [3, 0, 1, 2]].reshape(*turns.shape[:2], 4)


def gmr_clips(path: Path, bodies: Sequence[Body]) -> Path:
    """Write humans as GMR reads them."""
    arrays: dict[str, Any] = {"count": len(bodies), "names": np.array(JOINT_NAMES)}
    for number, body in enumerate(bodies):
        arrays[f"position_{number}"] = body.joints
        arrays[f"quaternion_{number}"] = smpl_turns(body)
        arrays[f"height_{number}"] = height_of(body)
    np.savez(path, **arrays)
    return path


def holosoma_clips(path: Path, bodies: Sequence[Body]) -> Path:
    """Write humans as holosoma-retargeting reads them: it takes the origin to be ahead."""
    arrays: dict[str, Any] = {"count": len(bodies)}
    for number, body in enumerate(bodies):
        arrays[f"joints_{number}"] = body.joints - body.pelvis[0, :, 0] * [1.0, 1.0, 0.0]
        arrays[f"height_{number}"] = height_of(body)
    np.savez(path, **arrays)
    return path


def streamed(robot: Robot, clip: MotionClip) -> tuple[Poses, RobotTrajectory, float]:
    """Poses of a clip that comes frame by frame, at the clip's frames; CPU time a frame [ms].

    The human stands in the first pose for some seconds first: a stream begins slowly.
    """
    lead, joints = round(LEAD * STREAM_RATE), list(frames_of(clip, STREAM_RATE, LEAD))
    stream, found = StreamingRetargeter(robot), []
    begin = time.process_time()
    for number, frame in enumerate(joints):
        found.append(stream.push(number / STREAM_RATE, frame).reference)
    cpu = 1000 * (time.process_time() - begin) / len(joints)
    found = found[lead:]
    trajectory = RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=np.array([one.positions for one in found]),
        velocities=np.array([one.velocities for one in found]),
        time_from_start=np.arange(len(found)) / STREAM_RATE,
        base_position=np.array([one.base_position for one in found]),
        base_quaternion=np.array([one.base_quaternion for one in found]),
        fps=STREAM_RATE,
    )
    # What the output shows, it shows some frames later.
    rows = np.arange(STREAMING.delay, len(found), round(STREAM_RATE / clip.fps))
    rotation = Rotation.from_quat(trajectory.base_quaternion[rows]).as_matrix()
    poses = Poses(trajectory.base_position[rows], rotation, trajectory.positions[rows])
    return poses, trajectory, cpu


class Bench:
    """Runs everything on some clips of one robot, the G1 that all peers know."""

    def __init__(self, baseline: bool):
        self.robot = load_robot("g1")
        self.evaluate, self.results = Evaluator(self.robot), Results()
        self._retargeter, self._gate = Retargeter(self.robot), SafetyGate(self.robot)
        self._baseline: Any = None
        if baseline:
            from gmr.baseline import GmrBaseline

            self._baseline = GmrBaseline(self.robot)

    def ours(self, number: int, clip: MotionClip, targets: Targets) -> None:
        """The whole-clip retargeter with the gate."""
        begin = time.process_time()
        trajectory = self._retargeter.retarget(clip)
        result = self._gate.review(trajectory)
        cpu = 1000 * (time.process_time() - begin) / len(clip)
        poses = self._retargeter.solve(targets)
        row = self.evaluate(clip, targets, poses, result.trajectory or trajectory)
        self.results.add("nextscale, with gate", number, row, cpu)

    def stream(self, number: int, clip: MotionClip) -> None:
        """The streaming retargeter."""
        poses, trajectory, cpu = streamed(self.robot, clip)
        targets = make_targets(clip.slice(0, len(poses)), self.evaluate.kinematics)
        row = self.evaluate(clip, targets, poses, trajectory)
        self.results.add("nextscale, stream", number, row, cpu)

    def stand_in(self, number: int, clip: MotionClip, targets: Targets) -> None:
        """The baseline in GMR's manner."""
        if self._baseline is None:
            return
        from gmr.human import human_of

        human = human_of(targets.body, float(targets.contacts.rest_height[0]))
        begin = time.process_time()
        poses = self._baseline.retarget(human)
        cpu = 1000 * (time.process_time() - begin) / len(clip)
        self.results.add("GMR-style", number, self.evaluate(clip, targets, poses), cpu)

    def peer(
        self, who: str, clips: Sequence[MotionClip], targets: Sequence[Targets], found: Any
    ) -> None:
        """What a runner found."""
        for number, (clip, one) in enumerate(zip(clips, targets, strict=True)):
            poses = self.evaluate.of_mujoco(found[f"q_{number}"], found["joints"].tolist())
            cpu = 1000 * float(found[f"cpu_{number}"].sum()) / len(poses)
            self.results.add(who, number, self.evaluate(clip, one, poses), cpu)


def bodies_of(clips: Sequence[np.ndarray]) -> list[Body]:
    """Humans at the rate of the stream."""
    return [body_of(joints, np.zeros((len(joints), 2), dtype=bool)) for joints in clips]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--gmr", type=Path, help="clone of YanjieZe/GMR; without it, GMR is left out"
    )
    parser.add_argument("--no-holosoma", action="store_true", help="leave OmniRetarget out")
    parser.add_argument("--data", type=Path, help="folder of CMU motion, for recorded clips")
    parser.add_argument("--clips", type=int, default=40, help="of val and test together")
    parser.add_argument("--generated", type=int, default=len(SENTENCES), help="motions")
    parser.add_argument("--environments", type=Path, help="folder to keep for the next run")
    parser.add_argument("--json", type=Path, help="file for the figures of every clip")
    options = parser.parse_args()
    pipeline = MotionPipeline.from_pretrained()
    generated = [pipeline.generate(one, seed=0) for one in SENTENCES[: options.generated]]
    recorded = []
    if options.data is not None:
        drawn = draw(options.data, ["val", "test"], options.clips, seed=0)
        recorded = [item.clip for item in drawn]
    clips = generated + recorded
    with tempfile.TemporaryDirectory() as name, threadpool_limits(limits=1):
        folder = Path(name)
        environments = options.environments or folder
        missing = baseline_missing()
        bench = Bench(baseline=not missing)
        kinematics, results = bench.evaluate.kinematics, bench.results
        targets = [make_targets(clip, kinematics) for clip in clips]
        results.frames = {number: len(clip) for number, clip in enumerate(clips)}
        bench.ours(0, clips[0], targets[0])  # once more, warm
        for number, clip in enumerate(tqdm(clips, unit="clip")):
            bench.ours(number, clip, targets[number])
            if number < len(generated):
                bench.stream(number, clip)
            bench.stand_in(number, clip, targets[number])
        bodies = [one.body for one in targets]
        if options.gmr is not None:
            python = environment(environments, "gmr")
            runner = [RUNNERS / "gmr.py", options.gmr.resolve()]
            found = run_peer(python, runner, gmr_clips(folder / "gmr.npz", bodies))
            bench.peer("GMR", clips, targets, found)
            fast = gmr_clips(
                folder / "fast.npz",
                bodies_of(
                    [np.array(list(frames_of(clip, STREAM_RATE, 0.0))) for clip in generated]
                ),
            )
            found = run_peer(python, runner, fast)
            frames = np.concatenate([found[f"cpu_{n}"][1:] for n in range(len(generated))])
            results.gmr_stream = 1000 * float(frames.mean())
        if not options.no_holosoma:
            python = environment(environments, "holosoma")
            given = holosoma_clips(folder / "holosoma.npz", bodies[: len(generated)])
            found = run_peer(python, [RUNNERS / "holosoma.py"], given)
            bench.peer("OmniRetarget", generated, targets[: len(generated)], found)
    numbers = range(len(clips))
    print(results.table(numbers[: len(generated)], "generated"))
    if results.gmr_stream:
        cpu = np.mean(list(results.cpu["nextscale, stream"].values()))
        print(
            f"\nStreams of {STREAM_RATE:g} frames per second: GMR {results.gmr_stream:.2f} ms a "
            f"frame, ours {cpu:.2f} ms, {results.gmr_stream / cpu:.1f} times as fast"
        )
    if recorded:
        print("\n" + results.table(numbers[len(generated) :], "recorded"))
    if missing:
        print(missing)
    if options.json is not None:
        write_text(options.json, json.dumps(vars(results), indent=1) + "\n")


if __name__ == "__main__":
    main()
