"""Threads that share a robot, its retargeter and its gate."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from core.conftest import waving_clip
from core.human_clips import squatting_clip, walking_clip
from nextscale_core.blas_lock import single_threaded
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.safety import SafetyGate

ARRAYS = ("positions", "velocities", "time_from_start", "base_position", "base_quaternion")


def test_threads_that_share_a_robot_get_what_one_gets(g1: Robot) -> None:
    clips = [waving_clip(30), walking_clip(30), squatting_clip(30), waving_clip(24, speed=2.5)]
    retargeter, gate = Retargeter(g1), SafetyGate(g1)
    alone = [gate.review(retargeter.retarget(clip)).trajectory for clip in clips]
    together: dict[int, RobotTrajectory | None] = {}
    ready = threading.Barrier(len(clips))

    def work(number: int) -> None:
        # Two share both objects, two have a gate of their own: models are shared all the same.
        own = gate if number % 2 else SafetyGate(g1)
        ready.wait()
        for _ in range(2):
            trajectory = retargeter.retarget(clips[number])
            together[number] = own.review(trajectory).trajectory

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number, expected in enumerate(alone):
        got = together[number]
        assert got is not None and expected is not None
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


def test_others_wait_and_the_one_inside_may_enter_again(
    gate: SafetyGate, wave: RobotTrajectory
) -> None:
    done = threading.Event()

    def work() -> None:
        gate.review(wave)
        done.set()

    thread = threading.Thread(target=work)
    with single_threaded():
        thread.start()
        assert not done.wait(0.3)
        assert gate.review(wave).trajectory is wave
    assert done.wait(30)
    thread.join()


def test_one_blas_thread_inside_and_as_many_as_before_outside() -> None:
    def limits() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    with threadpool_limits(limits=2, user_api="blas"):
        before = limits()
        with single_threaded(), single_threaded():
            assert set(limits()) == {1}
        assert limits() == before
        with pytest.raises(RuntimeError), single_threaded():
            raise RuntimeError
        assert limits() == before
