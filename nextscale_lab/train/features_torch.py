"""Differentiable joint positions from features, for losses and metrics."""

from __future__ import annotations

import torch
from torch import Tensor

from nextscale_core.motion.features import POSITIONS
from nextscale_core.motion.skeleton import NUM_JOINTS


def features_to_joints(features: Tensor) -> Tensor:
    """Positions from HumanML3D features, as `motion.features.features_to_clip` in torch.

    Args:
        features: (B, T, 263), not normalised.

    Returns:
        (B, T, 22, 3) positions [m], x forward, y left, z up.
    """
    yaw = torch.zeros_like(features[..., 0])
    yaw[:, 1:] = 2.0 * torch.cumsum(features[:, :-1, 0], dim=1)
    # Features hold y-up vectors (left, up, forward) in a frame turned by -yaw about up.
    cos, sin = torch.cos(yaw), torch.sin(yaw)

    def to_world(left: Tensor, forward: Tensor) -> tuple[Tensor, Tensor]:
        c, s = (cos, sin) if left.ndim == 2 else (cos[..., None], sin[..., None])
        return c * left - s * forward, s * left + c * forward

    step_left, step_forward = to_world(
        torch.nn.functional.pad(features[:, :-1, 1], (1, 0)),
        torch.nn.functional.pad(features[:, :-1, 2], (1, 0)),
    )
    root_left, root_forward = step_left.cumsum(1), step_forward.cumsum(1)
    local = features[..., POSITIONS].unflatten(-1, (NUM_JOINTS - 1, 3))
    left, forward = to_world(local[..., 0], local[..., 2])
    root = torch.stack([root_forward, root_left, features[..., 3]], dim=-1)[:, :, None]
    rest = torch.stack(
        [forward + root_forward[..., None], left + root_left[..., None], local[..., 1]], dim=-1
    )
    return torch.cat([root, rest], dim=2)
