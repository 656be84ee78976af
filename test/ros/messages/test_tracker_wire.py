"""Messages for SONIC and HoloMotion, read with a reader written from the formats' descriptions."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot, load_robot
from nextscale_core.trajectory.reference import Reference
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_ros.messages.tracker_wire import (
    ISAAC_ORDER,
    MUJOCO_ORDER,
    HoloMotionWire,
    SonicWire,
    TrackerJoints,
)
from nextscale_ros.node.reference_output import TrackerSocket

SIZES = {"f32": ("f", 4), "f64": ("d", 8), "i32": ("i", 4), "i64": ("q", 8), "u8": ("B", 1)}

FROM_ISAAC = [
    *(0, 3, 6, 9, 13, 17, 1, 4, 7, 10, 14, 18, 2, 5, 8),
    *(11, 15, 19, 21, 23, 25, 27, 12, 16, 20, 22, 24, 26, 28),
]
"""Index in SONIC's order of each joint in MuJoCo's order, as its documentation gives it."""


def read(topic: bytes, packet: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Header and fields of a message; nothing may be left over."""
    assert packet[: len(topic)] == topic
    block, data = packet[len(topic) : len(topic) + 1280], packet[len(topic) + 1280 :]
    header = json.loads(block[: block.index(b"\0")].decode("ascii"))
    assert not block[block.index(b"\0") :].strip(b"\0")
    fields = {}
    for field in header["fields"]:
        letter, size = SIZES[field["dtype"]]
        count = int(np.prod(field["shape"]))
        values = struct.unpack(f"<{count}{letter}", data[: size * count])
        fields[field["name"]] = np.array(values).reshape(field["shape"])
        data = data[size * count :]
    assert data == b""
    return header, fields


@pytest.fixture(scope="module")
def g1() -> Robot:
    return load_robot("g1")


@pytest.fixture
def references() -> Reference:
    """Three references whose values tell the joint and the moment."""
    number = np.arange(3)[:, None] + np.arange(29)[None] / 100
    turn = Rotation.from_euler("z", [[3.1], [3.2], [3.3]]).as_quat()
    place = np.array([[1.0, 2.0, 0.8]] * 3)
    return Reference(number, -number, place, turn, np.zeros((3, 3)), np.zeros((3, 3)))


def test_sonic_gets_joints_in_the_order_of_isaac_lab_and_quaternions_w_first(
    g1: Robot, references: Reference
) -> None:
    header, fields = read(b"pose", SonicWire(g1).message(references, 7))
    assert (header["v"], header["endian"], header["count"]) == (1, "le", 3)
    assert list(fields) == ["joint_pos", "joint_vel", "body_quat", "frame_index"]
    # The G1's own order is that of MuJoCo.
    np.testing.assert_allclose(fields["joint_pos"][:, FROM_ISAAC], references.positions, atol=1e-6)
    np.testing.assert_allclose(fields["joint_vel"][:, FROM_ISAAC], references.velocities, atol=1e-6)
    found = Rotation.from_quat(fields["body_quat"][:, [1, 2, 3, 0]])
    away = (found * Rotation.from_quat(references.base_quaternion).inv()).magnitude()
    assert away.max() < 1e-6
    # No change of sign on the way through half a turn.
    assert (np.diff(fields["body_quat"], axis=0) < 0.5).all()
    assert fields["frame_index"].tolist() == [7, 8, 9]


def test_holomotion_gets_one_pose_in_the_order_of_mujoco(g1: Robot, references: Reference) -> None:
    packet = HoloMotionWire(g1).message(references[:1], 12)
    header, fields = read(b"reference_qpos", packet)
    assert header["fields"][0] == {"name": "reference_qpos", "dtype": "f32", "shape": [36]}
    qpos = fields["reference_qpos"]
    np.testing.assert_allclose(qpos[:3], [1.0, 2.0, 0.8], atol=1e-6)
    np.testing.assert_allclose(qpos[3:7], [np.cos(1.55), 0, 0, np.sin(1.55)], atol=1e-6)
    np.testing.assert_allclose(qpos[7:], references.positions[0], atol=1e-6)
    assert fields["frame_index"].tolist() == [12]


@pytest.mark.parametrize(("on", "values"), [(True, [1, 0, 0]), (False, [0, 1, 0])])
def test_sonic_is_switched_by_three_bytes(on: bool, values: list[int]) -> None:
    packet = SonicWire.switch(on)
    _, fields = read(b"command", packet)
    assert [int(fields[name][0]) for name in ("start", "stop", "planner")] == values
    assert packet[-3:] == bytes(values)


def test_the_orders_name_each_joint_once(g1: Robot) -> None:
    assert g1.joint_names == MUJOCO_ORDER
    assert sorted(ISAAC_ORDER) == sorted(MUJOCO_ORDER)
    assert [ISAAC_ORDER[index] for index in FROM_ISAAC] == list(MUJOCO_ORDER)


def test_held_joints_stay_where_they_are_held(references: Reference) -> None:
    arms = load_robot("g1", joints="upper_body")
    few = references.positions[:, : arms.num_joints]
    found = TrackerJoints(arms, MUJOCO_ORDER).positions(few)
    for name, values in zip(MUJOCO_ORDER, found.T, strict=True):
        if name in arms.held:
            assert (values == arms.held[name]).all()
        else:
            assert (values == few[:, arms.joint_names.index(name)]).all()


def test_locked_joints_stay_where_the_profile_locks_them(g1: Robot, references: Reference) -> None:
    profile = replace(g1.profile, locked={"*_wrist_*": 0.2})
    names = tuple(name for name in g1.joint_names if "wrist" not in name)
    robot = replace(g1, joint_names=names, profile=profile)
    found = TrackerJoints(robot, MUJOCO_ORDER).positions(references.positions[:, : len(names)])
    wrists = [j for j, name in enumerate(MUJOCO_ORDER) if "wrist" in name]
    assert (found[:, wrists] == 0.2).all()


def test_a_robot_with_other_joints_is_refused() -> None:
    with pytest.raises(ConfigError, match="take the 29 joints of a Unitree G1, but talos has no"):
        SonicWire(load_robot("talos"))


# -- over a socket


@pytest.fixture
def port() -> int:
    zmq = pytest.importorskip("zmq", reason="pyzmq is not installed")
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        return int(socket.bind_to_random_port("tcp://127.0.0.1"))


def received(port: int, topic: bytes, send, count: int) -> list[bytes]:
    """Packets of a topic, while a function sends until they have come."""
    import zmq

    packets: list[bytes] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.SUBSCRIBE, topic)
        socket.connect(f"tcp://127.0.0.1:{port}")
        for _ in range(500):
            send()
            while socket.poll(10):
                packets.append(socket.recv())
            if len(packets) >= count:
                return packets
    raise AssertionError(f"{len(packets)} packets came")


@pytest.mark.parametrize(("kind", "topic"), [("sonic", b"pose"), ("holomotion", b"reference_qpos")])
def test_a_subscriber_reads_a_rising_count_of_references(
    g1: Robot, port: int, kind: str, topic: bytes
) -> None:
    stream = ReferenceStream(g1)
    socket = TrackerSocket(g1, f"tcp://127.0.0.1:{port}", kind)
    try:
        packets = received(port, topic, lambda: socket.send(stream, 0.0), 3)
    finally:
        socket.close()
    numbers = [int(read(topic, packet)[1]["frame_index"][0]) for packet in packets]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_tracker_that_stalls_does_not_get_all_that_it_missed(g1: Robot, port: int) -> None:
    import zmq

    stream = ReferenceStream(g1)
    socket = TrackerSocket(g1, f"tcp://127.0.0.1:{port}", "sonic")
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.setsockopt(zmq.RCVHWM, 1)
        reader.setsockopt(zmq.RCVBUF, 4096)
        reader.setsockopt(zmq.SUBSCRIBE, b"pose")
        reader.connect(f"tcp://127.0.0.1:{port}")
        while not reader.poll(20):
            socket.send(stream, 0.0)
        for _ in range(500):
            socket.send(stream, 0.0)
        old = 0
        while reader.poll(200):
            reader.recv()
            old += 1
    socket.close()
    assert 0 < old < 200


def test_sonic_is_turned_on_with_the_first_reference_and_off_at_the_end(
    g1: Robot, port: int
) -> None:
    import zmq

    stream, now = ReferenceStream(g1), iter(np.arange(0.0, 1000.0, 1.0))
    socket = TrackerSocket(g1, f"tcp://127.0.0.1:{port}", "sonic", switches=True)
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.setsockopt(zmq.SUBSCRIBE, b"command")
        reader.connect(f"tcp://127.0.0.1:{port}")
        while not reader.poll(20):
            socket.send(stream, next(now))
        assert reader.recv()[-3:] == b"\1\0\0"
        socket.close()
        last = b""
        while reader.poll(500):
            last = reader.recv()
    assert last[-3:] == b"\0\1\0"


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_an_endpoint_that_is_in_use_is_an_error_that_names_robot_and_remedy(
    g1: Robot, port: int, kind: str, tmp_path: Path
) -> None:
    """ZMQ itself takes an ipc:// endpoint away from who has it."""
    endpoint = f"tcp://127.0.0.1:{port}" if kind == "tcp" else f"ipc://{tmp_path}/s"
    right = "/right/generate_node"
    socket = TrackerSocket(g1, endpoint, "sonic")
    try:
        assert socket.endpoint == endpoint
        with pytest.raises(ConfigError, match=f"{endpoint}' of {right} cannot be .* in use") as why:
            TrackerSocket(g1, endpoint, "sonic", owner=right)
        assert f"in a section {right}: of the parameter file" in str(why.value)
    finally:
        socket.close()
    # What a socket leaves behind is in nobody's way.
    TrackerSocket(g1, endpoint, "sonic").close()
