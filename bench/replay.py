"""Benchmark of takeovers: sentences during recorded robot motion, replayed over DDS.

    python bench/replay.py G1_MOVES.npz [--points 40] [--odometry] [--rate 100]

`G1_MOVES.npz` holds arrays (N, 36) at 60 Hz: root x y z, quaternion x y z w, 29 joints of the G1.
The generate node runs as a separate process. Joint states are published at `--rate`; at each point
a sentence is sent, and the recording continues until the trajectory arrives. The node cannot
predict the recording, and the recorded robot does not follow the plan, so this is harder than a
robot that executes plans.

First point and first velocity are compared with the joint state that was published at the
trajectory's stamp. The speed of standing feet in the first second needs the plan's contacts, which
no message carries: the same history, sentence and delay go through the core once more, and feet
are measured on the solved frames where the generated human's foot stands, as in bench/retarget.py.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rclpy
import torch
from nav_msgs.msg import Odometry
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from tqdm import tqdm
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.estimation import BaseTrack
from nextscale_core.estimation.history import RobotHistory, prefix_of, with_base
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.takeover import best_moment, joined
from nextscale_core.retarget.targets import make_targets
from nextscale_core.robots import Robot, RobotState, load_robot
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_ros.bringup.processes import Child, private_graph
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport

RECORDED = 60.0
_ROUNDING = 1_000_000
"""Rounding error of stamps converted to seconds and back [ns]."""

BEFORE = 2.0
"""Time of the recording before a sentence [s]."""

DELAY = 0.5
"""Time from the sentence to the state in which the measured trajectory begins [s]."""

SLACK = 0.25
"""Length of the history, as in the node [s]."""

SENTENCES = (
    "a person walks forward",
    "a person waves with the right hand",
    "a person turns around",
    "a person raises both arms",
    "a person steps to the left",
    "a person stands still",
)


class Replay(Recorder):
    """Publishes a recording as robot states, in a separate thread."""

    def __init__(self, robot: Robot, rate: float, odometry: bool) -> None:
        super().__init__()
        self._robot, self._rate, self._with_odometry = robot, rate, odometry
        self._joint_states = self.create_publisher(JointState, "/joint_states", 10)
        self._odometry = self.create_publisher(Odometry, "/odom", 10)
        self._moves = np.zeros((2, 36))
        self._from = 0.0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self.sent: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Start publishing."""
        self._thread.start()

    def end(self) -> None:
        """Stop publishing."""
        self._end.set()
        self._thread.join()

    def play(self, moves: np.ndarray) -> None:
        """Switch to another recording (N, 36); its last pose is held."""
        with self._lock:
            self._moves, self._from = moves, time.monotonic()
            self.sent = []

    def _run(self) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            with self._lock:
                at = (time.monotonic() - self._from) * RECORDED
                index = int(np.clip(at, 0, len(self._moves) - 2))
                share = float(np.clip(at - index, 0, 1))
                now = self.get_clock().now()
                row = (1 - share) * self._moves[index] + share * self._moves[index + 1]
                speed = (self._moves[index + 1] - self._moves[index])[7:] * RECORDED
                if share >= 1:
                    speed = np.zeros_like(speed)
                self.sent.append((now.nanoseconds, row[7:], speed))
            state = JointState(
                name=list(self._robot.joint_names),
                position=row[7:].tolist(),
                velocity=speed.tolist(),
            )
            state.header.stamp = now.to_msg()
            self._joint_states.publish(state)
            if self._with_odometry:
                self._publish_base(row, now.to_msg())
            due += 1.0 / self._rate
            time.sleep(max(0.0, due - time.monotonic()))

    def _publish_base(self, row: np.ndarray, stamp: object) -> None:
        message = Odometry(child_frame_id="pelvis")
        message.header.stamp, message.header.frame_id = stamp, "odom"
        pose = message.pose.pose
        pose.position.x, pose.position.y, pose.position.z = row[:3].tolist()
        turn = row[3:7] / max(float(np.linalg.norm(row[3:7])), 1e-9)
        (
            pose.orientation.x,
            pose.orientation.y,
            pose.orientation.z,
            pose.orientation.w,
        ) = turn.tolist()
        self._odometry.publish(message)


def compare(
    robot: Robot,
    command: JointTrajectory,
    sent: list[tuple[int, np.ndarray, np.ndarray]],
    received: int,
) -> dict[str, float]:
    """Figures of one interruption.

    Args:
        robot: The robot.
        command: The trajectory.
        sent: Stamps [ns], positions and velocities that were published.
        received: When the trajectory arrived [ns]; its time 0 where it has no stamp.
    """
    stamp = nanoseconds(command.header.stamp) or received
    stamps = np.array([row[0] for row in sent])
    positions = np.array([row[1] for row in sent])
    speeds = np.array([row[2] for row in sent])
    # The newest state that had arrived by then: at 100 Hz one of the last few.
    recent = np.flatnonzero((stamps <= stamp + _ROUNDING) & (stamps > stamp - 0.1 * NANOSECONDS))
    first = np.array(command.points[0].positions)
    speed = np.array(command.points[0].velocities)
    away = np.abs(positions[recent] - first).max(1)
    nearest = recent[int(away.argmin())]
    times = np.array([nanoseconds(p.time_from_start) for p in command.points]) / NANOSECONDS
    return {
        "first point off the measured state [rad]": float(away.min()),
        "velocity jump [% of the limit]": float(
            100 * (np.abs(speed - speeds[nearest]) / robot.velocity_limit).max()
        ),
        "age of the first point on arrival [ms]": (received - stamp) / 1e6,
        "length [s]": float(times[-1]),
    }


def stance_speed(
    retargeter: Retargeter,
    pipeline: MotionPipeline,
    moves: np.ndarray,
    index: int,
    text: str,
    seed: int,
) -> float:
    """Mean speed of standing feet in the first second after a sentence at row `index` [cm/s]."""
    robot = retargeter.robot
    times = np.arange(len(moves)) / RECORDED

    def until(row: int) -> RobotHistory:
        span = slice(row - int(RECORDED), row + 1)
        base = BaseTrack(times[span], moves[span, :3], moves[span, 3:7], floor=None)
        return RobotHistory(times[span], moves[span, 7:], base=base)

    prefix = prefix_of(robot, until(index), 1.0)
    clip = pipeline.complete(prefix.human.clip, None, text, seed=seed)
    later = index + int(DELAY * RECORDED)
    speeds = (moves[later + 1, 7:] - moves[later - 1, 7:]) * RECORDED / 2
    state = with_base(robot, RobotState(moves[later, 7:], speeds), until(later))
    seam = (len(prefix.human) - 1) / clip.fps
    begin = seam if prefix.at_rest else min(seam + DELAY, clip.seconds - 1.0)
    kinematics = kinematics_of(robot)
    targets = make_targets(clip, kinematics)
    if not prefix.at_rest:
        begin = best_moment(targets, kinematics, state, begin, SLACK)
    past = joined(targets, kinematics, state, begin)
    points = kinematics.points(retargeter.solve(past.targets, past))
    ankles = points[:, [kinematics.index["left_ankle"], kinematics.index["right_ankle"]], :2]
    speed = 100 * np.linalg.norm(np.diff(ankles, axis=0), axis=-1) * past.targets.fps
    flat = past.targets.contacts.flat
    standing = flat[1:] & flat[:-1]
    first = speed[: int(past.targets.fps)][standing[: int(past.targets.fps)]]
    return float(first.mean()) if len(first) else np.nan


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("moves", type=Path)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--odometry", action="store_true", help="publish the base too")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with np.load(arguments.moves, allow_pickle=False) as file:
        recordings = [file[name] for name in file.files]
    long = [moves for moves in recordings if len(moves) > RECORDED * (BEFORE + 4)]
    generator = np.random.default_rng(arguments.seed)
    robot = load_robot("g1")
    retargeter, pipeline = Retargeter(robot), MotionPipeline.from_pretrained()
    torch.set_num_threads(1)
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    rows: list[dict[str, float]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = stack.enter_context(private_graph(folder))
        os.environ.update(env)
        child = stack.enter_context(Child("generate_node", env=env, log=folder / "node.log"))
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        client = Replay(robot, arguments.rate, arguments.odometry)
        stack.callback(client.destroy_node)
        client.begin()
        stack.callback(client.end)
        client.wait(client.connected, 300.0, "the node's start", child.check)
        for number in tqdm(range(arguments.points)):
            moves = long[generator.integers(len(long))]
            first = int(generator.integers(0, len(moves) - int(RECORDED * (BEFORE + 4))))
            client.play(moves[first:])
            client.listen(BEFORE)
            for messages in (client.reports, client.commands, client.bases):
                messages.clear()
            text = SENTENCES[number % len(SENTENCES)]
            client.say(text)
            client.wait(lambda: bool(client.reports), 120.0, "the report", child.check)
            report = client.reports[-1]
            outcomes[report.outcome] += 1
            for finding in report.findings:
                if finding.startswith("continuation"):
                    reasons[finding.split(":")[1].strip()] += 1
            if report.outcome not in (MotionReport.PASS, MotionReport.REPAIRED):
                tqdm.write(f"  {report.outcome}: {report.message[:150]}")
                continue
            client.wait(lambda: bool(client.commands and client.bases), 10.0, "the trajectory")
            arrived, command = client.commands[-1]
            received = client.get_clock().now().nanoseconds - int(
                (time.monotonic() - arrived) * NANOSECONDS
            )
            row = compare(robot, command, client.sent, received)
            begin = first + int(RECORDED * BEFORE)
            row["stance foot speed, first second [cm/s]"] = stance_speed(
                retargeter, pipeline, moves, begin, text, report.seed
            )
            rows.append(row)
    print(f"\n{arguments.points} interruptions: {dict(outcomes)}; notes: {dict(reasons)}\n")
    print("| | mean | median | 95 % | largest |\n|---|---|---|---|---|")
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        values = values[np.isfinite(values)]
        print(
            f"| {name} | {values.mean():.4g} | {np.median(values):.4g} | "
            f"{np.percentile(values, 95):.4g} | {values.max():.4g} |"
        )


if __name__ == "__main__":
    main()
