"""Scenes: what is shown agrees with the motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from core.human_clips import walking_clip
from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.mesh import Mesh, box, by_color, capsule, creased
from nextscale_core.motion.mannequin import Mannequin
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.viz.animated_mesh import scene_mesh
from nextscale_core.viz.scene import Scene, human_scene, human_time, robot_scene


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def sticks(robot: Robot, tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """The robot without its meshes: quick to load."""
    return replace(robot, mesh_dirs=(tmp_path_factory.mktemp("no_meshes"),))


def swinging(robot: Robot, points: int = 101, fps: float = 50.0) -> RobotTrajectory:
    """It stands, swings its arms and turns on the spot."""
    generator = np.random.default_rng(3)
    share = np.linspace(0.0, 1.0, points)[:, None]
    goal = robot.nominal.copy()
    arms = [n for n, name in enumerate(robot.joint_names) if "shoulder" in name or "elbow" in name]
    goal[arms] += generator.uniform(-0.5, 0.5, len(arms))
    positions = robot.nominal + share * (goal - robot.nominal)
    turns = Rotation.from_rotvec(0.4 * share * [0.0, 0.0, 1.0])
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=positions,
        velocities=np.gradient(positions, 1.0 / fps, axis=0),
        time_from_start=np.arange(points) / fps,
        base_position=np.column_stack([0.3 * share, 0.1 * share, np.full(points, 0.78)]),
        base_quaternion=turns.as_quat(),
        fps=fps,
    )


def _expected(robot: Robot, trajectory: RobotTrajectory, row: int) -> pin.Data:
    data = robot.model.createData()
    q = robot.configurations(
        trajectory.base_position[[row]],
        trajectory.base_quaternion[[row]],
        trajectory.positions[[row]],
    )[0]
    pin.framesForwardKinematics(robot.model, data, q)
    return data


def test_every_link_stands_where_pinocchio_puts_it(robot: Robot) -> None:
    trajectory = swinging(robot)
    scene = robot_scene(robot, trajectory, detail=0.02)
    assert scene.robot is not None
    links = scene.robot.body.links
    assert len(links) >= 30  # the G1's own meshes
    for row in (0, 37, 100):
        data = _expected(robot, trajectory, row)
        for number, link in enumerate(links):
            placement = data.oMf[robot.model.getFrameId(link.name)]
            np.testing.assert_allclose(
                scene.robot.positions[row, number], placement.translation, atol=1e-9
            )
            turn = Rotation.from_quat(scene.robot.quaternions[row, number]).as_matrix()
            np.testing.assert_allclose(turn, placement.rotation, atol=1e-9)
    left, right = scene.robot.body.feet
    assert {links[row].name.split("_")[0] for row in left} == {"left"}
    assert {links[row].name.split("_")[0] for row in right} == {"right"}


def test_sticks_are_where_the_joints_are(sticks: Robot) -> None:
    trajectory = swinging(sticks)
    scene = robot_scene(sticks, trajectory)
    assert scene.robot is not None
    data = _expected(sticks, trajectory, 60)
    for number, link in enumerate(scene.robot.body.links):
        joint = sticks.model.getJointId(link.name)
        np.testing.assert_allclose(
            scene.robot.positions[60, number], data.oMi[joint].translation, atol=1e-9
        )
    assert all(scene.robot.body.feet)


def test_the_human_alone_is_the_clip() -> None:
    clip = walking_clip()
    scene = human_scene(clip, "a name")
    assert scene.human is not None
    np.testing.assert_array_equal(scene.human.joints, clip.joints)
    assert (scene.fps, len(scene), scene.robot) == (clip.fps, len(clip), None)
    assert scene.seconds == pytest.approx((len(clip) - 1) / clip.fps)
    # In a walk, the feet stand in turn.
    assert scene.human.stance[:, 0].any() and not scene.human.stance[:, 0].all()
    assert human_scene(clip.with_text("says so"), "a name").title == "says so"


def test_beside_a_robot_the_human_shows_the_clip_from_end_to_end(sticks: Robot) -> None:
    clip = walking_clip()
    trajectory = swinging(sticks, points=round(50 * (clip.seconds + 0.45)))
    scene = robot_scene(sticks, trajectory, clip)
    assert scene.human is not None and scene.robot is not None
    np.testing.assert_allclose(scene.human.joints[0], clip.joints[0], atol=1e-6)
    np.testing.assert_allclose(scene.human.joints[-1], clip.joints[-1], atol=1e-3)
    drawn = scene.human.joints[0, 0] + scene.human.offset
    aside = drawn[:2] - scene.robot.base[0, :2]
    left = np.array([-scene.robot.forward[0, 1], scene.robot.forward[0, 0]])
    assert aside @ left == pytest.approx(np.linalg.norm(aside))
    assert 0.8 < float(np.linalg.norm(aside)) < 1.5
    assert scene.human.offset[2] == 0.0


def test_the_human_keeps_pace_with_a_robot_that_starts_and_stops_smoothly() -> None:
    clip = walking_clip()
    length = (len(clip) - 1) / clip.fps
    times = np.linspace(0.0, length + 0.5, 400)
    place = human_time(clip, length + 0.5, times)
    assert (place[0], place[-1]) == pytest.approx((0.0, length))
    assert (np.diff(place) >= 0.0).all()
    speed = np.gradient(place, times)
    assert speed[200] == pytest.approx(1.0, abs=1e-6)
    assert speed[0] < 0.1 and speed[-1] < 0.1
    slow = human_time(clip, 2 * length + 0.5, np.array([length + 0.25]))
    assert slow[0] == pytest.approx(length / 2)


def test_the_human_does_what_the_robot_was_made_from(sticks: Robot) -> None:
    clip = walking_clip()
    trajectory = swinging(sticks)
    moments = np.linspace(0.3, 0.8, len(trajectory) - 10) ** 2
    source = np.concatenate([np.full(10, np.nan), moments])
    scene = robot_scene(sticks, replace(trajectory, source_time=source), clip)
    assert scene.human is not None and len(scene) == len(trajectory)
    wrists = scene.human.joints[:, JOINT_INDEX["left_wrist"]]
    at = np.arange(len(clip)) / clip.fps
    track = clip.joints[:, JOINT_INDEX["left_wrist"]]
    for axis in range(3):
        np.testing.assert_allclose(
            wrists[10:, axis], np.interp(moments, at, track[:, axis]), atol=1e-5
        )
    # Before its motion begins, the human waits in its first pose.
    np.testing.assert_allclose(wrists[:10], np.broadcast_to(wrists[10], (10, 3)))


def test_a_trajectory_alone_shows_the_human_behind_it(sticks: Robot) -> None:
    scene = robot_scene(sticks, swinging(sticks))
    assert scene.human is not None
    head = scene.human.joints[:, JOINT_INDEX["head"], 2]
    assert (head > 1.3).all() and (head < 1.8).all()
    assert dict(scene.facts)["human"].startswith("what the robot's joints show")


def test_a_robot_of_too_few_points_is_shown_alone_with_the_reason(sticks: Robot) -> None:
    scene = robot_scene(sticks, swinging(sticks, points=2))
    assert scene.human is None
    assert dict(scene.facts)["human"].startswith("not shown: ")


def test_a_fast_trajectory_is_thinned_and_keeps_its_poses(sticks: Robot) -> None:
    trajectory = swinging(sticks, points=401, fps=200.0)
    scene = robot_scene(sticks, trajectory)
    assert scene.robot is not None
    assert (scene.fps, len(scene)) == (50.0, 101)
    np.testing.assert_allclose(scene.robot.base, trajectory.base_position[::4])


def test_a_robot_that_stands_has_both_feet_on_the_floor_and_lifted_none(sticks: Robot) -> None:
    standing = swinging(sticks)
    scene = robot_scene(sticks, standing)
    assert scene.robot is not None
    still = replace(
        standing,
        positions=np.tile(sticks.nominal, (len(standing), 1)),
        base_position=np.tile([0.0, 0.0, 0.78], (len(standing), 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (len(standing), 1)),
    )
    down = robot_scene(sticks, still).robot
    assert down is not None
    lowest = float(down.soles[..., 2].min())
    on_floor = replace(still, base_position=still.base_position - [0.0, 0.0, lowest])
    lifted = replace(still, base_position=still.base_position - [0.0, 0.0, -0.5])
    for trajectory, stands in ((on_floor, True), (lifted, False)):
        track = robot_scene(sticks, trajectory).robot
        assert track is not None
        np.testing.assert_array_equal(track.stance, stands)


def test_another_robots_trajectory_is_refused(sticks: Robot) -> None:
    trajectory = swinging(sticks)
    other = replace(trajectory, joint_names=("neck", *trajectory.joint_names[1:]))
    with pytest.raises(RobotError, match="neck"):
        robot_scene(sticks, other)


def test_a_scene_without_bodies_is_refused(sticks: Robot) -> None:
    with pytest.raises(InvalidMotionError, match="robot, a human"):
        Scene("nothing", 20.0)
    human = human_scene(walking_clip()).human
    with pytest.raises(InvalidMotionError, match="as many frames"):
        Scene("both", 20.0, robot_scene(sticks, swinging(sticks, points=7)).robot, human)


def test_the_mannequins_limbs_reach_from_joint_to_joint() -> None:
    clip = walking_clip()
    joints = clip.joints.astype(np.float64)
    mannequin = Mannequin(joints[0])
    origins, turns, stretch = mannequin.poses(joints)
    names = [part.name for part in mannequin.parts]
    for start, end in (("left_hip", "left_knee"), ("right_elbow", "right_wrist")):
        row = names.index(f"{start}-{end}")
        np.testing.assert_allclose(origins[:, row], joints[:, JOINT_INDEX[start]], atol=1e-12)
        length = float(np.linalg.norm(joints[0, JOINT_INDEX[end]] - joints[0, JOINT_INDEX[start]]))
        along = Rotation.from_quat(turns[:, row]).apply([0.0, 0.0, -length])
        reached = origins[:, row] + along * stretch[:, row, None]
        np.testing.assert_allclose(reached, joints[:, JOINT_INDEX[end]], atol=1e-9)
    assert [part.foot for part in mannequin.parts].count(0) == 2


def test_the_mannequin_stands_all_hangs_and_points_up_without_nan() -> None:
    joints = np.zeros((1, 22, 3))
    joints[0, :, 2] = np.linspace(1.0, 0.0, 22)  # everything on one plumb line
    for values in Mannequin(joints[0]).poses(joints):
        assert np.isfinite(values).all()


def test_edges_of_a_box_stay_sharp_and_a_tube_is_round() -> None:
    sharp = creased(box(np.array([0.1, 0.2, 0.3]), (0.5, 0.5, 0.5)))
    assert len(sharp.vertices) == 24  # every corner three times: one for each side
    tube = capsule(np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.1, 0.1, (0.5, 0.5, 0.5), sides=24)
    soup = Mesh(tube.corners.reshape(-1, 3), np.arange(tube.triangles.size).reshape(-1, 3),
                tube.colors)  # fmt: skip
    round_again = creased(soup)
    assert len(round_again.vertices) < len(soup.vertices) / 4
    np.testing.assert_allclose(round_again.corners, soup.corners, atol=1e-5)


def test_a_mesh_falls_into_pieces_of_one_colour() -> None:
    red, blue = (0.9, 0.1, 0.1), (0.1, 0.1, 0.9)
    both = Mesh.joined([box(np.ones(3), red), box(2 * np.ones(3), blue)])
    pieces = dict(by_color(both))
    assert set(pieces) == {red, blue}
    assert float(pieces[blue].vertices.max()) == 2.0
    assert sum(len(piece.triangles) for piece in pieces.values()) == len(both.triangles)


def test_a_picture_of_both_holds_both_and_its_standing_feet_are_green(sticks: Robot) -> None:
    scene = robot_scene(sticks, swinging(sticks))
    animated = scene_mesh(scene)
    mesh = animated.mesh(50)
    assert scene.robot is not None and scene.human is not None
    middle = scene.human.joints[50, 0] + scene.human.offset
    for root in (scene.robot.base[50], middle):
        assert float(np.linalg.norm(mesh.vertices[:, :2] - root[:2], axis=1).min()) < 0.1
    green = (mesh.colors[:, 1] > 0.6) & (mesh.colors[:, 0] < 0.3)
    assert green.any() == bool(scene.robot.stance[50].any() or scene.human.stance[50].any())
    assert animated.width is not None and animated.width > 2.0
