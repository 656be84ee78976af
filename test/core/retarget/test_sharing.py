"""Threads that share a robot, its retargeter and its gate."""

from __future__ import annotations

import threading

import numpy as np
from threadpoolctl import threadpool_info

from nextscale_core.retarget import (
    Retargeter,
    Robot,
    RobotTrajectory,
    SafetyGate,
    load_robot,
)
from nextscale_core.retarget.sharing import alone_with, lock_of

from .conftest import waving_clip
from .human_clips import squatting_clip, walking_clip

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


def test_a_robot_that_is_busy_is_waited_for(g1: Robot, wave: RobotTrajectory) -> None:
    done = threading.Event()
    gate = SafetyGate(g1)

    def work() -> None:
        gate.review(wave)
        done.set()

    with lock_of(g1):
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(30)
    thread.join()
    assert lock_of(g1) is lock_of(g1)
    assert lock_of(g1) is not lock_of(load_robot("g1", joints="upper_body"))


def test_the_number_of_blas_threads_is_set_back_by_the_last_one_out(g1: Robot) -> None:
    def limits() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, other = limits(), load_robot("g1", joints="upper_body")
    inside, leave, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with alone_with(other):
            inside.set()
            leave.wait(30)
        left.set()

    thread = threading.Thread(target=work)
    with alone_with(g1):
        thread.start()
        assert inside.wait(30)
        assert set(limits()) == {1}
    # The first one in left first: the other one is still at work.
    assert set(limits()) == {1}
    leave.set()
    assert left.wait(30)
    thread.join()
    assert limits() == before
