"""BVH files of common rigs, animated by one motion.

A rig is written as an indented text, a joint a line: its name, nextscale's joint with whose frame
it moves, and its position in that frame [m], if not zero. Lines below '*' are repeated for each
side: in them {Side}, {side}, {S}, {s} and {J} stand for Left, left, L, l and 左, and nextscale's
joints are named without their side.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.motion.bone_rotations import PosedSkeleton
from nextscale_core.motion.features import to_y_up
from nextscale_core.motion.formats.bvh_syntax import Bvh, BvhJoint, write_bvh_text
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS

OFFSETS = {
    "hip": (-0.02, 0.07, -0.08), "knee": (0, 0, -0.40), "ankle": (0, 0, -0.42),
    "foot": (0.13, 0, -0.06), "spine1": (0, 0, 0.12), "spine2": (0, 0, 0.13),
    "spine3": (0, 0, 0.06), "neck": (0, 0, 0.21), "head": (0, 0, 0.10),
    "collar": (-0.01, 0.07, 0.13), "shoulder": (0, 0.12, 0.02), "elbow": (0, 0.27, 0),
    "wrist": (0, 0.26, 0),
}  # fmt: skip
"""Each joint from its parent, left side [m]."""


@dataclass(frozen=True)
class RigJoint:
    """A line of a rig."""

    name: str
    parent: str
    ours: str
    offset: tuple[float, float, float]


def parse_rig(text: str) -> list[RigJoint]:
    """Joints of a rig, parents first."""
    joints: list[RigJoint] = []
    lines = [line for line in textwrap.dedent(text).splitlines() if line.strip()]
    _add(joints, lines, "")
    return joints


def _add(joints: list[RigJoint], lines: list[str], side: str) -> None:
    open_names: list[tuple[int, str]] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        depth = len(line) - len(line.lstrip())
        while open_names and open_names[-1][0] >= depth:
            open_names.pop()
        parent = open_names[-1][1] if open_names else ""
        if line.strip() == "*":
            end = at + 1
            while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > depth:
                end += 1
            for name in ("left", "right"):
                part: list[RigJoint] = []
                _add(part, lines[at + 1 : end], name)
                joints += [RigJoint(j.name, j.parent or parent, j.ours, j.offset) for j in part]
            at = end
            continue
        name, ours, *offset = (field.strip() for field in line.split("|"))
        x, y, z = (float(v) for v in (offset[0].split() if offset else "000"))
        if side:
            marks = {"Side": side.capitalize(), "side": side, "S": side[0].upper(), "s": side[0]}
            marks |= {"SIDE": side.upper(), "J": "左" if side == "left" else "右"}
            name = name.format(**marks)
            if side == "right":
                y = -y
            if f"{side}_{ours}" in JOINT_NAMES:
                ours = f"{side}_{ours}"
        joints.append(RigJoint(name, parent, ours, (x, y, z)))
        open_names.append((depth, name))
        at += 1


def moving_body(seed: int = 0, frames: int = 40, bend: float = 0.5) -> PosedSkeleton:
    """A body that walks and moves every joint, in nextscale's frame, floor at z = 0."""
    generator = np.random.default_rng(seed)
    offsets = np.zeros((NUM_JOINTS, 3))
    for name, joint in JOINT_INDEX.items():
        if joint:
            side, _, part = name.rpartition("_")
            offsets[joint] = np.array(OFFSETS[part]) * (1, -1 if side == "right" else 1, 1)
    phase = generator.uniform(0, 2 * np.pi, size=(NUM_JOINTS, 3))
    clock = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    turns = bend * generator.uniform(0.3, 1.0, size=(NUM_JOINTS, 3)) * np.sin(clock + phase)
    swing = np.abs(turns[..., 0])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        # Knees and elbows are hinges; arms hang a little, hips swing forward and back.
        for part, axis in (("knee", (0, 1, 0)), ("elbow", (0, 0, -sign))):
            joint = JOINT_INDEX[f"{side}_{part}"]
            turns[:, joint] = (0.2 * bend + swing[:, joint])[:, None] * np.array(axis)
        turns[:, JOINT_INDEX[f"{side}_shoulder"]] += bend * np.array([-sign * 1.4, 0.0, 0.0])
        turns[:, JOINT_INDEX[f"{side}_hip"]] *= (0.2, 1.0, 0.2)
        turns[:, JOINT_INDEX[f"{side}_ankle"]] *= 0.3
        turns[:, JOINT_INDEX[f"{side}_collar"]] *= 0.2
    turns[:, [JOINT_INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3")]] *= 0.15
    local = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(frames, -1, 3, 3)
    rotations = local.copy()
    for joint in range(1, NUM_JOINTS):
        rotations[:, joint] = rotations[:, PARENTS[joint]] @ local[:, joint]
    positions = np.tile(offsets, (frames, 1, 1))
    positions[:, 0] = np.linspace([0, 0, 0], [1.5, 0.3, 0], frames)
    joints = PosedSkeleton(offsets, positions, rotations).joints()
    positions[:, 0, 2] -= joints[..., 2].min()
    return PosedSkeleton(offsets, positions, rotations)


def write_rig(rig: str, body: PosedSkeleton, path: Path, *, ends: bool = True) -> None:
    """Write a body's motion as a BVH file of a rig: centimetres, y up, facing z, T-pose at rest.

    Args:
        rig: The rig's text.
        body: The motion.
        path: The file.
        ends: Write End Sites.
    """
    joints = parse_rig(rig)
    world = body.joints()
    frames = len(world)
    place, turn, rest = {}, {}, {}
    rest_world = PosedSkeleton(
        body.offsets, body.offsets[None], np.tile(np.eye(3), (1, NUM_JOINTS, 1, 1))
    ).joints()[0]
    for joint in joints:
        if joint.ours == "world":
            place[joint.name] = np.tile(np.array(joint.offset), (frames, 1))
            turn[joint.name] = np.tile(np.eye(3), (frames, 1, 1))
            rest[joint.name] = np.array(joint.offset)
            continue
        index = JOINT_INDEX[joint.ours]
        turn[joint.name] = body.rotations[:, index]
        place[joint.name] = world[:, index] + turn[joint.name] @ np.array(joint.offset)
        rest[joint.name] = rest_world[index] + np.array(joint.offset)
    to_bvh = to_y_up(np.eye(3)).T
    written: list[BvhJoint] = []
    index_of: dict[str, int] = {"": -1}
    columns = []

    def write(joint: RigJoint) -> None:
        name, parent = joint.name, joint.parent
        index_of[name] = len(written)
        above = turn[parent] if parent else np.tile(np.eye(3), (frames, 1, 1))
        start = place[parent] if parent else np.zeros((frames, 3))
        local = np.einsum("tji,tj->ti", above, place[name] - start)
        still = parent != "" and np.ptp(local, axis=0).max() < 1e-6
        channels = () if still else ("Xposition", "Yposition", "Zposition")
        offset = to_y_up(local[0] if still else rest[name] - rest.get(parent, 0)) * 100.0
        rotation = to_bvh @ np.einsum("tji,tjk->tik", above, turn[name]) @ to_bvh.T
        angles = Rotation.from_matrix(rotation).as_euler("ZXY", degrees=True)
        if not still:
            columns.append(to_y_up(local) * 100.0)
        columns.append(angles)
        x, y, z = offset.tolist()
        channels = (*channels, "Zrotation", "Xrotation", "Yrotation")
        written.append(BvhJoint(name, index_of[parent], (x, y, z), channels))
        children = [other for other in joints if other.parent == name]
        for child in children:
            write(child)
        if not children and ends:
            step = rest[name] - rest.get(parent, rest[name] - 0.1)
            x, y, z = (to_y_up(0.5 * step) * 100.0).tolist()
            written.append(BvhJoint(f"{name} end", index_of[name], (x, y, z), is_end=True))

    for joint in joints:
        if not joint.parent:
            write(joint)
    write_bvh_text(Bvh(written, 0.05, np.concatenate(columns, axis=1)), path)


def joints_of(rig: str) -> set[str]:
    """Names of nextscale's joints that coincide with a joint of the rig."""
    return {j.ours for j in parse_rig(rig) if j.offset == (0, 0, 0) and j.ours != "world"}
