"""Message types for reading and writing bags.

Definitions in a bag are never used, as the library generates Python code from them. It contains
those of ROS 2's common interfaces, which are the same in every distribution since Foxy; those of
other packages, this one included, are read from the package's `msg` folder.
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
    """The store of message types, with a type such as 'sensor_msgs/msg/JointState'.

    Raises:
        BagError: the type is unknown.
    """
    store = _store()
    if kind not in store.fielddefs:
        _register(store, kind, ())
    return store


def message(kind: str, **fields: Any) -> Any:
    """A message of a type, with all of its fields."""
    return store_with(kind).types[kind](**fields)


def encode(kind: str, value: Any) -> bytes:
    """Serialize a message as CDR."""
    return bytes(store_with(kind).serialize_cdr(value, kind))


def decode(kind: str, data: bytes) -> Any:
    """Deserialize a message from CDR, with memory in proportion to its bytes.

    Bytes behind it are ignored, as by ROS, whose Python function `serialize_message` appends some.

    Raises:
        BagError: the bytes are not such a message.
    """
    store = store_with(kind)
    if data[:2] not in (b"\x00\x00", b"\x00\x01") or len(data) < 4:
        raise BagError(f"{len(data)} bytes are not a {kind}: they do not begin as CDR does")
    try:
        form = store.get_msgdef(kind)
        read = form.deserialize_cdr_le if data[1] else form.deserialize_cdr_be
        value, _ = read(data[4:], 0, form.cls, store)
        return value
    except BagError:
        raise
    # The library raises a dozen types on damaged bytes.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise BagError(f"{len(data)} bytes are not a {kind} ({reason})") from error


def fingerprint(kind: str) -> str:
    """Hash of a type's definition (REP-2011), as computed by rosidl."""
    return str(store_with(kind).hash_rihs01(kind))


def _register(store: Any, kind: str, parents: tuple[str, ...]) -> None:
    """Add a type and those that it contains; `parents` contain it."""
    from rosbags.typesys import get_types_from_msg

    path = _definition(kind)
    try:
        found = get_types_from_msg(path.read_text(encoding="utf-8"), kind)
        contained = {_type_in(field) for _, fields in found.values() for _, field in fields}
        for needed in sorted(contained - {"", kind, *store.fielddefs}):
            if needed in parents:
                raise BagError(f"the definitions of {kind} and {needed} contain each other")
            _register(store, needed, (*parents, kind))
        store.register(found)
    except BagError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise BagError(f"{path} is not a message definition ({reason})") from error


def _type_in(field: Any) -> str:
    """Message type of a field, which is (kind of node, its argument); '' for basic types."""
    node, argument = field
    if node.name in ("ARRAY", "SEQUENCE"):
        return _type_in(argument[0])
    return str(argument) if node.name == "NAME" else ""


def _definition(kind: str) -> Path:
    """The .msg file of a type.

    Raises:
        BagError: it is not installed.
    """
    package, _, name = kind.partition("/msg/")
    # Names come from bags: they must not lead out of the folders.
    if not (package.isidentifier() and name.isidentifier()):
        raise BagError(f"{kind!r} is not the name of a message type such as {JOINT_STATE}")
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
        f"the message type {kind} is unknown: its package {package} is neither installed "
        "(AMENT_PREFIX_PATH) nor one of ROS 2's common interfaces"
    )
