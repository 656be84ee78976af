"""A simulated robot: gravity, contacts, sensors, delay, pushes and seeds."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import RobotError
from nextscale_core.robots import load_robot
from nextscale_core.simulation.balancer import PdBalancer
from nextscale_core.simulation.config import DISTURBED, SimulationConfig
from nextscale_core.simulation.simulator import Gains, Simulator


def simulator(robot, **settings) -> Simulator:
    return Simulator(robot, PdBalancer(robot).gains, SimulationConfig(**settings))


def test_a_robot_with_a_fixed_base_holds_its_posture(g1):
    sim = simulator(g1, fixed_base=True)
    for _ in range(50):
        state = sim.step(g1.nominal)
    assert state.positions == pytest.approx(g1.nominal, abs=0.06)
    assert np.abs(state.velocities).max() < 0.05
    assert state.base_position[2] == pytest.approx(0.78, abs=0.03)


def test_a_standing_robot_presses_on_the_floor_with_its_weight(g1):
    sim = simulator(g1)
    before = sim.reset(place=np.array([1.0, 2.0]), heading=0.5)
    for _ in range(5):
        state = sim.step(g1.nominal)
    assert state.base_position == pytest.approx(before.base_position, abs=0.02)
    assert state.acceleration == pytest.approx([0, 0, 9.81], abs=1.5)
    assert state.gravity == pytest.approx([0, 0, -1], abs=0.05)
    force = np.zeros(6)
    total = 0.0
    import mujoco

    for number in range(sim._data.ncon):
        mujoco.mj_contactForce(sim.physics.model, sim._data, number, force)
        total += force[0]
    assert total == pytest.approx(9.81 * 33.34, rel=0.15)


def test_a_robot_without_balance_falls(g1):
    sim = simulator(g1)
    for _ in range(150):
        state = sim.step(g1.nominal + 0.3 * np.sin(np.arange(29)))
    assert state.base_position[2] < 0.6


@pytest.mark.parametrize("settings", [{}, vars(DISTURBED)])
def test_the_same_seed_gives_the_same_simulation_and_another_seed_another(g1, settings):
    def run(seed: int) -> np.ndarray:
        sim = simulator(g1, **{**settings, "seed": seed, "push_interval": 0.1})
        return np.array([sim.step(g1.nominal).positions for _ in range(20)])

    assert (run(3) == run(3)).all()
    assert bool(settings) == bool((run(3) != run(4)).any())


def test_motors_follow_a_command_after_the_delay(g1):
    elbow = g1.joint_names.index("left_elbow_joint")
    moved = g1.nominal + 0.4 * (np.arange(29) == elbow)
    sims = [simulator(g1, fixed_base=True, delay=delay) for delay in (0.0, 0.05)]
    paths = []
    for sim in sims:
        sim.command(moved)
        path = []
        for _ in range(100):
            sim.advance(1)
            path.append(sim.state().positions[elbow])
        paths.append(np.array(path))
    # 25 steps of the physics are 0.05 s.
    assert paths[1][25:] == pytest.approx(paths[0][:-25], abs=5e-3)
    assert paths[1][24] == pytest.approx(g1.nominal[elbow], abs=0.01)


def test_advancing_in_pieces_is_advancing_at_once(g1):
    whole, pieces = simulator(g1, delay=0.004), simulator(g1, delay=0.004)
    for sim in (whole, pieces):
        sim.command(g1.nominal + 0.1)
    whole.advance(10)
    for _ in range(10):
        pieces.advance()
        pieces.measure()  # reading changes nothing
    assert (whole.state().positions == pieces.state().positions).all()


def test_a_push_changes_the_velocity_of_the_base_only_where_it_can_move(g1):
    free, fixed = simulator(g1), simulator(g1, fixed_base=True)
    for sim in (free, fixed):
        sim.push(np.array([0.3, -0.4]))
    assert np.linalg.norm(free.state().linear_velocity) == pytest.approx(0.5)
    assert np.linalg.norm(fixed.state().linear_velocity) == 0.0


def test_noise_is_in_what_is_measured_and_not_in_the_state(g1):
    sim = simulator(g1, noise=1.0, fixed_base=True)
    exact = sim.state()
    measured = [sim.measure() for _ in range(200)]
    assert (sim.state().positions == exact.positions).all()
    spread = np.std([state.positions - exact.positions for state in measured])
    assert spread == pytest.approx(0.005, rel=0.1)
    assert all(np.linalg.norm(state.base_quaternion) == pytest.approx(1) for state in measured)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.full(29, np.nan)])
def test_targets_that_are_not_numbers_of_the_joints_are_refused(g1, wrong):
    sim = simulator(g1)
    with pytest.raises(RobotError, match="targets must be 29 finite numbers"):
        sim.step(wrong)
    with pytest.raises(RobotError, match="stiffness must be 29 finite numbers"):
        Simulator(g1, Gains(wrong, np.ones(29)))


def test_followers_move_with_their_leaders(tmp_path):
    urdf = toy_humanoid(tmp_path)
    joint = re.compile(r'(<joint name="left_finger".*?)(</joint>)')
    rule = '<mimic joint="left_wrist" multiplier="-0.5" offset="0.1"/>'
    urdf.write_text(joint.sub(rf"\1{rule}\2", urdf.read_text()))
    profile = toy_profile(tmp_path, ('"*_finger": 0.0', '"right_finger": 0.0'))
    robot = load_robot(str(urdf), profile)
    assert robot.coupling is not None
    sim = simulator(robot, fixed_base=True)
    wrist = robot.joint_names.index("left_wrist")
    for _ in range(50):
        state = sim.step(robot.nominal + 0.4 * (np.arange(robot.num_joints) == wrist))
    assert state.positions[wrist] == pytest.approx(0.4, abs=0.05)
    finger = float(sim._data.joint("left_finger").qpos[0])
    assert finger == pytest.approx(0.1 - 0.5 * state.positions[wrist], abs=0.03)
