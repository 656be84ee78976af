"""Reader of glTF 2.0 files with an animated humanoid: .glb, .gltf, .vrma, of any rig.

glTF has y up and metres, yet files of many tools carry another unit or turned armatures, which the
nodes above the joints undo; the body is checked as in BVH files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.gltf_scene import Animation, Channel, GltfScene, Node
from nextscale_core.motion.formats.rig_clip import RigFile, RigJoints, rig_clip
from nextscale_core.motion.formats.world_frame import FileFrame
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadNote, ReadOptions
from nextscale_core.motion.skeleton import FPS

_FRAME = FileFrame("y", certain=False, unit=1.0, floor_at_zero=False, has_forward=False)
_PATHS = ("translation", "rotation", "scale")
_MAX_FPS = 1000.0
_MAX_JOINTS = 2000
_SAME_TIME = 1e-4  # [s]
_HELD = 1e-4  # largest change of a value of a pose that is held
_MAX_TRANSFORMS = 4_000_000  # nodes times frames
_VRM = {
    "hips": "pelvis", "spine": "spine1", "chest": "spine2", "upperChest": "spine3",
    "neck": "neck", "head": "head", "UpperLeg": "hip", "LowerLeg": "knee", "Foot": "ankle",
    "Toes": "foot", "Shoulder": "collar", "UpperArm": "shoulder", "LowerArm": "elbow",
    "Hand": "wrist",
}  # fmt: skip
"""Human bones of VRM, without their side -> nextscale's joints."""


def read_gltf(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read the first animation of a humanoid in a glTF file that moves.

    Animations that hold one pose, such as the T-pose of an avatar, are passed over.

    Joints are the nodes of the skins, or the animated nodes of a file without skins. A VRM
    animation names its bones; other rigs are matched as in BVH files.

    Args:
        path: The file.
        options: Its known properties.

    Returns:
        The motion at 20 fps, or at the rate of the keys if the options keep it.

    Raises:
        MotionFileError: missing or malformed file (with the key), no animation, or joints that
            are not found.
    """
    path = Path(path)
    scene = GltfScene(path)
    animation = _moving(scene)
    if animation is None:
        raise MotionFileError(f"{path} holds no animation")
    try:
        names = _names(scene)
        nodes = _rig_nodes(scene, animation)
        tracks = _Tracks(scene, animation)
        notes = []
        if len(scene.animations) > 1:
            first = "first that moves" if animation is not scene.animations[0] else "first"
            message = f"{animation.name!r} taken, the {first} of {len(scene.animations)} animations"
            notes.append(ReadNote("frames", message))
        positions = tracks.positions(nodes, tracks.times)
        at_rest = _Tracks(scene, None).positions(nodes, np.zeros(1))[0]
        place = {node: index for index, node in enumerate(nodes)}
        joints = RigJoints(
            [names[node] for node in nodes],
            [place.get(scene.parents[node], -1) for node in nodes],
            [False] * len(nodes),
        )
        file = RigFile(_FRAME, tracks.fps, notes=tuple(notes))
        vrm = {ours: names[node] for ours, node in _vrm_bones(scene).items()}
        return rig_clip(joints, positions, lambda _: at_rest, file, options, vrm)
    except (MotionFileError, InvalidMotionError) as error:
        prefix = "" if str(error).startswith(str(path)) else f"{path}: "
        raise MotionFileError(f"{prefix}{error}") from error


def _moving(scene: GltfScene) -> Animation | None:
    """The first animation that moves a node, else the first one with channels."""
    filled = [one for one in scene.animations if one.channels]
    if len(filled) < 2:
        return next(iter(filled), None)
    return next((one for one in filled if _moves(scene, one)), filled[0])


def _moves(scene: GltfScene, animation: Animation) -> bool:
    for channel in animation.channels:
        if _moved(channel) is not None:
            _, values = scene.keys(animation, channel)
            if len(values) > 1 and float(np.ptp(values, axis=0).max()) > _HELD:
                return True
    return False


class _Tracks:
    """Transforms of the nodes over time.

    Args:
        scene: The file.
        animation: The motion; None for the transforms that the nodes state.

    Attributes:
        times: (T,) evenly spaced, over all keys [s].
        fps: Their rate [Hz].
    """

    def __init__(self, scene: GltfScene, animation: Animation | None) -> None:
        self._scene = scene
        self._tracks: dict[tuple[int, str], tuple[np.ndarray, np.ndarray, str]] = {}
        for channel in [] if animation is None else animation.channels:
            node, what = channel.target.node, channel.target.path
            if animation is None or node is None or what not in _PATHS:
                continue
            if node >= len(scene.nodes):
                raise scene.fault(f"animation {animation.name!r} moves an absent node, {node}")
            times, values = scene.keys(animation, channel)
            mode = animation.samplers[channel.sampler].interpolation
            self._tracks[node, what] = (times, values, mode)
        self.fps, self.times = _even([times for times, _, _ in self._tracks.values()])

    def positions(self, nodes: list[int], times: np.ndarray) -> np.ndarray:
        """(T, N, 3) positions of some nodes in the world, for (T,) times [s]."""
        scene = self._scene
        needed = set(nodes)
        for node in nodes:
            while scene.parents[node] >= 0 and scene.parents[node] not in needed:
                node = scene.parents[node]
                needed.add(node)
        if len(needed) * len(times) > _MAX_TRANSFORMS:
            raise scene.fault(
                f"{len(needed)} nodes in {len(times)} frames; at most {_MAX_TRANSFORMS} in all"
            )
        world: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        with np.errstate(over="ignore", invalid="ignore"):
            for node in scene.order:
                if node in needed:
                    linear, place = self._local(node, times)
                    if scene.parents[node] >= 0:
                        above, base = world[scene.parents[node]]
                        place = base + np.einsum("tij,tj->ti", above, place)
                        linear = above @ linear
                    world[node] = linear, place
        return np.stack([world[node][1] for node in nodes], axis=1)

    def _local(self, node: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, 3, 3) linear part and (T, 3) translation of a node in its parent."""
        one = self._scene.nodes[node]
        if one.matrix is not None and not any((node, what) in self._tracks for what in _PATHS):
            matrix = np.array(one.matrix).reshape(4, 4).T
            return np.tile(matrix[:3, :3], (len(times), 1, 1)), np.tile(
                matrix[:3, 3], (len(times), 1)
            )
        place, turn, scale = (self._values(node, one, what, times) for what in _PATHS)
        if np.linalg.norm(turn, axis=-1).min() < 1e-6:
            raise self._scene.fault(f"nodes.{node}: a rotation of length 0")
        return Rotation.from_quat(turn).as_matrix() * scale[:, None, :], place

    def _values(self, node: int, one: Node, what: str, times: np.ndarray) -> np.ndarray:
        if (node, what) not in self._tracks:
            return np.tile(np.array(getattr(one, what)), (len(times), 1))
        return _sampled(*self._tracks[node, what], times, turns=what == "rotation")


def _even(tracks: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Rate of the keys [Hz], and evenly spaced times from the first key to the last [s]."""
    if not tracks:
        return FPS, np.zeros(1)
    densest = max(tracks, key=len)
    step = float(np.median(np.diff(densest))) if len(densest) > 1 else 1.0 / FPS
    # Keys of an animator lie far apart: what moves between them is sampled.
    fps = float(np.clip(1.0 / step, FPS, _MAX_FPS))
    if abs(fps - round(fps)) < 0.01 * fps:
        fps = float(round(fps))  # times are single floats
    first = min(float(times[0]) for times in tracks)
    last = max(float(times[-1]) for times in tracks)
    frames = min(int((last - first) * fps + 1e-2) + 1, _MAX_TRANSFORMS)
    return fps, first + np.arange(frames) / fps


def _sampled(
    keys: np.ndarray, values: np.ndarray, mode: str, times: np.ndarray, *, turns: bool
) -> np.ndarray:
    """(T, 3 or 4) values at (T,) times; constant before the first key and after the last."""
    # Keys are single floats: one at a time of a frame counts for that frame.
    at = np.searchsorted(keys, times + _SAME_TIME, side="right") - 1
    if mode == "STEP":
        return np.asarray(values[np.maximum(at, 0)])
    at = np.clip(at, 0, max(len(keys) - 2, 0))
    after = np.minimum(at + 1, len(keys) - 1)
    span = np.maximum(keys[after] - keys[at], 1e-9)
    share = np.clip((times - keys[at]) / span, 0.0, 1.0)[:, None]
    if mode == "CUBICSPLINE":
        s, h = share, span[:, None]
        return np.asarray(
            (2 * s**3 - 3 * s**2 + 1) * values[at, 1]
            + (s**3 - 2 * s**2 + s) * h * values[at, 2]
            + (3 * s**2 - 2 * s**3) * values[after, 1]
            + (s**3 - s**2) * h * values[after, 0]
        )
    one, other = values[at], values[after]
    if turns:
        # Spherical interpolation on the shorter arc.
        cosine = (one * other).sum(-1, keepdims=True)
        other = np.where(cosine < 0.0, -other, other)
        angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
        sine = np.maximum(np.sin(angle), 1e-12)
        near = angle < 1e-4
        one = one * np.where(near, 1.0 - share, np.sin((1.0 - share) * angle) / sine)
        return np.asarray(one + other * np.where(near, share, np.sin(share * angle) / sine))
    return np.asarray((1.0 - share) * one + share * other)


def _names(scene: GltfScene) -> list[str]:
    """A name of its own for each node."""
    seen: set[str] = set()
    names = []
    for index, node in enumerate(scene.nodes):
        name = node.name or f"node {index}"
        names.append(name if name not in seen else f"{name} ({index})")
        seen.add(name)
    return names


def _rig_nodes(scene: GltfScene, animation: Animation) -> list[int]:
    """Joints and the nodes between them, parents first, below one root."""
    joints = {joint for skin in scene.skins for joint in skin.joints}
    if not joints:
        joints = {node for c in animation.channels if (node := _moved(c)) is not None}
    joints |= set(_vrm_bones(scene).values())
    if not joints or max(joints) >= len(scene.nodes):
        raise scene.fault("no skin and no animated node, or joints that do not exist")
    lines = []
    for joint in joints:
        line = [joint]
        while scene.parents[line[-1]] >= 0:
            line.append(scene.parents[line[-1]])
        lines.append(line[::-1])
    if len({line[0] for line in lines}) > 1:
        # Several roots: the largest hierarchy is the body.
        roots = [line[0] for line in lines]
        body = max(set(roots), key=roots.count)
        lines = [line for line in lines if line[0] == body]
    shared = 0
    while all(len(line) > shared and line[shared] == lines[0][shared] for line in lines):
        shared += 1
    nodes = {node for line in lines for node in line[shared - 1 :]}
    if len(nodes) > _MAX_JOINTS:
        raise scene.fault(f"more than {_MAX_JOINTS} joints")
    return [node for node in scene.order if node in nodes]


def _moved(channel: Channel) -> int | None:
    return channel.target.node if channel.target.path in _PATHS else None


def _vrm_bones(scene: GltfScene) -> dict[str, int]:
    """Nextscale's joint -> node, where a VRM animation says so."""
    content = scene.extensions.get("VRMC_vrm_animation")
    humanoid = content.get("humanoid") if isinstance(content, dict) else None
    bones = humanoid.get("humanBones") if isinstance(humanoid, dict) else None
    found = {}
    for bone, entry in bones.items() if isinstance(bones, dict) else ():
        side = next((side for side in ("left", "right") if str(bone).startswith(side)), "")
        part = _VRM.get(str(bone).removeprefix(side))
        node = entry.get("node") if isinstance(entry, dict) else None
        if part is not None and isinstance(node, int) and 0 <= node < len(scene.nodes):
            found[f"{side}_{part}" if side else part] = node
    return found
