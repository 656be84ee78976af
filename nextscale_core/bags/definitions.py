"""The message types that bags are read and written with.

Definitions found inside of a bag are never used: the library makes Python code of them. Those of
ROS 2's common interfaces come with it and are the same in every distribution since Foxy; ours, and
those of other packages, are read from the package's `msg` folder.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from nextscale_core.bags.library import MAX_SEQUENCE, rosbags
from nextscale_core.exceptions import BagError, ConfigError
from nextscale_core.resources import resource

OURS = "nextscale_ros"

JOINT_STATE = "sensor_msgs/msg/JointState"
IMU = "sensor_msgs/msg/Imu"
ODOMETRY = "nav_msgs/msg/Odometry"
TEXT = "std_msgs/msg/String"
BOOL = "std_msgs/msg/Bool"
JOINT_TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
BASE_TRAJECTORY = "trajectory_msgs/msg/MultiDOFJointTrajectory"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
TEXT_COMMAND = f"{OURS}/msg/TextCommand"
MOTION_REPORT = f"{OURS}/msg/MotionReport"


@lru_cache(maxsize=1)
def _store() -> Any:
    rosbags()
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    store.max_sequence_length = MAX_SEQUENCE
    return store


def store_with(kind: str) -> Any:
    """The store of message types, in which `kind` is known.

    Args:
        kind: For example 'sensor_msgs/msg/JointState'.

    Raises:
        BagError: nobody knows this type here.
    """
    store = _store()
    if kind not in store.fielddefs:
        _register(store, kind, ())
    return store


def message(kind: str, **fields: Any) -> Any:
    """A message to write.

    Args:
        kind: Its type.
        **fields: All of its fields.
    """
    return store_with(kind).types[kind](**fields)


def encode(kind: str, value: Any) -> bytes:
    """A message as CDR, as it travels and is stored."""
    return bytes(store_with(kind).serialize_cdr(value, kind))


def decode(kind: str, data: bytes) -> Any:
    """A message from CDR; nothing larger than its bytes is made.

    Bytes behind it do not count, as with ROS: its Python function `serialize_message` leaves
    some there, and so do the bags that are written with it.

    Raises:
        BagError: the bytes are no such message.
    """
    store = store_with(kind)
    if data[:2] not in (b"\x00\x00", b"\x00\x01") or len(data) < 4:
        raise BagError(f"{len(data)} bytes are no {kind}: they do not begin as CDR does")
    try:
        form = store.get_msgdef(kind)
        read = form.deserialize_cdr_le if data[1] else form.deserialize_cdr_be
        value, _ = read(data[4:], 0, form.cls, store)
        return value
    except BagError:
        raise
    # A dozen types on damaged bytes; each means the same here.
    except Exception as error:
        raise BagError(f"{len(data)} bytes are no {kind} ({type(error).__name__}: {error})") from (
            error
        )


def fingerprint(kind: str) -> str:
    """The hash of a type's definition (REP-2011), as rosidl makes it."""
    return str(store_with(kind).hash_rihs01(kind))


def _register(store: Any, kind: str, parents: tuple[str, ...]) -> None:
    """Read a definition from its package, and those it needs."""
    from rosbags.typesys import get_types_from_msg

    path = _definition(kind)
    try:
        found = get_types_from_msg(path.read_text(encoding="utf-8"), kind)
        for needed in sorted(_needed(found) - set(store.fielddefs) - {kind}):
            if needed in parents:
                raise BagError(f"the definitions of {kind} and {needed} need each other")
            _register(store, needed, (*parents, kind))
        store.register(found)
    except BagError:
        raise
    except Exception as error:
        raise BagError(f"{path} is no message definition ({type(error).__name__}: {error})") from (
            error
        )


def _needed(types: Any) -> set[str]:
    """Names of the types that fields have; a field is (kind of node, its argument)."""
    names: set[str] = set()

    def visit(described: Any) -> None:
        node, argument = described
        if node.name == "NAME":
            names.add(argument)
        elif node.name in ("ARRAY", "SEQUENCE"):
            visit(argument[0])

    for _, fields in types.values():
        for _, described in fields:
            visit(described)
    return names


def _definition(kind: str) -> Path:
    """The .msg file of a type.

    Raises:
        BagError: there is none.
    """
    package, _, name = kind.partition("/msg/")
    # Names come from bags: they must not lead out of the folders looked in.
    if not (package.isidentifier() and name.isidentifier()):
        raise BagError(f"{kind!r} is no name of a message type such as {JOINT_STATE}")
    if package == OURS:
        try:
            return resource(f"msg/{name}.msg")
        except ConfigError:
            pass
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        path = Path(prefix) / "share" / package / "msg" / f"{name}.msg"
        if path.is_file():
            return path
    raise BagError(
        f"the message type {kind} is not known here: its package {package} is neither installed "
        "(AMENT_PREFIX_PATH) nor one of ROS 2's common interfaces"
    )
