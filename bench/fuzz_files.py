"""Random malformed files and texts: each function creates one and reads it.

Only a value or a `NextscaleError` may result; any other exception is a fault. ROS is not needed.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import BagError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.files import read_motion, write_motion
from nextscale_core.motion.formats.registry import MotionFormat
from nextscale_core.motion.formats.smpl import write_smpl_npz
from nextscale_core.motion.formats.soma import SOMA_JOINTS
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, STANDARD_OFFSETS
from nextscale_core.resources import resource
from nextscale_core.robots.profile import read_profile
from nextscale_core.robots.trajectory import read_trajectory
from nextscale_core.text import validate_sentence
from nextscale_core.yaml_files import read_yaml

CHARACTERS = (
    *"aZ 09.,'\"\\/%${}[]<>&|;\x00\x07\x1b\t\n\r\x7f\x85\xa0é漢ß",
    *"\u200b\u202e\u2028\ufeff\ufffe\uffff\U0001f600\U000e0001\ue000\ud800\udfff\u0300",
)

BYTES = (
    b"",
    b"\x00",
    b"\xff" * 8,
    b"\x80",
    b"nan",
    b"inf",
    b"-1",
    b"1e999",
    b"9" * 25,
    b"\n",
    b" ",
)

NUMBERS = (0, -1, 1, 10**18, -(10**18), 1e308, -0.0, float("nan"), float("inf"), 2**63, 1e-320)

YAML_PIECES = (
    "[", "]", "{", "}", ": ", "- ", "\n", "\t", "&a ", "*a", "!!int ", "!!float ''", "!!bool x",
    "!!timestamp y", "!!binary %", "!!set {a}", "!!python/object/apply:os.system [id]", "? ", "|\n",
    "<<: *a", "2020-13-45", ".nan", ".inf", "-.inf", "1e999", "0x" + "f" * 400, "1:" * 300 + "1",
    "~", "null", "true", "'", '"', "\\x", "\ud7ff", "\x00", "%YAML 9.9\n", "---\n", "...\n",
)  # fmt: skip


def texts(draw: random.Random, folder: Path) -> object:
    """A sentence of any characters and length."""
    return validate_sentence(any_text(draw))


def any_text(draw: random.Random) -> str:
    """Any text; a few are very long."""
    kind = draw.random()
    length = draw.choice([0, 1, 5, 40, 499, 501, 3000])
    if kind < 0.02:
        return draw.choice(CHARACTERS) * 10**6
    if kind < 0.4:
        return "".join(draw.choice(CHARACTERS) for _ in range(length))
    if kind < 0.7:
        return "".join(chr(draw.randrange(0x110000)) for _ in range(min(length, 500)))
    words = ["a person walks", "waves", *CHARACTERS]
    return " ".join(draw.choice(words) for _ in range(draw.randrange(12)))


def altered(draw: random.Random, data: bytes) -> bytes:
    """Bytes truncated, flipped, overwritten, repeated or with insertions."""
    kind = draw.randrange(6)
    at = draw.randrange(len(data) + 1)
    end = min(len(data), at + draw.choice([1, 2, 4, 8, 64]))
    if kind == 0:
        return data[:at]
    if kind == 1:
        piece = bytes(byte ^ (1 << draw.randrange(8)) for byte in data[at:end])
        return data[:at] + piece + data[end:]
    if kind == 2:
        return data[:at] + draw.choice(BYTES) + data[end:]
    if kind == 3:
        return data[:at] + draw.choice(BYTES) + data[at:]
    if kind == 4:
        return data[:at] + data[at : at + 200] * draw.choice([2, 50]) + data[at:]
    return data[:at] + draw.randbytes(end - at) + data[end:]


# -- YAML profiles


def profiles(draw: random.Random, folder: Path) -> object:
    """A robot profile with altered bytes or structure."""
    name = draw.choice(["g1", "human", "talos", "icub"])
    text = resource(f"config/robots/{name}.yaml").read_bytes()
    path = folder / "profile.yaml"
    kind = draw.random()
    if kind < 0.1:
        path.write_bytes(_bomb(draw).encode())
    elif kind < 0.4:
        path.write_bytes(_many(draw, text))
    elif kind < 0.7:
        at = draw.randrange(len(text))
        piece = draw.choice(YAML_PIECES) * draw.choice([1, 1, 1, 3000])
        path.write_bytes(text[:at] + piece.encode("utf-8", "replace") + text[at:])
    else:
        tree = read_yaml(resource(f"config/robots/{name}.yaml"))
        path.write_text(json.dumps(_mixed_up(draw, tree)))
    return read_profile(path)


def _many(draw: random.Random, data: bytes) -> bytes:
    for _ in range(draw.choice([1, 1, 3])):
        data = altered(draw, data)
    return data


def _bomb(draw: random.Random) -> str:
    """A few lines whose aliases expand to billions, where an error message shows them."""
    depth = draw.choice([3, 9, 30])
    lines = ["x0: &x0 [lol, lol]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, depth)]
    key = draw.choice(["name", "sole", "parts", "nominal", "joints", "limits", "*x0"])
    lines.append(f"{key}: *x{depth - 1}")
    if draw.random() < 0.3:
        lines = ["a: &a [*a]", "b: &b {c: *b}", "name: *a"]
    return "\n".join(lines)


def any_value(draw: random.Random, depth: int = 0) -> Any:
    """Any value that YAML or JSON can hold."""
    kind = draw.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return draw.choice(NUMBERS)
    if kind == 1:
        return draw.choice([None, True, False])
    if kind in (2, 3):
        return any_text(draw)[:200].encode("utf-8", "replace").decode()
    if kind == 4:
        return draw.choice(["", "x", "pelvis", "*", "../../etc/passwd", "left_knee_joint"])
    count = draw.randrange(4)
    if kind in (5, 6):
        return [any_value(draw, depth + 1) for _ in range(count)]
    return {str(any_value(draw, 3)): any_value(draw, depth + 1) for _ in range(count)}


def _mixed_up(draw: random.Random, tree: Any) -> Any:
    """A tree with one value replaced by another."""
    if isinstance(tree, dict) and tree and draw.random() < 0.85:
        key = draw.choice(list(tree))
        kind = draw.random()
        if kind < 0.1:
            return {k: v for k, v in tree.items() if k != key}
        if kind < 0.15:
            return {**tree, str(any_value(draw, 3)): any_value(draw)}
        return {**tree, key: _mixed_up(draw, tree[key])}
    if isinstance(tree, list) and tree and draw.random() < 0.7:
        at = draw.randrange(len(tree))
        return [*tree[:at], _mixed_up(draw, tree[at]), *tree[at + 1 :]]
    return any_value(draw)


# -- motions and trajectories


def clip() -> MotionClip:
    """One second of a person standing with the arms out."""
    joints = np.zeros((NUM_JOINTS, 3), np.float32)
    for joint in range(1, NUM_JOINTS):
        side, _, part = JOINT_NAMES[joint].rpartition("_")
        offset = np.array(STANDARD_OFFSETS[part]) * (1, -1 if side == "right" else 1, 1)
        joints[joint] = joints[PARENTS[joint]] + offset
    joints[:, 2] -= joints[:, 2].min()
    return MotionClip(np.repeat(joints[None], 20, axis=0), 20.0, "a person stands")


def npz(draw: random.Random, folder: Path) -> object:
    """An npz or npy motion, or a trajectory: altered, with pickled objects, or a zip bomb."""
    path = folder / draw.choice(["motion.npz", "motion.npz", "motion.npy"])
    kind = draw.random()
    if kind < 0.4 and path.suffix == ".npz":
        write_motion(clip(), path)
        path.write_bytes(altered(draw, path.read_bytes()))
    elif kind < 0.5:
        path.write_bytes(_zip_bomb(draw))
    elif path.suffix == ".npy":
        path.write_bytes(altered(draw, _npy(draw)))
    else:
        _write_arrays(draw, path)
    if path.suffix == ".npz" and draw.random() < 0.4:
        return read_trajectory(path)
    return read_motion(path)


def _npy(draw: random.Random) -> bytes:
    """One array, whose header may claim a larger size."""
    buffer = io.BytesIO()
    widths = (263, 322, 69, 73)
    rows = np.full((5, draw.choice(widths)), draw.choice([0.0, 0.1, 1e5, np.nan]))
    np.save(buffer, draw.choice([clip().joints, rows, np.zeros(0)]))
    data = buffer.getvalue()
    if draw.random() < 0.4:
        shape = draw.choice(["(10000000000, 22, 3)", "(-1,)", "(2.5,)", "(1" + "0" * 40 + ",)"])
        kind = draw.choice(["'<f8'", "'|O'", "'<U999999999'", "'|V9999999'", "[('a', '|O')]"])
        header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return data


def _object(draw: random.Random) -> np.ndarray:
    """A pickled array."""
    return np.array([{"a": 1}, [1, 2]], dtype=object)


def _write_arrays(draw: random.Random, path: Path) -> None:
    arrays: dict[str, np.ndarray] = {"joints": clip().joints, "fps": np.float64(20.0)}  # type: ignore[dict-item]
    for name in draw.sample(["joints", "fps", "text", "seed", "contacts", "positions"], 2):
        arrays[name] = draw.choice(
            [
                _object(draw),
                np.array("a" * 100),
                np.full((20, 22, 3), draw.choice([np.nan, np.inf, 1e300])),
                np.zeros((0, 22, 3)),
                np.zeros((3, 22, 3), complex),
                np.array(draw.choice([0.0, -20.0, 1e9, np.nan])),
                np.array([b"x"]),
                np.zeros((1, 1, 1, 1)),
                np.array(["\ud7ff"] * 3),
                np.array("2020-01-01", "datetime64"),
            ]
        )
    with path.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _zip_bomb(draw: random.Random) -> bytes:
    """A small zip that unpacks to gigabytes, or claims a small unpacked size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2000000, 22, 3), }"
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        archive.writestr("joints.npy", start + bytes(20_000_000))
        archive.writestr("fps.npy", start)
    data = bytearray(buffer.getvalue())
    at = data.rfind(b"PK\x01\x02") if draw.random() < 0.5 else data.find(b"PK\x01\x02")
    claim = draw.choice([0, 100, 2**31, 2**32 - 2])
    data[at + 24 : at + 28] = struct.pack("<I", claim)
    return bytes(data)


def bvh(draw: random.Random, folder: Path) -> object:
    """A BVH file with altered bytes or counts."""
    path = folder / "motion.bvh"
    write_motion(clip(), path)
    text = path.read_text()
    kind = draw.random()
    if kind < 0.5:
        path.write_bytes(_many(draw, text.encode()))
    elif kind < 0.7:
        number = draw.choice(["10000000000", "-5", "1e9", "nan", "0", "99999999999999999999", ""])
        word = draw.choice(["Frames:", "Frame Time:", "CHANNELS", "OFFSET"])
        path.write_text(text.replace(word, f"{word} {number}", draw.choice([1, 100])))
    elif kind < 0.8:
        depth = draw.choice([100, 50_000])
        path.write_text("HIERARCHY\nROOT a\n{\n" + "JOINT b\n{\nOFFSET 0 0 0\n" * depth)
    else:
        lines = text.splitlines()
        for _ in range(draw.choice([1, 5])):
            at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
            lines[at] = draw.choice([lines[other], "", "}", "{", "JOINT", "MOTION", "0 " * 500])
        path.write_text("\n".join(lines))
    return read_motion(path)


def gltf(draw: random.Random, folder: Path) -> object:
    """A glb file with altered bytes, sizes or values in its tree."""
    path = folder / "motion.glb"
    write_motion(clip(), path)
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data, 12)
    tree, binary = json.loads(data[20 : 20 + size]), data[20 + size :]
    kind = draw.random()
    if kind < 0.3:
        path.write_bytes(_many(draw, data))
    elif kind < 0.4:
        claim = struct.pack("<I", draw.choice([0, 4, 2**31, 2**32 - 1, size + 4]))
        at = draw.choice([8, 12, 20 + size])
        path.write_bytes(data[:at] + claim + data[at + 4 :])
    else:
        for _ in range(draw.choice([1, 3])):
            key = draw.choice(["nodes", "skins", "animations", "accessors", "bufferViews"])
            tree[key] = _mixed_up(draw, tree.get(key))
        text = json.dumps(tree).encode("utf-8", "replace")
        header = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(binary))
        path.write_bytes(header + struct.pack("<I4s", len(text), b"JSON") + text + binary)
    return read_motion(path)


def smpl(draw: random.Random, folder: Path) -> object:
    """Body parameters with altered bytes or arrays."""
    path = folder / "motion.npz"
    write_smpl_npz(clip(), path)
    if draw.random() < 0.3:
        path.write_bytes(altered(draw, path.read_bytes()))
    else:
        _swap_array(draw, path)
    return read_motion(path)


def soma(draw: random.Random, folder: Path) -> object:
    """Rotations of SOMA with altered bytes or arrays."""
    path = folder / "motion.npz"
    count = len(SOMA_JOINTS)
    arrays = {
        "poses": np.tile(np.eye(3), (8, count, 1, 1)),
        "transl": np.tile([0.0, 1.0, 0.0], (8, 1)),
        "joint_names": np.array(SOMA_JOINTS),
        "joint_orient": np.tile(np.eye(3), (count, 1, 1)),
        "absolute_pose": np.bool_(False),
        "unit": np.array("meters"),
        "fps": np.float64(30.0),
    }
    with path.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    if draw.random() < 0.3:
        path.write_bytes(altered(draw, path.read_bytes()))
    else:
        _swap_array(draw, path)
    return read_motion(path)


# -- robot motion


class RobotMotions:
    """A file of every format of robot motion, written once; each attack alters a copy.

    Args:
        folder: Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        from nextscale_core.robots.robot import load_robot
        from nextscale_core.robots.trajectory import RobotTrajectory
        from nextscale_core.trajectory.formats.files import ROBOT_FORMATS
        from nextscale_core.trajectory.formats.robot_motion import RobotMotion

        robot, count = load_robot("g1"), 8
        trajectory = RobotTrajectory(
            robot=robot.name,
            joint_names=robot.joint_names,
            positions=np.tile(robot.nominal, (count, 1)),
            velocities=np.zeros((count, robot.num_joints)),
            time_from_start=np.arange(count) / 50.0,
            base_position=np.tile([0.0, 0.0, 0.78], (count, 1)),
            base_quaternion=np.tile([0.0, 0.0, 0.6, 0.8], (count, 1)),
            fps=50.0,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.whole: list[tuple[MotionFormat, Path]] = []
        for one in ROBOT_FORMATS:
            path = folder / f"{one.name}{one.suffix}"
            assert one.write is not None
            one.write(RobotMotion(robot, trajectory), path)
            self.whole.append((one, path))

    def __call__(self, draw: random.Random, folder: Path) -> object:
        """A file with altered bytes, arrays or pickled values, with its format named or not."""
        from nextscale_core.conversion import read_any
        from nextscale_core.trajectory.formats.restricted_pickle import plain_pickle

        one, whole = draw.choice(self.whole)
        path = folder / f"motion{one.suffix or '_folder'}"
        shutil.rmtree(path, ignore_errors=True)
        (shutil.copytree if whole.is_dir() else shutil.copyfile)(whole, path)
        file = draw.choice(sorted(path.iterdir())) if path.is_dir() else path
        if file.suffix == ".npz" and draw.random() < 0.7:
            _swap_array(draw, file)
        elif file.suffix == ".pkl" and draw.random() < 0.5:
            content = dict.fromkeys(("fps", "root_pos", "root_rot", "dof_pos"))
            if one.name == "motionlib-pkl":
                content = dict.fromkeys(("fps", "root_trans_offset", "root_rot", "dof"))
            content |= {name: _any_array(draw) for name in draw.sample(sorted(content), 3)}
            if draw.random() < 0.3:
                content = {"walk": content}
            protocol = draw.randrange(6)
            file.write_bytes(_many(draw, plain_pickle(content, protocol)))
        else:
            file.write_bytes(_many(draw, file.read_bytes()))
        return read_any(path, one if draw.random() < 0.5 else None)


def _swap_array(draw: random.Random, file: Path) -> None:
    """Replace, cut or leave out one array of an npz file."""
    with np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    name = draw.choice(sorted(arrays))
    kind = draw.random()
    if kind < 0.2:
        del arrays[name]
    elif kind < 0.4 and arrays[name].ndim:
        arrays[name] = arrays[name][: draw.choice([0, 1, 2])]
    elif kind < 0.6 and arrays[name].dtype.kind == "f":
        arrays[name] = arrays[name] * draw.choice([0.0, np.nan, 1e300, -1.0, 100.0])
    else:
        arrays[name] = _any_array(draw)
    with file.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _any_array(draw: random.Random) -> Any:
    """An array or value that no format expects there."""
    return draw.choice(
        [
            _object(draw),
            np.array(draw.choice(["", "{}", "[" * 5000, '{"motion_fps": NaN}', "x" * 300])),
            np.zeros(draw.choice([(), (0,), (8,), (8, 36), (8, 29), (8, 30, 3), (8, 0, 4)])),
            np.full((8, draw.choice([3, 4, 29])), draw.choice([np.nan, np.inf, 1e300, 0.5])),
            np.zeros((8, 29), complex),
            np.array(["a", "a"]),
            np.array(draw.choice(NUMBERS), dtype=np.float64),
        ]
    )


# -- weights


class Weights:
    """Small models of every kind, written once; each attack alters a copy.

    Args:
        folder: Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        import torch

        from nextscale_core.model.checkpoint import write_checksums
        from nextscale_core.model.moscale import MoScale, MoScaleConfig
        from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
        from nextscale_lab.evaluate.evaluator_model import EvaluatorConfig, MotionTextEvaluator

        torch.manual_seed(0)
        tokenizer = TokenizerConfig(width=16, code_dim=8, num_codes=16, depth=1, divisors=(2, 1))
        generator = MoScaleConfig(
            width=16, depth=1, heads=2, num_codes=16, code_dim=8, num_scales=2
        )
        evaluator = EvaluatorConfig(
            dim=8, width=16, heads=2, motion_depth=1, text_depth=1, buckets=32, word_dim=8
        )
        self.whole = folder / "whole"
        self.kinds: dict[str, type] = {}
        for kind, config in (
            (TemporalTokenizer, tokenizer),
            (MoScale, generator),
            (MotionTextEvaluator, evaluator),
        ):
            name = kind.__name__
            self.kinds[name] = kind
            kind(config).save_pretrained(self.whole / name)  # type: ignore[attr-defined]
            (self.whole / name / "config.json").write_text(json.dumps(asdict(config)))
        write_checksums(self.whole)

    def __call__(self, draw: random.Random, folder: Path) -> object:
        """A model altered somewhere, with its checksums or without."""
        from nextscale_core.model.checkpoint import CHECKSUMS, check_checksums, load_part

        copy = folder / "model"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.whole, copy)
        name = draw.choice(sorted(self.kinds))
        file = copy / name / draw.choice(["model.safetensors", "model.safetensors", "config.json"])
        before = file.read_bytes()
        file.write_bytes(self._altered(draw, file, before))
        same = file.read_bytes() == before
        if draw.random() < 0.5:
            check_checksums(copy)
            if not same:
                raise AssertionError(f"{file.name} was altered and not refused")
        elif draw.random() < 0.3:
            (copy / CHECKSUMS).write_bytes(altered(draw, (copy / CHECKSUMS).read_bytes()))
            check_checksums(copy)
        return load_part(self.kinds[name], copy / name)

    def _altered(self, draw: random.Random, file: Path, data: bytes) -> bytes:
        if file.suffix == ".json":
            if draw.random() < 0.4:
                return altered(draw, data)
            tree = json.loads(data)
            key = draw.choice(list(tree))
            huge = [10**9, 10**18, 2**20, 60_000, -1, 0, True, 1.5, "16", None, [1] * 10**5]
            tree[key] = draw.choice([*huge, any_value(draw)])
            return json.dumps(tree).encode()
        length = struct.unpack("<Q", data[:8])[0]
        header, body = data[8 : 8 + length], data[8 + length :]
        kind = draw.randrange(6)
        if kind == 0:
            claim = draw.choice([0, 10**18, 2**64 - 1, length + 1, len(data), 99_999_999])
            return struct.pack("<Q", claim) + data[8:]
        if kind == 1:
            return data[: draw.randrange(len(data))]
        if kind == 2:
            at = draw.randrange(len(body))
            return data[:8] + header + body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        if kind == 3:
            tree = json.loads(header)
            name = draw.choice([n for n in tree if n != "__metadata__"])
            one = dict(tree[name])
            one[draw.choice(["dtype", "shape", "data_offsets"])] = draw.choice(
                ["I8", "F16", "X9", [10**18], [10**9, 10**9], [0, 10**18], [8, 0], [], [-1], None]
            )
            return _packed(json.dumps({**tree, name: one}).encode(), body)
        if kind == 4:
            tree = json.loads(header)
            name = draw.choice([n for n in tree if n != "__metadata__"])
            tree[draw.choice(["x", "../x", ""])] = tree.pop(name)
            return _packed(json.dumps(tree).encode(), body)
        return altered(draw, data)


def _packed(header: bytes, body: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + body


# -- bags


class Bags:
    """Small bags of both storages, written once; each attack alters a copy.

    Args:
        folder: Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        from nextscale_core.bags.trajectory_bag import write_bag
        from nextscale_core.robots.trajectory import RobotTrajectory

        times = np.linspace(0.0, 1.0, 11)
        still = np.zeros((11, 2))
        trajectory = RobotTrajectory(
            robot="made-up",
            joint_names=("a", "b"),
            positions=still,
            velocities=still,
            time_from_start=times,
            base_position=np.zeros((11, 3)),
            base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (11, 1)),
            fps=10.0,
        )
        self.whole = [folder / "mcap", folder / "sqlite3"]
        write_bag(trajectory, self.whole[0])
        self._as_sqlite3(*self.whole)

    @staticmethod
    def _as_sqlite3(source: Path, target: Path) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer

        from nextscale_core.bags import Bag
        from nextscale_core.bags.definitions import store_with

        writer = Writer(target, version=9, storage_plugin=StoragePlugin.SQLITE3)
        with Bag(source) as bag, writer:
            connections = {
                topic.name: writer.add_connection(
                    topic.name, topic.kind, typestore=store_with(topic.kind)
                )
                for topic in bag.topics
            }
            for message in bag.messages(list(connections)):
                writer.write(connections[message.topic], message.time, message.data)

    def __call__(self, draw: random.Random, folder: Path) -> object:
        """A bag with an altered file."""
        from nextscale_core.bags import Bag

        copy = folder / "bag"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(draw.choice(self.whole), copy)
        file = draw.choice(sorted(path for path in copy.iterdir() if path.is_file()))
        if file.suffix == ".yaml" and draw.random() < 0.5:
            text = file.read_text()
            at = draw.randrange(len(text))
            file.write_bytes((text[:at] + draw.choice(YAML_PIECES) + text[at:]).encode())
        else:
            file.write_bytes(_many(draw, file.read_bytes()))
        with Bag(copy if draw.random() < 0.7 else file) as bag:
            return sum(1 for _ in bag.decoded([topic.name for topic in bag.topics]))


Attack = Callable[[random.Random, Path], object]


def file_attacks(folder: Path) -> dict[str, tuple[float, Attack]]:
    """All of them: name -> share of the inputs, and the function.

    Args:
        folder: For what is made once.
    """
    attacks: dict[str, tuple[float, Attack]] = {
        "texts": (0.24, texts),
        "robot profiles": (0.10, profiles),
        "npz and npy": (0.07, npz),
        "bvh": (0.05, bvh),
        "glTF": (0.02, gltf),
        "SMPL parameters": (0.02, smpl),
        "SOMA parameters": (0.01, soma),
        "robot motion": (0.06, RobotMotions(folder / "robot_motion")),
        "weights": (0.05, Weights(folder / "weights")),
    }
    # The library that reads them comes with an extra.
    with suppress(ImportError, BagError):
        attacks["bags"] = (0.03, Bags(folder))
    return attacks
