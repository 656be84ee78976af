"""Vectorised rotation functions on matrices (scipy's objects cost too much per call here)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.kernels import kernels, run


def unit(vectors: np.ndarray, fallback: np.ndarray | None = None) -> np.ndarray:
    """Unit vectors (..., 3); `fallback`, or zeros, where a vector has no length."""
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    ok = norm > 1e-6
    result = vectors / np.where(ok, norm, 1.0)
    return np.where(ok, result, 0.0 if fallback is None else fallback)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, a cubic with flat ends between."""
    u = np.clip((x - low) / (high - low), 0.0, 1.0)
    return u * u * (3.0 - 2.0 * u)


def skew(vectors: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) of the cross product with vectors (..., 3)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [np.stack(row, -1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, -2)


def exp(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) [rad] -> matrices (..., 3, 3)."""
    library = kernels()
    if library is not None:
        vectors = np.ascontiguousarray(vectors, np.float64)
        matrices = np.empty((*vectors.shape, 3))
        run(library, "ns_exp", vectors.size // 3, vectors, matrices)
        return matrices
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    k = skew(vectors)
    return np.eye(3) + np.sinc(angle / np.pi) * k + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * k @ k


def log(matrices: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) -> rotation vectors (..., 3) [rad], exact up to half a turn."""
    library = kernels()
    if library is not None:
        matrices = np.ascontiguousarray(matrices, np.float64)
        vectors = np.empty(matrices.shape[:-1])
        run(library, "ns_log", vectors.size // 3, matrices, vectors)
        return vectors
    flat = matrices.reshape(-1, 3, 3)
    return Rotation.from_matrix(flat).as_rotvec().reshape(*matrices.shape[:-2], 3)


def quaternions(matrices: np.ndarray) -> np.ndarray:
    """Matrices (N, 3, 3) -> unit quaternions (N, 4), x y z w, of either sign."""
    library = kernels()
    if library is None:
        return np.asarray(Rotation.from_matrix(matrices).as_quat())
    found = np.empty((len(matrices), 4))
    run(library, "ns_quaternions", len(found), np.ascontiguousarray(matrices, np.float64), found)
    return found


def about_z(angle: np.ndarray | float) -> np.ndarray:
    """Matrices (..., 3, 3) of turns about the vertical by angles (...) [rad]."""
    return exp(np.asarray(angle)[..., None] * np.array([0.0, 0.0, 1.0]))


def yaw(matrices: np.ndarray) -> np.ndarray:
    """Headings (...) of orientations (..., 3, 3): where their x axis points on the floor [rad]."""
    return np.asarray(np.arctan2(matrices[..., 1, 0], matrices[..., 0, 0]))


def heading_of(quaternion: np.ndarray) -> float:
    """Heading of one orientation (4,), x y z w [rad]; see `yaw`."""
    return float(yaw(Rotation.from_quat(quaternion).as_matrix()))


def frame_from(
    *, primary: np.ndarray, secondary: np.ndarray, axes: str, fallback: np.ndarray | None = None
) -> np.ndarray:
    """Right-handed frames from one exact and one approximate axis.

    Args:
        primary: (..., 3) direction of the axis named first in `axes`.
        secondary: (..., 3) approximate direction of the axis named second.
        axes: Two of 'x', 'y', 'z', for example 'xy'.
        fallback: (..., 3, 3) frame used where the two directions are parallel.

    Returns:
        (..., 3, 3) matrices whose columns are the x, y and z axes.
    """
    first, second = ("xyz".index(axis) for axis in axes)
    third = 3 - first - second
    base = np.broadcast_to(np.eye(3), (*primary.shape, 3)) if fallback is None else fallback
    a = unit(primary, base[..., :, first])
    b = secondary - (secondary * a).sum(-1, keepdims=True) * a
    weak = np.linalg.norm(b, axis=-1, keepdims=True) < 1e-4
    spare = base[..., :, second]
    spare = spare - (spare * a).sum(-1, keepdims=True) * a
    other = base[..., :, third]
    spare = np.where(np.linalg.norm(spare, axis=-1, keepdims=True) < 1e-4, other, spare)
    b = unit(np.where(weak, spare - (spare * a).sum(-1, keepdims=True) * a, b))
    sign = 1.0 if (first, second) in ((0, 1), (1, 2), (2, 0)) else -1.0
    frames = np.empty((*primary.shape, 3))
    frames[..., :, first], frames[..., :, second] = a, b
    frames[..., :, third] = sign * np.cross(a, b)
    return frames


def continuous_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations (N, 4), without a change of sign from one row to the next."""
    dots = (quaternions[1:] * quaternions[:-1]).sum(-1)
    signs = np.cumprod(np.concatenate([[1.0], np.where(dots < 0, -1.0, 1.0)]))
    return quaternions * signs[:, None]
