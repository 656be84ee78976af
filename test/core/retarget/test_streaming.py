"""Human poses one at a time: what goes out is within every limit, whatever comes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.conftest import standing_clip, standing_pose, waving_clip
from core.human_clips import walking_clip
from nextscale_core.exceptions import InvalidMotionError, RetargetError
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget import StreamedPose, StreamingRetargeter, stream_clip
from nextscale_core.retarget.human_frames import FOOT_REST, body_of
from nextscale_core.retarget.stream.clip_stream import frames_of
from nextscale_core.retarget.stream.step_limits import StepLimits
from nextscale_core.robots import Robot, RobotState, load_robot
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.safety import SafetyGate
from nextscale_core.trajectory.spline_limits import limit_use, segment_extremes

PERIOD = 1 / 60


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def stream(robot: Robot) -> StreamingRetargeter:
    return StreamingRetargeter(robot)


@pytest.fixture(autouse=True)
def _fresh(stream: StreamingRetargeter) -> None:
    stream.reset()


def positions(poses: Sequence[StreamedPose]) -> np.ndarray:
    return np.array([pose.reference.positions for pose in poses])


def require_safe(robot: Robot, poses: Sequence[StreamedPose]) -> None:
    """Limits of position, velocity and acceleration between all poses, and no self-collision."""
    times, q = np.array([pose.time for pose in poses]), positions(poses)
    v = np.array([pose.reference.velocities for pose in poses])
    speed, force = limit_use(robot, q, v, times)
    low, high, _ = segment_extremes(q, v, times)
    assert max(speed.max(), force.max()) <= 1.0 + 1e-6
    assert (low >= robot.position_lower).all() and (high <= robot.position_upper).all()
    assert not collision_model(robot, robot.profile.collision_margin).colliding(q).any()


def pushed(
    stream: StreamingRetargeter, frames: Sequence[np.ndarray], begin: int = 0
) -> list[StreamedPose]:
    return [stream.push((begin + n) * PERIOD, frame) for n, frame in enumerate(frames)]


def walk() -> list[np.ndarray]:
    return list(frames_of(walking_clip(frames=60), 60.0, lead=0.5))


def test_a_streamed_walk_passes_the_safety_gate(robot: Robot, stream: StreamingRetargeter) -> None:
    trajectory, _ = stream_clip(stream, walking_clip(frames=60))
    report = SafetyGate(robot).review(trajectory).report
    assert report.outcome == "pass"
    assert trajectory.base_position[-1, 0] > 0.5


def test_a_forearm_that_waves_is_followed_after_the_delay(
    robot: Robot, stream: StreamingRetargeter
) -> None:
    frames = list(frames_of(waving_clip(frames=80, speed=0.5), 60.0))
    poses = pushed(stream, frames)
    delay = stream.config.delay
    assert all(pose.shows == pytest.approx(pose.time - delay * PERIOD) for pose in poses[10:])
    kinematics = kinematics_of(robot)
    row = [kinematics.index[name] for name in ("right_elbow", "right_wrist")]
    errors = []
    for number in range(200, len(poses)):
        reference = poses[number].reference
        rotation = Rotation.from_quat(reference.base_quaternion).as_matrix()
        pose = Poses(np.zeros((1, 3)), rotation[None], reference.positions[None])
        elbow, wrist = kinematics.points(pose)[0, row]
        wanted = frames[number - delay]
        wanted = wanted[JOINT_INDEX["right_wrist"]] - wanted[JOINT_INDEX["right_elbow"]]
        cosine = (wrist - elbow) @ wanted / np.linalg.norm(wrist - elbow) / np.linalg.norm(wanted)
        errors.append(np.arccos(cosine))
    assert np.mean(errors) < 0.25


def test_the_same_frames_give_the_same_poses(stream: StreamingRetargeter) -> None:
    first = positions(pushed(stream, walk()))
    stream.reset()
    assert np.array_equal(first, positions(pushed(stream, walk())))


def test_a_standing_foot_does_not_slide(stream: StreamingRetargeter, robot: Robot) -> None:
    frames = list(frames_of(waving_clip(frames=60), 60.0))
    poses = pushed(stream, frames)[120:]
    places = np.array([pose.reference.base_position for pose in poses])
    assert np.ptp(places, axis=0).max() < 0.05


def nothing(frames: list[np.ndarray]) -> list[np.ndarray]:
    return frames


def not_a_number(frames: list[np.ndarray]) -> list[np.ndarray]:
    frames[70] = np.full((22, 3), np.nan)
    frames[90] = frames[90].copy()
    frames[90][4, 1] = np.inf
    return frames


def teleport(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [frame + np.array([5.0, -3.0, 0.0]) * (n > 80) for n, frame in enumerate(frames)]


def glitch(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [frame + np.array([0.0, 2.0, 1.0]) * (n == 80) for n, frame in enumerate(frames)]


def turned_over(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [frame * ([1.0, -1.0, 1.0] if n > 80 else [1.0] * 3) for n, frame in enumerate(frames)]


def noise(frames: list[np.ndarray]) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [frame + generator.normal(scale=0.05, size=(22, 3)) for frame in frames]


def arms_through_the_body(frames: list[np.ndarray]) -> list[np.ndarray]:
    crossed = [frame.copy() for frame in frames]
    for frame in crossed:
        middle = frame[JOINT_INDEX["spine1"]]
        frame[JOINT_INDEX["left_elbow"]] = middle + np.array([0.1, 0.1, 0.0])
        frame[JOINT_INDEX["right_elbow"]] = middle + np.array([0.1, -0.1, 0.0])
        frame[JOINT_INDEX["left_wrist"]] = middle - [0.0, 0.2, 0.0]
        frame[JOINT_INDEX["right_wrist"]] = middle + np.array([0.0, 0.2, 0.0])
    return crossed


def frantic(frames: list[np.ndarray]) -> list[np.ndarray]:
    return frames[::6] * 3


@pytest.mark.parametrize(
    "damage",
    [
        nothing,
        not_a_number,
        teleport,
        glitch,
        turned_over,
        noise,
        arms_through_the_body,
        frantic,
    ],
)
def test_no_input_breaks_a_limit_or_brings_bodies_together(
    damage: Callable[[list[np.ndarray]], list[np.ndarray]],
    stream: StreamingRetargeter,
    robot: Robot,
) -> None:
    require_safe(robot, pushed(stream, damage(walk())))


def test_an_unusable_frame_is_held_with_its_reason(stream: StreamingRetargeter) -> None:
    poses = pushed(stream, not_a_number(walk()))
    assert "NaN" in poses[70].held and "NaN" in poses[90].held
    assert not poses[80].held


def test_after_a_jump_the_robot_stays_at_its_place(stream: StreamingRetargeter) -> None:
    poses = pushed(stream, teleport(walk()))
    assert any("moved at" in pose.held for pose in poses)
    steps = np.diff([pose.reference.base_position[:2] for pose in poses], axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 0.05


def test_without_frames_the_robot_brakes_and_comes_to_rest(
    stream: StreamingRetargeter, robot: Robot
) -> None:
    frames = walk()[:80]
    poses = pushed(stream, frames)
    assert np.abs(poses[-1].reference.velocities).max() > 0.5
    poses += [stream.hold((len(frames) + n) * PERIOD) for n in range(60)]
    require_safe(robot, poses)
    assert not poses[-1].reference.velocities.any()
    assert poses[-1].held == "no frame"
    after = stream.push((len(frames) + 60) * PERIOD, frames[-1])
    assert "no usable frame for" in after.held


def test_time_that_does_not_increase_is_refused_and_changes_nothing(
    stream: StreamingRetargeter,
) -> None:
    frames = walk()
    pushed(stream, frames[:40])
    for time in (39 * PERIOD, 0.1, float("nan")):
        with pytest.raises(RetargetError, match="time"):
            stream.push(time, frames[40])
    rest = pushed(stream, frames[40:60], begin=40)
    stream.reset()
    assert np.array_equal(positions(rest), positions(pushed(stream, frames[:60])[40:]))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((21, 3)), r"shape \(22, 3\), got \(21, 3\)"),
        (np.full((22, 3), np.nan), "NaN"),
        (1000 * standing_pose(), "in metres"),
    ],
)
def test_a_first_frame_that_is_no_human_is_refused(
    stream: StreamingRetargeter, frame: np.ndarray, message: str
) -> None:
    with pytest.raises(InvalidMotionError, match=message):
        stream.push(0.0, frame)


def test_a_stream_begins_in_the_measured_state(stream: StreamingRetargeter, robot: Robot) -> None:
    place, turn = np.array([2.0, 1.0, 0.785]), np.array([0.0, 0.0, np.sin(0.5), np.cos(0.5)])
    stream.reset(RobotState(robot.nominal + 0.03, None, place, turn))
    first = stream.push(0.0, standing_clip().joints[0]).reference
    assert np.allclose(first.positions, robot.nominal + 0.03)
    assert np.allclose(first.base_position, place) and np.allclose(first.base_quaternion, turn)
    poses = [stream.push((1 + n) * PERIOD, standing_clip().joints[0]) for n in range(120)]
    assert np.linalg.norm(poses[-1].reference.base_position[:2] - place[:2]) < 0.1


def test_braking_after_any_allowed_step_stays_inside_the_limits() -> None:
    generator = np.random.default_rng(1)
    count = 2000
    limits = StepLimits(
        np.full(count, -1.0), np.full(count, 1.0), np.full(count, 10.0), np.full(count, 50.0)
    )
    q, v = np.zeros(count), np.zeros(count)
    for _ in range(400):
        seconds = float(generator.choice([0.004, 0.0167, 0.05]))
        low, high = limits.velocities(q, v, seconds)
        assert (low <= high + 1e-12).all()
        end = np.where(generator.random(count) < 0.5, low, high)
        assert (np.abs(end - v) <= 50.0 * seconds + 1e-9).all() and (np.abs(end) <= 10.0).all()
        force = (end - v) / seconds
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = np.clip(np.nan_to_num(-v / force), 0.0, seconds)
        extreme = q + v * turn + force * turn**2 / 2
        assert np.abs(extreme).max() <= 1.0 + 1e-9
        q, v = q + (v + end) / 2 * seconds, end
        assert np.abs(q).max() <= 1.0 + 1e-9


def test_a_single_frame_has_the_orientations_that_it_has_in_a_clip() -> None:
    joints = walking_clip(frames=30, turn=0.4).joints.astype(np.float64)
    unknown = np.zeros((len(joints), 2), dtype=bool)
    rest = (FOOT_REST + 0.1, FOOT_REST - 0.2)
    body = body_of(joints, unknown, rest)
    for number, frame in enumerate(joints):
        single = body_of(frame[None], unknown[:1], rest)
        for one, other in zip(vars(single).values(), vars(body).values(), strict=True):
            if isinstance(one, dict):
                one, other = (np.stack(list(part.values()), axis=1) for part in (one, other))
            assert np.allclose(one[0], other[number], atol=1e-12)
    level = body_of(joints, unknown).feet
    turned = level.transpose(0, 1, 3, 2) @ body.feet
    assert np.allclose(np.arctan2(turned[..., 0, 2], turned[..., 0, 0]), [0.1, -0.2], atol=1e-12)


def test_a_robot_whose_legs_are_held_has_no_stream() -> None:
    with pytest.raises(RetargetError, match="legs"):
        StreamingRetargeter(load_robot("g1", joints="upper_body"))
