from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.human_clips import squatting_clip, walking_clip
from nextscale_core.estimation.robot_to_human import BaseSource, HumanHistory, robot_to_human
from nextscale_core.estimation.samples import (
    BaseTrack,
    OrientationTrack,
    after_last_gap,
    frame_times,
)
from nextscale_core.estimation.skeleton import Orientations, offset, pose_human, t_pose
from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import CONTACTS, POSITIONS, clip_to_features
from nextscale_core.motion.skeleton import bone_lengths
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.human_frames import body_of
from nextscale_core.retarget.targets import make_targets
from nextscale_core.robots import Robot, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import build_robot, with_profile
from nextscale_core.rotations import exp, unit
from nextscale_lab.data import cmu

CLIPS = {
    "squat": squatting_clip(),
    "walk": walking_clip(),
    "walk in a bend": walking_clip(turn=0.5),
}


@lru_cache
def solved(name: str, clip: str) -> Poses:
    robot = load_robot(name)
    return Retargeter(robot).solve(make_targets(CLIPS[clip], kinematics_of(robot)))


def base_of(poses: Poses, times: np.ndarray) -> BaseTrack:
    return BaseTrack(times, poses.base, Rotation.from_matrix(poses.rotation).as_quat())


def back(robot: Robot, poses: Poses, **changes: object) -> HumanHistory:
    times = np.arange(len(poses)) / 20.0
    arguments: dict[str, object] = {"base": base_of(poses, times)} | changes
    return robot_to_human(robot, times, poses.joints, **arguments)  # type: ignore[arg-type]


def relative_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T, 22) distances relative to the pelvis [m]."""
    return np.linalg.norm((a - a[:, :1]) - (b - b[:, :1]), axis=-1)


# The standard skeleton.


def test_the_skeleton_is_the_one_that_recordings_are_posed_with() -> None:
    ours = {name: offset(name) for name in ("hip", "foot", "spine1", "spine2", "spine3", "neck")}
    ours |= {name: offset(name) for name in ("head", "collar", "shoulder")}
    for name, value in ours.items():
        assert np.array_equal(value, getattr(cmu, f"_{name.upper()}")), name
    # A recording's arms hang on its bodies' own axes; only their lengths can be compared.
    for name, body in (("elbow", "_UPPER_ARM"), ("wrist", "_FOREARM")):
        assert np.linalg.norm(offset(name)) == np.linalg.norm(getattr(cmu, body))


def random_orientations(seed: int, frames: int = 12) -> Orientations:
    generator = np.random.default_rng(seed)
    yaw = exp(generator.uniform(-np.pi, np.pi, (frames, 1)) * np.array([0.0, 0.0, 1.0]))
    pelvis = yaw @ exp(generator.uniform(-0.3, 0.3, (frames, 3)))
    torso = pelvis @ exp(generator.uniform(-0.5, 0.5, (frames, 3)))
    # Feet that are not rolled and stay nearer to the horizontal than body_of's doubt begins.
    pitch = generator.uniform(-0.2, 0.2, (frames, 2, 1)) * np.array([0.0, 1.0, 0.0])
    feet = yaw[:, None] @ exp(pitch)
    hips = np.tile([0.3, -0.2, 0.85], (frames, 1))
    side = np.stack([pelvis[..., 1], -pelvis[..., 1]], axis=1)
    down = generator.uniform(0.6, 0.75, (frames, 2, 1)) * np.array([0.0, 0.0, -1.0])
    arms = unit(generator.normal(size=(2, frames, 2, 3)))
    front = np.repeat(pelvis[:, None, :, 0], 2, axis=1)
    return Orientations(
        hips, hips[:, None] + 0.1 * side + down, pelvis, torso, feet, front, arms[0], arms[1]
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_posed_human_shows_the_orientations_it_was_posed_with(seed: int) -> None:
    wanted = random_orientations(seed)
    joints = pose_human(wanted)
    body = body_of(joints, np.zeros((len(joints), 2), dtype=bool))
    # body_of rounds the lean of the standard pelvis and foot to parts of a degree.
    assert np.abs(body.pelvis - wanted.pelvis).max() < 0.006
    assert np.abs(body.torso - wanted.torso).max() < 0.012
    assert np.abs(body.feet - wanted.feet).max() < 0.01
    for n, side in enumerate(("left", "right")):
        assert np.allclose(body.bones[f"{side}_upper_arm"], wanted.upper_arm[:, n])
        assert np.allclose(body.bones[f"{side}_forearm"], wanted.forearm[:, n])
        assert np.allclose(body.joint(f"{side}_ankle"), wanted.ankles[:, n], atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_bones_keep_the_standard_lengths(seed: int) -> None:
    lengths = bone_lengths(pose_human(random_orientations(seed)))
    assert np.allclose(lengths, bone_lengths(t_pose()), atol=1e-9)


# There and back.


@pytest.mark.parametrize("name", ["g1", "talos"])
@pytest.mark.parametrize("clip", list(CLIPS))
def test_what_went_to_the_robot_comes_back(name: str, clip: str) -> None:
    human = CLIPS[clip]
    history = back(load_robot(name), solved(name, clip))
    error = relative_error(history.clip.joints, human.joints)
    assert error.mean() < 0.015
    assert np.percentile(error, 95) < 0.04
    assert np.abs(history.clip.joints[:, 0] - human.joints[:, 0]).max() < 0.08, "the path too"
    assert history.base_source is BaseSource.MEASURED
    assert history.accuracy


@pytest.mark.parametrize("name", ["g1", "talos"])
def test_features_come_back_too(name: str) -> None:
    ours = clip_to_features(back(load_robot(name), solved(name, "walk")).clip)
    theirs = clip_to_features(CLIPS["walk"])
    assert np.isfinite(ours).all()
    assert np.abs(ours[:, 3] - theirs[:, 3]).max() < 0.04
    places = (ours - theirs)[:, POSITIONS].reshape(len(ours), -1, 3)
    assert np.linalg.norm(places, axis=-1).mean() < 0.03
    assert (ours[:, CONTACTS] == theirs[:, CONTACTS]).mean() > 0.95


def test_contacts_are_those_of_the_robots_soles(g1: Robot) -> None:
    contacts = back(g1, solved("g1", "squat")).clip.contacts
    assert contacts is not None and contacts.all()
    walking = back(g1, solved("g1", "walk")).clip.contacts
    assert walking is not None
    assert 0.4 < walking.mean() < 0.9
    assert walking.any(1).all(), "a walking robot always has a foot on the floor"


@lru_cache
def recorded(folder: Path) -> tuple[MotionClip, ...]:
    """The five shortest val clips: quick to solve, and jumps and kicks are among them."""
    return tuple(sorted((item.clip for item in cmu.read_cmu(folder, "val")), key=len)[:5])


# The Talos cannot lean its chest sideways, and slow arms and wide hulls cost it more; what
# bench/inverse.py measures over thirty clips is in the design notes.
@pytest.mark.parametrize(("name", "bound"), [("g1", 0.03), ("talos", 0.05)])
def test_recorded_motion_comes_back(name: str, bound: float, shared: Path) -> None:
    folder = shared / "data" / "cmu"
    if not folder.is_dir():
        pytest.skip("needs the CMU folder among the shared data")
    robot = load_robot(name)
    retargeter, kinematics = Retargeter(robot), kinematics_of(robot)
    errors, again = [], []
    for number, clip in enumerate(recorded(folder)):
        once = back(robot, retargeter.solve(make_targets(clip, kinematics))).clip
        assert np.isfinite(clip_to_features(once)).all()
        errors.append(relative_error(once.joints, clip.joints).ravel())
        if number < 2:
            repeated = back(robot, retargeter.solve(make_targets(once, kinematics))).clip
            again.append(relative_error(repeated.joints, once.joints).ravel())
    assert np.concatenate(errors).mean() < bound
    # What a robot has shown it can show again: that much is the way back's own.
    assert np.concatenate(again).mean() < 0.015


def test_the_path_has_human_size(g1: Robot) -> None:
    poses = solved("g1", "walk")
    history = back(g1, poses)
    robot_way = np.linalg.norm(poses.base[-1, :2] - poses.base[0, :2])
    human_way = np.linalg.norm(history.clip.joints[-1, 0, :2] - history.clip.joints[0, 0, :2])
    assert human_way * history.scale == pytest.approx(robot_way, rel=0.02)
    assert 0.7 < history.scale < 0.8


def test_a_turned_and_shifted_base_turns_and_shifts_the_human(g1: Robot) -> None:
    poses = solved("g1", "walk")
    turn = exp(np.array([0.0, 0.0, 1.2]))
    moved = Poses(poses.base @ turn.T + [2.0, -1.0, 0.0], turn @ poses.rotation, poses.joints)
    plain, other = back(g1, poses), back(g1, moved)
    shift = np.array([2.0, -1.0, 0.0]) / plain.scale
    assert np.allclose(other.clip.joints, plain.clip.joints @ turn.T + shift, atol=1e-5)


def test_a_floor_that_is_not_known_is_found_under_the_soles(g1: Robot) -> None:
    poses = solved("g1", "walk")
    times = np.arange(len(poses)) / 20.0
    quaternions = Rotation.from_matrix(poses.rotation).as_quat()
    up = np.array([0.0, 0.0, 0.7])
    raised = BaseTrack(times, poses.base + up, quaternions, floor=None)
    found = robot_to_human(g1, times, poses.joints, base=raised)
    assert np.abs(found.clip.joints - back(g1, poses).clip.joints).max() < 0.01
    told = BaseTrack(times, poses.base + up, quaternions, floor=0.7)
    same = robot_to_human(g1, times, poses.joints, base=told)
    assert np.allclose(same.clip.joints, back(g1, poses).clip.joints, atol=1e-5)


# Without a base.


@pytest.mark.parametrize("name", ["g1", "talos"])
@pytest.mark.parametrize("clip", list(CLIPS))
def test_an_imu_stands_in_for_the_base(name: str, clip: str) -> None:
    poses = solved(name, clip)
    times = np.arange(len(poses)) / 20.0
    imu = OrientationTrack(times, Rotation.from_matrix(poses.rotation).as_quat())
    history = back(load_robot(name), poses, base=None, imu=imu)
    assert history.base_source is BaseSource.IMU_ODOMETRY
    error = relative_error(history.clip.joints, CLIPS[clip].joints)
    assert error.mean() < 0.015


@pytest.mark.parametrize("name", ["g1", "talos"])
@pytest.mark.parametrize("clip", list(CLIPS))
def test_joints_alone_give_the_motion_of_a_robot_that_stands_or_walks(name: str, clip: str) -> None:
    history = back(load_robot(name), solved(name, clip), base=None)
    assert history.base_source is BaseSource.ODOMETRY
    assert relative_error(history.clip.joints, CLIPS[clip].joints).mean() < 0.02


def test_an_imu_on_the_chest_is_equivalent_to_one_on_the_root(g1: Robot) -> None:
    poses = solved("g1", "squat")
    times = np.arange(len(poses)) / 20.0
    model = g1.model
    frame = model.frames[model.getFrameId("torso_link")]
    turns, _ = kinematics_of(g1).forward(poses)
    chest = turns[:, int(frame.parentJoint) - 2] @ np.array(frame.placement.rotation)
    on_chest = OrientationTrack(times, Rotation.from_matrix(chest).as_quat(), link="torso_link")
    on_root = OrientationTrack(times, Rotation.from_matrix(poses.rotation).as_quat())
    a, b = (back(g1, poses, base=None, imu=imu) for imu in (on_chest, on_root))
    assert np.allclose(a.clip.joints, b.clip.joints, atol=1e-5)
    with pytest.raises(RobotError, match="no link 'torso_lnk'; did you mean 'torso_link'"):
        back(g1, poses, base=None, imu=OrientationTrack(times, on_root.quaternions, "torso_lnk"))


def test_without_legs_the_robot_is_taken_to_stand(g1: Robot) -> None:
    poses = solved("g1", "squat")
    arms = [j for j, name in enumerate(g1.joint_names) if "shoulder" in name or "elbow" in name]
    times = np.arange(len(poses)) / 20.0
    history = robot_to_human(
        g1,
        times,
        poses.joints[:, arms],
        joint_names=[g1.joint_names[j] for j in arms],
        missing="nominal",
    )
    assert history.base_source is BaseSource.STANDING
    assert set(history.sources) == {BaseSource.STANDING}
    assert "left_knee_joint" in history.warnings[0] and "upright" in history.warnings[1]
    assert np.allclose(history.clip.joints[:, 7, 2], 0.055, atol=0.02), "ankles near the floor"


# Samples.


def test_jittery_stamps_give_even_frames_that_end_now(g1: Robot) -> None:
    generator = np.random.default_rng(0)
    times = np.sort(100.0 + generator.uniform(0.0, 2.0, 400))
    track = g1.nominal + 0.2 * np.sin(2.0 * times)[:, None]
    history = robot_to_human(g1, times, track)
    frames = times[-1] - np.arange(len(history) - 1, -1, -1) / 20.0
    assert history.poses.joints.shape == (int((times[-1] - times[0]) * 20) + 1, g1.num_joints)
    assert np.allclose(history.poses.joints[-1], track[-1])
    wanted = g1.nominal + 0.2 * np.sin(2.0 * frames)[:, None]
    assert np.abs(history.poses.joints - wanted).max() < 1e-3
    assert len(robot_to_human(g1, times, track, fps=50.0)) == int((times[-1] - times[0]) * 50) + 1


def test_four_frames_are_enough_and_three_are_not(g1: Robot) -> None:
    times = np.array([0.0, 0.05, 0.1, 0.15])
    joints = np.tile(g1.nominal, (4, 1))
    assert len(robot_to_human(g1, times, joints)) == 4
    with pytest.raises(InvalidMotionError, match=r"3 frames at 20 fps; 4 are needed, 0.150 s"):
        robot_to_human(g1, times[:3], joints[:3])


def test_nan_is_refused_with_its_joint_and_time(g1: Robot) -> None:
    times = 7.0 + np.arange(10) / 20.0
    joints = np.tile(g1.nominal, (10, 1))
    joints[4, g1.joint_names.index("left_knee_joint")] = np.nan
    with pytest.raises(InvalidMotionError, match=r"left_knee_joint is nan at 7.200 s"):
        robot_to_human(g1, times, joints)


def test_a_gap_is_refused_and_what_came_after_it_can_be_used(g1: Robot) -> None:
    times = np.concatenate([np.arange(20), np.arange(40, 60)]) / 50.0
    joints = np.tile(g1.nominal, (40, 1))
    with pytest.raises(InvalidMotionError, match=r"no joint states for 0.420 s from 0.380 s on"):
        robot_to_human(g1, times, joints)
    late = after_last_gap(times)
    assert late == slice(20, 40)
    assert len(robot_to_human(g1, times[late], joints[late])) == 8
    assert len(robot_to_human(g1, times, joints, max_gap=0.5)) == 24
    assert after_last_gap(times, max_gap=0.5) == slice(0, 40)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0, 0.1, 0.1, 0.2], "must increase, but 0.100000 s follows 0.100000 s"),
        ([0.0, 0.2, 0.1, 0.3], "must increase, but 0.100000 s follows 0.200000 s"),
        ([0.0, np.nan, 0.1, 0.2], "the stamp of sample 1 is nan"),
        ([], "N >= 1"),
    ],
)
def test_bad_stamps_are_refused(g1: Robot, times: list[float], message: str) -> None:
    with pytest.raises(InvalidMotionError, match=message):
        robot_to_human(g1, np.array(times), np.tile(g1.nominal, (len(times), 1)))


def test_even_frames_do_not_lose_one_to_rounding() -> None:
    for frames in (4, 7, 61, 196):
        times = np.cumsum(np.full(frames, 0.05)) + 1.7e9
        assert len(frame_times(times, 20.0, 0.25)) == frames


def test_joints_may_come_in_any_order_and_with_others() -> None:
    robot = load_robot("talos")
    poses = solved("talos", "squat")
    names = [*reversed(robot.joint_names), "head_1_joint", "gripper_left_joint", "a_wheel"]
    values = np.concatenate([poses.joints[:, ::-1], np.full((len(poses), 3), np.nan)], axis=1)
    times = np.arange(len(poses)) / 20.0
    mixed = robot_to_human(robot, times, values, joint_names=names, base=base_of(poses, times))
    assert np.allclose(mixed.clip.joints, back(robot, poses).clip.joints, atol=1e-6)
    assert mixed.warnings == ()


def test_missing_joints_are_named(g1: Robot) -> None:
    times = np.arange(10) / 20.0
    keep = [j for j, name in enumerate(g1.joint_names) if name != "left_elbow_joint"]
    names = [g1.joint_names[j] for j in keep]
    joints = np.tile(g1.nominal[keep], (10, 1))
    with pytest.raises(RobotError, match="no positions of left_elbow_joint"):
        robot_to_human(g1, times, joints, joint_names=names)
    history = robot_to_human(g1, times, joints, joint_names=names, missing="nominal")
    assert history.warnings == ("not measured, assumed at the nominal posture: left_elbow_joint",)
    assert np.allclose(history.poses.joints, g1.nominal)
    with pytest.raises(RobotError, match="none of the joints"):
        robot_to_human(g1, times, joints[:, :1], joint_names=["left_elbow"])
    with pytest.raises(RobotError, match="named twice: left_knee_joint"):
        robot_to_human(g1, times, joints[:, :2], joint_names=["left_knee_joint"] * 2)


def test_a_joint_that_moves_no_part_of_the_body_may_be_missing(g1: Robot) -> None:
    last = "left_wrist_yaw_joint"
    keep = [j for j, name in enumerate(g1.joint_names) if name != last]
    history = robot_to_human(
        g1,
        np.arange(10) / 20.0,
        np.tile(g1.nominal[keep], (10, 1)),
        joint_names=[g1.joint_names[j] for j in keep],
    )
    assert last in history.warnings[0]


def test_tracks_that_do_not_fit_are_refused(g1: Robot) -> None:
    poses = solved("g1", "squat")
    times = np.arange(len(poses)) / 20.0
    quaternions = Rotation.from_matrix(poses.rotation).as_quat()
    with pytest.raises(InvalidMotionError, match=r"imu orientations covers 0.000 to 1.000 s"):
        back(g1, poses, base=None, imu=OrientationTrack(times[:21], quaternions[:21]))
    holes = np.delete(np.arange(len(times)), slice(10, 20))
    with pytest.raises(InvalidMotionError, match=r"no base poses for 0.550 s from 0.450 s on"):
        back(g1, poses, base=BaseTrack(times[holes], poses.base[holes], quaternions[holes]))
    with pytest.raises(InvalidMotionError, match=r"norm 1, got 2.000 at 0.000 s"):
        OrientationTrack(times, 2 * quaternions)
    with pytest.raises(InvalidMotionError, match=r"base positions must have shape \(50, 3\)"):
        BaseTrack(times, poses.base[:-1], quaternions)
    bad = quaternions.copy()
    bad[3, 0] = np.inf
    with pytest.raises(InvalidMotionError, match=r"imu quaternions hold NaN .* at 0.150 s"):
        OrientationTrack(times, bad)
    with pytest.raises(InvalidMotionError, match=r"positions must have shape \(50, 29\)"):
        robot_to_human(g1, times, poses.joints[:, :5])


def test_a_history_is_a_motion_clip_that_models_read(g1: Robot) -> None:
    clip = back(g1, solved("g1", "squat")).clip
    assert isinstance(clip, MotionClip)
    assert clip.fps == 20.0 and clip.joints.shape == (50, 22, 3)


def test_a_locked_joint_counts_at_its_profiles_value(g1: Robot) -> None:
    joint = g1.joint_names.index("left_shoulder_yaw_joint")
    locked = with_profile(g1, locked={g1.joint_names[joint]: 0.5})
    times = np.arange(10) / 20.0
    joints = np.tile(g1.nominal, (10, 1))
    joints[:, joint] = 0.5
    wanted = robot_to_human(g1, times, joints).clip.joints
    # What is measured of a locked joint is left out.
    joints[:, joint] = -0.7
    found = robot_to_human(locked, times, joints, joint_names=g1.joint_names).clip.joints
    assert np.allclose(found, wanted, atol=1e-5)
    assert not np.allclose(robot_to_human(g1, times, joints).clip.joints, wanted, atol=0.05)


def test_a_continuous_joint_may_wrap_round(g1: Robot, tmp_path: Path) -> None:
    joint = "left_shoulder_yaw_joint"
    text = g1.urdf_path.read_text()
    name = f'<joint name="{joint}" type="revolute">'
    path = tmp_path / "endless.urdf"
    path.write_text(text.replace(name, name.replace("revolute", "continuous")))
    robot = build_robot(path, g1.profile, g1.mesh_dirs)
    times = np.arange(40) / 37.0
    joints = np.tile(robot.nominal, (40, 1))
    turning = np.linspace(2.0, 4.5, 40)
    joints[:, robot.joint_names.index(joint)] = turning
    wrapped = joints.copy()
    wrapped[:, robot.joint_names.index(joint)] = np.angle(np.exp(1j * turning))
    a, b = (robot_to_human(robot, times, values).clip.joints for values in (joints, wrapped))
    assert np.allclose(a, b, atol=1e-5)
