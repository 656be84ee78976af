"""Physical figures of motions whose answer is known."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_lab.evaluate.physics import NAMES, AngleRanges, bend_angles, measure, physics_table


def test_a_person_who_stands_still_has_no_fault(person):
    found = measure(person(), AngleRanges.of([person()]))
    assert all(value == pytest.approx(0.0, abs=1e-3) for value in asdict(found).values())


def test_a_person_who_is_drawn_over_the_floor_skates_all_the_time(person):
    found = measure(person(x=lambda t: 0.8 * t))
    assert found.foot_skate_ratio == 1.0
    assert found.contact_speed_mps == pytest.approx(0.8, rel=1e-3)


def test_a_slow_creep_is_speed_but_no_skating(person):
    found = measure(person(x=lambda t: 0.3 * t))
    assert found.foot_skate_ratio == 0.0
    assert found.contact_speed_mps == pytest.approx(0.3, rel=1e-3)


def test_a_foot_in_the_air_may_move(person):
    found = measure(person(x=lambda t: 2 * t, left_foot=(0, 0.1, 0.4), right_foot=(0, -0.1, 0.4)))
    assert found.foot_skate_ratio == 0.0
    assert np.isnan(found.contact_speed_mps)


def test_half_the_time_below_the_floor_is_half_the_depth(person):
    clip = person(seconds=4.0)
    clip.joints[:, :, 2] -= clip.joints[:, :, 2].min()
    clip.joints[40:, :, 2] -= 0.02
    assert measure(clip).ground_penetration_mm == pytest.approx(10.0, rel=1e-3)


def test_jerk_is_the_third_derivative(person):
    still = person(seconds=3.0)
    t = np.arange(len(still)) / 20
    path = np.zeros((len(still), 1, 3))
    path[:, 0, 0] = 1.5 * t**3 / 6
    found = measure(replace(still, joints=still.joints.astype(np.float64) + path))
    assert found.jerk_mps3 == pytest.approx(1.5, rel=0.02)


def test_bones_that_breathe_are_measured_against_their_usual_length(person):
    clip = person()
    joints = clip.joints.copy()
    head = joints[:, 15] - joints[:, 12]
    joints[::3, 15] += 0.021 * head[::3] / np.linalg.norm(head[::3], axis=1, keepdims=True)
    assert measure(replace(clip, joints=joints)).bone_deviation_mm == pytest.approx(1 / 3, rel=0.02)


def test_where_a_motion_happens_and_which_way_it_faces_does_not_matter(walking, person):
    clip = walking(1.2)
    c, s = np.cos(1.1), np.sin(1.1)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    moved = MotionClip(clip.joints @ turn.T + [3.0, -2.0, 0.0])
    one, two = (asdict(measure(own, AngleRanges.of([person()]))) for own in (clip, moved))
    assert two == pytest.approx(one, rel=1e-2, abs=1e-2)


def test_a_table_has_a_row_a_clip_and_a_column_a_figure(person, walking):
    table = physics_table([person(), walking(1.5)])
    assert table.shape == (2, len(NAMES))
    assert table[1, NAMES.index("jerk_mps3")] == measure(walking(1.5)).jerk_mps3


def test_too_few_frames_are_refused(person):
    with pytest.raises(InvalidMotionError, match="4 frames"):
        measure(person().slice(0, 3))


def test_a_knee_that_bends_further_than_recorded_ones_is_counted(person):
    straight = person()
    joints = straight.joints.astype(np.float64)
    knee, ankle, foot = (JOINT_INDEX[f"left_{name}"] for name in ("knee", "ankle", "foot"))
    ranges = AngleRanges.of([straight])
    # The shank points forward in every second frame.
    length = np.linalg.norm(joints[0, ankle] - joints[0, knee])
    joints[::2, [ankle, foot]] += joints[::2, [knee]] + [length, 0, 0] - joints[::2, [ankle]]
    bent = replace(straight, joints=joints)
    angles = bend_angles(joints)
    changed = np.abs(angles - bend_angles(straight.joints)).max(axis=0) > 0.1
    assert changed.sum() == 2 and np.ptp(angles[:, changed], axis=0).max() > 1.0
    excess = np.degrees(np.abs(angles - bend_angles(straight.joints)).mean())
    assert measure(bent, ranges).angle_excess_deg == pytest.approx(excess, rel=0.02) and excess > 3
    assert np.isnan(measure(bent).angle_excess_deg)
