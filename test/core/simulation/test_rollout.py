"""A trajectory in physics: what counts as a fall, what is measured, what a policy is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.simulation.conftest import nodding
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import ConfigError, ModelLoadError, RobotError
from nextscale_core.robots import load_robot
from nextscale_core.simulation.balancer import PdBalancer
from nextscale_core.simulation.config import DISTURBED, SimulationConfig
from nextscale_core.simulation.policies import make_balancer
from nextscale_core.simulation.rollout import has_fallen, references, simulate
from nextscale_core.simulation.simulator import standing_height
from nextscale_core.trajectory.reference import standing_reference

FIXED = SimulationConfig(fixed_base=True)


def test_references_begin_standing_reach_the_first_pose_smoothly_and_end_at_rest(g1, motion):
    standing = g1.nominal + 0.1
    wanted, begin = references(g1, motion, standing)
    assert begin == 75  # 0.5 s of standing and 1 s of blend at 50 Hz
    assert (wanted.positions[:25] == standing).all()
    assert wanted.positions[begin] == pytest.approx(motion.positions[0])
    assert wanted.base_position[0, :2] == pytest.approx(motion.base_position[0, :2])
    assert np.abs(np.diff(wanted.positions, axis=0)).max() < 0.02
    assert wanted.positions[-20:] == pytest.approx(np.tile(motion.positions[-1], (20, 1)))
    assert wanted.linear_velocity[-1] == pytest.approx(0)


def test_a_robot_with_a_fixed_base_follows_the_joints(g1, motion):
    rollout = simulate(g1, motion, PdBalancer(g1), FIXED)
    assert rollout.up and rollout.fall_time is None
    assert 0 < rollout.joint_error < 2 and rollout.key_body_error < 2
    assert len(rollout.motion) == len(rollout.reference) == len(rollout.torques)
    assert rollout.motion.seconds == pytest.approx(motion.seconds + 0.5, abs=0.021)
    assert rollout.to_dict()["fall_time_s"] is None


def test_a_robot_without_balance_falls_and_the_time_is_reported(g1, motion):
    rollout = simulate(g1, motion, PdBalancer(g1))
    assert not rollout.up and rollout.fall_time == pytest.approx(rollout.motion.seconds)
    assert len(rollout.motion) == len(rollout.reference) < len(motion)


def test_a_root_link_on_the_floor_changes_no_fall(tmp_path):
    rollouts = []
    for floor in (None, 0.93):
        urdf = toy_humanoid(tmp_path / str(floor), floor=floor)
        robot = load_robot(str(urdf), toy_profile(tmp_path))
        motion = nodding(robot)
        motion.base_position[:, 2] = standing_height(robot, robot.nominal)
        rollouts.append(simulate(robot, motion, PdBalancer(robot)))
    plain, rooted = rollouts
    assert plain.fall_time is not None and plain.fall_time > 0.2
    for figure in ("fall_time", "joint_error", "height_error", "velocity_error", "root_drift"):
        assert getattr(rooted, figure) == pytest.approx(getattr(plain, figure), rel=0.05), figure


@pytest.mark.parametrize(
    ("height", "tilt", "reference_height", "reference_tilt", "fallen"),
    [
        (0.78, 0, 0.78, 0, False),
        (0.48, 0, 0.78, 0, True),  # lower than half a metre
        (0.35, 0, 0.40, 0, False),  # a squat
        (0.35, 0, 0.60, 0, True),
        (0.78, 70, 0.78, 0, True),
        (0.78, 70, 0.78, 60, False),  # a deep bow
        (0.78, 95, 0.78, 60, True),
    ],
)
def test_a_fall_is_a_pelvis_that_is_low_or_tilted_against_its_reference(
    g1, height, tilt, reference_height, reference_tilt, fallen
):
    def turn(degrees: float) -> np.ndarray:
        return Rotation.from_euler("yz", [degrees, 30], degrees=True).as_quat()

    state, reference = (
        standing_reference(np.zeros(29), np.array([0, 0, up]), turn(degrees))
        for up, degrees in ((height, tilt), (reference_height, reference_tilt))
    )
    assert has_fallen(g1, 0.79, state, reference) == fallen


def test_the_same_seed_gives_the_same_rollout(g1, motion, mirror_tracker):
    short = nodding(g1, 0.6)
    pushed = replace(DISTURBED, push_interval=0.3)
    runs = [
        simulate(g1, short, make_balancer(g1, policy=mirror_tracker), config)
        for config in (pushed, pushed, replace(pushed, seed=1))
    ]
    first, again, other = (run.motion.positions for run in runs)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_tracker_is_given_the_reference_and_its_actions_reach_the_joints(
    g1, motion, mirror_tracker
):
    balancer = make_balancer(g1, "tracker", mirror_tracker)
    rollout = simulate(g1, motion, balancer, FIXED)
    # The policy repeats the commanded joints: the legs follow closely, against small gravity.
    elbow = g1.joint_names.index("left_elbow_joint")
    moved = np.ptp(rollout.motion.positions[:, elbow])
    assert moved == pytest.approx(0.3, abs=0.08)
    assert rollout.joint_error < 5
    wanted = standing_reference(g1.nominal, np.array([0, 0, 0.78]), np.array([0, 0, 0, 1.0]))
    state = replace_state(g1)
    balancer.reset(state)
    assert balancer.act(state, wanted) == pytest.approx(g1.nominal, abs=1e-5)


def replace_state(robot):
    from nextscale_core.simulation.simulator import Simulator

    return Simulator(robot, PdBalancer(robot).gains, FIXED).reset()


def test_a_walking_policy_is_given_the_velocity_within_its_range_and_moves_the_legs_only(
    g1, echo_walker
):
    balancer = make_balancer(g1, "walking", echo_walker)
    state = replace_state(g1)
    balancer.reset(state)
    for name, speed, expected in (("left_wrist_yaw", 0.4, 0.4), ("any", 3.0, 1.0)):
        wanted = replace(
            standing_reference(g1.nominal + 0.1, state.base_position, state.base_quaternion),
            linear_velocity=np.array([speed, 0.0, 0.0]),
        )
        for _ in range(100):
            targets = balancer.act(state, wanted)
        arms = [j for j, joint in enumerate(g1.joint_names) if "elbow" in joint]
        assert targets[arms] == pytest.approx((g1.nominal + 0.1)[arms])
        # dof_names are reversed: the first action is the last joint, the right wrist's yaw, which
        # follows the reference; the observation repeats as the last action.
        assert balancer._action[:3] == pytest.approx([expected, 0, 0], abs=1e-5), name
    legs = [j for j, joint in enumerate(g1.joint_names) if "hip" in joint or "knee" in joint]
    assert targets[legs] == pytest.approx(balancer.standing[legs])


def test_a_walking_robot_stands_still_at_small_commands(g1, echo_walker):
    balancer = make_balancer(g1, policy=echo_walker)
    state = replace_state(g1)
    balancer.reset(state)
    for speed, still in ((0.02, True), (0.5, False), (0.02, True)):
        wanted = replace(
            standing_reference(g1.nominal, state.base_position, state.base_quaternion),
            linear_velocity=np.array([speed, 0.0, 0.0]),
        )
        for _ in range(60):
            balancer.act(state, wanted)
        assert (balancer._action[0] == 0) == still


def test_a_walking_robot_steps_when_it_is_pushed(g1, echo_walker):
    balancer = make_balancer(g1, policy=echo_walker)
    still = replace_state(g1)
    balancer.reset(still)
    pushed = replace(still, linear_velocity=np.array([0.0, 0.5, 0.0]))
    wanted = standing_reference(g1.nominal, still.base_position, still.base_quaternion)
    stepping = []
    for state in (still, pushed, still, *[still] * 30):
        balancer.act(state, wanted)
        stepping.append(not (balancer._phase == np.pi).all())
    assert stepping[:3] == [False, True, True] and not stepping[-1]


def test_a_trajectory_of_another_robot_is_refused(g1, motion):
    other = load_robot("talos")
    with pytest.raises(RobotError, match="the trajectory is for g1 with 29 joints, not for talos"):
        simulate(other, motion, PdBalancer(other))


def test_policies_that_do_not_fit_are_refused_with_the_reason(
    g1, tmp_path, mirror_tracker, echo_walker
):
    from core.simulation.onnx_file import write_linear

    with pytest.raises(ConfigError, match="unknown controller 'dance'; there are: pd, walking"):
        make_balancer(g1, "dance")
    with pytest.raises(ConfigError, match="'tracker' needs the path of a policy"):
        make_balancer(g1, "tracker")
    with pytest.raises(ConfigError, match="is a policy for the controller 'tracker'"):
        make_balancer(g1, "walking", mirror_tracker)
    with pytest.raises(ConfigError, match="'pd' needs no policy"):
        make_balancer(g1, "pd", mirror_tracker)
    with pytest.raises(ModelLoadError, match="no policy file"):
        make_balancer(g1, policy=tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ModelLoadError, match="is not an ONNX model"):
        make_balancer(g1, policy=tmp_path / "text.onnx")
    odd = write_linear(tmp_path / "odd.onnx", np.zeros((7, 29)), np.zeros(29))
    with pytest.raises(ModelLoadError, match="has 7 inputs and 29 outputs; known are"):
        make_balancer(g1, policy=odd)
    bare = write_linear(tmp_path / "bare.onnx", np.zeros((100, 29)), np.zeros(29))
    with pytest.raises(ModelLoadError, match="dof_names, kp, kd and command_ranges"):
        make_balancer(g1, policy=bare)
    few = write_linear(tmp_path / "few.onnx", np.zeros((1432, 12)), np.zeros(12))
    with pytest.raises(ModelLoadError, match="29 outputs, got 12"):
        make_balancer(g1, policy=few)
    for robot in (load_robot("talos"), load_robot("g1", joints="upper_body")):
        with pytest.raises(RobotError, match=r"policy mirror.onnx moves 29 joints.*choose .*'pd'"):
            make_balancer(robot, policy=mirror_tracker)


def test_without_an_installed_walking_policy_the_error_holds_the_command(g1, monkeypatch):
    from nextscale_core.simulation import policies

    monkeypatch.setattr(policies, "WALKING_PACKAGE", "a_package_that_does_not_exist")
    with pytest.raises(ModelLoadError, match="pip install --no-deps holosoma-inference"):
        make_balancer(g1, "walking")


def test_twist2_keeps_a_g1_up_against_pushes(g1, shared):
    policy = shared / "trackers" / "twist2_1017_20k.onnx"
    if not policy.is_file():
        pytest.skip("needs TWIST2's tracker in the shared folder")
    rollout = simulate(g1, nodding(g1, 3.0), make_balancer(g1, policy=policy), DISTURBED)
    assert rollout.up and rollout.root_drift < 0.5 and rollout.joint_error < 8
