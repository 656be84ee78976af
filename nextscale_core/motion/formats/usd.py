"""UsdSkel files: a skinned mannequin with the motion, z up, metres, facing x.

Needs the extra 'usd'. The animation carries scales of one: a reader gives no transforms for an
animation that lacks translations, rotations or scales.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import InvalidMotionError, MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.rig_clip import RigFile, RigJoints, rig_clip
from nextscale_core.motion.formats.world_frame import FileFrame
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadNote, ReadOptions
from nextscale_core.motion.skeleton import FPS, JOINT_NAMES, NUM_JOINTS, PARENTS
from nextscale_core.motion.skinned_mannequin import SkinnedMannequin, skinned_mannequin
from nextscale_core.npz import whole_file

USD_SUFFIXES = (".usd", ".usda", ".usdc")
_MAX_FRAMES, _MAX_FPS = 1_000_000, 1000.0
_MAX_POSITIONS = 30_000_000  # joints times frames


def write_usd(clip: MotionClip, path: Path) -> None:
    """Write a motion as .usd or .usdc (binary) or .usda (text), at the clip's rate.

    Raises:
        MotionFileError: the extra 'usd' is not installed, or the file cannot be written.
    """
    Usd = _usd()[0]
    body = skinned_mannequin(clip)
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as stream:
        made = Path(folder) / f"motion{path.suffix.lower()}"
        stage = Usd.Stage.CreateNew(str(made))
        _describe(stage, clip, body)
        stage.GetRootLayer().Save()
        stream.write(made.read_bytes())


def _describe(stage: Any, clip: MotionClip, body: SkinnedMannequin) -> None:
    """The scene: a SkelRoot with skeleton, animation and mesh."""
    _, UsdGeom, UsdSkel, Gf, Vt = _usd()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(float(len(clip) - 1))
    stage.SetTimeCodesPerSecond(clip.fps)
    stage.SetFramesPerSecond(clip.fps)
    root = UsdSkel.Root.Define(stage, "/mannequin")
    stage.SetDefaultPrim(root.GetPrim())
    root.GetPrim().SetCustomDataByKey("text", clip.text)

    paths: list[str] = []
    for joint, name in enumerate(JOINT_NAMES):
        paths.append(f"{paths[PARENTS[joint]]}/{name}" if joint else name)
    offsets = body.rest - body.rest[np.maximum(PARENTS, 0)]
    offsets[0] = body.rest[0]
    skeleton = UsdSkel.Skeleton.Define(stage, "/mannequin/skeleton")
    skeleton.CreateJointsAttr(paths)
    skeleton.CreateBindTransformsAttr(_translations(Gf, Vt, body.rest))
    skeleton.CreateRestTransformsAttr(_translations(Gf, Vt, offsets))

    animation = UsdSkel.Animation.Define(stage, "/mannequin/skeleton/motion")
    animation.CreateJointsAttr(paths)
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1.0, 1.0, 1.0)] * NUM_JOINTS))
    turns, places = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    for frame in range(len(clip)):
        turns.Set(
            Vt.QuatfArray(
                [Gf.Quatf(w, x, y, z) for x, y, z, w in body.quaternions[frame].tolist()]
            ),
            float(frame),
        )
        places.Set(_vectors(Vt, body.skeleton.positions[frame]), float(frame))

    mesh = UsdGeom.Mesh.Define(stage, "/mannequin/body")
    mesh.CreatePointsAttr(_vectors(Vt, body.vertices))
    mesh.CreateNormalsAttr(_vectors(Vt, body.normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateFaceVertexCountsAttr([3] * len(body.triangles))
    mesh.CreateFaceVertexIndicesAttr(body.triangles.reshape(-1).tolist())
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    mesh.CreateExtentAttr(_vectors(Vt, np.stack([low, high])))
    mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(_vectors(Vt, body.colors))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(False, 1).Set(body.joints.tolist())
    binding.CreateJointWeightsPrimvar(False, 1).Set([1.0] * len(body.vertices))
    bound = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    bound.CreateAnimationSourceRel().SetTargets([animation.GetPath()])


def read_usd(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> MotionClip:
    """Read the first animated skeleton of a USD file, of any rig.

    Args:
        path: The file.
        options: Its known properties.

    Returns:
        The motion at 20 fps, or at the file's rate if the options keep it.

    Raises:
        MotionFileError: the extra 'usd' is not installed; missing or malformed file; no animated
            skeleton, or joints that are not found.
    """
    path = Path(path)
    _usd()
    if not path.is_file():
        raise MotionFileError(f"{path} does not exist")
    try:
        return _read(path, options)
    except (MotionFileError, InvalidMotionError) as error:
        raise MotionFileError(f"{path}: {error}") from error
    # The library raises its own types on damaged files, in any call.
    except Exception as error:
        raise MotionFileError(f"{path} is not a whole USD file: {_reason(error)}") from error


def _read(path: Path, options: ReadOptions) -> MotionClip:
    Usd, UsdGeom, UsdSkel, _, _ = _usd()
    stage = Usd.Stage.Open(str(path))
    cache = UsdSkel.Cache()
    for prim in stage.Traverse():
        query = cache.GetSkelQuery(UsdSkel.Skeleton(prim)) if prim.IsA(UsdSkel.Skeleton) else None
        if query and query.GetAnimQuery():
            break
    else:
        raise MotionFileError("no skeleton with an animation (UsdSkel)")
    joints = _joints(str(prim.GetPath()), [str(one) for one in query.GetJointOrder()])
    animation = query.GetAnimQuery()
    name = animation.GetPrim().GetPath()
    samples = animation.GetJointTransformTimeSamples()
    if not samples:
        raise MotionFileError(f"{name} has no samples over time")
    # Without one of its attributes a query gives the rest pose in every frame, and no error.
    if not animation.ComputeJointLocalTransforms(Usd.TimeCode(samples[0])):
        raise MotionFileError(f"{name} needs translations, rotations and scales")

    ratio = stage.GetTimeCodesPerSecond()
    step = float(np.median(np.diff(samples))) if len(samples) > 1 else ratio / FPS
    fps = min(max(ratio / step, 1.0), _MAX_FPS) if ratio > 0.0 and step > 0.0 else FPS
    frames = int((samples[-1] - samples[0]) / ratio * fps + 1e-2) + 1
    if not 0 < frames <= _MAX_FRAMES or frames * len(joints.names) > _MAX_POSITIONS:
        raise MotionFileError(f"{frames} frames of {len(joints.names)} joints are too many")
    transforms = UsdGeom.XformCache()

    def placed(code: Any, *, at_rest: bool = False) -> np.ndarray:
        """(N, 3) joints in the world."""
        transforms.SetTime(code)
        world = np.array(transforms.GetLocalToWorldTransform(prim))
        local = np.array(query.ComputeJointSkelTransforms(code, at_rest))
        return np.asarray(local[:, 3, :3] @ world[:3, :3] + world[3, :3])

    codes = (Usd.TimeCode(samples[0] + frame / fps * ratio) for frame in range(frames))
    positions = np.stack([placed(code) for code in codes])
    rest = placed(Usd.TimeCode(samples[0]), at_rest=True)
    up = str(UsdGeom.GetStageUpAxis(stage)).lower()
    unit = float(UsdGeom.GetStageMetersPerUnit(stage))
    frame = FileFrame(up, False, unit if unit > 0.0 else None, False, has_forward=False)
    file = RigFile(frame, fps, notes=(ReadNote("frames", f"skeleton {prim.GetPath()}"),))
    return rig_clip(joints, positions, lambda _: rest, file, options)


def _reason(error: Exception) -> str:
    try:
        return str(error).strip()[:200]
    except UnicodeDecodeError:  # the library quotes the file's bytes
        return type(error).__name__


def _joints(skeleton: str, paths: list[str]) -> RigJoints:
    """The hierarchy that the paths of the joints describe."""
    place = {path: index for index, path in enumerate(paths)}
    parents = [place.get(path.rpartition("/")[0], -1) for path in paths]
    if parents.count(-1) != 1 or any(above >= index for index, above in enumerate(parents)):
        raise MotionFileError(f"{skeleton}: its joints need one root, and parents first")
    return RigJoints([path.rpartition("/")[2] for path in paths], parents, [False] * len(paths))


def require_usd() -> None:
    """Check that the extra 'usd' is installed.

    Raises:
        MotionFileError: it is not.
    """
    _usd()


def _usd() -> tuple[Any, ...]:
    """Modules of usd-core."""
    try:
        from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt
    except ImportError as error:
        raise MotionFileError(
            f"USD files need the extra 'usd': pip install 'nextscale[usd]' ({error})"
        ) from error
    return Usd, UsdGeom, UsdSkel, Gf, Vt


def _vectors(Vt: Any, rows: np.ndarray) -> Any:
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(rows, dtype=np.float32))


def _translations(Gf: Any, Vt: Any, rows: np.ndarray) -> Any:
    return Vt.Matrix4dArray([Gf.Matrix4d().SetTranslate(Gf.Vec3d(*row)) for row in rows.tolist()])
