"""A plan as RViz shows it: everything at its place, in the odometry's frame."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation
from visualization_msgs.msg import Marker, MarkerArray

from core.human_clips import walking_clip
from nextscale_core.exceptions import RetargetError, RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import JOINT_INDEX, PARENTS
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.viz.scene import ASIDE, robot_scene, source_times
from nextscale_ros.viewer.footsteps import planned_footsteps
from nextscale_ros.viewer.markers import PlanMarkers, sentence_of, skeleton_of

NOW = Time(sec=5, nanosec=7)


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def clip() -> MotionClip:
    return walking_clip()


@pytest.fixture(scope="module")
def walk(robot: Robot, clip: MotionClip) -> RobotTrajectory:
    return Retargeter(robot).retarget(clip)


@pytest.fixture(scope="module")
def plan(robot: Robot, walk: RobotTrajectory, clip: MotionClip) -> PlanMarkers:
    return PlanMarkers(robot, walk, clip, "a person walks", "odom")


def turned(walk: RobotTrajectory, yaw: float, shift: tuple[float, float, float]) -> RobotTrajectory:
    """The same walk from another place, in another direction."""
    turn = Rotation.from_euler("z", yaw)
    return replace(
        walk,
        base_position=turn.apply(walk.base_position) + shift,
        base_quaternion=(turn * Rotation.from_quat(walk.base_quaternion)).as_quat(),
    )


def by_namespace(message: MarkerArray) -> dict[str, Marker]:
    """What is shown, all with the same id."""
    found = {marker.ns: marker for marker in message.markers}
    assert len(found) == len(message.markers) and not any(m.id for m in message.markers)
    return {name: marker for name, marker in found.items() if marker.action == Marker.ADD}


EVERYTHING = {
    *("path", "heading", "footprints/left", "footprints/right"),
    *("text", "skeleton/bones", "skeleton/joints"),
}


def points(marker: Marker) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_every_marker_is_whole_and_in_the_frame_of_the_odometry(plan: PlanMarkers) -> None:
    for marker in plan.at(1.0, NOW).markers:
        assert marker.header.frame_id == "odom"
        assert marker.header.stamp == NOW
        q = marker.pose.orientation
        assert np.hypot(np.hypot(q.x, q.y), np.hypot(q.z, q.w)) == pytest.approx(1.0)
        assert marker.color.a > 0.0
        assert max(marker.scale.x, marker.scale.z) > 0.0
        if marker.type == Marker.LINE_LIST:
            assert len(marker.points) % 2 == 0
        assert len(marker.colors) in (0, len(marker.points))


def test_rviz_tries_again_where_a_marker_came_before_the_first_transform(plan: PlanMarkers) -> None:
    assert all(marker.frame_locked for marker in plan.at(1.0, NOW).markers)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 99.0])
def test_every_message_shows_the_whole_plan(plan: PlanMarkers, seconds: float) -> None:
    assert set(by_namespace(plan.at(seconds, NOW))) == EVERYTHING


def test_a_plan_takes_away_what_only_the_one_before_had(
    robot: Robot, walk: RobotTrajectory
) -> None:
    message = PlanMarkers(robot, walk, None).at(0.0, NOW)
    gone = {marker.ns for marker in message.markers if marker.action == Marker.DELETE}
    assert gone == {"text", "skeleton/bones", "skeleton/joints"}
    assert set(by_namespace(message)) | gone == EVERYTHING


def lifetimes(message: MarkerArray) -> dict[str, float]:
    shown = by_namespace(message)
    return {ns: m.lifetime.sec + m.lifetime.nanosec * 1e-9 for ns, m in shown.items()}


def test_the_human_vanishes_without_updates_and_stays_once_the_motion_has_ended(
    plan: PlanMarkers, walk: RobotTrajectory
) -> None:
    moving = lifetimes(plan.at(1.0, NOW))
    for name in EVERYTHING:
        if name.startswith("skeleton"):
            assert 0.2 < moving[name] < 3.0
        else:
            assert moving[name] == 0.0, "it stays"
    for seconds in (walk.time_from_start[-1], 99.0):
        assert set(lifetimes(plan.at(float(seconds), NOW)).values()) == {0.0}


def test_the_path_lies_on_the_floor_below_the_base(
    plan: PlanMarkers, walk: RobotTrajectory
) -> None:
    shown = by_namespace(plan.at(0.0, NOW))
    path = points(shown["path"])
    np.testing.assert_allclose(path[[0, -1], :2], walk.base_position[[0, -1], :2], atol=1e-9)
    assert np.ptp(path[:, 2]) == 0.0 and abs(path[0, 2]) < 0.02
    assert shown["heading"].pose.position.x == pytest.approx(walk.base_position[-1, 0])


def test_the_sentence_follows_the_robot_and_stays_above_it(
    plan: PlanMarkers, walk: RobotTrajectory
) -> None:
    for row in (0, len(walk) // 2, -1):
        message = plan.at(float(walk.time_from_start[row]), NOW)
        place = by_namespace(message)["text"].pose.position
        np.testing.assert_allclose([place.x, place.y], walk.base_position[row, :2], atol=1e-9)
        assert place.z > 1.32 + 0.08, "above the head of a G1"


def test_spaces_are_narrower_than_letters(plan: PlanMarkers) -> None:
    scale = by_namespace(plan.at(0.0, NOW))["text"].scale
    # RViz takes a width of 0 as unset, and then a space is as wide as a letter of 1 m.
    assert 0.2 * scale.z < scale.x < scale.z


def test_footprints_alternate_as_a_walk_does_and_are_as_large_as_the_soles(
    plan: PlanMarkers, robot: Robot
) -> None:
    sole = robot.profile.sole
    # After the two that it starts from.
    sides = [step.side for step in plan.footsteps[2:]]
    assert len(plan.footsteps) >= 5
    assert all(one != other for one, other in itertools.pairwise(sides))
    for step in plan.footsteps:
        assert (step.centre[1] > 0) == (step.side == "left")
        assert abs(step.yaw) < 0.1
        assert step.length == pytest.approx(float(sole.toe[0] - sole.heel[0]), abs=0.01)
        assert step.width == pytest.approx(2 * sole.half_width, abs=0.01)
    # Of one foot, each lies ahead of the one before.
    for side in ("left", "right"):
        along = [step.centre[0] for step in plan.footsteps if step.side == side]
        assert (np.diff(along) > 0.2).all()


def test_every_footprint_is_a_rectangle_on_the_floor_that_needs_no_light(plan: PlanMarkers) -> None:
    shown = by_namespace(plan.at(0.0, NOW))
    for side in ("left", "right"):
        steps = [step for step in plan.footsteps if step.side == side]
        marker = shown[f"footprints/{side}"]
        assert marker.type == Marker.TRIANGLE_LIST
        # With a color for each corner, RViz draws triangles without shading.
        assert len(marker.colors) == len(marker.points) == 6 * len(steps)
        assert (marker.scale.x, marker.scale.y, marker.scale.z) == (1.0, 1.0, 1.0)
        for color in (marker.color, *marker.colors):
            assert color.a == 1.0 and max(color.r, color.b) > 0.8
        for step, corners in zip(steps, points(marker).reshape(-1, 6, 3), strict=True):
            np.testing.assert_allclose(corners.mean(axis=0)[:2], step.centre[:2], atol=1e-9)
            assert np.allclose(corners[:, 2], corners[0, 2]) and abs(corners[0, 2]) < 0.02
            one, other = corners[:3], corners[3:]
            areas = [np.linalg.norm(np.cross(t[1] - t[0], t[2] - t[0])) / 2 for t in (one, other)]
            assert sum(areas) == pytest.approx(step.length * step.width)
            sides = np.linalg.norm(np.diff(one, axis=0), axis=1)
            assert sides == pytest.approx([step.length, step.width])


def test_a_robot_that_only_stands_has_one_footprint_for_each_foot(
    robot: Robot, walk: RobotTrajectory
) -> None:
    count = len(walk)
    still = replace(
        walk,
        positions=np.tile(walk.positions[0], (count, 1)),
        base_position=np.tile(walk.base_position[0], (count, 1)),
        base_quaternion=np.tile(walk.base_quaternion[0], (count, 1)),
    )
    assert sorted(step.side for step in planned_footsteps(robot, still)) == ["left", "right"]


def test_a_plan_turns_and_moves_as_one_with_its_trajectory(
    robot: Robot, walk: RobotTrajectory, clip: MotionClip, plan: PlanMarkers
) -> None:
    yaw, shift = 2.0, (3.0, -1.0, 0.4)
    moved = PlanMarkers(robot, turned(walk, yaw, shift), clip, "a person walks", "odom")
    turn = Rotation.from_euler("z", yaw)
    for one, other in zip(plan.footsteps, moved.footsteps, strict=True):
        np.testing.assert_allclose(turn.apply(one.centre) + shift, other.centre, atol=1e-6)
        assert np.angle(np.exp(1j * (other.yaw - one.yaw - yaw))) == pytest.approx(0.0, abs=1e-6)
    for seconds in (0.0, 1.7, walk.seconds):
        np.testing.assert_allclose(
            turn.apply(plan.joints(seconds)) + shift, moved.joints(seconds), atol=1e-6
        )


def test_the_human_stands_to_the_robots_left_and_faces_what_it_faces(
    robot: Robot, walk: RobotTrajectory, clip: MotionClip
) -> None:
    for yaw in (0.0, 1.2, -2.6):
        trajectory = turned(walk, yaw, (1.0, 2.0, 0.0))
        joints = PlanMarkers(robot, trajectory, clip).joints(0.0)
        away = joints[0, :2] - trajectory.base_position[0, :2]
        np.testing.assert_allclose(away, ASIDE * np.array([-np.sin(yaw), np.cos(yaw)]), atol=0.03)
        apart = heading_yaw(joints[None])[0] - yaw
        assert np.angle(np.exp(1j * apart)) == pytest.approx(0.0, abs=0.05)


def test_the_human_is_where_the_page_has_it(
    robot: Robot, walk: RobotTrajectory, clip: MotionClip, plan: PlanMarkers
) -> None:
    scene = robot_scene(robot, walk, clip)
    assert scene.human is not None
    for frame in (0, 60, len(scene) - 1):
        shown = scene.human.joints[frame] + scene.human.offset
        np.testing.assert_allclose(plan.joints(frame / scene.fps), shown, atol=0.03)


def test_lines_join_each_joint_with_its_parent(plan: PlanMarkers) -> None:
    joints = plan.joints(1.3)
    bones = points(by_namespace(plan.at(1.3, NOW))["skeleton/bones"]).reshape(-1, 2, 3)
    expected = [(joints[parent], joints[j]) for j, parent in enumerate(PARENTS) if parent >= 0]
    np.testing.assert_allclose(bones, np.array(expected))


def test_left_limbs_are_blue_and_right_limbs_orange(plan: PlanMarkers) -> None:
    colors = by_namespace(plan.at(0.0, NOW))["skeleton/joints"].colors
    left, right = (colors[JOINT_INDEX[f"{side}_wrist"]] for side in ("left", "right"))
    assert left.b > left.r and right.r > right.b


def test_a_sample_shows_the_moment_of_the_clip_that_it_was_made_from(
    robot: Robot, walk: RobotTrajectory, clip: MotionClip
) -> None:
    length = (len(clip) - 1) / clip.fps
    source = np.linspace(0.0, length, len(walk)) ** 2 / length
    source[:20] = np.nan  # the way to the clip's beginning
    given = replace(walk, source_time=source)
    times = source_times(given, clip)
    np.testing.assert_allclose(times[20:], source[20:])
    np.testing.assert_allclose(times[:20], source[20])
    shown = PlanMarkers(robot, given, clip)
    at = float(given.time_from_start[-1])
    sizes = [np.linalg.norm(j[1] - j[4]) for j in (shown.joints(at), clip.joints[-1])]
    assert sizes[0] == pytest.approx(sizes[1], abs=1e-5)
    np.testing.assert_allclose(shown.joints(0.0), shown.joints(0.1), atol=1e-9)


@pytest.mark.parametrize("source", [None, "unknown"])
def test_without_known_moments_the_clip_is_spread_over_the_trajectory(
    walk: RobotTrajectory, clip: MotionClip, source: str | None
) -> None:
    nowhere = None if source is None else np.full(len(walk), np.nan)
    times = source_times(replace(walk, source_time=nowhere), clip)
    assert times[0] == pytest.approx(0.0, abs=1e-6)
    assert times[-1] == pytest.approx((len(clip) - 1) / clip.fps, abs=1e-6)
    assert (np.diff(times) >= -1e-9).all()


def test_before_and_after_the_trajectory_the_human_waits_at_its_ends(
    plan: PlanMarkers, walk: RobotTrajectory
) -> None:
    np.testing.assert_array_equal(plan.joints(-5.0), plan.joints(0.0))
    np.testing.assert_array_equal(plan.joints(1e6), plan.joints(walk.seconds))


def test_who_hears_the_markers_gets_joints_and_sentence_back(plan: PlanMarkers) -> None:
    joints = skeleton_of(plan.at(0.7, NOW))
    assert joints is not None
    np.testing.assert_allclose(joints, plan.joints(0.7))
    assert sentence_of(plan.at(0.7, NOW)) == "a person walks"
    assert skeleton_of(MarkerArray()) is None
    assert sentence_of(MarkerArray()) is None


@pytest.mark.parametrize("how", ["too few", "NaN"])
def test_a_broken_skeleton_is_none(plan: PlanMarkers, how: str) -> None:
    message = plan.at(0.7, NOW)
    dots = by_namespace(message)["skeleton/joints"]
    if how == "too few":
        dots.points = dots.points[:-1]
    else:
        dots.points[3].x = float("nan")
    assert skeleton_of(message) is None


def test_a_long_sentence_is_broken_into_lines_and_comes_back_whole(
    robot: Robot, walk: RobotTrajectory
) -> None:
    text = "a person walks forward slowly and then turns around and waves with both hands at us"
    message = PlanMarkers(robot, walk, None, text).at(0.0, NOW)
    marker = by_namespace(message)["text"]
    assert all(len(line) <= 60 for line in marker.text.splitlines())
    assert marker.type == Marker.TEXT_VIEW_FACING and sentence_of(message) == text


def test_a_plan_without_a_clip_has_a_path_and_neither_human_nor_sentence(
    robot: Robot, walk: RobotTrajectory
) -> None:
    message = PlanMarkers(robot, walk, None).at(1.0, NOW)
    assert set(by_namespace(message)) == EVERYTHING - {"text", "skeleton/bones", "skeleton/joints"}
    assert skeleton_of(message) is None and sentence_of(message) is None


def test_one_sample_is_a_plan_too(robot: Robot, walk: RobotTrajectory, clip: MotionClip) -> None:
    one = _first(walk, 1)
    plan = PlanMarkers(robot, one, clip)
    assert len(by_namespace(plan.at(0.0, NOW))["path"].points) == 2
    assert np.isfinite(plan.joints(0.0)).all()


def test_what_cannot_be_shown_is_refused(
    robot: Robot, walk: RobotTrajectory, make_trajectory: Callable[..., RobotTrajectory]
) -> None:
    with pytest.raises(RobotError, match="moves 3 joints"):
        PlanMarkers(robot, make_trajectory(), None)
    with pytest.raises(RetargetError, match="without samples"):
        PlanMarkers(robot, _first(walk, 0), None)


def _first(walk: RobotTrajectory, count: int) -> RobotTrajectory:
    names = ("positions", "velocities", "time_from_start", "base_position", "base_quaternion")
    cut = {name: getattr(walk, name)[:count] for name in names}
    return replace(walk, **cut, source_time=None)
